package node

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"throng/node/cluster/enginetest"
)

// shakeHand is a client's end of a handshake that has no socket.
type shakeHand struct {
	net.Conn // None; what is not below is not called.
	s        *secure
	said     chan struct{}
	in       []byte
}

func (c *shakeHand) Write(b []byte) (int, error) {
	if !c.s.shake.feed(b) {
		return 0, errors.New("too much")
	}
	return len(b), nil
}

func (c *shakeHand) Read(b []byte) (n int, err error) {
	for len(c.in) == 0 {
		if _, ok := <-c.said; !ok {
			if c.in = c.s.shake.takeOut(); len(c.in) == 0 {
				return 0, io.EOF
			}
			break
		}
		c.in = c.s.shake.takeOut()
	}
	n = copy(b, c.in)
	c.in = c.in[n:]
	return n, nil
}

func (*shakeHand) SetDeadline(time.Time) error { return nil }

// TestTLSMemory holds what /v1/memory says of a connection with TLS against the heap.
func TestTLSMemory(t *testing.T) {
	files := enginetest.NewAuthority(t)
	certificates, err := openCertificates(files.CertFile, files.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	in := lookInside()
	if !in.known {
		t.Fatal("crypto/tls has its buffers elsewhere: see inside")
	}
	h := newHandshakes(&core{clock: func() int64 { return 0 }}, 1, 10)
	config := &tls.Config{RootCAs: files.Client.RootCAs, ServerName: "127.0.0.1"}
	made := func() *secure {
		s := newSecure(-1, certificates, h)
		hand := &shakeHand{s: s, said: make(chan struct{}, 16)}
		s.shake.said = func() { hand.said <- struct{}{} }
		ended := make(chan error, 1)
		s.shake.done = func(err error) {
			close(hand.said)
			ended <- err
		}
		h.start(s.shake)
		if err := tls.Client(hand, config).Handshake(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		s.shake = nil
		in.forgetHandshake(s.conn)
		s.own(in)
		return s
	}
	used := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	made()
	const connections = 300
	all := make([]*secure, connections)
	before := used()
	for i := range all {
		all[i] = made()
	}
	each := int(used()-before) / connections
	runtime.KeepAlive(all)
	r := newRuler()
	said := all[0].memory(&r.Ruler, in)
	t.Logf("%d B each, %d are said", each, said)
	if each > 3500 {
		t.Errorf("%d B each", each)
	}
	if said < each*9/10 || said > each*11/10 {
		t.Errorf("%d B each, %d are said", each, said)
	}
}
