package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"throng/node/api"
	"throng/tuning"
	"throng/wire"
)

const patience = 30 * time.Second

// counter is a node of which every figure grows from one look to the next.
type counter struct {
	looks atomic.Int64
	last  atomic.Pointer[context.Context] // Of the last look.
}

func (c *counter) Sample(ctx context.Context) (Sample, error) {
	n := c.looks.Add(1)
	c.last.Store(&ctx)
	return Sample{At: time.UnixMilli(1000 * n), State: "ready", Connections: n,
		Deliveries: uint64(30 * n), Writes: uint64(10 * n), SentBytes: uint64(500 * n),
		Events: map[string]uint64{"TEST": uint64(3 * n)},
		Owners: []Owner{{Name: "loop0", BusySeconds: 0.25 * float64(n)}},
		Kinds:  map[string]Work{"publish": {Count: 3 * n, Seconds: 0.1 * float64(n)}},
	}, ctx.Err()
}

func (*counter) EveryGuild(context.Context) ([]Guild, error) {
	return []Guild{{ID: 1, Name: "one", Sessions: 5}}, nil
}

func (*counter) Cluster(context.Context) (api.ClusterInfo, error) {
	return api.ClusterInfo{}, nil
}

func newConsole(source Source) *Console {
	return New(Config{Source: source, Interval: time.Millisecond,
		Log:   slog.New(slog.DiscardHandler),
		About: func(*http.Request) About { return About{Node: "a", Gateway: "ws://a:1"} }})
}

