package tuning

import "time"

// Many nodes: requests on their way to the guild's owner (node, HTTP).
const (
	// PeerDialTimeout is how long another node may take to be connected to, on a local network.
	PeerDialTimeout = time.Second

	// PeerAnswerTimeout is how long it may take to say that it wants the body.
	PeerAnswerTimeout = 2 * time.Second

	// PeerConnectionsMax go to each other node, twice as many as requests are in flight at 5 ms
	// each and 10,000 a second.
	PeerConnectionsMax = 100

	// HeldRequestsMax wait for a guild that is between two owners, for HeldRequestTimeout: as long
	// as it takes others to notice a lost node and go on, less what a client is ready to wait. They
	// try again at first after HeldRequestPauseMin, what a node's last turn with a guild takes, and
	// look for another owner each HeldRequestPause.
	HeldRequestsMax     = 1024
	HeldRequestTimeout  = 2 * time.Second
	HeldRequestPauseMin = 5 * time.Millisecond
	HeldRequestPause    = 50 * time.Millisecond

	// SeekNodesMax are asked for a guild: who is to own it, who serves it yet, the first again, and
	// one more if the view is another by then. SeekTimeout is for one of them to find out, less
	// than PeerAnswerTimeout.
	SeekNodesMax = 4
	SeekTimeout  = time.Second

	// MovedTriesMax is how often a request is done anew whose guild went while it waited for its
	// turn, and MovedBodyBytesMax how much of its body is kept for that: most messages, and half a
	// thousand of them, as many as are in flight, are 128 MB.
	MovedTriesMax     = 3
	MovedBodyBytesMax = 256 << 10
)

// Many nodes: events that come by NATS (node/cluster, Ingest).
const (
	// IngestLanes of messages are done at once, as many as wait for one another's writes to the
	// log, and IngestLaneMax wait in each.
	IngestLanes   = 64
	IngestLaneMax = 64

	// IngestLookInterval is how often a node looks whether it is fit to take messages, and
	// IngestAskTimeout how long another may take to say that it is.
	IngestLookInterval = 250 * time.Millisecond
	IngestAskTimeout   = 500 * time.Millisecond
)

// Many nodes: tokens that another node may just have made (node).
const (
	// NewestAsksMax wait for the log, for NewestTimeout: an election among the servers of NATS, and
	// far less than IdentifyTimeout. NewestPause is between two of its writes for this.
	NewestAsksMax = 4096
	NewestTimeout = 5 * time.Second
	NewestPause   = 100 * time.Millisecond
)

// Many nodes: a node without NATS (node).
const (
	// DeafLookInterval is how often a node looks whether NATS is there, DeafAfter how long it may
	// be away, for a server to start again, and DeafPatience how much later the records of others
	// are believed: all of them notice a lost server within two pings.
	DeafLookInterval = 250 * time.Millisecond
	DeafAfter        = time.Second
	DeafPatience     = 2 * NATSPingInterval
)

// ColdSpan is how long a node that has joined others takes to admit as many sessions a second as it
// may: 50,000 identifies by then, which have brought its guilds.
const ColdSpan = 10 * time.Second
