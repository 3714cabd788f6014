package replica

import (
	"context"
	"errors"
	"fmt"

	"throng/node/cluster"
	"throng/store"
)

// Fences. A node that was declared gone may live and not know of it, and a batch of it may be on
// its way for as long as networks like. So each batch of a node is stored only while the node's
// subject ends with the very message that it knows: Join writes that, Seal of another node writes
// one behind it, and from then on nothing that the first one sent is stored, whenever it arrives.
//
// The same is how a batch of unknown outcome comes to an end: this node writes its subject anew.
// When that is applied here the batch has been applied too, or never will be, and what it was to
// do can be planned again from what is there.
//
// Incarnations come from whoever says which nodes there are, and grow. A seal of an incarnation
// holds for all before it; one that was sealed before it joined does not join.

// writing is what whoever writes remembers of the last who did.
type writing struct {
	floor uint64 // Stored; what is planned next must be planned from a store that has it.
	doubt uint64 // A batch with this token may still be stored; zero is none.
}

// Join lets this node write, and returns when all that was stored before is applied here.
func (d *Directory) Join(ctx context.Context, incarnation uint64) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	defer d.end()
	d.mu.Lock()
	d.joined = incarnation
	d.mu.Unlock()
	if err := d.writeFence(ctx, d.cfg.Node, incarnation, false); err != nil {
		return err
	}
	if s := d.importState(); s.Node != "" && s.Node != d.cfg.Node && !s.Done {
		return s.busy()
	}
	return nil
}

// Seal has nothing more stored of what this incarnation of a node, or one before it, sends. It
// returns when all that was stored of it is applied here. All survivors may call it.
func (d *Directory) Seal(ctx context.Context, node string, incarnation uint64) error {
	return d.writeFence(ctx, node, incarnation, true)
}

// SealOthers seals all nodes but those that are there, by their names and incarnations, as of a
// generation: who has joined since is none that was lost.
func (d *Directory) SealOthers(ctx context.Context, there map[string]uint64,
	generation uint64) error {
	d.mu.Lock()
	lost := map[string]uint64{}
	for node, f := range d.fences {
		if !f.Sealed && f.Incarnation <= generation && f.Incarnation != there[node] {
			lost[node] = f.Incarnation
		}
	}
	d.mu.Unlock()
	for node, incarnation := range lost {
		if err := d.Seal(ctx, node, incarnation); err != nil {
			return err
		}
	}
	return nil
}

// writeFence makes a node's subject end with this, or with something later.
func (d *Directory) writeFence(ctx context.Context, node string, incarnation uint64,
	sealed bool) error {
	return d.replace(ctx, nodeSubject(node), func() (data []byte, after uint64, err error) {
		f := d.fenceOf(node)
		over := f.Incarnation > incarnation || f.Incarnation == incarnation && f.Sealed
		switch {
		case over && sealed:
			return nil, 0, nil
		case over:
			return nil, 0, ErrFenced
		}
		return encodeNode(incarnation, sealed), f.Seq, nil
	})
}

