package node

import (
	"container/list"
	"errors"
	"io"
	"runtime/debug"
	"sync"

	"github.com/panjf2000/gnet/v2/pkg/queue"

	"throng/tuning"
	"throng/wire"
)

// handshakes runs the handshakes of TLS. A goroutine begins with one when its first message is
// there, so that who connects and says nothing holds none, and goes on with the next. Those that
// compute are no more than half of the processors: the loops go on while a herd comes back.
//
// So many are under way at a time, most of them waiting for a peer's answer. When a herd wants more
// than can be computed, who came last is next: in the order of arrival everybody would be served
// when their time is nearly over, and nobody would come in. And while others wait for their turn, a
// peer that leaves a handshake without its answer for a second ends it. Else some hundreds of
// hellos a second, which cost their sender nothing, would hold all there is for the five seconds
// that a handshake may take. Who answers at all answers in a second; in a herd the node is slower.
type handshakes struct {
	// Static after construction.
	compute  chan struct{} // has one for each that computes
	max      int
	clock    func() int64
	panicked func(where string, what any, stack []byte)

	// Guarded by mu.
	mu      sync.Mutex
	running int
	waiting list.List // of *shake: not begun, the last that came behind
	asked   list.List // of *shake: their peers have to answer, who has had most time first
}

func newHandshakes(c *core, computing, eachMax int) *handshakes {
	return &handshakes{compute: make(chan struct{}, computing), max: computing * eachMax,
		clock: func() int64 { return c.clock() }, panicked: c.panicked}
}

// start has a handshake run, now or when there is room.
func (h *handshakes) start(k *shake) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running >= h.max {
		k.place = h.waiting.PushBack(k)
		return
	}
	h.running++
	go h.work(k)
}

func (h *handshakes) work(k *shake) {
	for k != nil {
		k.done(h.run(k))
		k = h.next()
	}
}

var errHandshakePanic = errors.New("a panic in the handshake of TLS")

// run runs one. A panic costs that connection and is counted, as on a loop.
func (h *handshakes) run(k *shake) (err error) {
	h.compute <- struct{}{}
	defer func() {
		<-h.compute
		if r := recover(); r != nil {
			h.panicked("a handshake of TLS", r, debug.Stack())
			err = errHandshakePanic
		}
	}()
	return k.handshake()
}

func (h *handshakes) next() (k *shake) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.waiting.Back()
	if last == nil {
		h.running--
		return nil
	}
	return h.waiting.Remove(last).(*shake)
}

// forget takes one out of line, if it has not begun.
func (h *handshakes) forget(k *shake) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k.place != nil {
		h.waiting.Remove(k.place) // Nothing, when it is in that list no more.
	}
}

// await lets others compute until the peer has answered.
func (h *handshakes) await(k *shake) {
	<-h.compute
	h.mu.Lock()
	k.since = h.clock()
	place := h.asked.PushBack(k)
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		h.asked.Remove(place)
		h.mu.Unlock()
		h.compute <- struct{}{}
	}()
	k.said()
	k.answered()
}

func (h *handshakes) count() (running, waiting int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running, h.waiting.Len()
}

// hurry ends those whose peers have been given enough time, as many as others wait.
func (h *handshakes) hurry() {
	var late []*shake
	h.mu.Lock()
	soon := h.clock() - tuning.TLSAnswerTime.Milliseconds()
	for first := h.asked.Front(); first != nil && len(late) < h.waiting.Len(); {
		k := first.Value.(*shake)
		if k.since > soon {
			break
		}
		late = append(late, k)
		first = first.Next()
	}
	h.mu.Unlock()
	for _, k := range late {
		k.stop()
	}
}

// shake is a handshake: what the loop and the goroutine that runs it have in common.
type shake struct {
	// Static after construction.
	of        *handshakes
	handshake func() error // it reads and writes
	said      func()       // something is to be sent
	done      func(error)

	// Guarded by of.mu.
	place *list.Element // where it waits to begin, or did
	since int64         // when its peer was asked

	// Guarded by mu.
	mu      sync.Mutex
	more    sync.Cond
	in, out []byte
	ended   bool
}

