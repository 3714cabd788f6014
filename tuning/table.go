package tuning

import (
	"strconv"
	"strings"
	"time"
)

// Limit is one row of the limits table.
type Limit struct {
	Name   string // The constant.
	Value  string // Digits grouped by commas.
	Unit   string // "s", "bytes", or what is counted.
	Reason string // One phrase; the arithmetic is beside the constant.
}

// Table lists every limit in the order of limits.go. A test holds that none is missing and that
// README shows the same.
func Table() []Limit {
	var table []Limit
	for _, group := range [][]Limit{opening(), inbound(), living(), queues(), http(), ending(),
		budgets()} {
		table = append(table, group...)
	}
	return table
}

// Markdown is the table as README shows it.
func Markdown(table []Limit) string {
	var b strings.Builder
	b.WriteString("| limit | value | why |\n|---|---|---|\n")
	for _, l := range table {
		b.WriteString("| `" + l.Name + "` | " + l.Value + " " + l.Unit + " | " + l.Reason + " |\n")
	}
	return b.String()
}

func opening() []Limit {
	return []Limit{
		span("HandshakeTimeout", HandshakeTimeout, "total, so that a byte now and then is no life"),
		count("HandshakeBytesMax", HandshakeBytesMax, "bytes", "request line and headers"),
		count("HandshakeHeadersMax", HandshakeHeadersMax, "headers", "browsers send about 20"),
		span("IdentifyTimeout", IdentifyTimeout,
			"shards queue for their identify slot with the socket open"),
		count("AcceptRateMax", AcceptRateMax, "a second", "handshakes; then 503"),
		count("AcceptBurstMax", AcceptBurstMax, "at once", "of these"),
		count("IdentifyRateMax", IdentifyRateMax, "a second", "IDENTIFYs; then op 9"),
		count("IdentifyBurstMax", IdentifyBurstMax, "at once", "of these"),
		count("ResumeRateMax", ResumeRateMax, "a second", "RESUMEs; then op 9, resumable"),
		count("ResumeBurstMax", ResumeBurstMax, "at once", "of these"),
		count("DescriptorReserve", DescriptorReserve, "descriptors", "store, listeners, HTTP"),
		count("MoversMax", MoversMax, "connections", "that change their loop at a time, to resume"),
		count("MovesMax", MovesMax, "connections", "that wait for it; then they are closed"),
		count("DescriptorsPerLoop", DescriptorsPerLoop, "descriptors", "epoll, wake-up, listener"),
		count("APIConnectionsMin", APIConnectionsMin, "connections", "HTTP, on a small host"),
		count("APIConnectionsMax", APIConnectionsMax, "connections", "HTTP, on a large host"),
	}
}

func inbound() []Limit {
	return []Limit{
		count("InboundMessageBytesMax", InboundMessageBytesMax, "bytes",
			"as user clients send; then 4002"),
		count("InboundFragmentsMax", InboundFragmentsMax, "fragments", "of one message; then 1008"),
		count("CommandsMax", CommandsMax, "commands", "heartbeats included; then 4008"),
		span("CommandsWindow", CommandsWindow, "for `CommandsMax`"),
		count("PingsMax", PingsMax, "pings", "each costs a pong; then 4008"),
		span("PingsWindow", PingsWindow, "for `PingsMax`"),
		count("PresencesMax", PresencesMax, "updates", "those above it are dropped"),
		span("PresencesWindow", PresencesWindow, "for `PresencesMax`"),
		span("MemberListInterval", MemberListInterval,
			"whole member lists, per guild and session"),
		count("ShardGuildsMax", ShardGuildsMax, "guilds", "in one session; then 4011"),
		count("UserSessionsMax", UserSessionsMax, "sessions", "of one user; then 4000"),
		span("IdentifyGap", IdentifyGap, "`-identify-concurrency`: per bucket"),
		span("IdentifyWaitMax", IdentifyWaitMax, "an IDENTIFY held back for its bucket; then op 9"),
		count("JoinsInFlightMax", JoinsInFlightMax, "guilds", "joined at a time by one session"),
	}
}

func living() []Limit {
	return []Limit{
		span("HeartbeatInterval", HeartbeatInterval, "`-heartbeat-interval`"),
		span("HeartbeatGrace", HeartbeatGrace, "a round trip on a bad network"),
		span("DeadAfter", DeadAfter, "1.5 intervals and the grace; then 4000"),
		span("TickInterval", TickInterval, "slot of the timer wheel"),
		span("StallTolerance", StallTolerance, "a later tick moves the deadlines"),
		span("TCPUserTimeout", TCPUserTimeout, "data that nobody acknowledges"),
		span("LagTimeout", LagTimeout, "a reader that does not read; it may resume"),
		span("LingerTimeout", LingerTimeout, "for the peer's close frame, or to obey op 7"),
		span("ResumeWindow", ResumeWindow, "`-resume-window`"),
	}
}