// replace replaces the last message of a subject, against all who do so too, and returns when that
// is applied here. Before each try next says what to write, and behind which message, from what is
// applied by then; without data there is nothing to write any more.
func (d *Directory) replace(ctx context.Context, subject string,
	next func() (data []byte, after uint64, err error)) error {
	for range d.limits.triesMax {
		data, after, err := next()
		if err != nil || data == nil {
			return err
		}
		seq, err := d.send(ctx, cluster.Batch{
			Writes: []cluster.Write{{Subject: subject, Data: data}}, Fence: subject, Token: after,
		})
		switch {
		case err == nil:
			return d.Wait(ctx, seq)
		case !errors.Is(err, cluster.ErrLogConflict) && !errors.Is(err, cluster.ErrLogUnknown):
			return err
		}
		// Somebody else has written, or this was stored: what is behind the next message tells.
		if err := d.Sync(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: %s changes all the time", ErrUnavailable, subject)
}

func (d *Directory) fenceOf(node string) fence {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fences[node]
}

// token is what this node's batches are fenced with.
func (d *Directory) token() (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.fences[d.cfg.Node]
	switch {
	case d.ended:
		return 0, store.ErrClosed
	case d.joined == 0 || f.Incarnation != d.joined || f.Sealed:
		return 0, ErrFenced
	}
	return f.Seq, nil
}

// begin waits for the turn to write.
func (d *Directory) begin(ctx context.Context) error {
	select {
	case <-d.turn:
		if d.stopped.Err() != nil {
			d.end()
			return store.ErrClosed
		}
		return nil
	case <-d.stopped.Done():
		return store.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *Directory) end() { d.turn <- struct{}{} }

// settle has the store hold all that this node has sent, and returns the token for what comes.
// REQUIRES: the caller has the turn.
func (d *Directory) settle(ctx context.Context) (token uint64, err error) {
	w := &d.writing
	if err := d.Wait(ctx, w.floor); err != nil {
		return 0, err
	}
	if token, err = d.token(); err != nil || w.doubt == 0 {
		return token, err
	}
	if token == w.doubt {
		err = d.writeFence(ctx, d.cfg.Node, d.incarnation(), false)
		if err != nil {
			return 0, err
		}
		if token, err = d.token(); err != nil {
			return 0, err
		}
	}
	w.doubt = 0
	return token, nil
}

func (d *Directory) incarnation() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.joined
}

// Settle waits for the Apply under way, and until nothing that this node has sent can be stored
// any more but what is applied here. What it returns is where that ends.
func (d *Directory) Settle(ctx context.Context) (uint64, error) {
	if err := d.begin(ctx); err != nil {
		return 0, err
	}
	defer d.end()
	if _, err := d.settle(ctx); err != nil {
		return 0, err
	}
	return d.Applied(), nil
}

// syncCall is a Sync that is to be sent.
type syncCall struct {
	done chan struct{} // Closed when it is stored, or has failed.
	seq  uint64
	err  error
}

// Sync waits until all that was stored before the call is applied here. It writes a message and
// waits for it, which takes a node that begins as long as it takes to read the log: what servers
// say of the end of the log may be old. Whoever calls while one is on its way shares the next.
func (d *Directory) Sync(ctx context.Context) error {
	d.mu.Lock()
	c := d.next
	if c == nil {
		c = &syncCall{done: make(chan struct{})}
		d.next = c
		go d.sync(c)
	}
	d.mu.Unlock()
	select {
	case <-c.done:
		if c.err != nil {
			return c.err
		}
		return d.Wait(ctx, c.seq)
	case <-d.stopped.Done():
		return store.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *Directory) sync(c *syncCall) {
	defer close(c.done)
	d.syncing.Lock()
	defer d.syncing.Unlock()
	d.mu.Lock()
	d.next = nil
	d.mu.Unlock()
	// Whoever asked may have gone, and others may have come.
	ctx, cancel := context.WithTimeout(d.stopped, d.limits.syncTimeout)
	defer cancel()
	c.seq, c.err = d.send(ctx, cluster.Batch{Writes: []cluster.Write{{
		Subject: syncSubject(d.cfg.Node), Data: empty(),
	}}})
}

// send publishes and waits for what the log says.
func (d *Directory) send(ctx context.Context, b cluster.Batch) (seq uint64, err error) {
	answers := make(chan answer, 1)
	if err := d.publish(b, answers); err != nil {
		return 0, err
	}
	return d.hear(ctx, answers)
}

type answer struct {
	seq uint64
	err error
}

// publish has the log's answer sent to answers, where there must be room.
func (d *Directory) publish(b cluster.Batch, answers chan<- answer) error {
	b.Done = func(seq uint64, err error) { answers <- answer{seq, err} }
	if err := d.log.Publish(b); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

func (d *Directory) hear(ctx context.Context, answers <-chan answer) (seq uint64, err error) {
	select {
	case a := <-answers:
		if errors.Is(a.err, cluster.ErrLogVoid) {
			// Another was unknown before it. This one is not stored, and the way out is the same.
			a.err = fmt.Errorf("%w: %w", cluster.ErrLogUnknown, a.err)
		}
		return a.seq, a.err
	case <-d.stopped.Done():
		return 0, store.ErrClosed
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", cluster.ErrLogUnknown, ctx.Err())
	}
}
