package node

import (
	"context"
	"log/slog"
	"sync"
)

// Start runs a node for a while inside another program: on loopback, on ports that the kernel
// picks, without a log. It returns the addresses of gateway, api and admin, and what ends the node
// at once.
func Start(cfg Config) (addresses map[string]string, stop func() error, err error) {
	const any = "127.0.0.1:0"
	cfg.Listen, cfg.API, cfg.Admin = any, any, any
	n, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	addresses = map[string]string{}
	opened := make(chan struct{})
	n.opened = func(door, address string) {
		mu.Lock()
		defer mu.Unlock()
		if addresses[door] = address; len(addresses) == 3 {
			close(opened)
		}
	}
	n.engine.opened = n.opened
	ended := make(chan error, 1)
	go func() { ended <- n.Run(context.Background()) }()
	select {
	case err := <-ended:
		return nil, nil, err
	case <-opened:
	}
	return addresses, func() error {
		n.Abort()
		return <-ended
	}, nil
}
