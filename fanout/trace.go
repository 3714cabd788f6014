package fanout

import (
	"encoding/binary"
	"math"

	"throng/store"
	"throng/wire/pack"
)

// Trace is the part of a distributed trace that an event is. It travels with the event to loops and
// other nodes, and is not changed.
//
// An event that is not traced costs a look at a pointer for each pass, and none for a receiver. Of
// one that is, few receivers are followed on their way: a span for each of ten thousand would take
// longer than to deliver the event, and tell nothing more.
type Trace struct {
	ID   [16]byte
	Span [8]byte
	// Share is which part of the receivers is followed, in 2^-32.
	Share uint32
}

// ShareOf is a part from 0 to 1 as Share has it.
func ShareOf(part float64) uint32 { return uint32(min(part*(1<<32), math.MaxUint32)) }

// follows says whether the receiver in a slot is followed: by a hash, so that the same receivers
// are whoever asks, and others for the next event.
func (t *Trace) follows(slot uint32) bool {
	const odd = 0x9e3779b97f4a7c15
	h := (uint64(slot)+1)*odd ^ binary.LittleEndian.Uint64(t.Span[:])
	h = (h ^ h>>32) * odd
	return uint32(h>>32) <= t.Share
}

func (t *Trace) append(dst []byte) []byte {
	dst = append(append(dst, t.ID[:]...), t.Span[:]...)
	return pack.AppendUint(dst, uint64(t.Share))
}

func (r *msgReader) trace() *Trace {
	t := &Trace{}
	copy(t.ID[:], r.Bytes(len(t.ID)))
	copy(t.Span[:], r.Bytes(len(t.Span)))
	t.Share = r.Uint32()
	return t
}

// Follower hears of traced events on a loop.
type Follower interface {
	// Given: the session in a slot has been given the event as its number seq.
	Given(e *Event, slot, seq uint32)
	// Told: all who are to have it have been given the event; looked is how many were looked at.
	Told(e *Event, looked int)
}

// Follow has f hear of traced events. It is called before anything is handled.
func (b *Board) Follow(f Follower) { b.follower = f }

// followed is a receiver that may be given an event in the pass that follows.
type followed struct{ slot, before uint32 }

// followedMax receivers are followed of one pass at most, whatever the share.
const followedMax = 64

// follow looks for receivers in the pass from r.next on that are followed.
func (b *Board) follow(r *relay, limit int) (some []followed) {
	for at := r.next; at < min(r.next+limit, r.end()) && len(some) < followedMax; at++ {
		slot := r.slot(at)
		if slot != store.None && r.event.Trace.follows(slot) {
			seq, _, _ := b.out.Seqs(slot)
			some = append(some, followed{slot, seq})
		}
	}
	return some
}

// given tells of those among some who were given the event.
func (b *Board) given(e *Event, some []followed) {
	for _, f := range some {
		if seq, _, _ := b.out.Seqs(f.slot); seq == f.before+1 {
			b.follower.Given(e, f.slot, seq)
		}
	}
}
