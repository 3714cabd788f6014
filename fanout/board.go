package fanout

import (
	"fmt"

	"throng/store"
	"throng/wire"
)

// Board is all relays of one loop.
//
// Steps of one guild are done in the order in which the guild made them, and guilds take turns. To
// hand out an event is a turn, of no more than a limit of receivers: what is left of a huge
// guild's event, and that guild's later steps behind it, go on when the others have had theirs. A
// guild with few receivers here waits for no turn. So neither a huge guild nor a flood of events in
// one can hold up another guild, or the loop's sockets, for longer than one turn.
type Board struct {
	// Static after construction.
	out      *store.Outbox
	smallMax int

	// Owned by the loop goroutine.
	numbers    map[wire.Snowflake]uint32 // guild -> number of its relay
	relays     []*relay                  // by number; number 0 is nobody's
	free       []uint32
	links      links
	waiting    []*relay // relays with work left, in turn
	queued     int      // steps in their queues
	histories  histories
	deliveries uint64
	looked     lookedAt
	follower   Follower // nil: nobody traces
	meter      Meter    // nil: nobody measures
}

// NewBoard makes a board that writes to out. Guilds with up to smallMax receivers here wait for no
// turn, and their receivers are written before others.
func NewBoard(out *store.Outbox, smallMax int, h HistoryLimits) *Board {
	return &Board{out: out, smallMax: smallMax, numbers: map[wire.Snowflake]uint32{},
		relays: []*relay{nil}, histories: histories{limits: h, made: uint16(h.Seed),
			place: uint32(h.Seed >> 32)}}
}

// Private is what a step wants to say to one session alone. The loop encodes it for that session.
type Private func(to Handle, d []*wire.Dispatch)

// Handle does one step, or lines it up: an event for its turn, unless it has few receivers, and
// anything else behind the events of its guild that have not had theirs. done is called for Admit,
// Refuse, Retry, Invite and Expel once they are done, after their dispatches, and for Gone and
// Adrift with each session they take out. It says whether an event was handed out, or a part of it.
func (b *Board) Handle(m *Msg, private Private, done func(*Msg)) (handedOut bool) {
	n, ok := b.numbers[m.Guild]
	switch {
	case ok && (b.relays[n].waiting || m.Kind == MsgPublish && !b.atOnce(b.relays[n])):
		r := b.relays[n]
		r.queue = append(r.queue, m)
		b.queued++
		b.wait(r)
	case m.Kind != MsgPublish:
		b.do(m, private, done)
	case ok:
		b.do(m, private, done)
		b.goOn(b.relays[n], b.smallMax)
		return true
	default:
		m.Event.behind.handedOut()
	}
	return false
}

// Work lets guilds have their turns until limit receivers are looked at. It returns at how many it
// looked, a step that is no event counting as one.
func (b *Board) Work(limit int, private Private, done func(*Msg)) (looked int) {
	for looked < limit && len(b.waiting) > 0 {
		r := b.waiting[0]
		b.waiting = b.waiting[1:]
		r.waiting = false
		for r.event == nil && len(r.queue) > 0 {
			m := r.queue[0]
			r.queue = r.queue[1:]
			b.queued--
			b.do(m, private, done)
			looked++
		}
		if r.event != nil {
			looked += b.goOn(r, max(limit-looked, 1))
		}
		if r.event != nil || len(r.queue) > 0 {
			b.wait(r)
		} else {
			r.queue = nil
			b.dropEmpty(r)
		}
	}
	if len(b.waiting) == 0 {
		b.waiting = nil
	}
	return looked
}

// Busy says whether turns are waited for.
func (b *Board) Busy() bool { return len(b.waiting) > 0 }

// Queued is how many steps wait.
func (b *Board) Queued() int { return b.queued }

// do does one step; an event is only begun.
func (b *Board) do(m *Msg, private Private, done func(*Msg)) {
	r := b.relay(m)
	switch m.Kind {
	case MsgPublish:
		if r != nil {
			r.begin(m.Event)
		} else {
			m.Event.behind.handedOut()
		}
	case MsgAdmit:
		b.admit(r, m)
		private(m.To, m.Dispatches)
		done(m)
	case MsgPrivate:
		private(m.To, m.Dispatches)
	case MsgDirect:
		b.direct(r, m)
	case MsgActivate:
		b.activate(r, m)
		private(m.To, m.Dispatches)
	case MsgDeactivate:
		b.deactivate(r, m)
	case MsgShare:
		b.share(r, m)
	case MsgReclass:
		b.reclass(r, m)
	case MsgExpel:
		b.expel(r, m)
		private(m.To, m.Dispatches)
		done(m)
	case MsgRefuse:
		private(m.To, m.Dispatches)
		done(m)
	case MsgInvite, MsgRetry:
		done(m)
	case MsgGone, MsgAdrift:
		b.gone(r, m.Kind, done)
	default:
		panic(fmt.Sprintf("fanout: unknown step %d", m.Kind))
	}
}

