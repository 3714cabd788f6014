package tuning

import "time"

// Opening a connection.
const (
	// HandshakeTimeout bounds the whole upgrade request, not the pause between two bytes: an idle
	// timer cannot stop a peer that sends one byte now and then. One retransmission (3 s at worst)
	// and a slow round trip fit.
	HandshakeTimeout = 5 * time.Second

	// HandshakeBytesMax is four times what a browser with a full cookie jar sends to a gateway.
	HandshakeBytesMax = 4096

	// HandshakeHeadersMax is three times what browsers send (about 20 lines).
	HandshakeHeadersMax = 64

	// IdentifyTimeout is the time from HELLO to IDENTIFY or RESUME. Clients that run many shards
	// open the socket first and then queue for their identify slot, one per 5 s in discord.js and
	// discordgo, so a well-behaved client can be silent for several slots: six slots of 5 s.
	// An unidentified connection costs a slot and no queue, so waiting is cheap.
	IdentifyTimeout = 30 * time.Second

	// AcceptRateMax handshakes a second on the average, and AcceptBurstMax at once; then 503. One
	// processor takes some 20,000 connections a second, and a herd must leave time for who is in.
	AcceptRateMax  = 20_000
	AcceptBurstMax = 40_000

	// IdentifyRateMax IDENTIFYs a second, and IdentifyBurstMax at once; then op 9, upon which
	// clients wait for some seconds of their own choice. READY and GUILD_CREATE of one session are
	// 100 µs and up.
	IdentifyRateMax  = 10_000
	IdentifyBurstMax = 40_000

	// ResumeRateMax RESUMEs a second, and ResumeBurstMax at once; then op 9 with d true, which
	// keeps the session. A resume costs less than an identify, and is what a herd should do.
	ResumeRateMax  = 20_000
	ResumeBurstMax = 80_000

	// AcceptPassMax connections are accepted before a loop serves its sockets: a millisecond.
	AcceptPassMax = 32

	// AcceptPauseMin is how long a listener rests after an accept that failed for want of
	// something, and twice as long each time up to AcceptPauseMax: what is short is given back by
	// connections that end, and a second is what the next client hardly notices.
	AcceptPauseMin = 5 * time.Millisecond
	AcceptPauseMax = time.Second

	// DescriptorReserve are descriptors never given to gateway connections: 3 standard streams,
	// the store's file, 2 listeners of HTTP, APIConnectionsMin and one that waits at each of the
	// doors, two for each of PushConnectionsMax while it connects anew, and 8 for what the runtime
	// and the host check open: 3+1+2+96+2+8+8 = 120.
	DescriptorReserve = 120

	// DescriptorsPerLoop: an epoll descriptor, a wake-up descriptor and the loop's own listener.
	DescriptorsPerLoop = 3

	// APIConnectionsMin is how many HTTP connections fit in the reserve on the smallest host:
	// AdminConnectionsMin of the operator and the backend, who get in when clients use all of
	// theirs, and 32 of clients.
	APIConnectionsMin   = AdminConnectionsMin + 32
	AdminConnectionsMin = 64

	// APIConnectionsMax is the most that any host gives to HTTP; see Descriptors.
	APIConnectionsMax = 4096
)