func serve(t *testing.T, c *Console) (url string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.Live(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// watch opens a stream; next is its next event.
func watch(t *testing.T, url string) (next func() (event, data string), stop func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	request, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("got %s", answer.Status)
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	return func() (event, data string) {
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				event = value
			case "data":
				data = value
			case "":
				return event, data
			}
		}
		t.Fatalf("the stream has ended: %v", lines.Err())
		return "", ""
	}, cancel
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// TestLiveTellsRates: first comes what the page has to know, then snapshots whose rates are those
// of the source.
func TestLiveTellsRates(t *testing.T) {
	next, _ := watch(t, serve(t, newConsole(&counter{})))
	if event, data := next(); event != "about" || !strings.Contains(data, `"node":"a"`) {
		t.Fatalf("got %s %s", event, data)
	}
	for turn := 0; ; turn++ {
		event, data := next()
		var s Snapshot
		if err := json.Unmarshal([]byte(data), &s); err != nil || event != "snapshot" {
			t.Fatalf("%s %s: %v", event, data, err)
		}
		if s.Deliveries == nil && turn == 0 {
			continue // There is nothing yet to compare with.
		}
		got := fmt.Sprintf("%.2f %.2f %.2f %.2f %.2f", *s.Events, *s.Deliveries, *s.Bytes,
			*s.Batching, *s.Owners[0].Busy)
		if want := "3.00 30.00 500.00 3.00 0.25"; got != want {
			t.Errorf("rates are %s, want %s", got, want)
		}
		if len(s.Largest) != 1 || s.Largest[0].Name != "one" || len(s.Kinds) != 1 {
			t.Errorf("got guilds %v and kinds %v", s.Largest, s.Kinds)
		}
		return
	}
}

// TestNobodyLooksNothingIsGathered, neither before the first viewer nor after the last.
func TestNobodyLooksNothingIsGathered(t *testing.T) {
	source := &counter{}
	c := newConsole(source)
	url := serve(t, c)
	for range 2 {
		before := source.looks.Load()
		next, stop := watch(t, url)
		next()
		next()
		if source.looks.Load() == before {
			t.Error("nothing was gathered for a viewer")
		}
		stop()
		until(t, "gathering is called off", func() bool {
			return c.Viewers() == 0 && (*source.last.Load()).Err() != nil
		})
	}
}

// TestOneGathersForAll: two viewers are told the same snapshot, and there is a bound on them.
func TestOneGathersForAll(t *testing.T) {
	c := newConsole(&counter{})
	url := serve(t, c)
	var stops []func()
	for range tuning.ConsoleViewersMax {
		next, stop := watch(t, url)
		next()
		stops = append(stops, stop)
	}
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable ||
		!strings.Contains(string(text), "no more may be") {
		t.Errorf("one too many got %s %s", answer.Status, text)
	}
	stops[0]()
	until(t, "there is room", func() bool { return c.Viewers() < tuning.ConsoleViewersMax })
	next, _ := watch(t, url)
	next()
	next()
}

// TestLatencyIsOfTheWindow: quantiles are of what was timed lately, and fade.
func TestLatencyIsOfTheWindow(t *testing.T) {
	h := &history{}
	ends := []float64{1, 2, 4}
	tell := func(spread ...uint64) *Latency {
		return h.snapshot(&Sample{Latency: spread, LatencyEnds: ends}).Latency
	}
	if got := tell(1000, 0, 0); got != nil {
		t.Errorf("before anything is timed: %+v", got)
	}
	if got := tell(1097, 2, 1); got == nil || *got != (Latency{P50: 1, P99: 2, Count: 100}) {
		t.Errorf("got %+v", got)
	}
	for range tuning.ConsoleWindow - 1 {
		if got := tell(1097, 2, 1); got == nil || got.Count != 100 {
			t.Errorf("within the window: got %+v", got)
		}
	}
	if got := tell(1097, 2, 1); got != nil {
		t.Errorf("after the window: got %+v", got)
	}
}

// TestGuildsInOrder: the largest and the busiest of many, and a guild that was made anew is not
// busy for that.
func TestGuildsInOrder(t *testing.T) {
	r := &rounds{}
	var all []Guild
	for id := range wire.Snowflake(100) {
		all = append(all, Guild{ID: id + 1, Sessions: int(id * 37 % 100), Index: 1000})
	}
	at := time.UnixMilli(1000)
	r.look(append([]Guild(nil), all...), at)
	for i := range all {
		all[i].Index += uint64(i*53%100) * 2
	}
	all[4].Index = 3
	largest, busiest := r.look(all, at.Add(2*time.Second))
	if len(largest) != tuning.ConsoleGuilds || len(busiest) != tuning.ConsoleGuilds {
		t.Fatalf("got %d and %d", len(largest), len(busiest))
	}
	for i := range largest {
		if want := 99 - i; largest[i].Sessions != want {
			t.Errorf("the largest at %d has %d sessions, want %d", i, largest[i].Sessions, want)
		}
		if want := float64(99 - i); busiest[i].Events != want {
			t.Errorf("the busiest at %d has %v events, want %v", i, busiest[i].Events, want)
		}
	}
}

// TestPolicyNamesTheGateway by its host alone, and nothing that is no host.
func TestPolicyNamesTheGateway(t *testing.T) {
	for gateway, want := range map[string]string{
		"ws://a:1": "'self' ws://a:1;", "wss://a.example/door": "'self' wss://a.example;",
		"ws://[::1]:8": "'self' ws://[::1]:8;", "http://a": "'self';", "ws://a b": "'self';",
		"ws://a;script-src": "'self';", "": "'self';",
	} {
		if got := policy(gateway); !strings.Contains(got, "connect-src "+want) ||
			strings.Count(got, "script-src") != 1 {
			t.Errorf("%q: got %s", gateway, got)
		}
	}
}

// TestPageStandsAlone: its files are served, say that nothing else may be loaded, and are answered
// by 304 to who has them.
func TestPageStandsAlone(t *testing.T) {
	c := newConsole(&counter{})
	pages := c.Pages()
	for path, page := range pages {
		answer := httptest.NewRecorder()
		page.ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
		h := answer.Header()
		policy := h.Get("Content-Security-Policy")
		if answer.Code != 200 || !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'") ||
			!strings.Contains(policy, "connect-src 'self' ws://a:1;") {
			t.Errorf("%s: got %d, %q", path, answer.Code, policy)
		}
		for _, other := range []string{"http://", "https://", "unsafe"} {
			text := strings.ReplaceAll(answer.Body.String(), "http://www.w3.org/2000/svg", "")
			if strings.Contains(text+policy, other) {
				t.Errorf("%s names %s", path, other)
			}
		}
		again := httptest.NewRequest("GET", path, nil)
		again.Header.Set("If-None-Match", h.Get("ETag"))
		answer = httptest.NewRecorder()
		if page.ServeHTTP(answer, again); answer.Code != http.StatusNotModified {
			t.Errorf("%s: asked again, got %d", path, answer.Code)
		}
	}
	if pages["/"] == nil || pages["/console/overview.js"] == nil {
		t.Errorf("got %d pages, without the first", len(pages))
	}
}

// TestHeapLimitIsTheOneInForce: the node moves it while it runs.
func TestHeapLimitIsTheOneInForce(t *testing.T) {
	was := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(was) })
	var h history
	for _, c := range []struct {
		set  int64
		want uint64
	}{{1 << 40, 1 << 40}, {1 << 41, 1 << 41}, {math.MaxInt64, 0}} {
		debug.SetMemoryLimit(c.set)
		if got := h.snapshot(&Sample{}).GC.Limit; got != c.want {
			t.Errorf("with %d it is shown as %d, want %d", c.set, got, c.want)
		}
	}
}
