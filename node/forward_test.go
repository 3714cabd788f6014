package node

import (
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/node/cluster"
	"throng/store"
	"throng/wire"
)

// viewOf is a view in which one of the nodes owns every guild.
func viewOf(t *testing.T, generation uint64, owner string, nodes ...cluster.Node) *cluster.View {
	t.Helper()
	ring, err := store.NewRing(store.RingConfig{Nodes: []store.RingNode{
		{Name: owner, Weight: store.RingWeight}}})
	if err != nil {
		t.Fatal(err)
	}
	return &cluster.View{Generation: generation, Nodes: nodes, Ring: ring}
}

// TestForwardToANodeThatWasStopped has a request wait at an owner that takes connections and says
// nothing, until the owner is another: then it must come back unread, to be done here.
func TestForwardToANodeThatWasStopped(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var mu sync.Mutex
	var got strings.Builder
	asked := make(chan struct{}, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for b := make([]byte, 1<<10); ; {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					mu.Lock()
					got.Write(b[:n])
					mu.Unlock()
					asked <- struct{}{}
				}
			}()
		}
	}()
	core := newHandNode(t, store.NewMemory()).core
	core.mesh = newMesh(core, "a")
	a := cluster.Node{Name: "a", Key: "1"}
	b := cluster.Node{Name: "b", Key: "2", Door: l.Addr().String()}
	core.mesh.view.Store(viewOf(t, 1, "b", a, b))
	f := newForwarder(&Node{core: core, log: slog.New(slog.DiscardHandler)}, nil)
	f.transport.ExpectContinueTimeout = time.Millisecond

	const body = "an event"
	r := httptest.NewRequest("POST", "/v1/guilds/7/events", strings.NewReader(body))
	done := make(chan struct{})
	go func() {
		for { // A machine that stands still makes it wait in vain.
			answered, err := f.Guild(httptest.NewRecorder(), r, wire.Snowflake(7))
			if answered {
				t.Error("somebody has answered")
			}
			if answered || err == nil {
				break
			}
		}
		close(done)
	}()
	<-asked
	core.mesh.view.Store(viewOf(t, 2, "a", a))
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the request waits for a node that is gone")
	}
	if rest, err := io.ReadAll(r.Body); err != nil || string(rest) != body {
		t.Errorf("the body is %q, %v, want it whole", rest, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if strings.Contains(got.String(), body) {
		t.Error("a node that did not ask for the body was sent it")
	}
}
