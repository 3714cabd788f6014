package node

import (
	"time"

	"throng/fanout"
	"throng/tuning"
	"throng/wire"
)

// settingsOf puts the limits of package tuning and those of the flags in the loops' units.
func settingsOf(cfg Config) settings {
	name := nodeName()
	return settings{
		wire: wire.Limits{
			HeaderBytes: tuning.HandshakeBytesMax, Headers: tuning.HandshakeHeadersMax,
			MessageBytes: tuning.InboundMessageBytesMax, Fragments: tuning.InboundFragmentsMax,
		},
		handshakeMilli:    milli(tuning.HandshakeTimeout),
		identifyMilli:     milli(tuning.IdentifyTimeout),
		heartbeatMilli:    milli(cfg.HeartbeatInterval),
		deadMilli:         milli(tuning.HeartbeatDeadAfter(cfg.HeartbeatInterval)),
		resumeMilli:       milli(cfg.ResumeWindow),
		lagMilli:          milli(tuning.LagTimeout),
		lingerMilli:       milli(tuning.LingerTimeout),
		tickMilli:         milli(tuning.TickInterval),
		stallMilli:        milli(tuning.StallTolerance),
		commandsMax:       tuning.CommandsMax,
		commandsMilli:     milli(tuning.CommandsWindow),
		pingsMax:          tuning.PingsMax,
		pingsMilli:        milli(tuning.PingsWindow),
		presencesMax:      tuning.PresencesMax,
		presencesMilli:    milli(tuning.PresencesWindow),
		memberListMilli:   milli(tuning.MemberListInterval),
		passiveMembersMin: tuning.PassiveMembersMin,
		passiveMilli:      milli(tuning.PassivePeriod),
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
		acceptRate:        tuning.AcceptRateMax,
		acceptBurst:       tuning.AcceptBurstMax,
		identifyRate:      tuning.IdentifyRateMax,
		identifyBurst:     tuning.IdentifyBurstMax,
		resumeRate:        tuning.ResumeRateMax,
		resumeBurst:       tuning.ResumeBurstMax,
		journalBytes:      int(cfg.Journal),
		contextBytes:      int64(cfg.CompressContext),
		sealBytesMin:      tuning.PayloadCompressBytesMin,
		pendingMax:        tuning.PendingMax,
		loopInboxMax:      tuning.LoopInboxMax,
		loopPassMax:       tuning.LoopPassMax,
		shardInboxMax:     tuning.ShardInboxMax,
		guildWaitMax:      tuning.GuildWaitMax,
		membersPassMax:    fanout.MembersPassMax,
		relayPassMax:      tuning.RelayPassMax,
		putOffMax:         tuning.PutOffMax,
		smallMax:          tuning.SmallReceiversMax,
		guildBehindMax:    tuning.GuildBehindMax,
		guildEventsMax:    tuning.GuildEventsMax,
		flushPassMax:      tuning.FlushPassMax,
		flushBytesMax:     tuning.FlushBytesMax,
		controlBytesMax:   tuning.ControlBytesMax,
		chunksAheadMax:    tuning.ChunksAheadMax,
		renamesMax:        tuning.RenamesMax,
		renameRoundMax:    tuning.RenameRoundMax,
		errandsMax:        tuning.ErrandsMax,
		errandBatchMax:    tuning.ErrandBatchMax,
		node:              name,
		publicURL:         cfg.PublicURL,
		trace:             name,
		traceJSON:         string(wire.AppendString(nil, name)),
	}
}

func milli(d time.Duration) int64 { return d.Milliseconds() }
