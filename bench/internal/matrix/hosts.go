package matrix

// hosts are faults of the host, the network and those who come back: rows 15 to 26.
var hosts = []Row{
	{
		Fault: "no descriptor is left",
		Then:  "who is in is served; others wait, and readiness says so; the operator gets in",
		By: []string{"node:TestDescriptorsUsedUp", "node:TestDescriptorsTakenAway",
			"node:TestConnectionsHaveACap", "tuning:TestDescriptorsKeepTheReserve"},
		Held: "in a process with 256 of them, and with 3: nothing ends, who waited is taken",
		Benches: []string{"full:processor of a node that cannot accept, 200 waiting",
			"full:until one who waits is in when a descriptor is free"},
	},
	{
		Fault: "accept says ECONNABORTED, ENOBUFS, ENOMEM, EPERM and others",
		Then:  "it is tried again, less and less often; nobody is lost",
		By:    []string{"node:TestAcceptThatFails", "node:TestAcceptPauses"},
		Held:  "9 errors; pauses of 5 ms to 1 s",
	},
	{
		Fault: "a peer vanishes while something is on its way to it",
		Then:  "the kernel gives up on it; the session is left for it to come back to",
		By:    []string{"node:TestVanishedPeerIsGivenUp", "node:TestUserTimeoutIsSet"},
		Held:  "20 s; nothing stays but the session",
	},
	{
		Fault: "a peer vanishes at rest",
		Then:  "closed for want of heartbeats; the session is left",
		By: []string{"node:TestSilenceEndsTheConnectionNotTheSession",
			"node:TestBeatsMoveTheDeadlineOnly", "tuning:TestHeartbeatDeadAfterDefault"},
		Held: "1.5 intervals and 5 s, half a second more at most",
	},
	{
		Fault: "the node stands still: SIGSTOP, a pause of the machine",
		Then:  "nobody is declared dead for it",
		By: []string{"node:TestStoppedNodeDeclaresNobodyDead",
			"node:TestStallDeclaresNobodyDead"},
		Held: "0 closed, stopped for longer than a client may be silent",
	},
	{
		Fault:   "half of all connections are reset at one moment",
		Then:    "only sessions stay of them, which can be resumed; the others notice nothing",
		By:      []string{"node:TestHalfIsReset"},
		Held:    "50 of 100: 0 sockets, 0 events lost",
		Benches: []string{"fire:until nothing is left of 2,000 connections that were reset"},
	},
	{
		Fault: "a client comes back within the window",
		Then:  "what it missed, in order, then RESUMED; nothing twice, nothing left out",
		By: []string{"node:TestThousandCuts", "node:TestSessionOverABadNetwork",
			"node:TestSimulation", "node:TestResumeOnAnotherNode"},
		Held: "numbers rise by one, over 1,000 cuts and 10,000 deliveries at least, as a rule " +
			"130,000; the long form is 100,000 seeds of the simulation, which count theirs",
		Benches: []string{"storms:lost or refused in a storm of 9,000 resumes",
			"storms:p99 of a resume in a storm of 9,000"},
	},
	{
		Fault: "a client comes back too late, with a wrong number, with somebody else's session",
		Then:  "INVALID_SESSION, 4007, 4004; who has only the id learns nothing",
		By: []string{"node:TestResumesThatAreRefused", "node:TestResumeThatIsTooLate",
			"node:TestResumesOnAnotherNodeThatAreRefused"},
		Held: "12 ways of being wrong, each of them twice",
	},
	{
		Fault: "two connections resume one session",
		Then:  "the last has it, and the first is closed",
		By:    []string{"node:TestResumeTakesTheSessionFromItsSocket", "node:TestSimulation"},
		Held: "one owner at each step of each of 100,000 seeds: " +
			"`go test ./node -run 'TestSimulation$' -sim.seeds=100000`",
	},
	{
		Fault: "everybody comes at once",
		Then:  "as many are admitted as the rate says, in every second; the others wait",
		By: []string{"node:TestHerdIsAdmittedInEverySecond", "node:TestRateAdmitsInEverySecond",
			"node:TestHerdIsAdmittedInShares", "node:TestColdNodeAdmitsLess",
			"node:TestStampede"},
		Held: "99 to 101 of 100 a second, of 1,000 who ask again and again",
		Benches: []string{"storms:reads of a guild while 18,000 identify on a cold node",
			"cluster:p99 of events in the worst second of a herd of 5,000",
			"cluster:memory of a node that it comes to"},
	},
	{
		Fault: "SIGTERM, and a second one",
		Then:  "not ready, then op 7 and closes at a pace, then exit 0; the second ends at once",
		By: []string{"node:TestDrain", "node:TestDrainKeepsItsPace", "node:TestDrainHasAHardEnd",
			"node:TestAbort", "tuning:TestDemo", "tuning:TestSecondSignalEndsAtOnce"},
		Held: "over -drain-spread, in no second more than twice the mean; all gone by " +
			"-drain-hard; exit code 0, or 1 at the second",
	},
	{
		Fault: "a node of three is killed",
		Then:  "the others take its guilds over, and its sessions go on there; nobody hears twice",
		By: []string{"bench/cluster:TestThreeNodes", "ci:nemesis",
			"node:TestLinksThatDieBeginAnewByAndBy"},
		Benches: []string{"cluster:longest silence of a guild, kill -9",
			"cluster:events lost, doubled or reordered in all faults",
			"cluster:outages that sessions were told of in all faults"},
	},
}
