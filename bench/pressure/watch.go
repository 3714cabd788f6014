package main

import (
	"context"
	"sync/atomic"

	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

// watcher follows the node's own account of its memory.
type watcher struct {
	level   atomic.Int64
	highest atomic.Int64
	cancel  context.CancelFunc
	ended   chan struct{}

	// To be read once it has stopped.
	levels   levels
	heldMost float64
}

func watch(ctx context.Context, node *server.Throng) *watcher {
	ctx, cancel := context.WithCancel(ctx)
	w := &watcher{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		for trial.Pause(ctx, lookEvery) == nil {
			m, err := node.Metrics(ctx)
			if err != nil {
				continue
			}
			level := int64(m["throng_memory_pressure"])
			w.level.Store(level)
			w.levels.see(level)
			w.highest.Store(w.levels.highest)
			if budget := m[`throng_memory_bytes{part="budget"}`]; budget > 0 {
				w.heldMost = max(w.heldMost, m[`throng_memory_bytes{part="held"}`]/budget)
			}
		}
	}()
	return w
}

func (w *watcher) stop() {
	w.cancel()
	<-w.ended
}

// levels are those of shedding in the order in which they were first seen. What hurts less is to
// come before what hurts more. A level that is passed over on the way up is seen on the way down,
// and is out of order then.
type levels struct {
	seen       map[int64]bool
	highest    int64
	outOfOrder int
}

func (l *levels) see(level int64) {
	if l.seen[level] {
		return
	}
	if l.seen == nil {
		l.seen = map[int64]bool{}
	}
	l.seen[level] = true
	if level < l.highest {
		l.outOfOrder++
	}
	l.highest = max(l.highest, level)
}
