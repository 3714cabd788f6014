package cluster

import (
	"fmt"
	"sync"
	"time"

	"throng/tuning"
)

// Peer is another node, as the bus has it. Its methods may be called from any goroutine, and none
// of them waits.
type Peer struct {
	// Static after construction.
	bus     *Bus
	name    string
	subject string
	wake    chan struct{} // Rung when the sending goroutine has something to do.
	gone    chan struct{} // Closed when the peer is no member any more.

	// Guarded by mu.
	mu      sync.Mutex
	pair    pair
	epoch   uint64 // Zero when the peer is gone.
	out     outbox
	unsent  *[]byte // A batch that could not be published, of this epoch.
	beatDue bool
	askDue  bool
	holds   int
	heard   time.Time // When something came from it, or waiting for that began.
	silent  bool
	void    ResetReason // What OnReset has yet to be told.
	flushed []chan struct{}

	// Owned by whoever holds the bus's deliver.
	items items
}

// Name is the node's name.
func (p *Peer) Name() string { return p.name }

// Epoch numbers what is between two resets of a peer. It is zero for one that is gone, and no
// other number comes twice for any peer.
func (p *Peer) Epoch() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.epoch
}

// Send copies an item into the peer's queue. It reports false when the epoch is over: the caller
// has been told, or will be, and what it knows of the peer is void. So nothing that was said in
// one epoch is heard in the next. When the queue is full, that ends the epoch.
//
// REQUIRES: the item is not larger than tuning.BusItemBytesMax.
func (p *Peer) Send(epoch uint64, item []byte) bool {
	if len(item) > tuning.BusItemBytesMax {
		panic(fmt.Sprintf("cluster: an item of %d bytes for %s", len(item), p.name))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if epoch != p.epoch || epoch == 0 {
		return false
	}
	if !p.out.push(item) {
		p.end(ResetOverflow)
		return false
	}
	p.bus.stats.itemsSent.Add(1)
	p.ring()
	return true
}

// End ends an epoch because what the peer sends makes no sense. OnReset is called.
func (p *Peer) End(epoch uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if epoch == p.epoch && epoch != 0 {
		p.end(ResetNonsense)
	}
}

// Hold says that this node counts on the peer until Release, as often as that: the two exchange
// beats then, and silence and the loss of the last batch are noticed.
func (p *Peer) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holds++; p.holds == 1 {
		p.heard, p.silent = time.Now(), false
		p.beatDue, p.askDue = true, true
		p.ring()
	}
}

// Release ends one Hold.
func (p *Peer) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holds--; p.holds < 0 {
		panic("cluster: " + p.name + " is released more often than held")
	}
}

// ring wakes the sending goroutine.
func (p *Peer) ring() { ringBell(p.wake) }

// end ends the round because of something on this side, and with it the epoch. REQUIRES: mu is
// held.
func (p *Peer) end(reason ResetReason) {
	p.pair.end()
	p.reset(reason)
	p.ring()
}

// reset drops what waits and has OnReset called. REQUIRES: mu is held.
func (p *Peer) reset(reason ResetReason) {
	p.out.clear()
	p.drop()
	p.epoch = p.bus.epochs.Add(1)
	if reason == ResetPeerGone {
		p.epoch = 0
	}
	p.void = reason
	ringBell(p.bus.resets)
}

// drop drops the batch that could not be published. REQUIRES: mu is held.
func (p *Peer) drop() {
	if p.unsent != nil {
		p.out.giveBack(p.unsent)
		p.unsent = nil
	}
}

// send publishes what waits until the peer is gone. Whatever gathers while it publishes one batch
// is the next one.
func (p *Peer) send() {
	for {
		select {
		case <-p.wake:
		case <-p.gone:
			return
		}
		for p.sendNext() {
		}
	}
}

// sendNext publishes one batch or beat; it reports false when there is none, or NATS is away.
func (p *Peer) sendNext() bool {
	p.mu.Lock()
	batch, epoch := p.take()
	if batch == nil {
		for _, done := range p.flushed {
			close(done)
		}
		p.flushed = nil
	}
	p.mu.Unlock()
	if batch == nil {
		return false
	}
	err := p.bus.nats.Publish(p.subject, *batch)

	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil || epoch != p.epoch {
		p.out.giveBack(batch)
		return err == nil
	}
	// The connection comes back, and calls ring.
	p.unsent = batch
	return false
}

// take is what to publish next, with its header. REQUIRES: mu is held.
func (p *Peer) take() (batch *[]byte, epoch uint64) {
	if p.epoch == 0 {
		return nil, 0
	}
	if batch = p.unsent; batch != nil {
		p.unsent = nil
		return batch, p.epoch
	}
	var h header
	if batch = p.out.pop(); batch != nil {
		h = p.pair.next()
	} else if p.beatDue {
		batch, h = p.out.buffer(), p.pair.beat()
	} else {
		return nil, 0
	}
	h.from, h.ask = p.bus.cfg.Node, h.ask || p.askDue
	p.beatDue, p.askDue = false, false
	putHeader(*batch, h)
	p.bus.stats.batchesSent.Add(1)
	p.bus.stats.bytesSent.Add(uint64(len(*batch)))
	return batch, p.epoch
}

// tick is called every tuning.BusBeatInterval. quiet says that nothing waits to be received.
func (p *Peer) tick(now time.Time, quiet bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holds > 0 || !p.pair.agreed {
		p.beatDue, p.askDue = true, p.holds > 0
	}
	if p.beatDue || p.unsent != nil {
		p.ring()
	}
	if p.holds > 0 && quiet && !p.silent && now.Sub(p.heard) > tuning.BusSilenceMax {
		p.silent = true
		p.end(ResetSilence)
	}
}

// receive takes a header; accept says whether the items behind it count, and reset what OnReset has
// to be told before. REQUIRES: the bus's deliver is held.
func (p *Peer) receive(h header, now time.Time) (accept bool, epoch uint64, reset ResetReason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoch == 0 {
		return false, 0, 0
	}
	accept, heard, reset := p.pair.receive(h)
	if heard {
		p.heard, p.silent = now, false
	}
	if h.ask && p.holds == 0 || !p.pair.agreed {
		p.beatDue = true
		p.ring()
	}
	if reset != 0 {
		p.reset(reset)
	}
	reset, p.void = p.void, 0
	return accept, p.epoch, reset
}