// What a client may send.
const (
	// InboundMessageBytesMax is what user clients send at most (15 KiB). Bots are documented at
	// 4,096 bytes, but a bulk guild subscription of a user client is larger.
	InboundMessageBytesMax = 15_360

	// InboundFragmentsMax: 16 pieces of 960 bytes make the largest message. Without a bound a
	// message of 1-byte fragments costs 15,360 frame parses.
	InboundFragmentsMax = 16

	// CommandsMax commands in CommandsWindow, heartbeats included, is the protocol's own bound.
	CommandsMax    = 120
	CommandsWindow = time.Minute

	// PingsMax WebSocket pings in PingsWindow: each costs a pong. Browsers and proxies send one
	// per 20 s or so.
	PingsMax    = 5
	PingsWindow = time.Second

	// PresencesMax presence updates in PresencesWindow is the protocol's own bound; what is above
	// it is dropped, since each update fans out to every guild of the user.
	PresencesMax    = 5
	PresencesWindow = 20 * time.Second

	// MemberListInterval is the pause between two requests for the whole member list of one guild
	// by one session: 100,000 members are 100 chunks of about 250 KB.
	MemberListInterval = 30 * time.Second

	// MemberRequestsMax requests for members of one session wait for their answers; one above it is
	// answered with RATE_LIMITED. A client that asks once for each of its guilds as it starts has
	// CommandsMax of them in hand at most, and those that it has when it resumes are still
	// answered. With a hundred users each, the line takes 200 KB.
	MemberRequestsMax = 128

	// ShardGuildsMax guilds in one session, the protocol's bound; above it 4011 asks for shards.
	ShardGuildsMax = 2500

	// UserSessionsMax sessions of one user, those without a socket included; then 4000. The largest
	// bots have some thousands of shards, twice over while they change their number. Without a
	// bound one token that identifies and leaves holds 4 KB for each time in the resume window.
	UserSessionsMax = 10_000

	// IdentifyGap is the time between two identifies of one bucket, the protocol's own figure, and
	// IdentifyWaitMax how long an IDENTIFY is held back for it before it is refused with op 9.
	IdentifyGap     = 5 * time.Second
	IdentifyWaitMax = 30 * time.Second

	// JoinsInFlightMax guilds are being joined by one session at any time. A session in 2,500
	// guilds then puts 64 messages, not 2,500, before everybody else's in the shards' inboxes.
	JoinsInFlightMax = 64
)

// Being alive.
const (
	// HeartbeatInterval is what HELLO asks for and what Discord sends.
	HeartbeatInterval = 41_250 * time.Millisecond

	// HeartbeatGrace is added for a round trip on a bad mobile network.
	HeartbeatGrace = 5 * time.Second

	// DeadAfter is HeartbeatDeadAfter of the default interval: 66.875 s.
	DeadAfter = HeartbeatInterval*3/2 + HeartbeatGrace

	// TCPUserTimeout ends a connection whose peer does not acknowledge data: the kernel notices
	// here long before a heartbeat is missed.
	TCPUserTimeout = 20 * time.Second

	// LagTimeout is how long a session may have something to read and not read it. It is above
	// TCPUserTimeout: a peer that is gone is the kernel's to report.
	LagTimeout = 30 * time.Second

	// LingerTimeout is how long a connection that the node closes, or asks to reconnect, may take
	// over it: a round trip on a bad network, and little for a flood of closed connections to hold.
	LingerTimeout = 3 * time.Second

	// ResumeWindow is how long a session outlives its socket: "a few minutes" for the protocol,
	// and enough for a phone in a tunnel.
	ResumeWindow = 3 * time.Minute
)

