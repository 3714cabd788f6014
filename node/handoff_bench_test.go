package node

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"throng/fanout"
	"throng/store"
	"throng/tuning"
	"throng/wire"
)

// BenchmarkHandOff has a guild of a million members, with 18,000 sessions on its own node and 6,000
// on the next, handed over while it is published to and sessions change their presence. Reported,
// by the clock and without what a thread waited for a processor, are the longest turn of the former owner's shard, for which an event may wait there; how long it
// takes in its last turn as the owner; for how long nobody serves the guild, without the network;
// the longest turn of the next owner's shard; how long the shards work until an event is taken that
// has come to either node; how many events had to wait until somebody was found, or to be taken on
// from a shard whose guild had gone; and how long all of it takes two processors.
func BenchmarkHandOff(b *testing.B) {
	for range b.N {
		h := newHandBench(b)
		h.run()
		for i, of := range []string{"", "-worked"} {
			ms := func(what string, d span) { b.ReportMetric(d[i].Seconds()*1e3, what+of) }
			ms("ms-longest", h.longest)
			ms("ms-last", h.last)
			ms("ms-nobody", h.nobody)
			ms("ms-longest-there", h.longestThere)
			ms("ms-taken", h.taken)
		}
		b.ReportMetric(h.whole.Seconds()*1e3, "ms-in-all")
		b.ReportMetric(float64(h.events), "events")
		b.ReportMetric(float64(h.count.held), "held")
		b.ReportMetric(float64(h.count.moved), "moved")
		if h.count.done != h.events {
			b.Fatalf("of %d events: %+v", h.events, h.count)
		}
	}
}

const (
	handGuild    = 4096
	handMembers  = 1_000_000
	handSessions = 18_000
	handFar      = 6_000
)

type handBench struct {
	*handMesh
	b        *testing.B
	from, to *meshNode
	sessions []fanout.Handle
	events   int

	longest, last, nobody, longestThere, taken span
	whole                                      time.Duration

	worked span                  // By both shards so far,
	began  map[*handRequest]span // and when a request came.
}

// span is a time by the clock, and without what the thread spent waiting for a processor.
type span [2]time.Duration

func (s *span) atLeast(other span) { s[0], s[1] = max(s[0], other[0]), max(s[1], other[1]) }

func (s *span) add(other span) { s[0], s[1] = s[0]+other[0], s[1]+other[1] }

// turnOf is a turn of a shard. REQUIRES: the thread is kept.
func turnOf(s *shard) (took span) {
	start := time.Now()
	before, _ := threadTime()
	s.pass()
	after, _ := threadTime()
	return span{time.Since(start), after - before}
}

// millionDirectory has one guild, of a million.
type millionDirectory struct{ store.Directory }

func (d millionDirectory) GuildMembers(_ uint64, f func(store.MemberRecord) error) error {
	for i := range handMembers {
		m := store.MemberRecord{Member: store.Member{User: uint64(i + 1), JoinedAt: 1e12},
			Roles: []uint64{uint64(5000 + i%25), uint64(5025 + i%24)}}
		if i%3 == 0 {
			m.Extra = fmt.Sprintf(`"nick":"nick of %d"`, i)
		}
		if err := f(m); err != nil {
			return err
		}
	}
	return nil
}

func newHandBench(b *testing.B) *handBench {
	b.Helper()
	h := &handBench{handMesh: newHandMesh(b, 1, 2, 2), b: b, began: map[*handRequest]span{}}
	h.putAway(handGuild)
	for _, n := range h.all {
		n.dir.Directory = millionDirectory{n.dir.Directory}
		n.limits.sweepLooksMax = tuning.SweepLooksMax
	}
	h.show()
	h.settle()
	h.from, h.to = h.all[0], h.all[1]
	if _, here := h.to.mesh.owner(handGuild); here {
		h.from, h.to = h.to, h.from
	}
	g, err := h.from.loadGuild(handGuild)
	if err != nil || g == nil {
		b.Fatal(err)
	}
	h.join(g)
	return h
}

