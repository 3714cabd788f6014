package node

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// cappedServer serves one word at a listener with so many slots, after hold is closed where the
// path is /held.
func cappedServer(t *testing.T, slots int, hold <-chan struct{}) (address string) {
	t.Helper()
	l, err := listenCapped("127.0.0.1:0", slots)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ConnState: l.follow, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/held" {
				<-hold
			}
			_, _ = io.WriteString(w, "word")
		})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		_ = l.Close()
		_ = s.Close()
		<-ended
	})
	return l.Addr().String()
}

// keptAlive is a client's connection that stays open.
type keptAlive struct {
	net.Conn
	in *bufio.Reader
}

func keepAlive(t *testing.T, address string) *keptAlive {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { _ = c.Close() })
	return &keptAlive{c, bufio.NewReader(c)}
}

func (k *keptAlive) ask(path string) { fmt.Fprintf(k, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path) }

func (k *keptAlive) answer() error {
	answer, err := http.ReadResponse(k.in, nil)
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
	}
	return err
}

// TestIdleConnectionsGiveWay: a pool as large as the cap keeps nobody waiting, and only as many of
// it are closed as are needed.
func TestIdleConnectionsGiveWay(t *testing.T) {
	const slots = 4
	address := cappedServer(t, slots, nil)
	var pool []*keptAlive
	for range slots + 2 {
		c := keepAlive(t, address)
		c.ask("/")
		if err := c.answer(); err != nil {
			t.Fatal(err)
		}
		pool = append(pool, c)
	}
	closed := 0
	for _, c := range pool {
		c.ask("/")
		if c.answer() != nil {
			closed++
		}
	}
	if closed != len(pool)-slots {
		t.Errorf("%d of %d connections were closed, with %d slots", closed, len(pool), slots)
	}
}

// TestBusyConnectionsKeepTheirs: whoever is being served is, and who waits is next.
func TestBusyConnectionsKeepTheirs(t *testing.T) {
	const slots = 2
	hold := make(chan struct{})
	address := cappedServer(t, slots, hold)
	var busy []*keptAlive
	for range slots {
		c := keepAlive(t, address)
		c.ask("/held")
		busy = append(busy, c)
	}
	var late []*keptAlive
	for range 2 * slots {
		c := keepAlive(t, address)
		c.ask("/")
		late = append(late, c)
	}
	close(hold)
	for i, c := range append(busy, late...) {
		if err := c.answer(); err != nil {
			t.Errorf("connection %d: %v", i, err)
		}
	}
}
