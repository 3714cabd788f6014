package node

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"throng/tuning"
)

// TLS on a loop.
//
// crypto/tls reads and writes a net.Conn and waits there, on a goroutine for each connection: 2 KB
// of stack at least, and a read buffer. Here the net.Conn is a buffer. What has arrived is put in,
// Read is called until it asks for more than there is, and is then told an error that is temporary:
// after the handshake crypto/tls keeps no such error, and goes on in the middle of a record when it
// is called again. A write is sealed record by record, and each is sent to the socket from where it
// was sealed. So a loop serves such a connection as it serves any other, without a goroutine.
//
// A record that is sealed has to be sent, whole and before all others, since its number counts. So
// when the kernel takes a part of one the rest is held here, one record at most, -write-buffer
// long; nothing more is sealed before that has gone. What is held counts as sent: as what lies in
// the kernel's buffer does, it is lost with the connection and sent again to who resumes.
//
// During the handshake an error is final to crypto/tls, temporary or not, and a handshake computes
// for 300 µs and up where a loop should serve thousands. So handshakes run on goroutines of their
// own, see handshakes. The loop keeps the socket all the time: it gives them what arrives and sends
// what they say, and has the deadline.
//
// What was looked at besides: a proxy in front (33 KB a connection with HAProxy, and a second
// socket), which stays possible, with -proxy-from; a fork of crypto/tls made for event loops, whose
// holes would be ours to mend; TLS in the kernel, for which crypto/tls gives nobody the keys.
type secure struct {
	// Static after construction.
	conn *tls.Conn

	// Owned by whoever has the connection: a loop, or a tunnel.
	fd     int
	shake  *shake   // nil: the handshake is over
	direct net.Conn // of a tunnel: bytes come from there, and go there
	in     []byte   // what has arrived
	held   []byte   // of a record: what the kernel has not taken
	lent   bool     // its tls.Conn reads into a buffer of the loop: see inside

	// chatter is what has arrived at chatterAt that carried nothing, in bytes; see hear.
	chatter   int
	chatterAt int64
}

// errMore is what Read says when there is nothing more now.
var errMore net.Error = moreError{}

type moreError struct{}

func (moreError) Error() string   { return "nothing more has arrived" }
func (moreError) Temporary() bool { return true }
func (moreError) Timeout() bool   { return true }

// Errors of transport.Write that end nothing: what it took, it will send.
var (
	errHeld = errors.New("the kernel took a part")
	errFull = errors.New("the kernel takes nothing")
)

func newSecure(fd int, c *certificates, h *handshakes) *secure {
	s := &secure{fd: fd, shake: &shake{of: h}}
	s.conn = tls.Server(s, c.config)
	s.shake.more.L = &s.shake.mu
	s.shake.handshake = s.conn.Handshake
	return s
}

// Read is what crypto/tls reads.
func (s *secure) Read(b []byte) (n int, err error) {
	switch {
	case s.shake != nil:
		return s.shake.read(b)
	case len(s.in) > 0:
		n = copy(b, s.in)
		s.in = s.in[n:]
		return n, nil
	case s.direct != nil:
		return s.direct.Read(b)
	}
	return 0, errMore
}

// Write is where crypto/tls writes a record.
func (s *secure) Write(b []byte) (n int, err error) {
	switch {
	case s.shake != nil:
		return s.shake.write(b)
	case s.direct != nil:
		if len(s.held) > 0 {
			if _, err := s.direct.Write(s.held); err != nil {
				return 0, err
			}
			s.held = nil
		}
		return s.direct.Write(b)
	case len(s.held) == 0:
		if n, err = send(s.fd, b); err != nil {
			return n, err
		}
	}
	s.held = append(s.held, b[n:]...)
	return len(b), nil
}

// flush sends what is held. It reports whether some of it went.
func (s *secure) flush() (some bool, err error) {
	if len(s.held) == 0 {
		return false, nil
	}
	n, err := send(s.fd, s.held)
	if s.held = s.held[n:]; len(s.held) == 0 {
		s.held = nil
	}
	return n > 0, err
}

// write is the connection's Write: see transport.
func (s *secure) write(b []byte, recordBytes int) (n int, err error) {
	some, err := s.flush()
	if err != nil {
		return 0, err
	}
	if s.shake != nil && n < len(b) {
		return 0, net.ErrClosed // crypto/tls would wait for the handshake, and the loop with it.
	}
	for len(s.held) == 0 && n < len(b) {
		m, err := s.conn.Write(b[n:min(len(b), n+recordBytes)])
		if n += m; err != nil {
			return n, err
		}
		some = true
	}
	switch {
	case len(s.held) == 0:
		return n, nil
	case some:
		return n, errHeld
	}
	return n, errFull
}

