package api

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"time"

	"throng/wire"
)

// Seeing is what the node shows of its own doing.
type Seeing interface {
	// Timings is what each owner has done since the node began, by type of message.
	Timings(ctx context.Context) (TimingsInfo, error)
	// Stalls is the newest messages that took too long.
	Stalls() StallsInfo
	// SetStallLimit changes from when on that is.
	SetStallLimit(limit time.Duration) error
	// Memory is what the node holds in memory.
	Memory(ctx context.Context) (MemoryInfo, error)
	// Flight writes a recording of the flight recorder, or, for 0, what it has now.
	Flight(w io.Writer, number int) error
	Flights() FlightsInfo
}

// TimingsInfo is how the node's owners spend their time: its event loops, its shards of guilds, its
// workers and its keeper, which writes to the store.
type TimingsInfo struct {
	By            string         `json:"by"` // "total" or "longest".
	UptimeSeconds float64        `json:"uptime_seconds"`
	Sum           []TypeTimings  `json:"sum"` // Of all owners, by type.
	Owners        []OwnerTimings `json:"owners"`
}

// OwnerTimings is one owner's.
type OwnerTimings struct {
	Owner string     `json:"owner"`
	Queue QueueState `json:"inbox"`
	// Doing is what it is at now; nil while it rests, and for workers and the keeper.
	Doing *Doing `json:"doing"`
	// AgeSeconds is how old the figures are: 0, unless the owner was too busy to give new ones.
	AgeSeconds  float64       `json:"age_seconds"`
	BusySeconds float64       `json:"busy_seconds"`
	Types       []TypeTimings `json:"types"`
}

// QueueState is how an owner's inbox stands.
type QueueState struct {
	Depth int `json:"depth"`
	Limit int `json:"limit"`
	Taken int `json:"taken"` // Messages of the batch that the owner is at.
	// OldestSeconds is the age of the first message of that batch, or else of what waits.
	OldestSeconds float64 `json:"oldest_seconds"`
}

// Doing is what an owner is at.
type Doing struct {
	Type    string          `json:"type"`
	Guild   *wire.Snowflake `json:"guild_id,omitempty"`
	Seconds float64         `json:"seconds"` // Of the run of such messages so far.
}

// TypeTimings is the handling of one type of message.
type TypeTimings struct {
	Type           string   `json:"type"`
	Count          int64    `json:"count"`
	TotalSeconds   float64  `json:"total_seconds"`
	Share          float64  `json:"share"` // Of the owner's busy time.
	MeanSeconds    float64  `json:"mean_seconds"`
	LeastSeconds   float64  `json:"min_seconds"`
	P50Seconds     float64  `json:"p50_seconds"` // Ends of buckets, so up to twice as much.
	P99Seconds     float64  `json:"p99_seconds"`
	LongestSeconds float64  `json:"max_seconds"`
	WorkedSeconds  float64  `json:"worked_max_seconds,omitempty"` // Shards: without waiting.
	Histogram      []Bucket `json:"histogram"`
}

// Bucket is how many calls took less than Seconds, and no less than half of that.
type Bucket struct {
	Seconds float64 `json:"lt_seconds"`
	Count   uint64  `json:"count"`
}

// StallsInfo is the messages that kept their owners too long.
type StallsInfo struct {
	LimitSeconds float64 `json:"limit_seconds"`
	Count        int64   `json:"count"` // Since the node began; the newest are kept.
	Stalls       []Stall `json:"stalls"`
}

// Stall is one of them.
type Stall struct {
	At       time.Time       `json:"at"` // Of its end.
	Owner    string          `json:"owner"`
	Type     string          `json:"type"`
	Guild    *wire.Snowflake `json:"guild_id,omitempty"`
	Messages int64           `json:"messages"` // Timed together, of which this one stands out.
	Seconds  float64         `json:"seconds"`
	// WorkedSeconds is how much of that was work, and not waiting for a processor; nil: not known.
	WorkedSeconds *float64 `json:"worked_seconds,omitempty"`
	Flight        int      `json:"flight,omitempty"`  // Number of its recording.
	Running       bool     `json:"running,omitempty"` // It has not come to its end.
	Stack         string   `json:"stack"`             // "": nobody looked in time.
}

// orders are the two views: what the time goes into, and what keeps others waiting.
var orders = map[string]func(a, b TypeTimings) int{
	"total": func(a, b TypeTimings) int {
		return cmp.Compare(b.TotalSeconds, a.TotalSeconds)
	},
	"longest": func(a, b TypeTimings) int {
		return cmp.Compare(b.LongestSeconds, a.LongestSeconds)
	},
}

// getTimings serves GET /v1/timings?by=total|longest.
func (d *adminDoor) getTimings(w http.ResponseWriter, r *http.Request) error {
	by := cmp.Or(r.URL.Query().Get("by"), "total")
	order := orders[by]
	if order == nil {
		return Invalid("by", "%q is neither total nor longest", by)
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	info, err := d.node.Timings(ctx)
	if err != nil {
		return err
	}
	info.By = by
	slices.SortStableFunc(info.Sum, order)
	for _, o := range info.Owners {
		slices.SortStableFunc(o.Types, order)
	}
	return writeJSON(w, http.StatusOK, info)
}

// getLive serves GET /v1/live.
func (d *adminDoor) getLive(w http.ResponseWriter, r *http.Request) error {
	if d.live == nil {
		return noRoute
	}
	return d.live(w, r)
}

// getStalls serves GET /v1/stalls.
func (d *adminDoor) getStalls(w http.ResponseWriter, r *http.Request) error {
	info := d.node.Stalls()
	info.Stalls = emptyOr(info.Stalls)
	return writeJSON(w, http.StatusOK, info)
}

// stallBodyBytesMax is more than {"limit_seconds":0.05} takes.
const stallBodyBytesMax = 1 << 10

// patchStalls serves PATCH /v1/stalls: {"limit_seconds": number}.
func (d *adminDoor) patchStalls(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Limit *float64 `json:"limit_seconds"`
	}
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, stallBodyBytesMax))
	const most = 3600
	if err := in.Decode(&body); err != nil || body.Limit == nil || *body.Limit > most {
		return Invalid("limit_seconds", "want an object with a number of seconds, at most %d", most)
	}
	limit := time.Duration(*body.Limit * float64(time.Second))
	if err := d.node.SetStallLimit(limit); err != nil {
		return err
	}
	return d.getStalls(w, r)
}
