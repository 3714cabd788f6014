package node

import (
	"errors"
	"maps"
	"slices"

	"throng/fanout"
	"throng/store"
	"throng/tuning"
	"throng/wire"
	"throng/wire/pack"
)

var errSession = errors.New("a session cannot be left to another process")

// leave sends what the loop has: journals, slots, sessions and relays. It changes nothing.
func (l *loop) leave(p *legacyPipe) error {
	var dst []byte
	for i, j := range l.out.JournalStates() {
		dst = pack.AppendUint(pack.AppendUint(dst[:0], uint64(l.index)), uint64(i))
		for _, v := range []uint64{j.Head, j.Wrote, j.Swept} {
			dst = pack.AppendUint64(dst, v)
		}
		if err := p.send(legacyJournal, append(dst, j.Ring...)); err != nil {
			return err
		}
	}
	if err := l.leaveSlots(p); err != nil {
		return err
	}
	dst = pack.AppendUint(dst[:0], uint64(l.index))
	head := len(dst)
	for _, s := range l.sessions {
		if s == nil {
			continue
		}
		if s.broken || s.asked != len(s.guilds) || s.joining > 0 {
			return errSession
		}
		if dst = l.appendSession(dst, s); len(dst) >= tuning.TakeoverPartBytes {
			if err := p.send(legacySessions, dst); err != nil {
				return err
			}
			dst = dst[:head]
		}
	}
	if err := p.send(legacySessions, dst); err != nil {
		return err
	}
	for _, guild := range l.board.RelayGuilds() {
		dst = pack.AppendUint(dst[:0], uint64(l.index))
		if err := p.send(legacyRelay, l.board.AppendRelay(dst, guild)); err != nil {
			return err
		}
	}
	return nil
}

func (l *loop) leaveSlots(p *legacyPipe) error {
	dst := pack.AppendUint(nil, uint64(l.index))
	head := len(dst)
	var s store.SlotState
	for slot := range l.out.Slots() {
		l.out.ReadSlot(uint32(slot), &s)
		dst = pack.AppendFlags(dst, s.Opened, s.Lost)
		for _, v := range []uint32{s.Gen, s.Seq, s.Acked, uint32(len(s.Positions))} {
			dst = pack.AppendUint(dst, uint64(v))
		}
		for _, at := range s.Positions {
			dst = pack.AppendUint(dst, uint64(at))
		}
		if len(dst) >= tuning.TakeoverPartBytes {
			if err := p.send(legacySlots, dst); err != nil {
				return err
			}
			dst = dst[:head]
		}
	}
	return p.send(legacySlots, dst)
}

// appendSession appends a session. Times are what is left, or how long ago something was.
func (l *loop) appendSession(dst []byte, s *session) []byte {
	dst = append(append(dst, s.id[:]...), s.token[:]...)
	dst = pack.AppendID(dst, s.user)
	dst = pack.AppendFlags(dst, s.bot, s.sharded, s.payload, s.socket != nil, s.presence != nil,
		s.habits != nil)
	left := l.core.limits.resumeMilli
	if s.socket == nil {
		left = max(s.expires-l.time, 0)
	}
	for _, v := range []uint64{uint64(s.slot), uint64(s.gen),
		uint64(s.shard[0]), uint64(s.shard[1]), uint64(s.intents), uint64(s.large),
		uint64(s.variant), uint64(s.version),
		uint64(s.compression), uint64(s.updates), uint64(s.platform),
		uint64(l.core.clock() - s.began), uint64(left), uint64(s.sentBytes)} {
		dst = pack.AppendUint(dst, v)
	}
	dst = pack.AppendIDs(dst, s.guilds)
	if s.presence != nil {
		dst = appendPresence(dst, s.presence)
	}
	h := s.habits
	if h == nil {
		return dst
	}
	dst = pack.AppendUint(append(dst, h.presences), uint64(max(l.time-h.presentAt, 0)))
	dst = pack.AppendUint(dst, uint64(len(h.lists)))
	for _, guild := range slices.Sorted(maps.Keys(h.lists)) {
		dst = pack.AppendUint(pack.AppendID(dst, guild), uint64(max(l.time-h.lists[guild], 0)))
	}
	return dst
}

