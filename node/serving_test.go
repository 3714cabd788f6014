package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"throng/fanout"
	"throng/tuning"
	"throng/wire"
)

// handRequest is a request about a guild that has come to some node's door, on its way to who
// serves the guild. What there is between it and a door is for other tests; see forwarder.
type handRequest struct {
	guild wire.Snowflake
	front *meshNode
	run   func(s *shard, g *fanout.Guild, now int64) (*fanout.Guild, fanout.Change, error)
	trip  trip
	ask   *whereGuild
	reply chan error
	count requestCount
}

// requestCount is what became of requests.
type requestCount struct {
	done    int
	led     int // To who serves the guild and is not to own it by the view of who was asked.
	held    int // Pauses, while nobody was found.
	moved   int // The guild went while they waited for their turn.
	refused int
	longest int // Steps of the mesh, from the door to the change.
}

func (c *requestCount) add(o requestCount) {
	c.done, c.led, c.held = c.done+o.done, c.led+o.led, c.held+o.held
	c.moved, c.refused = c.moved+o.moved, c.refused+o.refused
	c.longest = max(c.longest, o.longest)
}

// request has a request come to a node.
func (m *handMesh) request(front *meshNode, guild wire.Snowflake,
	run func(s *shard, g *fanout.Guild, now int64) (*fanout.Guild, fanout.Change, error)) {
	m.requests = append(m.requests, &handRequest{guild: guild, front: front, run: run,
		trip: trip{at: front.name}})
}

// stepRequests has each request go a step on, now and then. It reports whether there is one.
func (m *handMesh) stepRequests() bool {
	waiting := m.requests[:0]
	for _, r := range m.requests {
		r.count.longest++
		if m.rng.IntN(2) > 0 || !m.stepRequest(r) {
			waiting = append(waiting, r)
		}
	}
	m.requests = waiting
	return len(waiting) > 0
}

// stepRequest reports whether it is over.
func (m *handMesh) stepRequest(r *handRequest) bool {
	at := m.named(r.trip.at)
	switch {
	case r.reply != nil:
		select {
		case err := <-r.reply:
			return m.answered(r, err)
		default:
			return false
		}
	case r.ask != nil:
		select {
		case node := <-r.ask.reply:
			r.ask = nil
			m.sought(r, at, node)
		default:
		}
	default:
		var node string
		if node, r.ask = at.mesh.seek(r.guild, r.trip.not); r.ask == nil {
			m.sought(r, at, node)
		}
	}
	return false
}

func (m *handMesh) named(name string) *meshNode {
	for _, n := range m.all {
		if n.name == name {
			return n
		}
	}
	m.t.Fatalf("there is no node %q", name)
	return nil
}

// sought follows the word of who was asked.
func (m *handMesh) sought(r *handRequest, at *meshNode, node string) {
	if node == at.name {
		if _, here := at.mesh.owner(r.guild); !here {
			r.count.led++
		}
		r.reply = make(chan error, 1)
		at.shardOf(r.guild).inbox.push(&guildWork{guildCall{r.guild},
			callerOf(context.Background()), kindPublish, r.run, r.reply})
	} else if !r.trip.next(node) {
		r.count.held++
		r.trip = trip{at: r.front.name}
	}
}

// answered follows the answer of the guild. It reports whether the request is over.
func (m *handMesh) answered(r *handRequest, err error) bool {
	if r.reply = nil; errors.Is(err, errElsewhere) && r.count.moved < tuning.MovedTriesMax-1 {
		r.count.moved++
		r.trip = trip{at: r.front.name}
		return false
	}
	if err != nil {
		m.t.Logf("a request is refused: %v", err)
		r.count.refused++
	} else {
		r.count.done++
	}
	m.count.add(r.count)
	return true
}

// publishAt has a message published by way of some node. It has its number when it is taken.
func (m *movers) publishAt(front *meshNode, guild wire.Snowflake) {
	m.request(front, guild,
		func(_ *shard, g *fanout.Guild, now int64) (*fanout.Guild, fanout.Change, error) {
			m.marks[guild]++
			change, err := g.Publish("MESSAGE_CREATE", markOf(guild, m.marks[guild]), now)
			return g, change, err
		})
}

func markOf(guild wire.Snowflake, number int) []byte {
	return fmt.Appendf(nil, `{"id":"%d","channel_id":"%d","content":"m%d",`+
		`"author":{"id":"1","username":"u"}}`, 1000+number, guild+1, number)
}

// TestTripEnds: nodes that name one another have nobody go to and fro.
func TestTripEnds(t *testing.T) {
	on := trip{at: "a"}
	for i, named := 0, "b"; on.next(named); i++ {
		if named = "a"; on.at == "a" {
			named = "b"
		}
		if i >= tuning.SeekNodesMax {
			t.Fatalf("%d nodes are asked", i+1)
		}
	}
	for _, named := range []string{"", "a"} {
		if on := (trip{at: "a"}); on.next(named) {
			t.Errorf("it goes on to %q", named)
		}
	}
}

// TestWhatWaitsComesFirst: what comes when the lease is back, ahead of word of that, does not
// overtake what has waited for it.
func TestWhatWaitsComesFirst(t *testing.T) {
	const guild = 4096
	m := newHandMesh(t, 1, 2, 1)
	m.putAway(guild, 1)
	m.show()
	m.ask(guild, func(_ *shard, g *fanout.Guild, _ int64) (*fanout.Guild, fanout.Change, error) {
		return g, fanout.Change{}, nil
	})
	m.settle()
	n := m.owner(guild)
	s := n.shardOf(guild)
	var got []int
	ask := func(number int) {
		s.inbox.push(&guildWork{guildCall{guild}, callerOf(t.Context()), kindProvision,
			func(_ *shard, g *fanout.Guild, _ int64) (*fanout.Guild, fanout.Change, error) {
				got = append(got, number)
				return g, fanout.Change{}, nil
			}, make(chan error, 1)})
		s.pass()
	}
	ask(1)
	n.incarnation = 0
	ask(2)
	ask(3)
	if len(got) != 1 {
		t.Errorf("without a lease %v are done", got)
	}
	n.incarnation = n.born
	ask(4)
	n.mesh.leaseBack()
	s.pass()
	if !slices.Equal(got, []int{1, 2, 3, 4}) {
		t.Errorf("the order is %v", got)
	}
}
