package cluster

// ResetReason says why what two nodes had between them is void.
type ResetReason uint8

const (
	_                ResetReason = iota
	ResetGap                     // Something that the peer sent was lost.
	ResetByPeer                  // The peer says so: it lost something, or its queue was full.
	ResetOverflow                // More waited for the peer than may.
	ResetSilence                 // A peer that is held says nothing.
	ResetPeerJoined              // The peer is of a new incarnation.
	ResetSelfJoined              // This node is.
	ResetPeerGone                // The peer is no member any more.
	ResetNonsense                // What the peer sends cannot be read.
	resetReasonCount = iota
)

var resetReasons = [resetReasonCount]string{
	"", "gap", "peer", "overflow", "silence", "peer_joined", "self_joined", "peer_gone",
	"nonsense",
}

func (r ResetReason) String() string { return resetReasons[r] }

// pair is what one of two nodes knows of what flows between them. It has no clock and no socket.
//
// NATS delivers what two nodes send each other in order and once, and now and then not at all: a
// server that ends, a client too slow, a moment without a connection. It does not say which. So
// batches are numbered, and both directions between two nodes are in one round. Whoever misses a
// batch ends the round: it goes on to the next one, in which both directions start from 1, and
// says so. The peer follows when it hears of a greater round. Each side then makes anew what it
// had with the other.
//
// Repeating what was lost would be the other way. It needs a queue of everything sent and
// acknowledgements in normal times, and for what it saves, in a rare moment, both sides have the
// right way already: a node that is lost and comes back.
//
// Invariant: what a side accepts in a round is 1, 2, 3, … of what the other one sent in that round.
type pair struct {
	self, peer  uint64 // Incarnations.
	round       uint64
	sent, heard uint64 // Numbers of the last batches, sent and accepted.
	// agreed: the peer is in this round too. Until it is, it has to be told.
	agreed bool
}

// header stands before the items of a batch. A beat has none: it says that its sender is there, in
// which round, and how many batches it has sent, so that the loss of the last one is noticed too.
type header struct {
	from           string
	fromInc, toInc uint64
	round, seq     uint64
	beat           bool
	ask            bool // The sender wants to hear from the receiver.
}

// newPair: both sides begin in the first round without a word.
func newPair(self, peer uint64) pair { return pair{self: self, peer: peer, round: 1, agreed: true} }

// end goes on to the next round.
func (p *pair) end() { p.begin(p.round + 1) }

func (p *pair) begin(round uint64) {
	p.round, p.sent, p.heard, p.agreed = round, 0, 0, false
}

// next is the header of the next batch.
func (p *pair) next() header {
	p.sent++
	return header{fromInc: p.self, toInc: p.peer, round: p.round, seq: p.sent, ask: !p.agreed}
}

// beat is the header of a beat.
func (p *pair) beat() header {
	return header{
		fromInc: p.self, toInc: p.peer, round: p.round, seq: p.sent, beat: true, ask: !p.agreed,
	}
}

// receive takes a header. It says whether the items behind it are to be taken, whether the peer has
// been heard at all, and before either what has become void, or zero.
func (p *pair) receive(h header) (accept, heard bool, reset ResetReason) {
	if h.toInc != p.self || h.fromInc < p.peer {
		return false, false, 0 // To, or from, somebody who is no more.
	}
	if h.fromInc > p.peer {
		*p = newPair(p.self, h.fromInc)
		reset = ResetPeerJoined
	}
	if h.round < p.round {
		return false, false, reset // It has not heard yet of the round's end.
	}
	if h.round > p.round {
		p.begin(h.round)
		if reset == 0 {
			reset = ResetByPeer
		}
	}
	p.agreed = true
	missed := h.seq > p.heard+1
	if h.beat {
		missed = h.seq > p.heard
	}
	switch {
	case missed:
		p.end()
		return false, true, ResetGap
	case h.beat || h.seq <= p.heard:
		return false, true, reset
	}
	p.heard = h.seq
	return true, true, reset
}
