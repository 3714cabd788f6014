package fanout

import (
	"encoding/binary"
	"hash/fnv"

	"throng/store"
	"throng/wire"
)

// Guild is one guild's state machine. All methods are for the shard that owns it; only the member
// tables and what hangs off a Query may be read by others.
type Guild struct {
	// Static after construction.
	id     wire.Snowflake
	users  *store.Users
	pushes bool // Whether anybody wants them.
	// Set before anybody joins.
	limits  Limits
	servers *VoiceServers // nil is none

	// What the directory keeps.
	document
	roleByID    map[wire.Snowflake]*role
	roleIDs     roleFilter
	channelByID map[wire.Snowflake]*channel
	threadByID  map[wire.Snowflake]*thread
	members     *store.Members
	roleSets    *store.RoleSets
	gone        roleFilter // Deleted roles that members' records may name; see sweep.go.

	// What lives as long as the sessions.
	presences presences
	unsaid    presenceNews
	voices    map[wire.Snowflake]*voiceState
	rooms     map[wire.Snowflake]*voiceRoom // By channel.
	receivers receivers
	classes   classes
	// watchers are the sessions that want to hear of a member wherever they heard of nobody else.
	watchers map[wire.Snowflake][]Handle
	// masks says that some session has heard less than its intents; it stays set.
	masks bool
	news  news
	lists *guildLists // nil while nobody looks at any.
	carry *Carry      // nil while the guild stays where it is.
	// timeouts holds when the connected members' timeouts end, and timeoutNext the first of it.
	timeouts    map[wire.Snowflake]int64
	timeoutNext int64

	sweep      *Sweep // The one under way.
	sweepDue   bool
	sweepAt    int64    // When one that failed is begun again; 0 is that none has.
	sweepAgain []uint64 // See Sweep.

	searches  []*pushSearch // Of which the first may be under way.
	searching bool
	searchAt  int64 // When it is to go on; 0 is at once.

	behind behind // Shared with the events on their way.

	index uint64 // Events published.
	held  []Msg  // For the front of the next Change; see turn.refuse.
	// A message's id is made of the time and a number in that millisecond.
	messageMilli int64
	messageSeq   int

	// head is the part of GUILD_CREATE that is the same for all; nil when it must be made anew.
	head     *wire.Shared
	docBytes int // Size of the last document, to allocate the next one at once.
}

// NewGuild returns a guild that has @everyone and nothing else. Restore or Replace follows.
func NewGuild(id wire.Snowflake, users *store.Users) *Guild {
	g := &Guild{
		id: id, users: users, limits: DefaultLimits,
		members: store.NewMembers(), roleSets: store.NewRoleSets(),
		voices:   make(map[wire.Snowflake]*voiceState),
		rooms:    make(map[wire.Snowflake]*voiceRoom),
		timeouts: make(map[wire.Snowflake]int64),
	}
	g.receivers.init()
	g.classes.init()
	g.news.init()
	d, err := parseDocument(id, []byte("{}"))
	if err != nil {
		panic(err)
	}
	g.setDocument(d)
	return g
}

// SetLimits sets what the guild keeps to. REQUIRES: nobody has joined.
func (g *Guild) SetLimits(l Limits) { g.limits = l }

// SetPresencePeriod changes, at any time, how long after a change of presence others are told of
// it, and how long when there is much to tell. What is under way keeps its time.
func (g *Guild) SetPresencePeriod(milli, milliMax int64) {
	g.limits.PresencePeriodMilli, g.limits.PresencePeriodMaxMilli = milli, milliMax
}

// PresencePeriod is what SetPresencePeriod sets.
func (g *Guild) PresencePeriod() (milli, milliMax int64) {
	return g.limits.PresencePeriodMilli, g.limits.PresencePeriodMaxMilli
}

// ID returns the guild's id.
func (g *Guild) ID() wire.Snowflake { return g.id }

// Restore takes back what Doc returned.
func (g *Guild) Restore(doc []byte) error {
	d, err := parseDocument(g.id, doc)
	if err != nil {
		return err
	}
	g.setDocument(d)
	g.forgetSight()
	return nil
}

// RestoreMember takes back a member that an earlier Change told to keep. Roles that the guild no
// longer has stay with the record until they are swept.
func (g *Guild) RestoreMember(record store.MemberRecord) {
	member := record.Member
	member.RoleSet = g.roleSets.Intern(record.Roles)
	g.members.Put(member)
	g.strayRoles()
}

// RestoreMembers does the same for many, which costs less in a guild that is still small.
func (g *Guild) RestoreMembers(records []store.MemberRecord) {
	members := make([]store.Member, len(records))
	for i, record := range records {
		members[i] = record.Member
		members[i].RoleSet = g.roleSets.Intern(record.Roles)
	}
	g.members.PutAll(members)
	g.strayRoles()
}

// setDocument makes d the guild's document.
func (g *Guild) setDocument(d *document) {
	g.document = *d
	g.setRoles(d.roles)
	g.setChannels(d.channels)
	g.setThreads(d.threads)
	g.checkRegions()
	g.head = nil
	if g.docBytes == 0 {
		g.docBytes = 4096
	}
}

// keep returns the operation that keeps the guild's document as it is now.
func (g *Guild) keep() store.Op {
	g.markDoc()
	ids := g.Channels()
	channels := make([]uint64, len(ids))
	for i, id := range ids {
		channels[i] = uint64(id)
	}
	return store.Op{Kind: store.OpPutGuild, Guild: uint64(g.id), Doc: g.Doc(), Channels: channels}
}

// Message ids must not collide between guilds, which number theirs on their own. So the 22 bits
// below the time are mostly a hash of the guild: 10 bits in the place of worker and process, and
// the first number of a millisecond, below messageSeqHalf. The rest counts up from there.
const messageSeqHalf = 1 << 11

// NextMessageID returns a new id, greater than any before it.
func (g *Guild) NextMessageID(now int64) wire.Snowflake {
	hash := fnv.New32a()
	hash.Write(binary.BigEndian.AppendUint64(nil, uint64(g.id)))
	sum := int(hash.Sum32())
	g.messageSeq++
	if now > g.messageMilli || g.messageSeq == messageSeqHalf {
		g.messageMilli, g.messageSeq = max(now, g.messageMilli+1), 0
	}
	return wire.SnowflakeAt(g.messageMilli, sum&1023, sum>>10&(messageSeqHalf-1)+g.messageSeq)
}
