package cluster

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"throng/node/cluster/enginetest"
)

// taker is an Ingest that answers with its name.
type taker struct {
	*Ingest
	fit   atomic.Bool
	taken atomic.Int64
}

func newTaker(t *testing.T, name, server string) *taker {
	t.Helper()
	k := &taker{}
	k.fit.Store(true)
	var err error
	k.Ingest, err = NewIngest(IngestConfig{
		NATS: NATSConfig{Servers: server}, Cluster: "test", Fit: k.fit.Load,
		Take: func(uint64, []byte, string) []byte {
			k.taken.Add(1)
			return []byte(name)
		},
	})
	must(t, err)
	t.Cleanup(k.Close)
	return k
}

// asker is a backend that waits for replies.
type asker struct {
	t    *testing.T
	nats *nats.Conn
	last atomic.Uint64
}

func newAsker(t *testing.T, server string) *asker {
	t.Helper()
	conn, err := NATSConfig{Servers: server}.connect("asker")
	must(t, err)
	t.Cleanup(conn.Close)
	return &asker{t: t, nats: conn}
}

// ask returns who has answered.
func (a *asker) ask(timeout time.Duration) (string, error) {
	guild := a.last.Add(1)
	m, err := a.nats.Request(fmt.Sprintf("throng.guild.%d.events", guild), []byte("{}"), timeout)
	if err != nil {
		return "", err
	}
	return string(m.Data), nil
}

// answered counts who answers so many.
func (a *asker) answered(count int) map[string]int {
	a.t.Helper()
	by := map[string]int{}
	for range count {
		name, err := a.ask(patience)
		if err != nil {
			a.t.Fatal(err)
		}
		by[name]++
	}
	return by
}

// TestIngestLeavesTheGroup: of what is asked without a pause nothing is lost while nodes leave the
// group and come back.
func TestIngestLeavesTheGroup(t *testing.T) {
	needEngines(t)
	server := enginetest.NATS(t)
	a, b := newTaker(t, "a", server.Address()), newTaker(t, "b", server.Address())
	backend := newAsker(t, server.Address())
	const some = 100 // By chance all of them go to one of two once in 2^99 times.
	if by := backend.answered(some); by["a"] == 0 || by["b"] == 0 {
		t.Errorf("with both: %v", by)
	}
	stop := make(chan struct{})
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := backend.ask(patience); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	both := func() bool { return a.In() && b.In() }
	for range 3 {
		a.fit.Store(false)
		until(t, "a has left", func() bool { return !a.In() })
		b.fit.Store(false)
		until(t, "a is there for want of others", both)
		a.fit.Store(true)
		until(t, "b has left", func() bool { return !b.In() })
		b.fit.Store(true)
		until(t, "b is back", both)
	}
	close(stop)
	asking.Wait()
	a.fit.Store(false)
	until(t, "a has left", func() bool { return !a.In() })
	// What was sent to it before may have been on its way.
	backend.answered(some)
	if by := backend.answered(some); by["a"] != 0 {
		t.Errorf("a has left: %v", by)
	}
}

// TestIngestOutlivesServer: a node that left while the server was away has left, and one that is
// there again is asked.
func TestIngestOutlivesServer(t *testing.T) {
	needEngines(t)
	server := enginetest.NATS(t)
	a := newTaker(t, "a", server.Address())
	newTaker(t, "b", server.Address())
	server.Kill()
	a.fit.Store(false)
	server.Start()
	until(t, "a has left", func() bool { return !a.In() })
	backend := newAsker(t, server.Address())
	var by map[string]int
	until(t, "b is there", func() bool {
		name, err := backend.ask(patience)
		if err != nil && !errors.Is(err, nats.ErrNoResponders) {
			t.Fatal(err)
		}
		return name == "b"
	})
	if by = backend.answered(100); by["a"] != 0 {
		t.Errorf("a has left: %v", by)
	}
	a.fit.Store(true)
	until(t, "a is back", a.In)
	if by = backend.answered(100); by["a"] == 0 || by["b"] == 0 {
		t.Errorf("with both: %v", by)
	}
}

// TestIngestIsStopped: a node that stands still is taken out of the group by the servers' pings.
func TestIngestIsStopped(t *testing.T) {
	needEngines(t)
	server := enginetest.NATS(t, "-ping", "500ms")
	proxy := enginetest.NewProxy(t, server.Host())
	newTaker(t, "a", "nats://"+proxy.Address())
	newTaker(t, "b", server.Address())
	backend := newAsker(t, server.Address())
	backend.answered(10)
	proxy.Freeze()
	var by map[string]int
	inRow := func() bool {
		by = map[string]int{}
		for range 50 {
			name, err := backend.ask(500 * time.Millisecond)
			if err != nil {
				return false
			}
			by[name]++
		}
		return true
	}
	until(t, "nothing is lost any more", func() bool { return inRow() && by["a"] == 0 })
	proxy.Thaw()
	until(t, "a is asked again", func() bool { return inRow() && by["a"] > 0 })
}

// TestIngestReadsTraceparent as OpenTelemetry writes it into a message, and as others do.
func TestIngestReadsTraceparent(t *testing.T) {
	needEngines(t)
	server := enginetest.NATS(t)
	node, err := NewIngest(IngestConfig{
		NATS: NATSConfig{Servers: server.Address()}, Cluster: "test",
		Fit:  func() bool { return true },
		Take: func(_ uint64, _ []byte, traceparent string) []byte { return []byte(traceparent) },
	})
	must(t, err)
	t.Cleanup(node.Close)
	backend := newAsker(t, server.Address())

	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	injected := nats.Header{}
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceFlags: trace.FlagsSampled,
		TraceID: trace.TraceID{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6,
			0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36},
		SpanID: trace.SpanID{0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7}})
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(t.Context(), span),
		propagation.HeaderCarrier(injected))
	for _, c := range []struct {
		name   string
		header nats.Header
		want   string
	}{
		{"no headers", nil, ""},
		{"other headers", nats.Header{"Nats-Msg-Id": {"1"}, "tracestate": {"a=b"}}, ""},
		{"as the standard has it", nats.Header{"traceparent": {parent}}, parent},
		{"by OpenTelemetry's HeaderCarrier", injected, parent},
		{"in capitals", nats.Header{"TRACEPARENT": {parent}}, parent},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := nats.NewMsg("throng.guild.1.events")
			m.Header, m.Data = c.header, []byte("{}")
			answer, err := backend.nats.RequestMsg(m, patience)
			must(t, err)
			if got := string(answer.Data); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
