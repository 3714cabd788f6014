package server

import (
	"context"
	"encoding/json"
	"errors"
	"syscall"
	"time"
)

// Takeover is how another process of the program took a node over, as the old one says.
type Takeover struct {
	PID      int
	Requests time.Duration // For how long requests under way were waited for,
	Moving   time.Duration // and then nobody served anything.
	err      error
}

// parse reads a line of the log. ok: another process serves, or none does.
func (k *Takeover) parse(entry []byte) (ok bool) {
	var e struct {
		Msg, Error       string
		PID              int
		Requests, Moving time.Duration
	}
	if json.Unmarshal(entry, &e) != nil {
		return false
	}
	switch e.Msg {
	case "everything is left to another process":
		k.Requests, k.Moving = e.Requests, e.Moving
	case "another process has taken over":
		k.PID = e.PID
		return true
	case "nobody has taken over, and this process goes on":
		k.err = errors.New(e.Error)
		return true
	}
	return false
}

// Restart has the program taken over by another process, and returns when that serves. What is
// measured of the process afterwards is of the new one.
func (t *Throng) Restart(ctx context.Context) (Takeover, error) {
	if err := syscall.Kill(t.PID, syscall.SIGUSR2); err != nil {
		return Takeover{}, err
	}
	k, err := wait(ctx, t.Process, t.takeovers, "who has taken over")
	if err == nil {
		err = k.err
	}
	if err == nil {
		t.PID = k.PID
	}
	return k, err
}
