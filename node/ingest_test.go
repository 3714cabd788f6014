package node

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
)

// publishByNATS publishes as a backend does that uses NATS, and returns whether it was taken.
func publishByNATS(t testing.TB, conn *nats.Conn, guild uint64, n int) (string, bool) {
	t.Helper()
	m, err := conn.Request(fmt.Sprintf("throng.guild.%d.events", guild),
		fmt.Appendf(nil, `{"t":"TEST_EVENT","d":{"n":%d}}`, n), patience)
	if err != nil {
		t.Fatalf("event %d: %v", n, err)
	}
	var answer struct {
		Index *uint64 `json:"event_index"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		t.Fatal(err)
	}
	return string(m.Data), answer.Index != nil
}

// TestEventsByNATS: whichever node is not what it should be, what is published by NATS comes to the
// guild.
func TestEventsByNATS(t *testing.T) {
	e := startEngines(t)
	rigs := startNodes(t, e.config("node-a"), e.config("node-b"))
	home, away := ownerOf(100, rigs)
	home.user(1, true)
	home.guild(100, 1)
	conn, err := nats.Connect(e.nats.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	n := 0
	publish := func(c *wsClient) {
		t.Helper()
		for range 20 {
			if said, ok := publishByNATS(t, conn, 100, n); !ok {
				t.Fatalf("event %d: %s", n, said)
			}
			c.wantNumber(n)
			n++
		}
	}
	c := away.login(1)
	c.joined(1)
	publish(c)
	for _, pair := range [][2]*rig{{away, home}, {home, away}} {
		gone, there := pair[0], pair[1]
		var back atomic.Bool
		gone.others.members.Resign(back.Load)
		gone.until("it has left", func() bool { return !gone.others.ingest.In() })
		there.until("the other has its guilds", func() bool {
			_, here := there.core.mesh.owner(100)
			return here
		})
		c := there.login(1)
		c.joined(1)
		publish(c)
		back.Store(true)
		gone.until("it is back", func() bool {
			return gone.others.ingest.In() && seen(home, gone) && seen(away, gone)
		})
	}
	away.Drain()
	away.until("it has left", func() bool { return !away.others.ingest.In() })
	for range 20 {
		publishByNATS(t, conn, 100, n)
	}
	// A node that is about to end has no state to look at.
	away.until("the drain ends", func() bool {
		select {
		case <-away.ended:
			return true
		default:
			return false
		}
	})
}

// seen says whether by has of in its view.
func seen(by, of *rig) bool {
	_, there := by.core.mesh.view.Load().Node(of.core.limits.node)
	return there
}