// inherit takes what a loop of another process has left. REQUIRES: the loop does not run.
func (l *loop) inherit(kind legacyPart, r pack.Reader) error {
	switch kind {
	case legacyJournal:
		number := int(r.Uint(numberMax))
		j := store.JournalState{Head: r.Uint64(), Wrote: r.Uint64(), Swept: r.Uint64()}
		if r.Failed() {
			return errLegacy
		}
		j.Ring = r.Rest()
		return l.out.RestoreJournal(number, j)
	case legacyRelay:
		return l.board.RestoreRelay(r.Rest())
	}
	for !r.Done() && !r.Failed() {
		var err error
		if kind == legacySlots {
			err = l.inheritSlot(&r)
		} else {
			err = l.inheritSession(&r)
		}
		if err != nil {
			return err
		}
	}
	if r.Failed() {
		return errLegacy
	}
	return nil
}

func (l *loop) inheritSlot(r *pack.Reader) error {
	flags := r.Flags(2)
	s := store.SlotState{Opened: flags.Has(0), Lost: flags.Has(1), Gen: r.Uint32(), Seq: r.Uint32(),
		Acked: r.Uint32()}
	for range r.Count(1) {
		s.Positions = append(s.Positions, store.Position(r.Uint32()))
	}
	if r.Failed() {
		return errLegacy
	}
	return l.out.RestoreSlot(&s)
}

// inheritSession takes a session in, as one that has lost its socket.
func (l *loop) inheritSession(r *pack.Reader) error {
	s := &session{}
	copy(s.id[:], r.Bytes(len(s.id)))
	copy(s.token[:], r.Bytes(len(s.token)))
	s.user = r.ID()
	flags := r.Flags(6)
	s.bot, s.sharded, s.payload = flags.Has(0), flags.Has(1), flags.Has(2)
	s.slot, s.gen = r.Uint32(), r.Uint32()
	s.shard = [2]int32{int32(r.Uint32()), int32(r.Uint32())}
	s.intents, s.large = wire.Intents(r.Uint32()), uint16(r.Uint32())
	s.variant, s.version = wire.Variant(r.Uint32()), uint8(r.Uint32())
	s.compression, s.updates = wire.Compression(r.Uint32()), fanout.UpdateMode(r.Uint32())
	s.platform = wire.Platform(r.Uint32())
	s.began = l.core.clock() - int64(r.Uint(agoMax))
	left := int64(r.Uint(agoMax))
	s.sentBytes = int64(r.Uint(agoMax))
	s.guilds = r.IDs(numberMax)
	s.asked = len(s.guilds)
	if flags.Has(4) {
		presence := readPresence(r)
		s.presence = &presence
	}
	if flags.Has(5) {
		h := s.habit()
		h.presences, h.presentAt = r.Byte(), l.time-int64(r.Uint(agoMax))
		for range r.Count(listBytesMin) {
			guild := r.ID()
			h.lists[guild] = l.time - int64(r.Uint(agoMax))
		}
	}
	home, slot := placeOf(s.id)
	if r.Failed() || home != l.index || slot != s.slot || !l.out.Live(s.slot, s.gen) {
		return errLegacy
	}
	for int(s.slot) >= len(l.sessions) {
		l.sessions = append(l.sessions, nil)
	}
	if l.sessions[s.slot] != nil {
		return errLegacy
	}
	l.sessions[s.slot] = s
	l.hosted.Store(true)
	l.stats.detached++
	s.expires, s.timed = l.time+left, true
	l.wheel.add(timer{index: s.slot, gen: s.gen, session: true}, s.expires)
	return nil
}

const (
	agoMax       = 1 << 62
	listBytesMin = 9
)