// Queues and buffers.
const (
	// JournalBytes is what one loop keeps of delivered frames, for slow readers and for resumes.
	// A frame is kept once per loop and encoding, whatever the number of receivers: 64 MiB are
	// 134,000 frames of 500 bytes, 745 events a second for the whole ResumeWindow.
	JournalBytes = 64 << 20

	// JournalBytesMin is the smallest -journal: below it a single event may not fit.
	JournalBytesMin = 1 << 20

	// CompressWindow is what a zstd-stream client has to keep of what it was sent: 1,400 messages
	// of 720 bytes. What the node keeps does not depend on it.
	CompressWindow = 1 << 20

	// HistoriesMax is how many guilds of a loop have the history that zstd streams are packed
	// against, 784 KB each. HistoryReceiversMin is from how many receivers on a guild has one:
	// it takes 30 us more for an event, as much as 3 deliveries.
	HistoriesMax        = 16
	HistoryReceiversMin = 16

	// PendingMax frames are kept for one session, sent but not acknowledged or not yet sent, as
	// 4-byte journal positions: 16 KiB at worst. Heartbeats acknowledge, so this is 99 events a
	// second between two heartbeats, or 22 a second for a whole ResumeWindow.
	PendingMax = 4096

	// ShardInboxMax messages wait for one guild shard. When it is full, a publish is answered with
	// 429 and Retry-After instead of being queued out of sight.
	ShardInboxMax = 16_384

	// GuildWaitMax requests wait for one guild to be read from the store: 18,000 sessions of one
	// guild that connect at once to a cold node, three times over.
	GuildWaitMax = 65_536

	// KeeperQueueMax writes wait for the store; whoever comes with more is told to come again.
	KeeperQueueMax = 1024

	// ChunksAheadMax chunks of a member list are made before the earlier ones are sent: a million
	// members are 300 MB, which must not stand in the journal at once.
	ChunksAheadMax = 4

	// AnswersHoldTimeout is how long sessions that ask for members wait for one that does not read,
	// and then it for them.
	AnswersHoldTimeout = 2 * time.Second

	// RelayPassMax receivers are served by a relay in one go, then the loop serves its sockets: at
	// 100 ns each that is 1.5 ms. The original splits its relays at the same 15,000 sessions.
	RelayPassMax = 15_000

	// SmallReceiversMax receivers of one guild on one loop get an event at once, without a turn,
	// and are written before those of larger guilds: 13 µs, and 2 ms of writes.
	SmallReceiversMax = 256

	// PutOffMax receivers may be looked at before a loop writes, while more events wait: eight
	// turns of a huge guild are some 8 ms, and let a burst leave in a sixth of the writes.
	PutOffMax = 8 * RelayPassMax

	// GuildBehindMax receivers of one guild may wait for its events, then whoever publishes there
	// is told to come again: at 600,000 deliveries a second this is the work of seven seconds.
	GuildBehindMax = 4 << 20

	// GuildEventsMax events of one guild may be on their way, each counted for each loop: a share
	// of LoopInboxMax that leaves room for thirty guilds which are flooded all at once.
	GuildEventsMax = 2048

	// PayloadCompressBytesMin: a READY, GUILD_CREATE or member chunk of this size is sent as a zlib
	// document to clients that asked for it in IDENTIFY. Smaller ones are not worth the work.
	PayloadCompressBytesMin = 2048

	// ReadBufferBytes is one buffer per loop, and holds the largest legal message with its header.
	ReadBufferBytes = 16 << 10

	// WriteBufferBytes is per connection that is backed up, and free otherwise: 10,000 slow
	// readers are 40 MB.
	WriteBufferBytes = 4 << 10
)

// HTTP.
const (
	// EventBodyBytesMax is one event; the largest that clients handle well is far smaller.
	EventBodyBytesMax = 1 << 20

	// GuildBodyBytesMax is a guild without members: 500 channels and 250 roles are about 400 KB,
	// and 1,000 threads and as many emojis still fit.
	GuildBodyBytesMax = 8 << 20

	// LineBytesMax is one line of NDJSON; the body itself is streamed and has no bound.
	LineBytesMax = 1 << 20

	// BatchLinesMax lines are handed to a guild, and written to the store, at once.
	BatchLinesMax = 1000

	// RejectedLinesMax refused lines are listed in an answer; the rest are only counted.
	RejectedLinesMax = 1000

	// APIHeaderTimeout and APIIdleTimeout bound what a silent HTTP peer can hold.
	APIHeaderTimeout = 5 * time.Second
	APIIdleTimeout   = 2 * time.Minute
)

// Ending.
const (
	// DrainGrace is the time between failing /readyz and the first closed session, so that a load
	// balancer has noticed before anybody comes back.
	DrainGrace = 10 * time.Second

	// DrainSpread is the time over which sessions are told to reconnect elsewhere: a million in
	// 30 s are 33,000 a second, which is what other nodes must take.
	DrainSpread = 30 * time.Second

	// DrainHard ends the process whatever is left, from the signal on.
	DrainHard = 60 * time.Second

	// PanicsMax recovered panics in PanicsWindow are taken for bad luck; one more ends the
	// process, which is better than a node that fails everybody slowly.
	PanicsMax    = 30
	PanicsWindow = time.Minute
)

