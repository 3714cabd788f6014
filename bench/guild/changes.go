package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"throng/bench/internal/server"
)

// changes are joins, renames and departures of members at a rate, in the background.
type changes struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	// Owned by the goroutine until done.
	made int
	err  error
}

// changesBatch are published in one request.
const changesBatch = rate / 50

func startChanges(ctx context.Context, node *server.Throng, members int) *changes {
	ctx, cancel := context.WithCancel(ctx)
	c := &changes{cancel: cancel}
	c.done.Go(func() {
		r := rand.New(rand.NewPCG(1, uint64(members)))
		tick := time.NewTicker(time.Second * changesBatch / rate)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			var body []byte
			for range changesBatch {
				body = appendChange(body, r, members)
			}
			if err := node.Publish(ctx, bigGuild, body); err != nil && ctx.Err() == nil {
				c.err = err
				return
			}
			c.made += changesBatch
		}
	})
	return c
}

// appendChange appends one event: a rename of a member, or, of somebody beyond the first members,
// a join, which is refused to nobody.
func appendChange(dst []byte, r *rand.Rand, members int) []byte {
	if r.IntN(4) > 0 {
		return fmt.Appendf(dst, `{"t":"GUILD_MEMBER_UPDATE","d":{"user":{"id":"%d"},`+
			`"nick":"nick %d"}}`+"\n", server.UserID(r.IntN(members)), r.IntN(1000))
	}
	return fmt.Appendf(dst, `{"t":"GUILD_MEMBER_ADD","d":{"user":{"id":"%d"}}}`+"\n",
		server.UserID(members+r.IntN(members)))
}

// stop ends the changes and says how many were made.
func (c *changes) stop() (made int, err error) {
	c.cancel()
	c.done.Wait()
	return c.made, c.err
}
