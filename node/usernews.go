package node

import (
	"context"
	"sync"
	"time"

	"throng/tuning"
	"throng/wire"
	"throng/wire/pack"
)

// What is published to a user goes to the user's sessions on all nodes. No table says where those
// are: it would have to follow every session that begins or ends, and publishing to users is rare
// beside that. So every other node is sent the events, and answers how many sessions it has told.
//
// Here all sessions get the events or none does, and then no other node has been asked: who comes
// again brings them to nobody twice. Elsewhere they wait for room, as a guild's do, and whoever
// publishes waits for the answers, so that there are no more on their way than requests. A node
// that does not answer in time may have told its sessions or not; what is answered then is the
// number of those that are known to have been told.

// userCalls are the requests that wait for other nodes.
type userCalls struct {
	// Guarded by mu.
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]*userCall
}

// userCall is one of them.
type userCall struct {
	// Static after construction.
	number uint64
	done   chan struct{} // Closed when all have answered.

	// Guarded by userCalls.mu.
	left     int
	sessions int
}

func (c *userCalls) begin(nodes int) *userCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = map[uint64]*userCall{}
	}
	c.last++
	call := &userCall{number: c.last, done: make(chan struct{}), left: nodes}
	c.waiting[c.last] = call
	return call
}

// answered takes an answer.
func (c *userCalls) answered(number uint64, sessions int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.waiting[number]
	if call == nil || call.left == 0 {
		return
	}
	call.sessions += sessions
	if call.left--; call.left == 0 {
		close(call.done)
	}
}

// end returns how many sessions were told by now.
func (c *userCalls) end(call *userCall) (sessions int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, call.number)
	return call.sessions
}

// askNodes sends a user's events to all other nodes. No call: there is none.
func (m *mesh) askNodes(user wire.Snowflake, events []*wire.Dispatch) *userCall {
	t := m.table.Load()
	if len(t.byNode) == 0 || len(events) == 0 {
		return nil
	}
	call := m.users.begin(len(t.byNode))
	for _, r := range t.byNumber {
		if r == nil || t.byNode[r.node] != r {
			continue
		}
		sent := true
		for i, d := range events {
			item := pack.AppendID([]byte{byte(itemUser)}, user)
			item = pack.AppendUint(item, m.generation())
			number := uint64(0)
			if i == len(events)-1 {
				number = call.number
			}
			item = pack.AppendString(pack.AppendUint(item, number), d.Name())
			sent = r.send(append(item, d.Body()...)) && sent
		}
		if !sent {
			m.users.answered(call.number, 0)
		}
	}
	return call
}

// tellNodes has all other nodes tell a user's sessions, and returns how many these were.
func (m *mesh) tellNodes(ctx context.Context, user wire.Snowflake, events []*wire.Dispatch) int {
	call := m.askNodes(user, events)
	if call == nil {
		return 0
	}
	late := time.NewTimer(tuning.UserEventsTimeout)
	defer late.Stop()
	select {
	case <-call.done:
	case <-late.C:
	case <-ctx.Done():
	}
	return m.users.end(call)
}

// userNews tells the sessions of this node what another was asked to tell a user.
func (s *shard) userNews(m *farItem) error {
	number, name := m.rest.Uint(numberMax), m.rest.String(wire.EventNameBytesMax)
	failed := m.rest.Failed()
	body := m.rest.Rest()
	if failed || !wire.ValidEventName(name) || len(body) == 0 {
		return errItem
	}
	user := m.guild // The item is routed by it.
	d := []*wire.Dispatch{wire.NewDispatch(name, body, nil)}
	live := s.core.sessionsOf(user)
	for _, h := range live {
		s.core.loops[h.Loop].inbox.pushWait(&userEvents{h, d})
	}
	if number != 0 {
		item := pack.AppendUint(s.begin(itemUserTold, user), number)
		s.send(m.remote, pack.AppendUint(item, uint64(len(live))))
	}
	return nil
}

// userTold takes the answer to that.
func (s *shard) userTold(m *farItem) error {
	number, sessions := m.rest.Uint(numberMax), m.rest.Uint(sessionsMax)
	if !m.rest.Done() {
		return errItem
	}
	s.core.mesh.users.answered(number, int(sessions))
	return nil
}

// sessionsMax is more than a node has.
const sessionsMax = 1 << 32
