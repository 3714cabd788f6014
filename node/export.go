package node

import (
	"context"
	"time"

	"throng/fanout"
	"throng/node/api"
	"throng/wire"
)

// exportLines are written by a worker in one go: at 1 to 2 µs each.
const exportLines = 1000

// ExportMembers writes out all members of a guild as they are when its shard comes to it. A worker
// makes the lines, and the next ones when the caller has written those before.
func (n *Node) ExportMembers(ctx context.Context, guild wire.Snowflake,
	f func(lines []byte) error) error {
	var export *fanout.Export
	err := n.look(ctx, guild, func(g *fanout.Guild, _ int64) error {
		if g == nil {
			return api.UnknownGuild
		}
		export = g.Export()
		return nil
	})
	if err != nil {
		return err
	}
	var lines []byte
	for {
		lines, err = n.exportLines(ctx, export, lines[:0])
		if err != nil || len(lines) == 0 {
			return err
		}
		if err := f(lines); err != nil {
			return err
		}
	}
}

// exportLines has a worker append the next lines, and waits for a place in the workers' line too.
func (n *Node) exportLines(ctx context.Context, export *fanout.Export, dst []byte) ([]byte,
	error) {
	made := make(chan []byte, 1)
	job := func() {
		defer close(made) // Without lines, should Next fail.
		made <- export.Next(dst, exportLines)
	}
	for !n.core.submit(kindJobExport, job) {
		select {
		case <-time.After(busyRetry / 10):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	select {
	case lines, ok := <-made:
		if !ok {
			return nil, errInternal
		}
		return lines, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
