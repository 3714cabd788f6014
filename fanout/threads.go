package fanout

import (
	"cmp"
	"slices"
	"strconv"

	"throng/wire"
)

// thread is a thread's object with what decisions need of it parsed. It has the rights of its
// parent; a private one is seen by its members only, and by those who manage threads.
type thread struct {
	id       wire.Snowflake
	parent   wire.Snowflake
	kind     int64
	archived bool
	place
	// members have joined the thread. Ascending by user.
	members []threadMember
}

type threadMember struct {
	user wire.Snowflake
	raw  []byte // The thread member object, id and user_id included.
}

func (t *thread) private() bool { return t.kind == threadPrivate }

// member returns where the user is among the members, or would be.
func (t *thread) member(user wire.Snowflake) (at int, found bool) {
	return slices.BinarySearchFunc(t.members, user, func(m threadMember, user wire.Snowflake) int {
		return cmp.Compare(m.user, user)
	})
}

// keyThreadMembers is where a guild's document keeps the members of a thread. Clients never see it.
const keyThreadMembers = "thread_members"

var threadRules = []rule{
	{key: "name", shape: shapeString, value: `"thread"`},
	{key: "owner_id", shape: shapeID},
	{key: "last_message_id", shape: shapeID, nullable: true, value: "null"},
	{key: "rate_limit_per_user", shape: shapeInt, value: "0"},
	{key: "message_count", shape: shapeInt, value: "0"},
	{key: "member_count", shape: shapeInt, value: "0"},
	{key: "total_message_sent", shape: shapeInt, value: "0"},
	{key: "flags", shape: shapeInt, value: "0"},
	{key: "applied_tags", shape: shapeIDs},
}

var metadataRules = []rule{
	{key: "archived", shape: shapeBool, value: "false"},
	{key: "auto_archive_duration", shape: shapeInt, value: "1440"},
	{key: "archive_timestamp", shape: shapeTime},
	{key: "locked", shape: shapeBool, value: "false"},
	{key: "invitable", shape: shapeBool},
	{key: "create_timestamp", shape: shapeTime, nullable: true},
}

// parseThread completes a thread's object. known says whether a channel can be its parent.
func parseThread(
	guild, owner wire.Snowflake, o object, known func(wire.Snowflake) bool,
) (*thread, *Error) {
	t := &thread{}
	var ok bool
	if t.id, ok = o.id("id"); !ok {
		return nil, invalid("id", "It must be an id.")
	}
	o.setID("id", t.id)
	o.setDefault("type", strconv.Itoa(threadPublic))
	t.kind, ok = parseInt(o.get("type"))
	if !ok || t.kind < threadNews || t.kind > threadPrivate {
		return nil, invalid("type", "It must be the type of a thread: 10, 11 or 12.")
	}
	if t.parent, ok = o.id("parent_id"); !ok {
		return nil, invalid("parent_id", "It must be the id of a channel.")
	}
	if !known(t.parent) {
		return nil, invalid("parent_id", "The guild has no such channel.")
	}
	o.setID("parent_id", t.parent)
	o.setID("guild_id", guild)
	if err := applyRules(&o, threadRules); err != nil {
		return nil, err
	}
	if !o.present("owner_id") {
		o.setID("owner_id", owner)
	}
	if raw := o.get("thread_metadata"); raw != nil && !wire.IsObject(raw) {
		return nil, invalid("thread_metadata", "It must be an object.")
	}
	var metadata object
	if raw := o.get("thread_metadata"); raw != nil {
		metadata = parseObject(raw)
	}
	if err := applyRules(&metadata, metadataRules); err != nil {
		return nil, err.under("thread_metadata")
	}
	if metadata.get("archive_timestamp") == nil {
		metadata.set("archive_timestamp", quotedTime(t.id.Milli()))
	}
	t.archived = isTrue(metadata.get("archived"))
	o.set("thread_metadata", metadata.bytes())
	members, err := parseThreadMembers(t.id, o.get(keyThreadMembers), keyThreadMembers)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		t.join(m)
	}
	o.drop(keyThreadMembers, "member", "newly_created")
	t.place = newPlace(o)
	return t, nil
}

