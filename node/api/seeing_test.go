package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"
)

func (n *fakeNode) Timings(ctx context.Context) (TimingsInfo, error) {
	if err := n.enter(ctx); err != nil {
		return TimingsInfo{}, err
	}
	defer n.mu.Unlock()
	types := []TypeTimings{
		{Type: "often", TotalSeconds: 9, LongestSeconds: 1},
		{Type: "slow", TotalSeconds: 3, LongestSeconds: 3},
		{Type: "seldom", TotalSeconds: 2, LongestSeconds: 2},
	}
	return TimingsInfo{Sum: slices.Clone(types),
		Owners: []OwnerTimings{{Owner: "loop0", Types: types}}}, nil
}

func (n *fakeNode) Stalls() StallsInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	return StallsInfo{LimitSeconds: n.stallLimit.Seconds()}
}

func (n *fakeNode) SetStallLimit(limit time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if limit <= 0 {
		return Invalid("limit_seconds", "too little")
	}
	n.stallLimit = limit
	return nil
}

// TestTimingsComeInTwoOrders: what the time goes into, and what keeps others waiting.
func TestTimingsComeInTwoOrders(t *testing.T) {
	url := serve(t, Admin(newFake(), Config{}))
	for by, want := range map[string][]string{
		"":            {"often", "slow", "seldom"},
		"?by=total":   {"often", "slow", "seldom"},
		"?by=longest": {"slow", "seldom", "often"},
	} {
		a := request(t, "GET", url+"/v1/timings"+by, "")
		var info TimingsInfo
		if err := json.Unmarshal([]byte(a.body), &info); a.status != 200 || err != nil {
			t.Fatalf("%s: %d %s: %v", by, a.status, a.body, err)
		}
		for _, list := range [][]TypeTimings{info.Sum, info.Owners[0].Types} {
			var got []string
			for _, row := range list {
				got = append(got, row.Type)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q: got %v, want %v", by, got, want)
			}
		}
	}
	request(t, "GET", url+"/v1/timings?by=name", "").want(t, 400,
		`{"error":"\"name\" is neither total nor longest","field":"by"}`)
}

func TestStallLimitIsSet(t *testing.T) {
	url := serve(t, Admin(newFake(), Config{})) + "/v1/stalls"
	request(t, "GET", url, "").want(t, 200, `{"limit_seconds":0,"count":0,"stalls":[]}`)
	request(t, "PATCH", url, `{"limit_seconds":0.02}`).want(t, 200,
		`{"limit_seconds":0.02,"count":0,"stalls":[]}`)
	for _, wrong := range []string{"", "{}", `{"limit_seconds":"1s"}`, `{"limit_seconds":-1}`,
		`{"limit_seconds":1e9}`} {
		if a := request(t, "PATCH", url, wrong); a.status != 400 {
			t.Errorf("%q: got %d %s", wrong, a.status, a.body)
		}
	}
}

func (n *fakeNode) Flights() FlightsInfo { return FlightsInfo{} }

func (n *fakeNode) Flight(w io.Writer, number int) error {
	if number > 1 {
		return NotFound
	}
	_, err := fmt.Fprintf(w, "recording %d", number)
	return err
}

func TestRecordingsAreServed(t *testing.T) {
	url := serve(t, Admin(newFake(), Config{}))
	request(t, "GET", url+"/debug/flights", "").want(t, 200,
		`{"on":false,"window_bytes":0,"recordings":[]}`)
	request(t, "GET", url+"/debug/flight", "").want(t, 200, "recording 0")
	request(t, "GET", url+"/debug/flights/1", "").want(t, 200, "recording 1")
	request(t, "GET", url+"/debug/flights/2", "").want(t, 404, "")
	request(t, "GET", url+"/debug/flights/0", "").want(t, 400, "")
}

func (n *fakeNode) Memory(context.Context) (MemoryInfo, error) {
	return MemoryInfo{Parts: []MemoryPart{{"small", 1, 10, 0}, {"large", 0, 1000, 20}}}, nil
}

func TestMemoryBeginsWithTheLargest(t *testing.T) {
	url := serve(t, Admin(newFake(), Config{}))
	request(t, "GET", url+"/v1/memory", "").want(t, 200, `{"bytes":0,"error_bytes":0,"parts":[`+
		`{"part":"large","bytes":1000,"error_bytes":20},`+
		`{"part":"small","count":1,"bytes":10,"error_bytes":0}],"process":null,"took_seconds":0}`)
}

// TestConsoleBesideTheGuard: its pages come without a token, what they show does not.
func TestConsoleBesideTheGuard(t *testing.T) {
	c := Config{AdminToken: "secret", Pages: map[string]http.Handler{}}
	for _, path := range []string{"/", "/console/x.js"} {
		c.Pages[path] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("page of " + path))
		})
	}
	c.Live = func(w http.ResponseWriter, _ *http.Request) error {
		return Unavailable(time.Second, "full")
	}
	url := serve(t, Admin(furnished(), c))
	request(t, "GET", url+"/", "").want(t, 200, "page of /")
	request(t, "GET", url+"/console/x.js", "").want(t, 200, "page of /console/x.js")
	request(t, "GET", url+"/console/y.js", "").want(t, 401, "")
	request(t, "POST", url+"/", "").want(t, 401, "")
	request(t, "GET", url+"/v1/live", "").want(t, 401, "")
	request(t, "GET", url+"/v1/live", "", "Authorization", "Bearer secret").
		want(t, 503, `{"error":"full"}`)

	url = serve(t, Admin(furnished(), Config{}))
	request(t, "GET", url+"/v1/live", "").want(t, 404, `{"error":"there is no such route"}`)
}