// relay finds the step's relay; admitting makes it.
func (b *Board) relay(m *Msg) *relay {
	if n, ok := b.numbers[m.Guild]; ok {
		return b.relays[n]
	}
	if m.Kind != MsgAdmit || !b.out.Live(m.To.Slot, m.To.Gen) {
		return nil
	}
	r := &relay{guild: m.Guild}
	var n uint32
	if k := len(b.free); k > 0 {
		n = b.free[k-1]
		b.free = b.free[:k-1]
		b.relays[n] = r
	} else {
		n = uint32(len(b.relays))
		b.relays = append(b.relays, r)
	}
	b.numbers[m.Guild] = n
	return r
}

func (b *Board) goOn(r *relay, limit int) (looked int) {
	if r.event == nil {
		return 0
	}
	traced := r.event.Trace != nil && b.follower != nil
	var some []followed
	if traced {
		some = b.follow(r, limit)
	}
	var timing timed
	if r.event.Asked != 0 && b.meter != nil {
		timing = b.timed(r, limit)
	}
	at, given := r.pass(b.out, limit, b.small(r))
	if traced {
		b.given(r.event, some)
	}
	if timing.count > 0 {
		b.gave(r.event, &timing)
	}
	b.deliveries += uint64(given)
	b.looked.active += at.active
	b.looked.passive += at.passive
	looked = at.active + at.passive
	if r.next < r.end() {
		b.wait(r)
		return looked
	}
	r.event.behind.handedOut()
	if traced {
		b.follower.Told(r.event, r.end())
	}
	r.event = nil
	if r.zstd > 0 || r.history != nil {
		b.histories.follow(r, r.zstd)
		r.zstd = 0
	}
	if r.left > 0 {
		b.compact(r)
	}
	if !r.waiting && len(r.queue) == 0 {
		b.dropEmpty(r)
	}
	return looked
}

// atOnce says that an event need not wait for a turn. NB: one may be under way without a turn: a
// panic has ended its pass, and the next event takes it up.
func (b *Board) atOnce(r *relay) bool { return b.small(r) && r.event == nil }

// small says that everybody here is told in no time.
func (b *Board) small(r *relay) bool { return r.len() <= b.smallMax }

func (b *Board) wait(r *relay) {
	if !r.waiting {
		r.waiting = true
		b.waiting = append(b.waiting, r)
	}
}

func (b *Board) admit(r *relay, m *Msg) {
	if !b.out.Live(m.To.Slot, m.To.Gen) {
		return
	}
	n := b.numbers[m.Guild]
	if k := b.links.find(m.To.Slot, n); k != 0 {
		r.reclass(b.links.slab[k].at, m.Class)
		return
	}
	k := b.links.add(m.To.Slot, n)
	v := &m.Receiver
	e := entry{slot: v.Slot, intents: v.Intents, class: m.Class, link: k, variant: v.Variant,
		user: v.User}
	b.links.slab[k].at = r.admit(e, m.Passive, m.Version, v.Updates)
}

// place finds the place of the step's session in the relay.
func (b *Board) place(r *relay, m *Msg) (link, at uint32, ok bool) {
	return b.placeOf(r, m.To)
}

func (b *Board) placeOf(r *relay, h Handle) (link, at uint32, ok bool) {
	if r == nil || !b.out.Live(h.Slot, h.Gen) {
		return 0, 0, false
	}
	link = b.links.find(h.Slot, b.numbers[r.guild])
	return link, b.links.slab[link].at, link != 0
}

// share gives the same to several sessions. It is in the journal once for all of them.
func (b *Board) share(r *relay, m *Msg) {
	for _, d := range m.Dispatches {
		var p positions
		for _, h := range m.Several {
			if _, at, ok := b.placeOf(r, h); ok {
				es, index := r.entries(at)
				p.give(b.out, h.Slot, d, es.variants[index]&^wire.VariantStripped)
				b.deliveries++
			}
		}
	}
}

// direct gives an event to one session for which the guild has decided that it gets it.
func (b *Board) direct(r *relay, m *Msg) {
	_, at, ok := b.place(r, m)
	if !ok {
		return
	}
	es, index := r.entries(at)
	var p positions
	p.give(b.out, m.To.Slot, m.Event.Dispatch, m.Event.variant(es.users[index], es.variants[index]))
	b.deliveries++
}

// activate makes a session one that listens; one that does already gets its new intents.
func (b *Board) activate(r *relay, m *Msg) {
	link, at, ok := b.place(r, m)
	if !ok {
		return
	}
	es, index := r.entries(at)
	es.intents[index] = m.Receiver.Intents
	if at&placePassive != 0 {
		e := es.get(index)
		b.leave(r, at)
		b.links.slab[link].at = r.admit(e, false, 0, 0)
	}
}

// deactivate makes a session passive.
func (b *Board) deactivate(r *relay, m *Msg) {
	link, at, ok := b.place(r, m)
	if ok && at&placePassive == 0 {
		e := r.active.get(at)
		b.leave(r, at)
		b.links.slab[link].at = r.admit(e, true, m.Version, m.Receiver.Updates)
	}
}

