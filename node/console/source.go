package console

import (
	"context"
	"time"

	"throng/node/api"
	"throng/wire"
)

// Source is what the console asks of the node. Every method may block until the context ends.
type Source interface {
	Sample(ctx context.Context) (Sample, error)
	// EveryGuild is all guilds of this node, but for those that came or went meanwhile. It fails
	// when not all owners answer in time.
	EveryGuild(ctx context.Context) ([]Guild, error)
	// Cluster is all nodes.
	Cluster(ctx context.Context) (api.ClusterInfo, error)
}

// Sample is a node's figures at one moment. Counts grow from the node's start on; rates are made of
// two samples here.
type Sample struct {
	At     time.Time
	State  string
	Uptime time.Duration

	Connections, Live, Detached    int64
	Guilds, Members, Blocked       int64
	QueuedBytes, JournalBytes      int64
	Deliveries, Writes, SentBytes  uint64
	Panics, Stalls                 uint64
	Events, Closes, Drops, Resumes map[string]uint64
	Kinds                          map[string]Work

	Owners []Owner
	Slow   []Reader

	// Latency is receivers by how long their event took from its publisher to their socket: bucket
	// i has what took less than LatencyEnds[i] seconds, and not less than the one before.
	Latency     []uint64
	LatencyEnds []float64

	Pressure                     string
	BudgetBytes, HeldBytes, Need int64
}

// Work is what messages of one type have taken.
type Work struct {
	Count   int64
	Seconds float64
}

// Owner is an event loop, a shard of guilds, or whatever else has an inbox.
type Owner struct {
	Name          string
	BusySeconds   float64
	Depth, Limit  int
	OldestSeconds float64
	AgeSeconds    float64 // Of BusySeconds.
	Doing         string  // Type of the message that it is at.
}

// Reader is a client that takes nothing at present.
type Reader struct {
	Session string         `json:"session"`
	User    wire.Snowflake `json:"user"`
	Loop    int            `json:"loop"`
	Frames  int            `json:"frames"` // That wait for it.
	Seconds float64        `json:"seconds"`
}

// Guild is a guild's counts. EventIndex grows with each event.
type Guild struct {
	ID       wire.Snowflake `json:"id"`
	Name     string         `json:"name"`
	Members  int            `json:"members"`
	Active   int            `json:"active"`
	Passive  int            `json:"passive"`
	Events   float64        `json:"events"` // A second.
	Index    uint64         `json:"-"`
	Sessions int            `json:"sessions"`
}

// About is what the page has to know once.
type About struct {
	Node      string  `json:"node"`
	Version   string  `json:"version"`
	Gateway   string  `json:"gateway"` // URL of the gateway for whoever asks.
	Demo      *Demo   `json:"demo,omitempty"`
	Limit     int64   `json:"connections_max"`
	WindowSec float64 `json:"latency_window_seconds"`
}

// Demo is what a node that was started with -demo offers to try.
type Demo struct {
	Guild   wire.Snowflake `json:"guild"`
	Channel wire.Snowflake `json:"channel"`
	Users   []DemoUser     `json:"users"`
}

// DemoUser is one of its users. The tokens are printed in the source: they are no secret.
type DemoUser struct {
	Name  string `json:"name"`
	Token string `json:"token"`
}
