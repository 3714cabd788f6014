package node

import (
	"math/rand/v2"
	"time"

	"throng/fanout"
	"throng/tuning"
	"throng/wire"
)

// settingsOf puts the limits of package tuning and those of the flags in the loops' units.
func settingsOf(cfg Config) settings {
	name := cfg.Node
	s := settings{
		wire: wire.Limits{
			HeaderBytes: tuning.HandshakeBytesMax, Headers: tuning.HandshakeHeadersMax,
			MessageBytes: tuning.InboundMessageBytesMax, Fragments: tuning.InboundFragmentsMax,
		},
		handshakeMilli:  milli(tuning.HandshakeTimeout),
		identifyMilli:   milli(tuning.IdentifyTimeout),
		heartbeatMilli:  milli(cfg.HeartbeatInterval),
		deadMilli:       milli(tuning.HeartbeatDeadAfter(cfg.HeartbeatInterval)),
		resumeMilli:     milli(cfg.ResumeWindow),
		lagMilli:        milli(tuning.LagTimeout),
		lingerMilli:     milli(tuning.LingerTimeout),
		tickMilli:       milli(tuning.TickInterval),
		stallMilli:      milli(tuning.StallTolerance),
		commandsMax:     tuning.CommandsMax,
		commandsMilli:   milli(tuning.CommandsWindow),
		pingsMax:        tuning.PingsMax,
		pingsMilli:      milli(tuning.PingsWindow),
		presencesMax:    tuning.PresencesMax,
		presencesMilli:  milli(tuning.PresencesWindow),
		memberListMilli: milli(tuning.MemberListInterval),
		guild: fanout.Limits{
			PassiveMembersMin:      tuning.PassiveMembersMin,
			PassivePeriodMilli:     milli(tuning.PassivePeriod),
			PresencePeriodMilli:    milli(tuning.PresencePeriod),
			PresencePeriodMaxMilli: milli(tuning.PresencePeriodMax),
			PresencesMax:           tuning.PresencesTold,
			ListSliceMicro:         int(tuning.MemberListSlice.Microseconds()),
		},
		joinsInFlightMax:  tuning.JoinsInFlightMax,
		loopJoinsMax:      tuning.LoopJoinsMax,
		lookupsMax:        tuning.IdentifyLookupsMax,
		lookupMilli:       milli(tuning.LookupHold),
		guildLoadsMax:     tuning.GuildLoadsMax,
		loadMilli:         milli(tuning.LoadHold),
		shardGuildsMax:    tuning.ShardGuildsMax,
		userSessionsMax:   tuning.UserSessionsMax,
		identifyBuckets:   cfg.IdentifyConcurrency,
		identifyGapMilli:  milli(tuning.IdentifyGap),
		identifyWaitMilli: milli(tuning.IdentifyWaitMax),
		connectionsMax:    int64(cfg.MaxConnections),
		tunnelsMax:        tuning.TunnelsMax,
		acceptRate:        tuning.AcceptRateMax,
		acceptBurst:       tuning.AcceptBurstMax,
		identifyRate:      tuning.IdentifyRateMax,
		identifyBurst:     tuning.IdentifyBurstMax,
		resumeRate:        tuning.ResumeRateMax,
		resumeBurst:       tuning.ResumeBurstMax,
		journalBytes:      int(cfg.Journal),
		contextBytes:      int64(cfg.CompressContext),
		window:            uint32(cfg.CompressWindow),
		histories: fanout.HistoryLimits{Max: tuning.HistoriesMax,
			ReceiversMin: tuning.HistoryReceiversMin, Seed: rand.Uint64()},
		sealBytesMin: tuning.PayloadCompressBytesMin,
		node:         name,
		publicURL:    cfg.PublicURL,
		trace:        name,
		traceJSON:    string(wire.AppendString(nil, name)),
	}
	s.entrance(cfg)
	s.queues()
	return s
}

// entrance sets who may come in. What is parsed has been checked.
func (s *settings) entrance(cfg Config) {
	s.origins, _ = parseOrigins(cfg.Origins)
	s.proxies, _ = parseNetworks(cfg.ProxyFrom)
	s.addressConnections, s.addressRate = cfg.AddressConnections, int64(cfg.AddressRate)
	s.addressesMax = tuning.AddressesMax
	s.scheme = "ws://"
	if cfg.TLSCert != "" {
		s.scheme = "wss://"
	}
}

// queues sets what bounds queues, and what of them is worked through in one go.
func (s *settings) queues() {
	s.pendingMax = tuning.PendingMax
	s.loopInboxMax = tuning.LoopInboxMax
	s.loopPassMax = tuning.LoopPassMax
	s.writeLineMax = tuning.WriteLineMax
	s.shardInboxMax = tuning.ShardInboxMax
	s.guildWaitMax = tuning.GuildWaitMax
	s.sweepLooksMax = tuning.SweepLooksMax
	s.relinksMax = tuning.RelinksMax
	s.membersPassMax = fanout.MembersPassMax
	s.relayPassMax = tuning.RelayPassMax
	s.putOffMax = tuning.PutOffMax
	s.handoffsMax = tuning.HandoffsMax
	s.handoffClaimsMax = tuning.HandoffClaimsMax
	s.handoffTriesMax = tuning.HandoffTriesMax
	s.handoffLooks = tuning.HandoffLooks
	s.handoffPartBytes = tuning.HandoffPartBytes
	s.handoffPartsMax = tuning.HandoffPartsMax
	s.handoffLastMax = tuning.HandoffLastMax
	s.handoffAheadMax = tuning.HandoffAheadMax
	s.handoffMilli = milli(tuning.HandoffTimeout)
	s.handoffQuietMilli = milli(tuning.HandoffQuietTimeout)
	s.smallMax = tuning.SmallReceiversMax
	s.guildBehindMax = tuning.GuildBehindMax
	s.guildEventsMax = tuning.GuildEventsMax
	s.handoutsMax = tuning.HandoutsMax
	s.flushPassMax = tuning.FlushPassMax
	s.flushBytesMax = tuning.FlushBytesMax
	s.controlBytesMax = tuning.ControlBytesMax
	s.chunksAheadMax = tuning.ChunksAheadMax
	s.memberRequestsMax = tuning.MemberRequestsMax
	s.chunkAnswerMilli = milli(tuning.ChunkAnswerTimeout)
	s.chunkAgainMilli = milli(tuning.ChunkRetryPause)
	s.answersHoldMilli = milli(tuning.AnswersHoldTimeout)
	s.shedShare, s.shedMin = tuning.ShedShare, tuning.ShedMin
	s.errandLimits = courierLimits
}

func milli(d time.Duration) int64 { return d.Milliseconds() }
