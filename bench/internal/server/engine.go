package server

import (
	"context"
	"encoding/json"
)

// Engine is etcd or nats-server as a process, out of node/cluster/engines.
type Engine struct {
	*Process
	Client string // URL
}

// StartEngine starts one and waits until it is ready. The arguments are those of that program.
func StartEngine(ctx context.Context, program, kind string, args ...string) (*Engine, error) {
	ready := make(chan string, 1)
	line := func(text string) {
		var doors struct{ Client string }
		if json.Unmarshal([]byte(text), &doors) == nil && doors.Client != "" {
			ready <- doors.Client
		}
	}
	p, err := start(kind, nil, line, program, append([]string{kind}, args...)...)
	if err != nil {
		return nil, err
	}
	e := &Engine{Process: p}
	e.Client, err = wait(ctx, p, ready, "where it listens")
	return e, err
}
