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
	// Also: it stands in the row of the limit before it, whose reason is that of both.
	Also bool
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
	for len(table) > 0 {
		first := table[0]
		names, values := "`"+first.Name+"`", first.Value+" "+first.Unit
		for table = table[1:]; len(table) > 0 && table[0].Also; table = table[1:] {
			names += ", `" + table[0].Name + "`"
			values += ", " + table[0].Value + " " + table[0].Unit
		}
		b.WriteString("| " + names + " | " + values + " | " + first.Reason + " |\n")
	}
	return b.String()
}

func opening() []Limit {
	return []Limit{
		span("HandshakeTimeout", HandshakeTimeout, "total, so that a byte now and then is no "+
			"life; request line and headers; browsers send about 20"),
		also(count("HandshakeBytesMax", HandshakeBytesMax, "bytes", "")),
		also(count("HandshakeHeadersMax", HandshakeHeadersMax, "headers", "")),
		span("IdentifyTimeout", IdentifyTimeout,
			"shards queue for their identify slot with the socket open"),
		count("AcceptRateMax", AcceptRateMax, "a second", "handshakes; then 503"),
		also(count("AcceptBurstMax", AcceptBurstMax, "at once", "")),
		count("IdentifyRateMax", IdentifyRateMax, "a second", "IDENTIFYs; then op 9"),
		also(count("IdentifyBurstMax", IdentifyBurstMax, "at once", "")),
		count("ResumeRateMax", ResumeRateMax, "a second", "RESUMEs; then op 9, resumable"),
		also(count("ResumeBurstMax", ResumeBurstMax, "at once", "")),
		count("AcceptPassMax", AcceptPassMax, "connections", "accepted before a loop serves its "+
			"sockets; pauses after an accept that fails, each twice the last"),
		also(span("AcceptPauseMin", AcceptPauseMin, "")),
		also(span("AcceptPauseMax", AcceptPauseMax, "")),
		count("DescriptorReserve", DescriptorReserve, "descriptors",
			"store, listeners, HTTP; a loop's epoll, wake-up, listener"),
		also(count("DescriptorsPerLoop", DescriptorsPerLoop, "a loop", "")),
		count("APIConnectionsMin", APIConnectionsMin, "on a small host",
			"connections, HTTP, so many of them for `-admin`; on a large one"),
		also(count("AdminConnectionsMin", AdminConnectionsMin, "for the operator", "")),
		also(count("APIConnectionsMax", APIConnectionsMax, "connections", "")),
	}
}

func inbound() []Limit {
	return []Limit{
		count("InboundMessageBytesMax", InboundMessageBytesMax, "bytes",
			"of one message, as user clients send; then 4002, or 1008"),
		also(count("InboundFragmentsMax", InboundFragmentsMax, "fragments", "")),
		count("CommandsMax", CommandsMax, "commands", "heartbeats included; then 4008"),
		also(span("CommandsWindow", CommandsWindow, "")),
		count("PingsMax", PingsMax, "pings", "each costs a pong; then 4008"),
		also(span("PingsWindow", PingsWindow, "")),
		count("PresencesMax", PresencesMax, "updates",
			"those above it are dropped; whole member lists, per guild and session; "+
				"of one session that wait, then RATE_LIMITED"),
		also(span("PresencesWindow", PresencesWindow, "")),
		also(span("MemberListInterval", MemberListInterval, "")),
		also(count("MemberRequestsMax", MemberRequestsMax, "requests", "")),
		count("ShardGuildsMax", ShardGuildsMax, "guilds",
			"in one session, then 4011; of one user, then 4000"),
		also(count("UserSessionsMax", UserSessionsMax, "sessions", "")),
		span("IdentifyGap", IdentifyGap,
			"`-identify-concurrency`: per bucket; the longest wait for it, "+
				"then op 9; joined at a time by one session"),
		also(span("IdentifyWaitMax", IdentifyWaitMax, "")),
		also(count("JoinsInFlightMax", JoinsInFlightMax, "guilds", "")),
	}
}

func living() []Limit {
	return []Limit{
		span("HeartbeatInterval", HeartbeatInterval, "`-heartbeat-interval`; a round trip on a "+
			"bad network; 1.5 intervals and the grace, then 4000"),
		also(span("HeartbeatGrace", HeartbeatGrace, "")),
		also(span("DeadAfter", DeadAfter, "")),
		span("TCPUserTimeout", TCPUserTimeout, "data that nobody acknowledges; a reader that does "+
			"not read; for the peer's close frame, or to obey op 7; `-resume-window`"),
		also(span("LagTimeout", LagTimeout, "")),
		also(span("LingerTimeout", LingerTimeout, "")),
		also(span("ResumeWindow", ResumeWindow, "")),
	}
}

