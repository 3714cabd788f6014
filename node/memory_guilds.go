package node

import (
	"math/rand/v2"
	"reflect"

	"throng/fanout"
	"throng/store"
	"throng/tuning"
)

// guildWalk measures a shard's guilds, a slice at a time: the large ones one by one, and of the
// others as many as are drawn.
//
// A node may have a million guilds of three people and one of a million, so guilds drawn at random
// would tell next to nothing: the large one is among them or it is not. So all are gone through, to
// see how large they are, which costs a cache miss each; where even that takes too long, those that
// have not been come to are taken to be like the others. They may be: a map gives its entries in
// the order of a hash.
type guildWalk struct {
	// Static after construction.
	shard *shard

	// Owned by the shard goroutine.
	ruler   *ruler
	guilds  *reflect.MapIter // the language's own loop cannot be left and resumed
	began   int64
	walked  bool
	passed  int // guilds gone through
	large   int
	largest fanout.GuildMemory // of the large ones
	drawn   []*fanout.Guild    // others, a sample that any of them is equally likely to be in
	sizes   []fanout.GuildMemory
	done    chan *measured
}

func (s *shard) newGuildWalk() *guildWalk {
	w := &guildWalk{shard: s, ruler: newRuler(), done: make(chan *measured, 1)}
	return w
}

// goOn is a question to the shard: it does a slice of the walk, and asks again.
func (w *guildWalk) goOn() {
	end := nanos() + int64(tuning.MemorySlice)
	if w.guilds == nil {
		w.began, w.guilds = nanos(), reflect.ValueOf(w.shard.guilds).MapRange()
	}
	if !w.walked {
		w.walk(end)
	}
	for w.walked && len(w.sizes) < len(w.drawn) && nanos() < end {
		w.sizes = append(w.sizes, w.drawn[len(w.sizes)].Memory(&w.ruler.Ruler))
	}
	if !w.walked || len(w.sizes) < len(w.drawn) {
		w.shard.stats.ask(w.goOn)
		return
	}
	w.done <- w.conclude()
}

// walk goes through guilds until a time. The map may change between two slices: what is added then
// may be missed, and nothing comes twice.
func (w *guildWalk) walk(end int64) {
	const each = 64
	for w.guilds.Next() {
		w.passed++
		if p := w.guilds.Value().Interface().(*place); p.guild != nil {
			w.look(p.guild)
		}
		if w.passed%each != 0 {
			continue
		}
		now := nanos()
		if now >= end && now-w.began < int64(tuning.MemoryTimeout) {
			return
		}
		if now >= end {
			break
		}
	}
	w.walked = true
}

// guildsDrawn of those that are not large are measured, by 20 µs and less.
const guildsDrawn = 200

// look measures a guild if it is large. Of the others some are drawn, each of those so far with the
// same probability.
func (w *guildWalk) look(g *fanout.Guild) {
	if g.Weight() >= tuning.LargeGuild {
		w.large++
		m := g.Memory(&w.ruler.Ruler)
		w.largest.Members += m.Members
		w.largest.Receivers += m.Receivers
		w.largest.Presences += m.Presences
		w.largest.Lists += m.Lists
		w.largest.Rest += m.Rest
		return
	}
	if len(w.drawn) < guildsDrawn {
		w.drawn = append(w.drawn, g)
	} else if at := rand.IntN(w.passed - w.large); at < guildsDrawn {
		w.drawn[at] = g
	}
}

// conclude says what the shard holds.
func (w *guildWalk) conclude() *measured {
	m, s, l := &measured{}, w.shard, &w.largest
	scale := float64(len(s.guilds)) / float64(max(w.passed, 1))
	small := int(float64(w.passed-w.large)*scale + 0.5)
	within := w.ruler.seen // Of the guilds' own tables.
	for _, part := range []struct {
		name  string
		large int
		of    func(*fanout.GuildMemory) int
	}{
		{partMembers, l.Members, func(m *fanout.GuildMemory) int { return m.Members }},
		{partReceivers, l.Receivers, func(m *fanout.GuildMemory) int { return m.Receivers }},
		{partPresences, l.Presences, func(m *fanout.GuildMemory) int { return m.Presences }},
		{partLists, l.Lists, func(m *fanout.GuildMemory) int { return m.Lists }},
		{partGuilds, l.Rest, func(m *fanout.GuildMemory) int { return m.Rest }},
	} {
		sizes := make([]int, len(w.sizes))
		for i := range w.sizes {
			sizes[i] = part.of(&w.sizes[i])
		}
		m.add(part.name, 0, tuning.Sampled(small, sizes))
		large := tuning.Estimate{}.Instead(float64(part.large) * scale)
		if part.name == partMembers {
			large = within.Instead(large.Sum)
		}
		m.add(part.name, 0, large)
	}
	r := newRuler()
	r.part(m, partGuilds, len(s.guilds), r.Map(len(s.guilds), 16)+
		len(s.guilds)*r.Heap(sizeOf[place]())+r.Map(len(s.due), 16))
	r.part(m, partInboxes, 0, s.inbox.memory(&r.Ruler)+store.Slice(&r.Ruler, s.work))
	return m
}