func queues() []Limit {
	return []Limit{
		count("JournalBytes", JournalBytes, "bytes", "`-journal`, per loop"),
		count("JournalBytesMin", JournalBytesMin, "bytes", "smallest `-journal`"),
		count("PendingMax", PendingMax, "frames", "per session, 4 bytes each"),
		count("LoopInboxMax", LoopInboxMax, "messages", "one publish is one message"),
		count("LoopPassMax", LoopPassMax, "messages", "before a loop serves its sockets"),
		count("ShardInboxMax", ShardInboxMax, "messages", "then publishers get 429"),
		count("GuildWaitMax", GuildWaitMax, "requests", "while a guild is read from the store"),
		count("KeeperQueueMax", KeeperQueueMax, "writes", "then who writes waits"),
		count("ControlBytesMax", ControlBytesMax, "bytes", "of answers to a blocked socket"),
		count("ChunksAheadMax", ChunksAheadMax, "chunks", "of members made before they are sent"),
		count("RelayPassMax", RelayPassMax, "receivers", "before a loop serves its sockets"),
		count("PutOffMax", PutOffMax, "receivers", "before a loop writes, while events wait"),
		count("FlushPassMax", FlushPassMax, "writes", "before a loop serves its sockets"),
		count("FlushBytesMax", FlushBytesMax, "bytes", "largest single write"),
		count("PayloadCompressBytesMin", PayloadCompressBytesMin, "bytes",
			"of a dispatch, for who asked in IDENTIFY"),
		count("ReadBufferBytes", ReadBufferBytes, "bytes", "`-read-buffer`, per loop"),
		count("WriteBufferBytes", WriteBufferBytes, "bytes",
			"`-write-buffer`, per backed-up connection"),
		count("WorkersPerProc", WorkersPerProc, "workers", "scans of member tables"),
		count("WorkerQueueMax", WorkerQueueMax, "jobs", "waiting for a worker"),
	}
}

func http() []Limit {
	return []Limit{
		count("EventBodyBytesMax", EventBodyBytesMax, "bytes", "one event; then 413"),
		count("GuildBodyBytesMax", GuildBodyBytesMax, "bytes", "a guild without members; then 413"),
		count("LineBytesMax", LineBytesMax, "bytes", "one line of NDJSON"),
		count("BatchLinesMax", BatchLinesMax, "lines", "applied and stored at once"),
		count("RejectedLinesMax", RejectedLinesMax, "lines", "listed in an answer"),
		span("APIHeaderTimeout", APIHeaderTimeout, "as `HandshakeTimeout`"),
		span("APIIdleTimeout", APIIdleTimeout, "between two requests"),
	}
}

func ending() []Limit {
	return []Limit{
		span("DrainGrace", DrainGrace, "`-drain-grace`: /readyz fails, nobody is closed"),
		span("DrainSpread", DrainSpread, "`-drain-spread`: sessions are sent away evenly"),
		span("DrainHard", DrainHard, "`-drain-hard`: from the signal on"),
		count("PanicsMax", PanicsMax, "panics", "one connection each; one more ends the process"),
		span("PanicsWindow", PanicsWindow, "for `PanicsMax`"),
	}
}

func budgets() []Limit {
	return []Limit{
		count("SessionBytes", SessionBytes, "bytes", "budget of an idle session, user memory"),
		count("SocketBytes", SocketBytes, "bytes", "the kernel's part, idle"),
		count("BaseBytes", BaseBytes, "bytes", "the process without sessions"),
		count("MemoryLimitPercent", MemoryLimitPercent, "percent",
			"`-memory-limit`, of the cgroup's"),
		span("TrimInterval", TrimInterval, "without a collection: memory is given back"),
		count("TrimShare", TrimShare, "parts", "of what is alive; one may be held beyond it"),
		count("TrimBytesMin", TrimBytesMin, "bytes", "and this much"),
		count("GCPercent", GCPercent, "percent", "`-gc-percent`"),
	}
}

func count(name string, value int, unit, reason string) Limit {
	return Limit{Name: name, Value: Grouped(int64(value)), Unit: unit, Reason: reason}
}

func span(name string, value time.Duration, reason string) Limit {
	seconds := strconv.FormatFloat(value.Seconds(), 'f', -1, 64)
	return Limit{Name: name, Value: seconds, Unit: "s", Reason: reason}
}

// Grouped writes a number with commas: 15360 is 15,360.
func Grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
