package node

import "throng/fanout"

// messageKind names what an owner does, for its timings and throng_handle_seconds.
type messageKind uint8

const (
	kindIdentified messageKind = iota
	kindJoin
	kindLeave
	kindLoaded
	kindChunks
	kindMembers
	kindPresence
	kindVoice
	kindPublish
	kindProvision
	kindInfo
	kindOperate
	kindSubscribe
	kindTick
	kindErrands
	kindWalk
	kindLists
	kindFar
	kindMesh
	kindInvite

	// What a loop does that is no message.
	kindOpened
	kindTraffic
	kindEnded
	kindFlush

	// What shards do after their messages, and the keeper.
	kindLoads
	kindKeep

	// Jobs of workers.
	kindJobLookup
	kindJobLoad
	kindJobTake
	kindJobChunks
	kindJobWalk
	kindJobLists
	kindJobExport

	kindRelay // the first of the relay's steps, in the order of fanout.MsgKind
	kindCount = kindRelay + messageKind(fanout.MsgKinds)
)

var kindNames = [kindRelay]string{
	kindIdentified: "identified", kindJoin: "join", kindLeave: "leave", kindLoaded: "loaded",
	kindChunks: "chunks", kindMembers: "members", kindPresence: "presence", kindVoice: "voice",
	kindPublish: "publish", kindProvision: "provision", kindInfo: "info", kindOperate: "operate",
	kindSubscribe: "subscribe", kindTick: "tick", kindErrands: "errands",
	kindWalk: "walk", kindLists: "lists", kindFar: "far", kindMesh: "mesh", kindInvite: "invite",
	kindOpened: "opened", kindTraffic: "traffic", kindEnded: "ended", kindFlush: "flush",
	kindLoads: "loads", kindKeep: "keep",
	kindJobLookup: "job_lookup", kindJobLoad: "job_load", kindJobTake: "job_take",
	kindJobChunks: "job_chunks", kindJobWalk: "job_walk", kindJobLists: "job_lists",
	kindJobExport: "job_export",
}

func (k messageKind) String() string {
	if k < kindRelay {
		return kindNames[k]
	}
	return "relay_" + fanout.MsgKind(k-kindRelay).String()
}
