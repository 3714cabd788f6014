package node

import (
	"bytes"
	"encoding/hex"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	otlpcollector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"throng/fanout"
	"throng/node/api"
	"throng/node/tracing"
	"throng/wire"
)

// otlpCollector takes spans as any collector does, and keeps them by trace.
type otlpCollector struct {
	*httptest.Server
	mu    sync.Mutex
	spans map[string][]*otlp.Span // by trace id, in hexadecimal
	wrong []string
}

func newCollector(t *testing.T) *otlpCollector {
	c := &otlpCollector{spans: map[string][]*otlp.Span{}}
	c.Server = httptest.NewServer(http.HandlerFunc(c.take))
	t.Cleanup(c.Close)
	return c
}

func (c *otlpCollector) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request otlpcollector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || r.URL.Path != "/v1/traces" ||
		r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.wrong = append(c.wrong, r.Method+" "+r.URL.Path)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, of := range request.ResourceSpans {
		for _, scope := range of.ScopeSpans {
			for _, span := range scope.Spans {
				id := hex.EncodeToString(span.TraceId)
				c.spans[id] = append(c.spans[id], span)
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// named is the spans of a trace by name, and of all of them whether anything was wrong.
func (c *otlpCollector) named(t *testing.T, trace string) map[string][]*otlp.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.wrong) > 0 {
		t.Fatalf("it was sent %v", c.wrong)
	}
	spans := map[string][]*otlp.Span{}
	for _, span := range c.spans[trace] {
		spans[span.Name] = append(spans[span.Name], span)
	}
	return spans
}

// publishTraced publishes by HTTP as part of a trace.
func (r *rig) publishTraced(path, traceparent, body string) {
	r.t.Helper()
	request, err := http.NewRequest("POST", "http://"+r.doors["admin"]+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("traceparent", traceparent)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 202 {
		r.t.Fatalf("%s: %s", path, answer.Status)
	}
}

// TestPublishIsTraced follows two events from the request to sockets: one that is sampled,
// by spans that hang together, and one that is not, by nothing.
func TestPublishIsTraced(t *testing.T) {
	t.Parallel()
	const (
		yes, no = "0af7651916cd43dd8448eb211c80319c", "1af7651916cd43dd8448eb211c80319c"
		parent  = "b7ad6b7169203331"
	)
	c := newCollector(t)
	r := startRig(t, Config{OTLP: c.URL})
	r.user(1, true)
	r.guild(100, 1)
	one := r.login(1)
	one.joined(1)
	body := `{"t":"TEST_EVENT","d":{"n":1}}`
	const stranger = "2af7651916cd43dd8448eb211c80319c"
	asked, _ := http.NewRequest("GET", "http://"+r.doors["api"]+"/api/v10/gateway", nil)
	asked.Header.Set("traceparent", "00-"+stranger+"-"+parent+"-01")
	answer, err := http.DefaultClient.Do(asked)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	r.publishTraced("/v1/guilds/100/events", "00-"+no+"-"+parent+"-00", body)
	r.publishTraced("/v1/guilds/100/events", "00-"+yes+"-"+parent+"-01", body)
	one.wantNumber(1)
	one.wantNumber(1)
	var spans map[string][]*otlp.Span
	r.until("four spans are there", func() bool {
		spans = c.named(t, yes)
		return len(spans) == 4
	})
	// Spans go out in the order in which they ended.
	if spans := c.named(t, stranger); len(spans) != 0 {
		t.Errorf("a client of -api had spans made: %v", spans)
	}
	under := mustHex(parent)
	const route = "/v1/guilds/{id}/events"
	for _, name := range []string{route, "guild.publish", "loop.deliver", "session.write"} {
		if len(spans[name]) != 1 {
			t.Fatalf("there are %d of %s: %v", len(spans[name]), name, spans)
		}
		span := spans[name][0]
		if !bytes.Equal(span.ParentSpanId, under) {
			t.Errorf("%s is part of %x, want %x", name, span.ParentSpanId, under)
		}
		if span.EndTimeUnixNano < span.StartTimeUnixNano || span.StartTimeUnixNano == 0 {
			t.Errorf("%s is from %d to %d", name, span.StartTimeUnixNano, span.EndTimeUnixNano)
		}
		under = span.SpanId
	}
	if kind := spans[route][0].Kind; kind != otlp.Span_SPAN_KIND_SERVER {
		t.Errorf("the request is %v", kind)
	}
	about := map[string]string{}
	for _, a := range append(spans["session.write"][0].Attributes,
		spans["guild.publish"][0].Attributes...) {
		about[a.Key] = a.Value.String()
	}
	for key, want := range map[string]string{"user.id": `"1"`, "guild.id": `"100"`,
		"event.type": `"TEST_EVENT"`, "receivers": "1", "written": "true"} {
		if !strings.Contains(about[key], want) {
			t.Errorf("%s is %s, want %s", key, about[key], want)
		}
	}
	if extra := c.named(t, no); len(extra) > 0 {
		t.Errorf("what is not sampled has spans: %v", extra)
	}
}

// TestIngestIsTraced: what comes from NATS is traced as the same by HTTP.
func TestIngestIsTraced(t *testing.T) {
	t.Parallel()
	const id = "2af7651916cd43dd8448eb211c80319c"
	c := newCollector(t)
	r := startRig(t, Config{OTLP: c.URL})
	r.user(1, true)
	r.guild(100, 1)
	handler := api.Admin(r.Node, api.Config{Peers: true, Tracer: r.core.tracer})
	answer := ingested(handler, 100, []byte(`{"t":"HELLO","d":{}}`), "00-"+id+"-b7ad6b7169203331-01")
	if !bytes.Contains(answer, []byte("event_index")) {
		t.Fatalf("got %s", answer)
	}
	r.until("its spans are there", func() bool {
		return len(c.named(t, id)["guild.publish"]) == 1
	})
}

func mustHex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b
}

// TestTraceCrossesNodes: a session on one node is given an event of another node, and is followed
// in the same trace.
func TestTraceCrossesNodes(t *testing.T) {
	const id = "3af7651916cd43dd8448eb211c80319c"
	c := newCollector(t)
	tracer, err := tracing.New(c.URL, "n", "v")
	if err != nil {
		t.Fatal(err)
	}
	m := newHandMesh(t, 1, 2, 3)
	const guild = wire.Snowflake(1000)
	m.putAway(guild, 1, 2)
	m.show()
	for i, n := range m.all {
		m.dial(n, wire.Snowflake(i+1))
		for _, l := range n.loops {
			l.follow(tracer)
		}
	}
	m.settle()
	owner := m.owner(guild)
	if owner == nil {
		t.Fatal("nobody owns the guild")
	}
	in, _ := tracing.Parse("00-" + id + "-b7ad6b7169203331-01")
	traced := &publishing{tracer: tracer, in: in, asked: time.Now()}
	w := &guildWork{guildCall{guild}, callerOf(t.Context()), kindPublish,
		func(s *shard, g *fanout.Guild, now int64) (*fanout.Guild, fanout.Change, error) {
			traced.take()
			change, err := g.Publish("MESSAGE_CREATE", markOf(guild, 1), now)
			traced.mark(g, "MESSAGE_CREATE", &change, 1000)()
			for i := range change.Msgs {
				if e := change.Msgs[i].Event; e != nil {
					e.Trace.Share = math.MaxUint32 // Or of two receivers one or none is followed.
				}
			}
			return g, change, err
		}, make(chan error, 1)}
	s := owner.shardOf(guild)
	s.apply(w, s.guilds[guild].guild)
	m.settle()
	tracer.Close(t.Context())
	spans := c.named(t, id)
	if len(spans["guild.publish"]) != 1 || len(spans["loop.deliver"]) != 2 ||
		len(spans["session.write"]) != 2 {
		t.Fatalf("got %v", spans)
	}
	nodes := map[string]bool{}
	for i, span := range spans["loop.deliver"] {
		if !bytes.Equal(span.ParentSpanId, spans["guild.publish"][0].SpanId) {
			t.Errorf("a loop's span is part of %x", span.ParentSpanId)
		}
		if !slices.ContainsFunc(spans["session.write"], func(w *otlp.Span) bool {
			return bytes.Equal(w.ParentSpanId, spans["loop.deliver"][i].SpanId)
		}) {
			t.Errorf("nothing is written under %x", span.SpanId)
		}
		for _, a := range span.Attributes {
			if a.Key == "node" {
				nodes[a.Value.GetStringValue()] = true
			}
		}
	}
	if len(nodes) != 2 {
		t.Errorf("the loops are those of %v", nodes)
	}
}
