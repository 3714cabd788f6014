package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"throng/tuning"
)

// enter gets a lease and puts this node's record under it. It tries until it has succeeded, or ctx
// is done. REQUIRES: called by the renewing goroutine, or before it runs.
func (m *Membership) enter(ctx context.Context) error {
	for logged := false; ; {
		try, cancel := context.WithTimeout(ctx, tuning.EtcdTimeout)
		err := m.tryEnter(try)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if !logged {
			logged = true
			m.log.Warn("cluster: cannot join yet", "node", m.cfg.Self.Name, "error", err)
		}
		if !pause(ctx, tuning.EtcdRetryPause) {
			return errors.Join(err, ctx.Err())
		}
	}
}

func (m *Membership) tryEnter(ctx context.Context) error {
	key := m.nodeKey()
	there, err := m.leases.Get(ctx, key)
	switch {
	case err != nil:
		return err
	case len(there.Kvs) > 0 && m.id != 0 && there.Kvs[0].Lease == int64(m.id):
		// The record of this node's lost lease, which goes with it.
		if _, err := m.leases.Revoke(ctx, m.id); err != nil {
			return err
		}
	case len(there.Kvs) > 0:
		return errNameTaken
	}
	m.mu.Lock()
	record, err := json.Marshal(m.self)
	m.mu.Unlock()
	if err != nil {
		return err
	}
	start := time.Now()
	granted, err := m.leases.Grant(ctx, int64(m.cfg.TTL/time.Second))
	if err != nil {
		return err
	}
	if m.id != 0 {
		// The lease before this one, should it be there still without its record.
		_, _ = m.leases.Revoke(ctx, m.id)
	}
	m.id, m.ttl = granted.ID, time.Duration(granted.TTL)*time.Second
	put, err := m.leases.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, string(record), clientv3.WithLease(m.id))).Commit()
	if err != nil {
		return err
	}
	if !put.Succeeded {
		return errNameTaken
	}
	m.incarnation.Store(uint64(put.Header.Revision))
	m.lease.renew(start, m.ttl, m.margin())
	m.tell()
	ringBell(m.entered)
	return nil
}

func (m *Membership) margin() time.Duration { return m.ttl / tuning.LeaseMarginShare }

// renew renews the lease until the end.
func (m *Membership) renew() {
	next := time.Now()
	for {
		next = next.Add(m.ttl / tuning.LeaseRenewals)
		timer := time.NewTimer(time.Until(next))
		gone := false
		select {
		case <-m.stopped.Done():
			timer.Stop()
			return
		case <-m.expelled:
			timer.Stop()
			gone = m.absent(m.View())
		case <-m.resigned:
			timer.Stop()
			gone = true
			m.giveBack()
		case <-timer.C:
			next = time.Now()
			gone = m.tryRenew(next)
		}
		if gone {
			m.lease.end()
		}
		m.tell()
		if !gone {
			continue
		}
		m.log.Warn("cluster: this node is no member any more", "incarnation", m.Incarnation())
		if !m.waitFit() || m.enter(m.stopped) != nil {
			return
		}
		m.log.Info("cluster: joined again", "incarnation", m.Incarnation())
		next = time.Now()
	}
}

// giveBack ends the lease for the others too. If etcd cannot be told, they wait for its end.
func (m *Membership) giveBack() {
	m.lease.end()
	m.tell()
	ctx, cancel := context.WithTimeout(m.stopped, tuning.EtcdTimeout)
	defer cancel()
	if _, err := m.leases.Revoke(ctx, m.id); err != nil {
		m.log.Warn("cluster: the lease was not given back", "error", err)
	}
}

// waitFit waits until a node that has resigned is fit to join again; false means the end.
func (m *Membership) waitFit() bool {
	for {
		fit := m.fit.Load()
		if fit == nil || (*fit)() {
			m.fit.Store(nil)
			return m.stopped.Err() == nil
		}
		if !pause(m.stopped, tuning.EtcdRetryPause) {
			return false
		}
	}
}

// absent says whether a view is later than this node's record and does not have it: somebody has
// deleted it, and the others take this node for gone, while its lease may still be there.
func (m *Membership) absent(v *View) bool {
	n, _ := v.Node(m.cfg.Self.Name)
	mine := m.Incarnation()
	return v.Generation >= mine && n.Incarnation < mine
}

// tryRenew renews the lease once and says whether it is gone. A try ends soon, so that the next one
// goes to another member of etcd, and when the lease does, so that this is told in time.
func (m *Membership) tryRenew(start time.Time) (gone bool) {
	limit := m.ttl / tuning.LeaseTries
	if left := m.lease.left(start); left > 0 {
		limit = min(limit, left)
	}
	ctx, cancel := context.WithTimeout(m.stopped, limit)
	defer cancel()
	renewed, err := m.leases.KeepAliveOnce(ctx, m.id)
	if err == nil {
		m.lease.renew(start, time.Duration(renewed.TTL)*time.Second, m.margin())
		return false
	}
	if ctx.Err() != nil {
		return false
	}
	// Which error this is can only be told with another module. Asking is as good: of a lease
	// that is not there etcd says a time of less than zero.
	left, err := m.leases.TimeToLive(ctx, m.id)
	return err == nil && left.TTL <= 0
}

// tell calls LeaseChanged when there is something to tell.
func (m *Membership) tell() {
	if held := m.lease.held(time.Now()); held != m.held {
		m.held = held
		if !held {
			m.log.Warn("cluster: the lease was not renewed in time", "node", m.cfg.Self.Name)
		}
		m.cfg.LeaseChanged(held, m.Incarnation())
	}
}

// pause waits; it reports false when ctx is done.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// ringBell wakes who waits at a channel of one; rung twice before it is heard it is heard once.
func ringBell(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}