// read waits for the peer.
func (k *shake) read(b []byte) (n int, err error) {
	if k.idle() {
		k.of.await(k)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return 0, io.ErrUnexpectedEOF
	}
	n = copy(b, k.in)
	k.in = k.in[n:]
	return n, nil
}

// idle reports whether it can do nothing until the peer has answered.
func (k *shake) idle() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.in) == 0 && !k.ended
}

// answered waits until that has happened.
func (k *shake) answered() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.in) == 0 && !k.ended {
		k.more.Wait()
	}
}

func (k *shake) write(b []byte) (n int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.out = append(k.out, b...)
	return len(b), nil
}

// feed gives the handshake what has arrived. It reports false when that is too much.
func (k *shake) feed(b []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.in = append(k.in, b...)
	k.more.Signal()
	return len(k.in) <= tuning.TLSHandshakeBytesMax
}

// takeOut takes what is to be sent.
func (k *shake) takeOut() (out []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	out, k.out = k.out, nil
	return out
}

// stop has the handshake fail.
func (k *shake) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	k.more.Signal()
}

// memory is of what the two hand each other.
func (k *shake) memory() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return cap(k.in) + cap(k.out)
}

// Of a TLS record: RFC 8446 5.1.
const (
	recordHeaderBytes = 5
	recordHandshake   = 22
)

var errNoTLS = &wire.HandshakeError{Status: 400, Reason: "This port speaks TLS: wss://."}

// takeHello begins the handshake of TLS when the first record of it is there, and reports whether
// it has.
func (x *connection) takeHello(buf []byte) bool {
	l := x.driver.loop
	if len(buf) == 0 {
		return false
	}
	if buf[0] != recordHandshake {
		x.socket.control = wire.AppendHandshakeRefusal(nil, errNoTLS)
		l.write(x.socket)
		l.closeSocket(x.socket, TLSFailed, "")
		return false
	}
	if len(buf) < recordHeaderBytes {
		return false
	}
	length := int(buf[3])<<8 | int(buf[4])
	if length > tuning.TLSHelloBytesMax {
		l.closeSocket(x.socket, TLSFailed, "")
		return false
	}
	if len(buf) < recordHeaderBytes+length {
		return false
	}
	d, e := x.driver, x.driver.engine
	s := newSecure(int(x.fd), e.certificates, e.handshakes)
	if !s.shake.feed(buf) {
		l.closeSocket(x.socket, TLSFailed, "")
		return false
	}
	x.secure = s
	s.shake.said = func() {
		d.trigger(queue.LowPriority, func(any) error { return d.shakeSays(x, s) })
	}
	s.shake.done = func(err error) {
		d.trigger(queue.LowPriority, func(any) error { return d.shaken(x, s, err) })
	}
	e.handshakes.start(s.shake)
	return true
}

// shakeSays sends what a handshake has to say.
func (d *driver) shakeSays(x *connection, s *secure) error {
	if x.closing || x.moved || s.shake == nil {
		return nil
	}
	d.guard(x, func() { d.sendRaw(x, s, s.shake.takeOut()) })
	d.settle(x)
	return nil
}

// sendRaw sends what is sealed already, or what is no secret.
func (d *driver) sendRaw(x *connection, s *secure, b []byte) {
	if len(s.held) == 0 {
		n, err := send(s.fd, b)
		if err != nil {
			d.loop.writeFailed(x.socket)
			return
		}
		b = b[n:]
	}
	if s.held = append(s.held, b...); len(s.held) > 0 {
		x.socket.holding = true
		d.loop.block(x.socket, true)
	}
}

// shaken goes on with a connection whose handshake is over.
func (d *driver) shaken(x *connection, s *secure, err error) error {
	if x.closing {
		return nil
	}
	d.guard(x, func() {
		k := s.shake
		s.shake = nil
		d.sendRaw(x, s, k.takeOut())
		if err != nil {
			d.engine.core.log.Debug("a handshake of TLS failed", "peer", x.Remote(), "error", err)
			d.loop.closeSocket(x.socket, TLSFailed, "")
			return
		}
		if !x.closing {
			d.engine.inside.forgetHandshake(s.conn)
			s.take(x, k.in)
		}
		d.loop.afterTraffic()
	})
	d.settle(x)
	return nil
}
