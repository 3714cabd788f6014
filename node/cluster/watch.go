package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"throng/tuning"
)

var (
	errWatchEnded  = errors.New("etcd has ended the watch")
	errWatchSilent = errors.New("the watch is silent")
	errWentBack    = errors.New("etcd knows less than it did: was it restored from a copy " +
		"without raising its revision?")
)

// load reads the cluster whole and makes a View of it. REQUIRES: called by the watching goroutine,
// or before it runs.
func (m *Membership) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tuning.EtcdTimeout)
	defer cancel()
	r, err := m.data.Get(ctx, m.prefix, clientv3.WithPrefix())
	if err != nil {
		return err
	}
	if uint64(r.Header.Revision) < m.state.revision {
		return fmt.Errorf("%w (revision %d after %d)", errWentBack, r.Header.Revision,
			m.state.revision)
	}
	if m.view.Load() != nil && uint64(r.Header.Revision) == m.state.revision {
		return nil
	}
	s := newState(m.prefix)
	for _, kv := range r.Kvs {
		m.refused(s.put(string(kv.Key), kv.Value, uint64(kv.CreateRevision)))
	}
	s.revision = uint64(r.Header.Revision)
	m.state = s
	m.publish()
	return nil
}

func (m *Membership) refused(err error) {
	if err != nil {
		m.log.Warn("cluster: a key was passed over", "error", err)
	}
}

func (m *Membership) publish() {
	v := nextView(m.view.Load(), m.state)
	m.view.Store(v)
	if m.absent(v) {
		ringBell(m.expelled)
	}
	m.cfg.Changed(v, m.Incarnation())
}

// watch follows the cluster's keys until the end. A watch can end for many reasons: etcd has
// dropped the history that it was to go on from, the member that it ran at has lost its leader, or
// says nothing any more. Whatever it was, reading everything and watching from there is right.
func (m *Membership) watch() {
	for m.stopped.Err() == nil {
		err := m.follow(m.stopped)
		if m.stopped.Err() != nil {
			return
		}
		m.log.Warn("cluster: the watch begins anew", "error", err)
		for {
			if !pause(m.stopped, tuning.EtcdRetryPause) {
				return
			}
			if err := m.load(m.stopped); err == nil {
				break
			} else if errors.Is(err, errWentBack) {
				m.log.Error("cluster: the view stays as it is", "error", err)
			}
		}
	}
}

// follow watches from the state's revision on, and returns when that ends.
//
// A connection whose other end is gone looks like one on which nothing happens, and gRPC asks such
// a connection for life every ten seconds at most. That is too long to miss that a node is lost.
// So the watch itself is asked how far it is, which any member that works answers at once: but not
// before the first change, since the watch begins at a revision to come (progressIfSync of etcd
// 3.6). Until then everything is read now and then.
func (m *Membership) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	changes := m.data.Watch(ctx, m.prefix, clientv3.WithPrefix(),
		clientv3.WithRev(int64(m.state.revision)+1))
	ask := time.NewTicker(tuning.WatchAskInterval)
	defer ask.Stop()
	heard, answers := time.Now(), false
	for {
		select {
		case r, open := <-changes:
			if !open {
				return errWatchEnded
			}
			if err := r.Err(); err != nil {
				return err
			}
			heard, answers = time.Now(), true
			m.apply(r.Events)
		case <-m.entered:
			m.publish()
		case <-m.outdated:
			if err := m.load(ctx); err != nil {
				return err
			}
		case <-ask.C:
			if silent := time.Since(heard) > tuning.WatchSilenceMax; silent && answers {
				return errWatchSilent
			} else if silent {
				if err := m.load(ctx); err != nil {
					return err
				}
				heard = time.Now()
			}
			asking, done := context.WithTimeout(ctx, tuning.WatchAskInterval)
			_ = m.data.RequestProgress(asking)
			done()
		}
	}
}

// apply makes one View of changes that came together, unless they have been read already.
func (m *Membership) apply(events []*clientv3.Event) {
	read := m.state.revision
	if len(events) == 0 || uint64(events[len(events)-1].Kv.ModRevision) <= read {
		return
	}
	for _, e := range events {
		if uint64(e.Kv.ModRevision) <= read {
			continue
		}
		key := string(e.Kv.Key)
		if e.Type == clientv3.EventTypeDelete {
			m.state.delete(key)
		} else {
			m.refused(m.state.put(key, e.Kv.Value, uint64(e.Kv.CreateRevision)))
		}
		m.state.revision = max(m.state.revision, uint64(e.Kv.ModRevision))
	}
	m.publish()
}
