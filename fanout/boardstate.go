package fanout

import (
	"errors"
	"maps"
	"slices"

	"throng/wire"
	"throng/wire/pack"
)

// A board can be read out, relay by relay, and made anew by another process. The relays could also
// be made from the guilds' records of their sessions; but what each passive session has been told
// of its guild is known here alone, and nothing else is as simple as the same once more.

var errRelay = errors.New("a relay is malformed")

// RelayGuilds are the guilds that have receivers here, ascending.
func (b *Board) RelayGuilds() []wire.Snowflake { return slices.Sorted(maps.Keys(b.numbers)) }

// AppendRelay appends the relay of a guild. REQUIRES: the board is not Busy.
func (b *Board) AppendRelay(dst []byte, guild wire.Snowflake) []byte {
	r := b.relays[b.numbers[guild]]
	dst = pack.AppendID(dst, guild)
	for _, es := range []*entries{&r.active, &r.passive} {
		dst = pack.AppendUint(dst, uint64(es.len()))
		for i := range es.slots {
			dst = pack.AppendUint(dst, uint64(es.slots[i]))
			dst = pack.AppendUint(dst, uint64(es.intents[i]))
			dst = pack.AppendUint(dst, uint64(es.classes[i]))
			dst = pack.AppendID(append(dst, byte(es.variants[i])), es.users[i])
		}
	}
	for i, version := range r.versions {
		dst = append(pack.AppendUint(dst, uint64(version)), r.modes[i])
	}
	return dst
}

// entryBytesMin is the least that a receiver takes.
const entryBytesMin = 12

// RestoreRelay makes the relay that AppendRelay has written, of sessions that are open by now.
func (b *Board) RestoreRelay(part []byte) error {
	p := pack.NewReader(part)
	r := &relay{guild: p.ID()}
	if _, there := b.numbers[r.guild]; there {
		return errRelay
	}
	n := uint32(len(b.relays))
	b.relays = append(b.relays, r)
	b.numbers[r.guild] = n
	for _, of := range []struct {
		es    *entries
		place uint32
	}{{&r.active, 0}, {&r.passive, placePassive}} {
		for range p.Count(entryBytesMin) {
			e := entry{slot: p.Uint32(), intents: wire.Intents(p.Uint32()), class: p.Uint32(),
				variant: wire.Variant(p.Byte()), user: p.ID()}
			if p.Failed() || !b.out.Opened(e.slot) || int(e.variant) >= wire.VariantCount ||
				b.links.find(e.slot, n) != 0 {
				return errRelay
			}
			e.link = b.links.add(e.slot, n)
			b.links.slab[e.link].at = of.es.add(e) | of.place
		}
	}
	for range r.passive.slots {
		r.versions, r.modes = append(r.versions, p.Uint32()), append(r.modes, p.Byte())
	}
	if !p.Done() || r.len() == 0 {
		return errRelay
	}
	return nil
}