func (b *Board) reclass(r *relay, m *Msg) {
	if _, at, ok := b.place(r, m); ok {
		r.reclass(at, m.Class)
	}
}

func (b *Board) expel(r *relay, m *Msg) {
	if r == nil || !b.out.Live(m.To.Slot, m.To.Gen) {
		return
	}
	n := b.numbers[m.Guild]
	k := b.links.find(m.To.Slot, n)
	if k == 0 {
		return
	}
	at := b.links.slab[k].at
	b.links.remove(m.To.Slot, n)
	b.leave(r, at)
	b.dropEmpty(r)
}

// Drop takes a session that ends out of all its guilds.
func (b *Board) Drop(slot uint32) {
	b.links.takeAll(slot, func(k link) {
		r := b.relays[k.relay]
		b.leave(r, k.at)
		b.dropEmpty(r)
	})
}

// leave removes a receiver, or marks it while a pass is under way: moving another into its place
// could make the pass skip that one.
func (b *Board) leave(r *relay, at uint32) {
	if r.event != nil {
		es, index := r.entries(at)
		es.slots[index] = store.None
		r.left++
		return
	}
	if moved := r.remove(at); moved != 0 {
		b.links.slab[moved].at = at
	}
}

// compact removes the receivers that were marked during the pass that just ended.
func (b *Board) compact(r *relay) {
	for _, place := range []uint32{0, placePassive} {
		es, _ := r.entries(place)
		for at := len(es.slots) - 1; at >= 0 && r.left > 0; at-- {
			if es.slots[at] != store.None {
				continue
			}
			r.left--
			if moved := r.remove(place | uint32(at)); moved != 0 {
				b.links.slab[moved].at = place | uint32(at)
			}
		}
	}
}

// gone takes everybody out of a relay whose guild is no more; steps of a guild that is made anew
// may wait behind.
func (b *Board) gone(r *relay, kind MsgKind, done func(*Msg)) {
	if r == nil {
		return
	}
	n := b.numbers[r.guild]
	for _, place := range []uint32{0, placePassive} {
		es, _ := r.entries(place)
		for es.len() > 0 {
			at := uint32(es.len() - 1)
			slot := es.slots[at]
			r.remove(place | at)
			b.links.remove(slot, n)
			done(&Msg{Kind: kind, Guild: r.guild, To: Handle{Slot: slot}})
		}
	}
	b.dropEmpty(r)
}

// dropEmpty gives the relay's number back when nobody is left and nothing is under way.
func (b *Board) dropEmpty(r *relay) {
	if r.len() > 0 || r.event != nil || len(r.queue) > 0 || r.waiting {
		return
	}
	if n, ok := b.numbers[r.guild]; ok && b.relays[n] == r {
		delete(b.numbers, r.guild)
		b.histories.drop(r)
		b.relays[n] = nil
		b.free = append(b.free, n)
	}
}

// Guilds calls f with each guild that a session receives.
func (b *Board) Guilds(slot uint32, f func(guild wire.Snowflake)) {
	if int(slot) >= len(b.links.head) {
		return
	}
	for n := b.links.head[slot]; n != 0; n = b.links.slab[n].next {
		f(b.relays[b.links.slab[n].relay].guild)
	}
}

// Deliveries is how many frames relays have given to sessions since the start.
func (b *Board) Deliveries() uint64 { return b.deliveries }

// Looked is how many receivers passes have looked at since the start.
func (b *Board) Looked() (active, passive uint64) {
	return uint64(b.looked.active), uint64(b.looked.passive)
}

// Passive says whether a session of a guild is passive here.
func (b *Board) Passive(slot uint32, guild wire.Snowflake) bool {
	n, ok := b.numbers[guild]
	if !ok {
		return false
	}
	k := b.links.find(slot, n)
	return k != 0 && b.links.slab[k].at&placePassive != 0
}

// Relays is how many guilds have a receiver here.
func (b *Board) Relays() int { return len(b.numbers) }

// Check looks for links and relays that disagree.
func (b *Board) Check() error {
	for guild, n := range b.numbers {
		r := b.relays[n]
		if r == nil || r.guild != guild {
			return fmt.Errorf("relay %d is not that of guild %d", n, guild)
		}
		if len(r.versions) != r.passive.len() || len(r.modes) != r.passive.len() {
			return fmt.Errorf("guild %d: passive receivers without a version", guild)
		}
		for _, place := range []uint32{0, placePassive} {
			es, _ := r.entries(place)
			for i, slot := range es.slots {
				at := place | uint32(i)
				if slot == store.None {
					continue
				}
				k := b.links.find(slot, n)
				if k == 0 || b.links.slab[k].at != at || es.links[i] != k {
					return fmt.Errorf("guild %d: receiver %x and its link disagree", guild, at)
				}
			}
		}
	}
	return nil
}

// Has says whether a guild has receivers on this loop.
func (b *Board) Has(guild wire.Snowflake) bool {
	_, ok := b.numbers[guild]
	return ok
}
