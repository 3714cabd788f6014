package node

import (
	"context"
	"errors"
	"testing"
)

// TestCallerStaysWhileItIsServed: what is done for a caller may write what is the caller's, so it
// does not go meanwhile, and nothing is done for it once it has gone. The race detector sees what
// else would be wrong.
func TestCallerStaysWhileItIsServed(t *testing.T) {
	s := &shard{core: &core{}}
	ctx, cancel := context.WithCancel(t.Context())
	c, reply, written := callerOf(ctx), make(chan error, 1), 0
	if !c.listens(s, reply) {
		t.Fatal("a caller that waits is not served")
	}
	seen := make(chan int)
	go func() {
		if err := c.await(reply); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that it has gone", err)
		}
		seen <- written
	}()
	cancel()
	written = 1
	c.mu.Unlock()
	if got := <-seen; got != 1 {
		t.Errorf("it has gone before it was served")
	}
	if c.listens(s, reply) || s.core.abandoned.Load() != 1 {
		t.Error("a caller that has gone is served")
	}
}