func queues() []Limit {
	return []Limit{
		count("JournalBytes", JournalBytes, "bytes",
			"`-journal`, per loop; the smallest; `-compress-window`; guilds of a loop that events "+
				"of zstd streams are packed against, and the receivers that one has; per session, "+
				"4 bytes each"),
		also(count("JournalBytesMin", JournalBytesMin, "bytes", "")),
		also(count("CompressWindow", CompressWindow, "bytes", "")),
		also(count("HistoriesMax", HistoriesMax, "guilds", "")),
		also(count("HistoryReceiversMin", HistoryReceiversMin, "receivers", "")),
		also(count("PendingMax", PendingMax, "frames", "")),
		count("ShardInboxMax", ShardInboxMax, "messages", "then publishers get 429; while a guild "+
			"is read from the store; for the store, then who writes waits"),
		also(count("GuildWaitMax", GuildWaitMax, "requests", "")),
		also(count("KeeperQueueMax", KeeperQueueMax, "writes", "")),
		count("ChunksAheadMax", ChunksAheadMax, "chunks", "of members made before they are "+
			"sent; for which others who ask wait for one who does not read"),
		also(span("AnswersHoldTimeout", AnswersHoldTimeout, "")),
		count("RelayPassMax", RelayPassMax, "receivers", "before a loop serves its sockets; of a "+
			"guild that waits for no turn; before a loop writes"),
		also(count("SmallReceiversMax", SmallReceiversMax, "receivers", "")),
		also(count("PutOffMax", PutOffMax, "receivers", "")),
		count("GuildBehindMax", GuildBehindMax, "receivers",
			"waited for by a guild's events, or events on their way; then 429"),
		also(count("GuildEventsMax", GuildEventsMax, "events", "")),
		count("PayloadCompressBytesMin", PayloadCompressBytesMin, "bytes",
			"of a dispatch, for who asked in IDENTIFY; `-read-buffer`, per loop; `-write-buffer`, "+
				"per backed-up connection"),
		also(count("ReadBufferBytes", ReadBufferBytes, "bytes", "")),
		also(count("WriteBufferBytes", WriteBufferBytes, "bytes", "")),
	}
}

func http() []Limit {
	return []Limit{
		count("EventBodyBytesMax", EventBodyBytesMax, "bytes",
			"one event; a guild without members; then 413"),
		also(count("GuildBodyBytesMax", GuildBodyBytesMax, "bytes", "")),
		count("LineBytesMax", LineBytesMax, "bytes",
			"one line of NDJSON; lines at once; lines in an answer"),
		also(count("BatchLinesMax", BatchLinesMax, "applied", "")),
		also(count("RejectedLinesMax", RejectedLinesMax, "refused", "")),
		span("APIHeaderTimeout", APIHeaderTimeout, "as `HandshakeTimeout`; between two requests"),
		also(span("APIIdleTimeout", APIIdleTimeout, "")),
	}
}

func ending() []Limit {
	return []Limit{
		span("DrainGrace", DrainGrace, "`-drain-grace`, /readyz fails, nobody is closed; "+
			"`-drain-spread`, sessions are sent away evenly; `-drain-hard`, from the signal on"),
		also(span("DrainSpread", DrainSpread, "")),
		also(span("DrainHard", DrainHard, "")),
		count("PanicsMax", PanicsMax, "panics", "one connection each; one more ends the process"),
		also(span("PanicsWindow", PanicsWindow, "")),
	}
}

func budgets() []Limit {
	return []Limit{
		count("SessionBytes", SessionBytes, "bytes",
			"budget of an idle session, user memory; the kernel's part; with `-tls-cert`; the "+
				"process without sessions"),
		also(count("SocketBytes", SocketBytes, "bytes", "")),
		also(count("TLSBytes", TLSBytes, "bytes", "")),
		also(count("BaseBytes", BaseBytes, "bytes", "")),
		count("MemoryLimitPercent", MemoryLimitPercent, "percent",
			"`-memory-limit`, of the cgroup's; `-gc-percent`"),
		also(count("GCPercent", GCPercent, "percent", "")),
	}
}

// also puts a limit into the row of the one before it.
func also(l Limit) Limit {
	l.Also = true
	return l
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
