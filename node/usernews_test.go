package node

import (
	"fmt"
	"testing"

	"throng/wire"
)

// TestUsersHearOnEveryNode: what is published to a user on one node comes to all of the user's
// sessions, on all nodes, in order, and how many those are is known.
func TestUsersHearOnEveryNode(t *testing.T) {
	for seed := range uint64(20) {
		m := newHandMesh(t, seed, 3, 2)
		m.show()
		var clients []*meshClient
		for i := range 6 {
			clients = append(clients, m.dial(m.all[i%3], wire.Snowflake(1+i/5)))
		}
		m.settle()
		from := m.all[m.rng.IntN(3)]
		const events = 20
		for i := range events {
			var dispatches []*wire.Dispatch
			for k := range 2 {
				dispatches = append(dispatches, wire.NewDispatch("BACKEND_NEWS",
					fmt.Appendf(nil, `{"n":%d}`, 2*i+k), nil))
			}
			call := from.mesh.askNodes(1, dispatches)
			m.settle()
			select {
			case <-call.done:
			default:
				t.Fatalf("seed %d: not all nodes have answered", seed)
			}
			want := 5 - len(from.sessionsOf(1))
			if got := from.mesh.users.end(call); got != want {
				t.Errorf("seed %d: %d sessions elsewhere were told, want %d", seed, got, want)
			}
		}
		for i, c := range clients {
			want := 2 * events
			if c.node == from || c.user != 1 {
				want = 0
			}
			last := c.last[`"BACKEND_NEWS"`]
			number, _ := wire.Field([]byte(last), "d")
			if got := c.heard[`"BACKEND_NEWS"`]; got != want ||
				want > 0 && string(number) != fmt.Sprintf(`{"n":%d}`, 2*events-1) {
				t.Errorf("seed %d: client %d heard %d events, want %d; the last: %s", seed, i, got,
					want, last)
			}
		}
	}
}

// TestLostNodeAnswersNothing: who waits for it goes on with what the others have told.
func TestLostNodeAnswersNothing(t *testing.T) {
	m := newHandMesh(t, 1, 3, 1)
	m.show()
	for _, n := range m.all {
		m.dial(n, 1)
	}
	m.settle()
	m.all[2].held = true
	call := m.all[0].mesh.askNodes(1, []*wire.Dispatch{wire.NewDispatch("A", []byte(`{}`), nil)})
	m.settle()
	select {
	case <-call.done:
		t.Error("a node that does not run has answered")
	default:
	}
	if got := m.all[0].mesh.users.end(call); got != 1 {
		t.Errorf("%d sessions were told, want 1", got)
	}
	m.all[2].held = false
	m.settle() // It answers when nobody waits any more.
	if n := len(m.all[0].mesh.users.waiting); n != 0 {
		t.Errorf("%d requests wait", n)
	}
}
