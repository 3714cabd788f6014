package crowd

import (
	"context"
	"fmt"

	"throng/bench/internal/server"
	"throng/bench/load"
	"throng/tuning"
)

// Who and what fills the journals. The ids are far from those of any bench.
const (
	fillUser          = 50_000_000
	fillGuild         = 50_000_000
	fillSessions      = 16 // So many that each loop has some.
	fillFrameBytesMax = 950_000
)

// JournalBytes is the default of -journal.
const JournalBytes = tuning.JournalBytes

// FillJournals fills the journals of all loops, each of so many bytes, by large events to a few
// sessions of a guild of their own, which then leave. What a guild says fills one part, and what is
// said to one session another, so each of the users is sent events too; the part for answers to
// requests for members stays empty, for nobody asks. A journal is of fixed size, but its memory is
// not touched before it is needed: on a fresh node, what everybody is sent on arrival fills it just
// while the sessions come whose memory is to be measured.
func FillJournals(ctx context.Context, node *server.Throng, clients load.Config,
	journalBytes int) error {
	g := Group{Name: "fill", First: fillUser, Connections: fillSessions, Clients: clients}
	if err := node.PutGuild(ctx, fillGuild, 1); err != nil {
		return err
	}
	if err := g.Provision(ctx, node, fillGuild); err != nil {
		return err
	}
	var c Crowd
	defer c.Stop()
	if err := c.Join(ctx, node, g); err != nil {
		return err
	}
	size := min(fillFrameBytesMax, journalBytes/16)
	half := journalBytes/size*5/8 + 1
	for range half {
		_, err := c.Deliver(ctx, fillSessions, func() error {
			return node.Publish(ctx, fillGuild, Events(fillGuild, size, 1))
		})
		if err != nil {
			return fmt.Errorf("fill the journals: %w", err)
		}
	}
	// Two sessions on each loop are enough.
	for range half/2 + 1 {
		_, err := c.Deliver(ctx, fillSessions, func() error {
			for i := range fillSessions {
				err := node.PublishUser(ctx, fillUser+i, Events(fillGuild, size, 1))
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("fill the journals: %w", err)
		}
	}
	return nil
}