// parseThreadMembers reads a list of thread members, each an object with user_id, or a bare id.
func parseThreadMembers(thread wire.Snowflake, raw []byte, list string) (
	members []threadMember, err *Error,
) {
	if raw == nil || wire.IsNull(raw) {
		return nil, nil
	}
	if !wire.IsArray(raw) {
		return nil, invalid(list, "It must be an array.")
	}
	wire.EachElement(raw, func(value []byte) bool {
		o := object{}
		if wire.IsObject(value) {
			o = parseObject(value)
		} else {
			o.set("user_id", value)
		}
		user, ok := o.id("user_id")
		if !ok {
			err = invalid(indexed(list, len(members)), "It must be an id, or have a user_id.")
			return false
		}
		if len(members) == threadMembersMax {
			err = invalid(list, "It holds more than 1000.")
			return false
		}
		o.setID("id", thread)
		o.setID("user_id", user)
		o.drop("member", "presence", "guild_id")
		if !o.present("join_timestamp") {
			o.set("join_timestamp", quotedTime(thread.Milli()))
		}
		o.setDefault("flags", "0")
		members = append(members, threadMember{user: user, raw: o.bytes()})
		return true
	})
	return members, err
}

// join makes m a member of the thread, or replaces its record.
func (t *thread) join(m threadMember) {
	at, found := t.member(m.user)
	if found {
		t.members[at] = m
		return
	}
	t.members = slices.Insert(t.members, at, m)
}

// leave takes the user out of the thread and says whether it was in.
func (t *thread) leave(user wire.Snowflake) bool {
	at, found := t.member(user)
	if found {
		t.members = slices.Delete(t.members, at, at+1)
	}
	return found
}

// appendDoc appends the thread with its members, as a guild's document keeps it.
func (t *thread) appendDoc(dst []byte) []byte {
	dst = t.append(dst, 0)
	if len(t.members) == 0 {
		return dst
	}
	dst = append(wire.AppendKey(dst[:len(dst)-1], keyThreadMembers), '[')
	for _, m := range t.members {
		dst = append(wire.AppendComma(dst), m.raw...)
	}
	return append(dst, ']', '}')
}

// appendFor appends the thread as the user sees it: with its own membership, if any.
func (t *thread) appendFor(dst []byte, user wire.Snowflake) []byte {
	dst = t.append(dst, 0)
	at, found := t.member(user)
	if !found {
		return dst
	}
	dst = wire.AppendKey(dst[:len(dst)-1], "member")
	return append(append(dst, t.members[at].raw...), '}')
}

// parseThreads reads a guild's list of threads.
func parseThreads(
	guild, owner wire.Snowflake, raw []byte, known func(wire.Snowflake) bool,
) (threads []*thread, err *Error) {
	seen := make(map[wire.Snowflake]bool)
	err = eachObject(raw, "threads", threadsMax, func(_ int, o object) *Error {
		t, err := parseThread(guild, owner, o, known)
		if err != nil {
			return err
		}
		if seen[t.id] {
			return invalid("id", "It is there twice.")
		}
		seen[t.id] = true
		threads = append(threads, t)
		return nil
	})
	return threads, err
}

func (g *Guild) setThreads(threads []*thread) {
	g.threads = threads
	g.threadByID = make(map[wire.Snowflake]*thread, len(threads))
	for _, t := range threads {
		g.threadByID[t.id] = t
	}
}

// putThread adds the thread or replaces the one with its id.
func (g *Guild) putThread(t *thread) {
	if old := g.threadByID[t.id]; old != nil {
		g.threads[slices.Index(g.threads, old)] = t
	} else {
		g.threads = append(g.threads, t)
	}
	g.threadByID[t.id] = t
}

func (g *Guild) dropThread(t *thread) {
	at := slices.Index(g.threads, t)
	g.threads = slices.Delete(g.threads, at, at+1)
	delete(g.threadByID, t.id)
}
