package fanout

// Limits of one guild's document. Discord's own limits are 250 roles, 500 channels and 1,000
// active threads; ours leave room above them, and exist so that one document cannot make every
// GUILD_CREATE of the guild, and every computation over its channels, arbitrarily long.
const (
	rolesMax      = 1000
	channelsMax   = 2000
	threadsMax    = 10000
	overwritesMax = 1000 // Of one channel.
	thingsMax     = 2000 // Of one list of emojis, stickers, sounds, stages or scheduled events.

	// threadMembersMax is Discord's limit of members of a thread.
	threadMembersMax = 1000

	voiceServersMax = 64

	// nameRunesMax is Discord's longest name, that of a webhook.
	nameRunesMax = 80
)

// Bounds of one GUILD_CREATE in a guild that is larger than the session's threshold: the protocol
// promises "online members, members with roles or nick" there, and a client that wants more asks
// for chunks. The scan is over the whole member table and runs on the shard, about 30 ns a member.
const (
	createMembersMax = 1000
	createScanMax    = 10000
	// createPresenceMembersMax is the size past which the protocol sends no presences on joining.
	createPresenceMembersMax = 75000
)

// pushUsersMax mentions of one message are looked up for pushes, half a microsecond each: the most
// that the protocol lets a message mention. The author's name and the beginning of the content go
// with a push, which has 4 KB of room on its way to a phone.
const (
	pushUsersMax     = 100
	pushNameRunesMax = 80
	pushTextRunesMax = 200
)

// pushSearchesMax messages that mention everyone or a role may wait for those to be found.
const pushSearchesMax = 16

// walkRetryMilli after a walk has found no room, at the workers or for its pushes, it is tried
// again.
const walkRetryMilli = 250

// chunkMembers is the size of every chunk of an answer but the last: discord.js takes the first
// shorter chunk for the end.
const chunkMembers = 1000

// pauseMembers are looked at between two pauses of what goes on for long away from the shard: 50 to
// 300 µs. Go gives a goroutine ten milliseconds while others wait, and a guild's shard would wait
// as long behind each worker.
const pauseMembers = 256

// QueryLimitMax and queryUsersMax are the protocol's bounds of a request for some members. More may
// be asked for without a name to begin with, and that is then a list like that of all members.
const (
	QueryLimitMax = 100
	queryUsersMax = 100
)

// Limits are what a guild keeps to that its shard decides.
type Limits struct {
	// PassiveMembersMin is the size from which a user's session is passive until it subscribes.
	PassiveMembersMin int
	// PassivePeriodMilli is the time between two updates to passive sessions.
	PassivePeriodMilli int64
	// Presences are told so long after the first change, or so long when there is much to do.
	PresencePeriodMilli, PresencePeriodMaxMilli int64
	// PresencesMax users are told of at once, 8 µs of the shard each. Each of those who listen has
	// so many more frames pending then.
	PresencesMax int
	// ListSliceMicro is how long a call is at member lists, by the costs below, and longer by the
	// last step at most. What is left is for the next; see Guild.Unfinished.
	ListSliceMicro int
}

// DefaultLimits are those of package tuning. The protocol has 75,000 members for the first; half a
// minute is what one of the open servers has for the second, Discord does not say.
var DefaultLimits = Limits{PassiveMembersMin: 75_000, PassivePeriodMilli: 30_000,
	PresencePeriodMilli: 50, PresencePeriodMaxMilli: 250, PresencesMax: 250,
	ListSliceMicro: 1000}

// Presences told at once cost no more than so many deliveries, which is what a relay does in one
// go. A frame that is written together with others costs a share of a delivery. Of a user so many
// sessions count.
const (
	presenceDeliveriesMax = 15_000
	presenceShare         = 8
	presenceSessionsMax   = 64
)

// MembersPassMax members are loaded, or have their records changed, in one call: at 5 to 10 µs each
// no more than 2 ms of the shard, which has other guilds.
const MembersPassMax = 200

// sweepAtOnceMax is the size up to which a guild's members are gone through on the shard, when a
// role comes with the id of one that has just been deleted. 1,000 members take 0.2 to 0.8 ms.
const sweepAtOnceMax = 1000

// sweepRetryMilli after a sweep has failed it is begun again: the disk may be full.
const sweepRetryMilli = 10_000

// deadClassesMax is how many dead classes are kept beyond the number of live ones. To free them
// forgets who sees what, so it must be rare.
const deadClassesMax = 256

// carryUnsaidMax presences may be noted and not told when a guild moves to another node, 100 ns of
// its standing still each; see Carry.
const carryUnsaidMax = 10_000

// threadSyncWorkMax bounds the permission computations (channels times classes) that one role
// change may spend on finding who gained sight of threads. Past it the clients learn of the
// threads from their next events; 100,000 computations take about 5 ms.
const threadSyncWorkMax = 100_000

// Limits of member lists. The ranges of a subscription are the protocol's, and so are at most three
// of them for a channel and five channels; more in one command is not looked at.
const (
	ListRangeRows      = 100
	listRangesMax      = 3
	listChannelsMax    = 5
	listBlocksMax      = listRangesMax * listChannelsMax // Of one subscriber in one list.
	listRangeBlocksMax = 100_000                         // The range that ends at 10 million rows.

	// listOfflineRowsMax is the number of members, hoisted roles and two at which a list begins to
	// leave out who is offline, as clients assume who tell a whole list from its groups.
	listOfflineRowsMax = 1000

	// listItemsMax is the number of encoded rows past which a window is sent whole, half of a
	// range: a SYNC costs at most twice the bytes then, and so an event is bounded. listOpsMax
	// bounds what needs no row; it must be at most a range, see memberLists.differ.
	listItemsMax = ListRangeRows / 2
	listOpsMax   = ListRangeRows

	// What has changed is told once in listPeriodMilli, and counts alone, to those of whose rows
	// none changed, once in listCountsMilli.
	listPeriodMilli = 100
	listCountsMilli = 5000

	// What is taken from a slice, in microseconds of a guild with a million members: for placing
	// somebody in a list, for looking at what a session may look at, for encoding a member, who is
	// in no cache, for looking for a row in another build. And how much there is for one: of rows
	// looked at, of records given back, of an event copied.
	listPlaceCost     = 4
	listReviewCost    = 3
	listItemCost      = 6
	listRenewCost     = 2
	listRowsPerMicro  = 64
	listFreedPerMicro = 32
	listBytesPerMicro = 400

	// listItemsKeptMax members are kept as they were encoded for those who are told of them next,
	// 400 bytes each. It must be more than two windows, see memberLists.prepare.
	listItemsKeptMax = 4096

	// listRetryMilli is when lists are built again after that has failed, or when workers had no
	// room for it.
	listRetryMilli = 1000

	// listShareMax sessions are given an event in one step of their loop, 50 ns each.
	listShareMax = 1000

	// listSightMax bounds the remembered answers to who may view a channel, 64 bytes each.
	listSightMax = 1 << 16

	// listSyncsMax bounds the events that a list which does not change keeps for those who come to
	// look at the same rows. A range is some 40 KB.
	listSyncsMax = 16
)

const (
	_ = uint(ListRangeRows - listOpsMax)
	_ = uint(listItemsKeptMax - 2*listBlocksMax*ListRangeRows)
)