// Budgets of memory, for the host check and the README.
const (
	// SessionBytes is what an idle identified session may cost in user memory.
	SessionBytes = 1536

	// SocketBytes is what the kernel takes for an idle TCP connection (3.9 KB measured).
	SocketBytes = 4096

	// TLSBytes is what TLS in the node adds to a connection: 6.2 KB resident in bench/tls, of which
	// 3.1 are live and the rest is what the collector leaves between two cycles.
	TLSBytes = 6400

	// BaseBytes is the process without sessions: code, runtime, metrics, empty tables.
	BaseBytes = 256 << 20

	// MemoryLimitPercent of the control group's limit goes to GOMEMLIMIT: the collector has to work
	// harder before the kernel kills, and the kernel's socket buffers are outside GOMEMLIMIT.
	MemoryLimitPercent = 90

	// GCPercent is Go's own default. Sessions hold few pointers, so the mark phase is short.
	GCPercent = 100
)

// Relations that must hold whatever figure is changed above.
const (
	_ = uint(ReadBufferBytes - InboundMessageBytesMax - 14) // A full message and its header fit.
	_ = uint(ReadBufferBytes - HandshakeBytesMax)           // So does a full handshake.
	_ = uint(InboundMessageBytesMax - 4096)                 // The documented size is accepted.
	_ = uint64(IdentifyTimeout - HandshakeTimeout)          // Later steps get more time.
	_ = uint64(ResumeWindow - DeadAfter)                    // A late notice can still resume.
	_ = uint64(HeartbeatInterval - TCPUserTimeout)          // The kernel notices first.
	_ = uint64(LagTimeout - TCPUserTimeout)                 // A dead peer is not called slow.
	_ = uint64(HeartbeatGrace - StallTolerance)             // A tolerated stall kills nobody.
	_ = uint64(StallTolerance - 2*TickInterval)             // One late tick is no stall.
	_ = uint(MemberRequestsMax - CommandsMax)               // Who asks by the rules is answered.
	_ = uint(CommandsMax - 2*PresencesMax*3)                // Presences leave room for beats.
	_ = uint(JournalBytes - JournalBytesMin)                // The default is legal.
	_ = uint(JournalBytes - 2*GuildBodyBytesMax)            // A full guild fits twice.
	_ = uint(JournalBytesMin - EventBodyBytesMax)           // A full event body fits.
	_ = uint(GuildBodyBytesMax - LineBytesMax)              // A document is no smaller than a line.
	_ = uint(LineBytesMax - EventBodyBytesMax)              // An event fits on a line.
	_ = uint(ShardInboxMax - 64*JoinsInFlightMax)           // 64 arriving sessions do not fill it.
	_ = uint(LoopInboxMax - ShardInboxMax)                  // A full shard fits in a loop.
	_ = uint(LoopInboxMax - LoopPassMax)                    // A pass is a part of the inbox.
	_ = uint(FlushBytesMax - WriteBufferBytes)              // A write may fill the buffer.
	_ = uint64(DrainHard - DrainGrace - DrainSpread)        // An orderly drain has time to end.
	_ = uint(100 - MemoryLimitPercent)                      // A share is no more than the whole.

	// See DescriptorReserve.
	_ = uint(DescriptorReserve - APIConnectionsMin - 2*PushConnectionsMax - 16)
)

// HeartbeatDeadAfter is how long a connection may be silent: one and a half intervals, since the
// first beat comes at a random point of the first, and HeartbeatGrace.
func HeartbeatDeadAfter(interval time.Duration) time.Duration {
	return interval*3/2 + HeartbeatGrace
}

// Descriptors divides a descriptor limit: gateway connections, HTTP connections, and the rest
// stays free. HTTP gets a 64th, since a client that speaks both keeps one HTTP connection for
// seconds and one gateway connection for days. A limit too small for the reserve gives 0.
func Descriptors(limit uint64, loops int) (gateway, http int) {
	total := int(min(limit, 1<<30))
	http = min(max(total/64, APIConnectionsMin), APIConnectionsMax)
	kept := DescriptorReserve + DescriptorsPerLoop*loops + http - APIConnectionsMin
	return max(total-kept, 0), http
}