// take opens what has arrived and offers it to the loop.
func (s *secure) take(x *connection, buf []byte) {
	d := x.driver
	if s.shake != nil {
		if !s.shake.feed(buf) {
			d.loop.closeSocket(x.socket, TLSFailed, "")
		}
		return
	}
	s.hear(len(buf), d.loop.time)
	if len(s.in) > 0 {
		buf = append(s.in, buf...)
	}
	s.in, s.lent = buf, d.engine.inside.lend(s.conn, d.raw)
	defer func() {
		if !x.moved { // Else it is another's, see Move.
			s.own(d.engine.inside)
		}
	}()
	for !x.closing {
		n, err := s.conn.Read(d.plain)
		if n > 0 {
			s.chatter = max(0, s.chatter-n-recordOverhead)
			x.offer(d.plain[:n])
		}
		switch {
		case x.moved:
			return
		case err == nil:
		case errors.Is(err, errMore):
			s.afterRead(x)
			return
		default:
			x.closing = true // The peer has said that no more comes, or something that is no TLS.
		}
	}
}

// recordOverhead: header, type and tag of a record.
const recordOverhead = recordHeaderBytes + 1 + 16

// hear counts what arrives, until it is known what it carries.
//
// TLS has records that carry nothing, and of those that change keys crypto/tls takes any number,
// for microseconds of the loop each, and answers if the peer wants it. A client may send them from
// time to time. One that sends nothing else for 64 KB, or does not read the answers, is ended.
func (s *secure) hear(n int, now int64) {
	forgiven := max(0, now-s.chatterAt) * tuning.TLSChatterBytesPerSecond / 1000
	s.chatter = max(0, s.chatter-int(min(forgiven, tuning.TLSChatterBytesMax))) + n
	s.chatterAt = now
}

// afterRead looks at what reading has led to besides: there is nothing more to read now.
func (s *secure) afterRead(x *connection) {
	l := x.driver.loop
	switch {
	case s.chatter > tuning.TLSChatterBytesMax,
		len(s.held) > x.driver.engine.recordBytes+tuning.TLSAnswersBytesMax:
		l.closeSocket(x.socket, TLSFailed, "")
	case len(s.held) > 0 && x.socket.state != socketClosed:
		x.socket.holding = true // crypto/tls has answered by itself.
		l.block(x.socket, false)
	}
}

// own has what has arrived no longer be in the loop's buffers.
func (s *secure) own(in inside) {
	in.takeBack(s.conn, s.lent)
	s.lent = false
	if len(s.in) == 0 {
		s.in = nil
		return
	}
	s.in = bytes.Clone(s.in)
}

// end says to the peer that no more comes, if that can be said at once.
func (s *secure) end() {
	if s.shake == nil && len(s.held) == 0 {
		_ = s.conn.CloseWrite()
	}
}

// abandon ends the handshake, if that is not over: the connection is gone.
func (s *secure) abandon() {
	if s.shake != nil {
		s.shake.of.forget(s.shake)
		s.shake.stop()
	}
}

// tunnelled has bytes come and go by a connection of Go's, and tunnelled(nil) by the loop again.
func (s *secure) tunnelled(direct net.Conn) net.Conn {
	s.direct = direct
	return s.conn
}

// The rest of net.Conn is a tunnel's.

func (s *secure) Close() error {
	if s.direct == nil {
		return nil
	}
	return s.direct.Close()
}

func (s *secure) LocalAddr() net.Addr  { return s.address(net.Conn.LocalAddr) }
func (s *secure) RemoteAddr() net.Addr { return s.address(net.Conn.RemoteAddr) }
func (s *secure) address(of func(net.Conn) net.Addr) net.Addr {
	if s.direct == nil {
		return nil
	}
	return of(s.direct)
}

func (s *secure) SetDeadline(t time.Time) error { return s.deadline(net.Conn.SetDeadline, t) }
func (s *secure) SetReadDeadline(t time.Time) error {
	return s.deadline(net.Conn.SetReadDeadline, t)
}
func (s *secure) SetWriteDeadline(t time.Time) error {
	return s.deadline(net.Conn.SetWriteDeadline, t)
}
func (s *secure) deadline(set func(net.Conn, time.Time) error, t time.Time) error {
	if s.direct == nil {
		return nil
	}
	return set(s.direct, t)
}