// join has the sessions of both nodes in the guild.
func (h *handBench) join(g *fanout.Guild) {
	s, there := h.from.shardOf(handGuild), h.to.shardOf(handGuild)
	k := there.openLink(handGuild).link
	k.to = h.to.mesh.remote(h.from.name)
	r := h.from.mesh.remote(h.to.name)
	s.guilds[handGuild] = &place{guild: g, token: h.from.mesh.generation(),
		far: map[int]*farLink{r.number: {number: k.number}}}
	s.serves(handGuild)
	for i := range handSessions + handFar {
		at := fanout.Handle{Loop: uint16(i % 2), Slot: uint32(i), Gen: 1}
		if i >= handSessions {
			k.sessions[at] = true
			k.perLoop[at.Loop]++
			at, _ = farHandle(r, at)
		} else {
			h.sessions = append(h.sessions, at)
		}
		_, err := g.Join(fanout.Receiver{Handle: at, User: wire.Snowflake(i*41 + 1),
			Intents: wire.IntentsUser, LargeThreshold: 250}, h.from.wall())
		if err != nil {
			h.b.Fatal(err)
		}
		g.SetPresence(at, presenceNumber(i), h.from.wall())
	}
}

func presenceNumber(i int) wire.PresenceCommand {
	p, _ := wire.ParsePresence(fmt.Appendf(nil, `{"since":null,"activities":[{"name":"a%d",`+
		`"type":0}],"afk":false,"status":"dnd"}`, i))
	return p
}

// run has the guild handed over.
func (h *handBench) run() {
	for v := h.view(); ; v = h.view() {
		if v.Owner(handGuild) == h.to.name {
			h.from.mesh.show(v)
			h.to.mesh.show(v)
			break
		}
		h.weights[h.to.name] *= 2
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	h.b.ResetTimer()
	began := time.Now()
	for s := h.to.shardOf(handGuild); s.guilds[handGuild].guild == nil; {
		h.turn()
	}
	h.whole = time.Since(began)
	for len(h.requests) > 0 {
		h.turn()
	}
	if p := h.from.shardOf(handGuild).guilds[handGuild]; p.link == nil {
		h.b.Fatal("the former owner follows nobody")
	}
	got := h.to.shardOf(handGuild).guilds[handGuild].guild.Info()
	if got.SessionCount != handSessions+handFar || got.MemberCount != handMembers {
		h.b.Fatalf("%d sessions and %d members have arrived", got.SessionCount, got.MemberCount)
	}
}

// turn lets the two shards do what there is, and the network carry it.
func (h *handBench) turn() {
	from, to := h.from.shardOf(handGuild), h.to.shardOf(handGuild)
	if from.guilds[handGuild].guild != nil {
		h.load(from)
	}
	took := turnOf(from)
	h.answer(took)
	h.longest.atLeast(took)
	if h.last == (span{}) && from.guilds[handGuild].link != nil {
		h.last, h.nobody = took, took
	}
	h.from.elapse(1)
	for _, n := range h.all {
		for _, l := range n.loops {
			l.inbox.take(nil)
		}
		for busy := true; busy; {
			busy = h.deliver(n)
		}
		n.work(1)
		h.apply(n)
	}
	took = turnOf(to)
	h.answer(took)
	h.longestThere.atLeast(took)
	if h.last != (span{}) {
		h.nobody.add(took)
	}
}

// load is an event, and some sessions that change their presence.
func (h *handBench) load(s *shard) {
	body := fmt.Appendf(nil, `{"id":"%d","channel_id":"%d","content":"m","author":`+
		`{"id":"1","username":"u"}}`, 1000+h.events, handGuild+1)
	h.events++
	h.request(h.all[h.events%2], handGuild,
		func(_ *shard, g *fanout.Guild, now int64) (*fanout.Guild, fanout.Change, error) {
			change, err := g.Publish("MESSAGE_CREATE", body, now)
			return g, change, err
		})
	h.began[h.requests[len(h.requests)-1]] = h.worked
	h.answer(span{})
	for range 5 {
		at := h.sessions[h.rng.IntN(len(h.sessions))]
		s.inbox.push(&setPresence{guildCall{handGuild}, at, presenceNumber(h.rng.IntN(1000))})
	}
}

// answer takes requests as far as they get when a shard has had a turn.
func (h *handBench) answer(turn span) {
	h.worked.add(turn)
	h.requests = slices.DeleteFunc(h.requests, func(r *handRequest) bool {
		for range tuning.SeekNodesMax {
			if h.stepRequest(r) {
				began := h.began[r]
				h.taken.atLeast(span{h.worked[0] - began[0], h.worked[1] - began[1]})
				return true
			}
		}
		return false
	})
}
