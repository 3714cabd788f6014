package node

import (
	"crypto"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"

	"throng/wire"
)

// TestTLSPeersThatDoNotAnswer have no more than a second of what others wait for.
func TestTLSPeersThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	r, _ := secureRig(t, Config{}, func(c *core) { c.limits.handshakeMilli = 3_600_000 })
	h, secure, most := r.engine.handshakes, r.secure, 4
	h.mu.Lock()
	h.max = most
	h.mu.Unlock()
	hello := helloOf(t, secure)
	asked := func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.asked.Len()
	}
	for range 2 {
		r.secure = nil
		for n := asked(); n < most; n++ {
			r.connect().write(hello)
			r.until("it is asked", func() bool { return asked() == n+1 })
		}
		if got := r.metric(`throng_tls_handshakes{state="running"}`); got != "4" {
			t.Errorf("%s run, want 4", got)
		}
		r.secure = secure
		r.dial("/").wantOp(wire.OpHello)
	}
}

// TestTLSHandshakesInLine: who came last is next, and who has gone is not.
func TestTLSHandshakesInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandshakes(&core{clock: func() int64 { return 0 }}, 1, 1)
		begun := make(chan int, 9)
		first := make(chan error)
		all := make([]*shake, 6)
		for i := range all {
			all[i] = &shake{of: h, done: func(error) {}, handshake: func() error {
				begun <- i
				if i > 0 {
					return nil
				}
				return <-first
			}}
			all[i].more.L = &all[i].mu
			h.start(all[i])
		}
		h.forget(all[3])
		h.forget(all[0]) // It has begun: nothing to forget.
		first <- errors.New("over")
		synctest.Wait()
		close(begun)
		var order []int
		for i := range begun {
			order = append(order, i)
		}
		if want := []int{0, 5, 4, 2, 1}; !slices.Equal(order, want) {
			t.Errorf("they began in the order %v, want %v", order, want)
		}
		if h.running != 0 || h.waiting.Len() != 0 {
			t.Errorf("%d run, %d wait", h.running, h.waiting.Len())
		}
	})
}

// TestTLSHandshakePanic: one that panics ends that connection, and is counted.
func TestTLSHandshakePanic(t *testing.T) {
	t.Parallel()
	r, _ := secureRig(t, Config{})
	shown := r.engine.certificates.current.Load()
	broken := *shown
	broken.PrivateKey = panickingKey{shown.PrivateKey.(crypto.Signer)}
	r.engine.certificates.current.Store(&broken)
	if err := r.connect().tryUpgrade("/"); err == nil {
		t.Error("it was let in")
	}
	r.engine.certificates.current.Store(shown)
	c := r.dial("/")
	c.wantOp(wire.OpHello)
	c.conn.Close()
	r.emptied()
	r.panics = 1
}

type panickingKey struct{ crypto.Signer }

func (panickingKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { panic("no ink") }
