package fanout

import (
	"reflect"

	"throng/store"
	"throng/wire"
)

// GuildMemory is what a guild takes of the heap, by what it is for.
type GuildMemory struct {
	Members   int // records of members and their sets of roles
	Receivers int // records of sessions, and their classes
	Presences int
	Lists     int // member lists that somebody looks at
	Rest      int // the document, voice, and the guild itself
}

// Weight is about how large the guild is, for who has to decide which guilds to look into: members
// and sessions. It costs nothing.
func (g *Guild) Weight() int { return g.members.Len() + len(g.receivers.byHandle) }

// Memory says what the guild takes.
func (g *Guild) Memory(r *store.Ruler) GuildMemory {
	return GuildMemory{
		Members:   g.members.Memory(r) + g.roleSets.Memory(r),
		Receivers: g.receivers.memory(r) + g.classes.memory(r),
		Presences: g.presences.memory(r),
		Lists:     g.lists.memory(r),
		Rest:      g.memory(r),
	}
}

// sizeOf is the length of a T, and slotOf that of a map's key and value.
func sizeOf[T any]() int    { return int(reflect.TypeFor[T]().Size()) }
func slotOf[K, V any]() int { return sizeOf[K]() + sizeOf[V]() }

func (rs *receivers) memory(r *store.Ruler) int {
	bytes := store.Slice(r, rs.chunks) + store.Slice(r, rs.free) +
		r.Map(len(rs.byHandle), slotOf[Handle, uint32]()) +
		r.Map(len(rs.byUser), slotOf[wire.Snowflake, uint32]())
	for _, chunk := range rs.chunks {
		bytes += store.Slice(r, chunk)
	}
	return bytes + r.Sum(int(rs.places()), func(i int) int {
		w := rs.at(uint32(i)).wants
		if w == nil {
			return 0
		}
		return r.Heap(sizeOf[wants]())
	})
}

func (c *classes) memory(r *store.Ruler) int {
	return r.Map(len(c.byKey), slotOf[classKey, uint32]()) + store.Slice(r, c.list) +
		store.Slice(r, c.born) + store.Slice(r, c.free) +
		r.Map(len(c.memos), slotOf[gate, *memo]()+r.Heap(sizeOf[memo]()))
}

// memory draws from the map's first entries: their order is that of a hash.
func (ps *presences) memory(r *store.Ruler) int {
	var sizes []int
	for _, p := range ps.byUser {
		if len(sizes) == r.Draw {
			break
		}
		size := 0
		if len(p.activities) > len(offline.activities) { // The others are shared.
			size = r.Heap(sizeOf[presence]()) + store.Slice(r, p.activities) +
				store.Slice(r, p.client)
		}
		sizes = append(sizes, size)
	}
	return r.Drawn(len(ps.byUser), sizes) + store.Slice(r, ps.lowest.users) +
		r.Map(len(ps.byUser), slotOf[wire.Snowflake, *presence]())
}

func (l *guildLists) memory(r *store.Ruler) int {
	if l == nil {
		return 0
	}
	bytes := r.Heap(sizeOf[guildLists]()) + store.Slice(r, l.all) +
		r.Map(len(l.subscribers), slotOf[Handle, *listSubscriber]()) +
		r.Map(len(l.sessions), slotOf[wire.Snowflake, []Handle]()+r.Heap(sizeOf[Handle]())) +
		r.Sum(len(l.all), func(i int) int {
			s := l.all[i]
			return r.Heap(sizeOf[listSubscriber]()) + store.Slice(r, s.channels) +
				store.Slice(r, s.views)
		})
	if l.table != nil {
		bytes += l.table.roster.Memory(r)
	}
	for _, list := range l.lists {
		bytes += r.Heap(sizeOf[memberList]()) + store.Slice(r, list.trees)
		for _, w := range list.windows {
			bytes += r.Heap(sizeOf[listWindow]()) + store.Slice(r, w.shown) + store.Slice(r, w.ops)
		}
	}
	return bytes
}

// memory says what the guild takes beside its large tables.
func (g *Guild) memory(r *store.Ruler) int {
	bytes := r.Heap(sizeOf[Guild]()) + store.Slice(r, g.fields) +
		r.Map(len(g.roleByID), slotOf[wire.Snowflake, *role]()) +
		r.Map(len(g.channelByID), slotOf[wire.Snowflake, *channel]()) +
		r.Map(len(g.threadByID), slotOf[wire.Snowflake, *thread]()) +
		r.Map(len(g.voices), slotOf[wire.Snowflake, *voiceState]()+r.Heap(sizeOf[voiceState]())) +
		r.Map(len(g.rooms), slotOf[wire.Snowflake, *voiceRoom]()) +
		r.Map(len(g.timeouts), slotOf[wire.Snowflake, int64]()) +
		r.Map(len(g.watchers), slotOf[wire.Snowflake, []Handle]()) +
		r.Map(len(g.news.channels), slotOf[wire.Snowflake, uint32]()) +
		r.Map(len(g.news.voices), slotOf[wire.Snowflake, *voiceNews]()) +
		r.Map(len(g.news.members), slotOf[wire.Snowflake, uint32]())
	if g.head != nil {
		bytes += r.Heap(sizeOf[wire.Shared]()) + r.Heap(g.head.Room())
	}
	bytes += store.Slice(r, g.roles) + r.Sum(len(g.roles), func(i int) int {
		return r.Heap(sizeOf[role]()) + store.Slice(r, g.roles[i].raw)
	})
	bytes += store.Slice(r, g.channels) + r.Sum(len(g.channels), func(i int) int {
		c := g.channels[i]
		return r.Heap(sizeOf[channel]()) + store.Slice(r, c.raw) + store.Slice(r, c.overwrites)
	})
	bytes += store.Slice(r, g.threads) + r.Sum(len(g.threads), func(i int) int {
		t := g.threads[i]
		return r.Heap(sizeOf[thread]()) + store.Slice(r, t.raw) + store.Slice(r, t.members)
	})
	for _, list := range []things{g.emojis, g.stickers, g.sounds, g.stages, g.scheduled} {
		bytes += store.Slice(r, list.list) + r.Sum(len(list.list), func(i int) int {
			return store.Slice(r, list.list[i].raw)
		})
	}
	return bytes
}

// Memory says what the relays of a loop take. They are drawn by their receivers: a relay of half of
// all is among the drawn with half of these, each for its own share of it, where one drawn of a
// thousand relays would miss it or make a thousand of it.
func (b *Board) Memory(r *store.Ruler) int {
	return r.Map(len(b.numbers), slotOf[wire.Snowflake, uint32]()) + store.Slice(r, b.relays) +
		store.Slice(r, b.free) + store.Slice(r, b.links.slab) + store.Slice(r, b.links.head) +
		r.Sum(len(b.links.slab), func(i int) int {
			l := b.relays[b.links.slab[i].relay]
			if l == nil {
				return 0
			}
			return (l.memory(r) + l.len()/2) / l.len()
		})
}

func (l *relay) memory(r *store.Ruler) int {
	return r.Heap(sizeOf[relay]()) + l.active.memory(r) + l.passive.memory(r) +
		store.Slice(r, l.versions) + store.Slice(r, l.modes) + store.Slice(r, l.queue)
}

func (es *entries) memory(r *store.Ruler) int {
	return store.Slice(r, es.slots) + store.Slice(r, es.intents) + store.Slice(r, es.classes) +
		store.Slice(r, es.links) + store.Slice(r, es.variants) + store.Slice(r, es.users)
}
