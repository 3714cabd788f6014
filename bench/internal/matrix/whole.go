package matrix

// whole are faults of the node's own, of its operator and of its surroundings: rows 27 to 38.
var whole = []Row{
	{
		Fault: "memory runs out",
		Then:  "no new sessions; then no connections, and caches go; then the largest are closed",
		By: []string{"node:TestShortOfMemory", "node:TestLargestGoFirst", "tuning:TestPressure",
			"tuning:TestMemoryReader"},
		Held: "80, 90, 95 % of the budget",
		Benches: []string{"pressure:highest level of shedding",
			"pressure:levels of shedding out of their order",
			"pressure:sessions that did not read, closed for want of memory",
			"pressure:ended by the kernel for want of memory",
			"pressure:sessions that read and were lost under pressure"},
	},
	{
		Fault: "a panic while one client is served",
		Then:  "that one is closed, it is counted, the others see nothing; too many end the node",
		By: []string{"node:TestPanicInAHandlerCostsItsConnection",
			"node:TestPanicWhileWritingCostsOneSession", "node:TestPanicInAPassLosesNoRequest",
			"node:TestTooManyPanicsGiveUp", "node:TestPanicsAreCountedInAWindow"},
		Held: "1 connection; the 31st in a minute ends the node",
	},
	{
		Fault: "a backend without a token, with a wrong one, with too much; one from outside",
		Then:  "401, 403 or 413, and nothing is published",
		By: []string{"node/api:TestAdminTokenIsNeededForAllButHealth",
			"node/api:TestWithoutTokenOnlyThisHostGetsIn",
			"node/api:TestBodiesPastTheirLimitAreRefusedUnread", "node:TestConfigAdminDoors",
			"tuning:TestCommand"},
		Held: "0 events; digests are compared, in constant time",
	},
	{
		Fault: "a page elsewhere connects: another origin, null, scheme, port, or none",
		Then:  "403, but for those of -origin and who is no browser",
		By:    []string{"node:TestOrigins", "node:TestOriginsAreExact"},
		Held:  "compared as a whole",
	},
	{
		Fault: "a PROXY header from who is not trusted, of UDP, of 65,535 octets, or none",
		Then:  "closed; one that is LOCAL or of no family is taken as the proxy's own connection",
		By: []string{"node:TestProxyHeaders", "node:TestProxyHeaderComesInTime",
			"node:TestProxiedAddressesAreLimited", "wire:TestParseProxy", "wire:FuzzProxy"},
		Held: "within the 5 s of the handshake; 4,096 octets of it at most",
	},
	{
		Fault: "the system's clock is set, by an hour or a day",
		Then:  "nothing: deadlines go by the process's own, and the calendar of guilds never stops",
		By:    []string{"node:TestClockThatJumps", "node:TestCalendarOutlivesJumps"},
		Held:  "0 closed",
	},
	{
		Fault: "a guild of many receivers, and events to it as fast as they are taken",
		Then:  "its events stay in order, and small guilds do not wait for it",
		By: []string{"fanout:TestBoardGivesEachReceiverEachEvent",
			"fanout:TestSmallGuildWaitsOneTurn", "fanout:TestPassKeepsToItsLimit",
			"node:TestNobodyWaitsBehindAFlood"},
		Held: "15,000 receivers a pass; 0 out of order",
		Benches: []string{"fairness:p99 of a small guild while one of 15,000 is flooded",
			"fairness:p99 of a small guild beside a flood, of that when idle"},
	},
	{
		Fault: "a producer that is faster than the node",
		Then: "429 for a guild that is behind and for too many users, 503 for too many requests " +
			"at once; by NATS the answer says the same, and what is not read waits in its " +
			"client, which drops and says so at its own limit",
		By: []string{"node:TestFloodOfOneGuildIsHeldBack",
			"node/api:TestRequestsInFlightAreBounded",
			"node:TestWhoPutsTooManyUsersIsHeldBack"},
		Held: "what waits stays within its limits",
	},
	{
		Fault: "the program is replaced under load",
		Then:  "the next process takes listeners and sessions over, and nobody is refused",
		By: []string{"node:TestTakeoverLosesNothing", "node:TestTakeoverThatFails",
			"node:TestListenersAreHandedOver"},
		Held: "0 refused; 0 events lost, doubled or out of order over two restarts under load",
		Benches: []string{"restart:dials refused while a node is restarted",
			"restart:sessions not resumed after a restart", "restart:events lost over a restart"},
	},
	{
		Fault: "a day of coming and going",
		Then:  "memory, descriptors and goroutines stay as they are",
		By:    []string{"nightly:soak"},
		Held:  "20 minutes with sessions, members and guilds that come and go",
		Benches: []string{"soak:heap, the last third of a soak over the second",
			"soak:resident memory, the last third of a soak over the second",
			"soak:descriptors that the last third of a soak has more",
			"soak:goroutines that the last third of a soak has more"},
	},
	{
		Fault: "reads and writes in parts, errors, loops in any order, by chance",
		Then:  "each session's stream is the beginning of its log; the seed that fails is printed",
		By: []string{"node:TestSimulation", "node:TestSimulationOfThousands",
			"node:TestSimulationIsReplayed", "node:TestNodesComeAndGo",
			"node/cluster:TestPairOverABadNetwork", "node/cluster/replica:TestModel"},
		Held: "nothing found in 100,000 seeds: `go test ./node -run 'TestSimulation$' " +
			"-sim.seeds=100000`",
	},
	{
		Fault: "a race, a parser that was told anything",
		Then:  "nothing is found",
		By:    []string{"ci:tests with the race detector", "ci:fuzz"},
		Held: "every test; 10,000 inputs for each target, with its corpus. In place of a tag " +
			"for invariants, each test of a node looks at them as it ends, and /debug/check too",
	},
}
