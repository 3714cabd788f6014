package matrix

// peers are faults of those who connect: rows 1 to 14.
var peers = []Row{
	{
		Fault: "one receiver stops reading, the rest read",
		Then:  "the rest notice nothing; it is closed, and can resume without loss",
		By: []string{"node:TestFrozenReceiverDoesNotDelayOthers", "node:TestLagIsCounted",
			"node:TestAnswersToOneWhoDoesNotReadAreBounded", "store:TestOutboxMatchesPlainModel"},
		Held: "closed by the kernel 20 s after it last took something, by the node after 30 s, " +
			"or at 3/4 of the journal",
		Benches: []string{"fire:p99 of others while some stop to read, of that beside",
			"fire:closed of that kind of bad peers of whom the fewest were"},
	},
	{
		Fault: "a tenth of the receivers freezes in a burst",
		Then:  "what waits for them is held once a loop, and each is closed and counted once",
		By:    []string{"node:TestTenthStopsReading", "store:TestSlowSessionIsLostNotWrong"},
		Held:  "5 of 50, at 3/4 of the journal; of 200 KB each, not half is in their sockets",
		Benches: []string{"pressure:ended by the kernel for want of memory",
			"pressure:sessions that read and were lost under pressure"},
	},
	{
		Fault: "a reader that is narrow, and never stops",
		Then: "a burst is waited for; who falls behind for good is closed before it has a gap. " +
			"The journal is the limit, and no time: what waits lies in it once for all, so that " +
			"one who is behind costs nothing until its place comes round",
		By: []string{"node:TestNarrowReaderIsWaitedFor", "node:TestNarrowReader",
			"node:TestReaderThatFallsTooFarBehind", "node:TestLagIsCounted"},
		Held: "at 1 KB/s a burst of 9 s survives; closed at 3/4 of the journal, or after 30 s of " +
			"taking nothing",
	},
	{
		Fault: "slowloris: a handshake of an octet a second",
		Then:  "closed without an answer; the time is for the whole request, TLS and all",
		By: []string{"node:TestSlowHandshakeEnds", "wire:TestHandshakeWaitingDoesNotAllocate",
			"node:TestSlowlorisHoldsLittle", "node:TestTLSHandshakes",
			"node:TestTLSPeersThatDoNotAnswer", "tuning:TestLimitsAreInForce"},
		Held: "5 s; 0 allocations as it grows, 1 KiB at most for each",
		Benches: []string{"fire:p99 of connecting while 10,000 send a request slowly",
			"tls:p99 of events among handshakes that nobody ends"},
	},
	{
		Fault: "connect and say nothing; no IDENTIFY",
		Then:  "closed; without IDENTIFY by 4009",
		By: []string{"node:TestSilenceBeforeIdentify", "node:TestRefusals",
			"tuning:TestLimitsAreInForce"},
		Held: "5 s, and 30 s from HELLO: clients queue for an IDENTIFY every 5 s",
	},
	{
		Fault: "a header too large, too many of them, a bare LF, no Upgrade",
		Then:  "400 or 431, never a panic",
		By: []string{"wire:TestHandshakeBugCatalogue",
			"wire:TestHandshakeTakesHeadersUpToTheLimits",
			"wire:FuzzHandshake", "node:TestBadHandshakes", "node:TestHandshakeCutAnywhere"},
		Held: "nothing kept",
	},
	{
		Fault: "a length with its top bit, of 2^63-1, of 65,536",
		Then:  "1002, or 4002 as the protocol says it of one too large, by the header alone",
		By: []string{"wire:TestParserRefusesByTheHeaderAlone", "wire:TestParserDoesNotAllocate",
			"node:TestBadFrames"},
		Held: "0 allocations",
	},
	{
		Fault: "fragments without end",
		Then:  "1008 for too many, 4002 for too much",
		By:    []string{"wire:TestParserTakesMessagesUpToTheLimits", "node:TestBadFrames"},
		Held:  "16 fragments, 15,360 octets",
	},
	{
		Fault: "not masked, RSV, a bad opcode, a fragmented control frame, a ping of 126 octets",
		Then:  "1002",
		By: []string{"wire:TestConformance", "wire:TestConformanceOverConnection",
			"node:TestConformanceOfTheNode", "node:TestBadFrames"},
		Held: "247 cases of conformance, in 3 chunkings",
	},
	{
		Fault: "UTF-8 that is none, in a text and in a close reason",
		Then:  "1007, as soon as it cannot become valid",
		By: []string{"wire:TestConformance", "wire:TestValidPrefixFindsTheUnfinishedCharacter",
			"wire:FuzzFramesDifferential", "node:TestBadFrames"},
		Held: "its groups 6 and 7.5",
	},
	{
		Fault:   "a flood of pings",
		Then:    "4008, and one pong at most is owed",
		By:      []string{"node:TestPingFlood"},
		Held:    "the sixth in a second",
		Benches: []string{"fire:what each flood of pings costs, of a processor"},
	},
	{
		Fault:   "a flood of commands",
		Then:    "4008; the session stays",
		By:      []string{"node:TestCommandFlood", "node:TestCommandsAreCountedByTheMinute"},
		Held:    "the 121st in a minute",
		Benches: []string{"fire:what each flood of commands costs, of a processor"},
	},
	{
		Fault: "JSON or ETF that is deep, says a key twice, has numbers without end",
		Then: "4002 for what is deeper, for a number that is read and fits nothing, for an ETF " +
			"integer of more than 64 octets; of a field that comes twice the first counts, and a " +
			"number of JSON that nobody reads may be of any length",
		By: []string{"node:TestBadFrames", "node:TestWhatIsJustAllowed",
			"wire:TestCommandsInBothEncodings", "wire:TestJSONDepthIsBounded",
			"wire:TestETFThatIsRefused", "wire:TestAShortTermCannotAllocateMuch",
			"wire:FuzzCommand", "wire:FuzzETF"},
		Held:    "32 levels; a thousand digits in a field that nobody reads",
		Benches: []string{"parts:the worst of 4,096 octets of JSON to read"},
	},
	{
		Fault: "something compressed by a client, which may inflate to anything",
		Then:  "1002: nothing is inflated, for no extension is agreed on",
		By:    []string{"node:TestBadFrames", "wire:TestConformance"},
		Held:  "0 octets inflated",
	},
}
