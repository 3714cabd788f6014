package api

import (
	"encoding/json"
	"runtime/pprof"
	"strings"
	"testing"
)

const stacksText = `goroutine 1 [running]:
throng/node/api.(*adminDoor).getStacks(0xc0000b2000, {0x7f, 0xc0}, 0xc000100000)
	/src/node/api/stacks.go:50 +0x45
net/http.HandlerFunc.ServeHTTP(0x0?, {0x0?, 0x0?}, 0x0?)
	/go/src/net/http/server.go:2294 +0x29
created by net/http.(*Server).Serve in goroutine 9
	/go/src/net/http/server.go:3454 +0x485

goroutine 2 [chan receive, 3 minutes]:
throng/node.(*keeper).run(0xc000010000, 0xc000020000)
	/src/node/keeper.go:70 +0x45
created by throng/node.(*Node).Run in goroutine 1
	/src/node/node.go:200 +0x45

goroutine 3 [chan receive, 12 minutes, locked to thread]:
throng/node.(*keeper).run(0xc000010000, 0xc000020000)
	/src/node/keeper.go:70 +0x45
created by throng/node.(*Node).Run in goroutine 1
	/src/node/node.go:200 +0x45

goroutine 4 [IO wait]:
internal/poll.runtime_pollWait(0x7f, 0x72)
	/go/src/runtime/netpoll.go:351 +0x85
github.com/panjf2000/gnet/v2/pkg/netpoll.(*Poller).Polling(0xc0, 0xc1)
	/mod/gnet/poller.go:100 +0x20
created by main.main
	/src/main.go:60 +0x45
`

func TestStacksAreSummarized(t *testing.T) {
	s := summarize(stacksText)
	if s.Goroutines != 4 || len(s.Places) != 3 {
		t.Fatalf("got %d goroutines in %d places, want 4 in 3", s.Goroutines, len(s.Places))
	}
	p := s.Places[0]
	p.Stack = ""
	want := Place{Count: 2, State: "chan receive", Function: "throng/node.(*keeper).run",
		At: "/src/node/keeper.go:70", Inside: "throng/node.(*keeper).run",
		From: "throng/node.(*Node).Run", LongestMinutes: 12}
	if p != want {
		t.Errorf("got %+v, want %+v", p, want)
	}
	waits := s.Places[1]
	if waits.Function != "github.com/panjf2000/gnet/v2/pkg/netpoll.(*Poller).Polling" ||
		waits.Inside != "internal/poll.runtime_pollWait" || waits.At != "/mod/gnet/poller.go:100" ||
		waits.From != "main.main" {
		t.Errorf("got %+v", waits)
	}
}

// waitAt is where goroutines of a test wait.
func waitAt(release chan struct{}) { <-release }

// TestStacksOfThisProcess asks the route while goroutines wait at a place that is known.
func TestStacksOfThisProcess(t *testing.T) {
	const count = 7
	release := make(chan struct{})
	defer close(release)
	for range count {
		go waitAt(release)
	}
	url := serve(t, Admin(newFake(), Config{}))
	found := 0
	for found < count { // They may not have come there yet.
		var s Stacks
		a := request(t, "GET", url+"/debug/stacks", "")
		if err := json.Unmarshal([]byte(a.body), &s); a.status != 200 || err != nil {
			t.Fatalf("%d %.100s: %v", a.status, a.body, err)
		}
		for _, p := range s.Places {
			if p.Function == "throng/node/api.waitAt" && p.State == "chan receive" {
				found = p.Count
			}
		}
	}
	if found != count {
		t.Errorf("%d wait, want %d", found, count)
	}
}

// TestLeaksSayWhatIsMissing: Go has that profile as an experiment, which the binary may lack.
func TestLeaksSayWhatIsMissing(t *testing.T) {
	a := request(t, "GET", serve(t, Admin(newFake(), Config{}))+"/debug/pprof/goroutineleak?debug=1",
		"")
	if pprof.Lookup("goroutineleak") != nil {
		if a.status != 200 || !strings.Contains(a.body, "goroutineleak profile") {
			t.Errorf("got %d %.100s", a.status, a.body)
		}
		return
	}
	if a.status != 501 || !strings.Contains(a.body, "GOEXPERIMENT=goroutineleakprofile") {
		t.Errorf("got %d %s", a.status, a.body)
	}
}
