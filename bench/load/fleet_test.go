package load

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestFleetRefusesWhatARunWould(t *testing.T) {
	for _, c := range []Config{
		{URL: "ws://192.0.2.1:80/"}, {URL: "ws://127.0.0.1:80/", Target: "carrier pigeon"},
	} {
		if f, err := Start(t.Context(), c); err == nil {
			f.Stop()
			t.Errorf("%+v was taken", c)
		}
	}
}

// greeter sends every connection one event with a mark, in answer to its first frame.
func greeter(t *testing.T) (url string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		if _, _, err := c.Read(r.Context()); err != nil {
			return
		}
		event := fmt.Sprintf(`{"ts":%d}`, time.Now().UnixNano())
		_ = c.Write(r.Context(), websocket.MessageText, []byte(event))
		_, _, _ = c.Read(r.Context())
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http") + "/"
}

func TestFleetCountsAndComesBackAfterACut(t *testing.T) {
	const connections = 20
	f, err := Start(t.Context(), Config{Target: TargetWS, URL: greeter(t), Send: []string{"hello"},
		Connections: connections})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Stop()
	eventually := func(what string, holds func() bool) {
		t.Helper()
		f.run.until(t.Context(), 10*time.Second, holds)
		if !holds() {
			t.Fatalf("%s: %d live, %d received", what, f.Live(), f.Received())
		}
	}
	eventually("a greeting each", func() bool { return f.Received() == connections })
	first := f.Take("first")
	if first.Delivered != connections || first.Event.Count != connections {
		t.Errorf("%d delivered, %d timed, want %d", first.Delivered, first.Event.Count, connections)
	}
	f.Cut()
	if got := f.Live(); got != 0 {
		t.Errorf("%d are live after the cut, want 0", got)
	}
	f.Return()
	eventually("all are back", func() bool {
		return f.Live() == connections && f.Received() == 2*connections
	})
	if got := f.Dispatched(); got != 2*connections {
		t.Errorf("%d dispatches, want %d", got, 2*connections)
	}
	second := f.Take("second")
	if second.Cuts != connections || second.Back.Count != connections {
		t.Errorf("%d cuts, %d back, want %d", second.Cuts, second.Back.Count, connections)
	}
}

// TestFleetGoesElsewhere holds that connections of a server that is gone go to another.
func TestFleetGoesElsewhere(t *testing.T) {
	const connections = 10
	var mu sync.Mutex
	var open []*websocket.Conn
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		mu.Lock()
		open = append(open, c)
		mu.Unlock()
	}))
	defer first.Close()
	f, err := Start(t.Context(), Config{Target: TargetWS, Connections: connections,
		URL:       "ws" + strings.TrimPrefix(first.URL, "http") + "/",
		Elsewhere: greeter(t), Send: []string{"hello"}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Stop()
	// The client may know of an upgrade before its handler goes on.
	f.run.until(t.Context(), 10*time.Second, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(open) == connections
	})
	mu.Lock()
	for _, c := range open {
		_ = c.CloseNow()
	}
	mu.Unlock()
	f.run.until(t.Context(), 10*time.Second, func() bool { return f.Received() == connections })
	if got := f.Received(); got != connections {
		t.Errorf("%d were greeted elsewhere, want %d; ends %v", got, connections,
			f.Take("").Closes)
	}
}
