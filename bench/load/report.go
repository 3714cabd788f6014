package load

import "time"

// Report is what a run found. Times are in milliseconds unless the name says otherwise.
type Report struct {
	Date        time.Time         `json:"date"`
	Commit      string            `json:"commit"` // Config.Commit.
	Host        Host              `json:"host"`
	Flags       map[string]string `json:"flags"` // Those that differ from the defaults.
	Interrupted bool              `json:"interrupted"`

	Connections int `json:"connections"` // Wanted.
	Ready       int `json:"ready"`       // Ready at the end of the connect phase.
	Live        int `json:"live"`        // Ready at the end of the run.
	Frozen      int `json:"frozen"`
	Slow        int `json:"slow"`

	Guilds  int `json:"guilds"`
	Members int `json:"members"` // Memberships over all guilds.

	Phases []Phase `json:"phases"` // In order of time.
	Total  Phase   `json:"total"`  // All phases as one.
}

// Phase names.
const (
	PhaseConnect = "connect"
	PhaseBurst   = "burst" // burst-2, burst-3, … for further bursts.
	PhasePaced   = "paced" // Publishing at a rate.
	PhaseHold    = "hold"  // Nothing is published.
	PhaseStorm   = "storm" // From a cut until all are back; storm-2, … for further cuts.
	PhaseAfter   = "after" // Publishing goes on after a storm.
	PhaseTail    = "tail"  // What was still on its way.
)

// Phase is what happened between two moments of a run.
type Phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Counts

	// DeliveriesPerSecond is Delivered over the time from the first to the last of them.
	DeliveriesPerSecond float64 `json:"deliveries_per_second"`

	Event     Quantiles `json:"event"`     // From the intended time of publishing to the client.
	Replayed  Quantiles `json:"replayed"`  // The same for events that a resume brought.
	Publish   Quantiles `json:"publish"`   // From the intended time to the backend's answer.
	Connect   Quantiles `json:"connect"`   // TCP and the upgrade.
	Identify  Quantiles `json:"identify"`  // From IDENTIFY (or the first frames) to READY.
	Available Quantiles `json:"available"` // From IDENTIFY to the last GUILD_CREATE.
	Resume    Quantiles `json:"resume"`    // From RESUME to RESUMED.
	Back      Quantiles `json:"back"`      // From the cut to RESUMED, or to being available again.
	Heartbeat Quantiles `json:"heartbeat"` // From a heartbeat to its acknowledgement.

	Server *Usage `json:"server,omitempty"` // With Config.ServerPID.
	Client Usage  `json:"client"`
}

// Counts of what was sent and what came.
type Counts struct {
	Connects        uint64 `json:"connects"`         // Upgrades that succeeded.
	ConnectFailures uint64 `json:"connect_failures"` // Connections that did not get so far.
	Ready           uint64 `json:"ready"`            // READY, or what stands for it.
	GuildCreates    uint64 `json:"guild_creates"`
	Messages        uint64 `json:"messages"`   // WebSocket messages.
	Dispatches      uint64 `json:"dispatches"` // Those with a sequence number.
	Delivered       uint64 `json:"delivered"`  // Those with a mark.
	Bytes           uint64 `json:"bytes"`      // Read from sockets.
	Reads           uint64 `json:"reads"`      // Calls that brought them.

	Published      uint64 `json:"published"`       // Events that the backend door accepted.
	PublishRefused uint64 `json:"publish_refused"` // 429 and 503.
	PublishFailed  uint64 `json:"publish_failed"`  // Anything else.
	// Expected are the deliveries that Published should become, at the connections that were ready
	// when publishing began and read at full speed. Who comes back by IDENTIFY misses some.
	Expected uint64 `json:"expected"`

	SequenceGaps    uint64 `json:"sequence_gaps"`    // Times that s was more than one higher.
	SequenceMissing uint64 `json:"sequence_missing"` // Numbers in these gaps.
	Duplicates      uint64 `json:"duplicates"`       // Times that s was not higher.

	Heartbeats uint64 `json:"heartbeats"`
	Cuts       uint64 `json:"cuts"`

	// Closes that we did not make, by the code of the close frame, "eof" or "reset" without one,
	// or "http N" for a refused upgrade.
	Closes  map[string]uint64 `json:"closes"`
	Resumes map[string]uint64 `json:"resumes"` // asked, resumed, invalid, closed.
}

// Quantiles of a histogram, in milliseconds.
type Quantiles struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99.9"`
	Max   float64 `json:"max"`
}

// Usage is what a process took during a phase, and its resident memory at the end of it.
type Usage struct {
	UserSeconds   float64 `json:"user_seconds"`
	SystemSeconds float64 `json:"system_seconds"`
	RSSBytes      uint64  `json:"rss_bytes"`
}

// CPUSeconds is the time on a processor.
func (u Usage) CPUSeconds() float64 { return u.UserSeconds + u.SystemSeconds }

// Host is where the run took place.
type Host struct {
	Name        string `json:"name"`
	Kernel      string `json:"kernel"`
	Processor   string `json:"processor"`
	Processors  int    `json:"processors"`
	MemoryBytes uint64 `json:"memory_bytes"`
	Go          string `json:"go"`
}
