package main

import (
	"context"
	"sync"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
)

// probe publishes messages at a rate, each at its time whatever has become of the earlier ones, and
// marked with that time.
type probe struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	// Owned by the goroutines until done; err is guarded by mu.
	made int
	mu   sync.Mutex
	err  error
}

func startProbe(ctx context.Context, node *server.Throng) *probe {
	ticking, cancel := context.WithCancel(ctx)
	p := &probe{cancel: cancel}
	p.done.Go(func() {
		began := time.Now()
		for ; ; p.made++ {
			due := began.Add(time.Duration(p.made) * time.Second / probeRate)
			select {
			case <-time.After(time.Until(due)):
			case <-ticking.Done():
				return
			}
			event := crowd.Message(guild, 0, 0, -1, p.made, due)
			p.done.Go(func() {
				if err := node.Publish(ctx, guild, event); err != nil {
					p.mu.Lock()
					p.err = err
					p.mu.Unlock()
				}
			})
		}
	})
	return p
}

// stop ends the messages and says how many there were.
func (p *probe) stop() (made int, err error) {
	p.cancel()
	p.done.Wait()
	return p.made, p.err
}
