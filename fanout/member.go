package fanout

import (
	"strings"

	"throng/store"
	"throng/wire"
)

// MemberInput is one line of a bulk load of members, parsed. Parsing is not the shard's work.
type MemberInput struct {
	User wire.Snowflake
	// Account is the user when the line told more of it than the id; nil otherwise.
	Account *store.User
	// Fields are the member's fields as they were written, without the user.
	fields object
}

// ParseMember reads a member: an object with `user` or `user_id`, `roles`, `nick`, `joined_at` and
// so on. What is left out gets the protocol's default, or stays as it is in an update.
// REQUIRES: raw is valid JSON. The result does not hold on to raw.
func ParseMember(raw []byte) (MemberInput, error) {
	if !wire.IsObject(raw) {
		return MemberInput{}, invalid("", "A member must be an object.")
	}
	in, err := parseMember(parseObject(normalizeIDs(compact(raw))))
	if err != nil {
		return MemberInput{}, err
	}
	return in, nil
}

var memberRules = []rule{
	{key: "nick", shape: shapeString, nullable: true},
	{key: "avatar", shape: shapeString, nullable: true},
	{key: "banner", shape: shapeString, nullable: true},
	{key: "roles", shape: shapeIDs},
	{key: "joined_at", shape: shapeTime},
	{key: "premium_since", shape: shapeTime, nullable: true},
	{key: "deaf", shape: shapeBool},
	{key: "mute", shape: shapeBool},
	{key: "pending", shape: shapeBool},
	{key: "flags", shape: shapeInt},
	{key: "communication_disabled_until", shape: shapeTime, nullable: true},
}

func parseMember(o object) (MemberInput, *Error) {
	var in MemberInput
	var ok bool
	switch user := o.get("user"); {
	case wire.IsObject(user):
		fields := parseObject(user)
		if in.User, ok = fields.id("id"); !ok {
			return in, invalid("user.id", "It must be an id.")
		}
		if fields.get("username") != nil {
			account, err := parseUser(in.User, fields)
			if err != nil {
				return in, err.under("user")
			}
			in.Account = account
		}
	case user != nil && !wire.IsNull(user):
		return in, invalid("user", "It must be an object.")
	default:
		if in.User, ok = o.id("user_id"); !ok {
			return in, invalid("user_id", "It must be an id, unless there is a user.")
		}
	}
	o.drop("user", "user_id", "guild_id", "presence", "permissions", "unusual_dm_activity_until")
	if err := applyRules(&o, memberRules); err != nil {
		return in, err
	}
	in.fields = o
	return in, nil
}

// extraKeys are the fields of a member that have no place of their own in the record. Null is their
// default and is not kept.
var (
	extraKeys  = [...]string{"nick", "avatar", "banner", "premium_since"}
	extraMarks = [...]string{`"nick":`, `"avatar":`, `"banner":`, `"premium_since":`}
)

// member lays the input over base, which is the member so far or a new one. Roles must exist.
func (g *Guild) member(in MemberInput, base store.Member) (store.Member, *Error) {
	m := base
	m.User = uint64(in.User)
	extra := extraObject(m.Extra)
	for _, f := range in.fields {
		switch f.key {
		case "roles":
			roles, err := g.memberRoles(f.raw)
			if err != nil {
				return m, err
			}
			m.RoleSet = g.roleSets.Intern(roles)
		case "joined_at":
			m.JoinedAt = timeOf(f.raw)
		case "communication_disabled_until":
			m.TimeoutAt = timeOf(f.raw)
		case "deaf":
			m.Flags = withFlag(m.Flags, store.MemberDeaf, isTrue(f.raw))
		case "mute":
			m.Flags = withFlag(m.Flags, store.MemberMute, isTrue(f.raw))
		case "pending":
			m.Flags = withFlag(m.Flags, store.MemberPending, isTrue(f.raw))
		case "flags":
			flags, _ := parseInt(f.raw)
			m.Flags = m.Flags&(1<<store.MemberFlagsShift-1) | uint32(flags)<<store.MemberFlagsShift
		default:
			if wire.IsNull(f.raw) {
				extra.drop(f.key)
			} else {
				extra.set(f.key, f.raw)
			}
		}
	}
	m.Extra = string(extra.appendFields(nil))
	return m, nil
}

// memberRoles reads a member's roles. @everyone, which some writers list, is had by all.
func (g *Guild) memberRoles(raw []byte) (roles []uint64, err *Error) {
	index := 0
	wire.EachElement(raw, func(value []byte) bool {
		id, _ := parseID(value)
		switch {
		case id == g.id:
		case g.roleByID[id] == nil:
			err = invalid(indexed("roles", index), "The guild has no such role.")
		default:
			roles = append(roles, uint64(id))
		}
		index++
		return err == nil
	})
	return roles, err
}

func extraObject(extra string) object {
	if extra == "" {
		return nil
	}
	return parseObject([]byte("{" + extra + "}"))
}

func withFlag(flags, bit uint32, on bool) uint32 {
	if on {
		return flags | bit
	}
	return flags &^ bit
}

// timeOf reads a time that has been checked; 0 when it is null.
func timeOf(raw []byte) int64 {
	if !isText(raw) {
		return 0
	}
	milli, _ := wire.ParseTime(string(raw[1 : len(raw)-1]))
	return milli
}

// record returns the member as the directory keeps it.
func (g *Guild) record(m store.Member) store.MemberRecord {
	return store.MemberRecord{Member: m, Roles: g.roleSets.Roles(m.RoleSet)}
}

func (g *Guild) keepMember(m store.Member) store.Op {
	return store.Op{Kind: store.OpPutMember, Guild: uint64(g.id), User: m.User, Member: g.record(m)}
}

// memberView is all that is needed to write out members: tables that anyone may read at any time.
type memberView struct {
	users    *store.Users
	roleSets *store.RoleSets
	roles    roleFilter
}

func (g *Guild) view() memberView {
	return memberView{users: g.users, roleSets: g.roleSets, roles: g.roleIDs}
}

// append appends the member with its user, and with the guild's id when guild is not 0.
func (v *memberView) append(dst []byte, m store.Member, guild wire.Snowflake) []byte {
	dst = append(dst, `{"user":`...)
	dst = appendUser(dst, v.users, wire.Snowflake(m.User))
	dst = v.appendFields(append(dst, ','), m)
	if guild != 0 {
		dst = guild.AppendJSON(wire.AppendKey(dst, "guild_id"))
	}
	return append(dst, '}')
}

// appendPartial appends the member without its user, as messages carry it.
func (v *memberView) appendPartial(dst []byte, m store.Member) []byte {
	return append(v.appendFields(append(dst, '{'), m), '}')
}

func (v *memberView) appendFields(dst []byte, m store.Member) []byte {
	if m.Extra == "" {
		dst = append(dst, `"nick":null,"avatar":null,"banner":null,"premium_since":null`...)
	} else {
		dst = appendExtra(dst, m.Extra)
	}
	dst = append(dst, `,"roles":[`...)
	for _, role := range v.roleSets.Roles(m.RoleSet) {
		if v.roles.has(role) {
			dst = wire.Snowflake(role).AppendJSON(wire.AppendComma(dst))
		}
	}
	dst = appendTime(append(dst, `],"joined_at":`...), m.JoinedAt)
	dst = wire.AppendBool(append(dst, `,"deaf":`...), m.Flags&store.MemberDeaf != 0)
	dst = wire.AppendBool(append(dst, `,"mute":`...), m.Flags&store.MemberMute != 0)
	dst = wire.AppendInt(append(dst, `,"flags":`...), int64(m.Flags>>store.MemberFlagsShift))
	dst = wire.AppendBool(append(dst, `,"pending":`...), m.Flags&store.MemberPending != 0)
	dst = append(dst, `,"communication_disabled_until":`...)
	if m.TimeoutAt == 0 {
		return append(dst, "null"...)
	}
	return appendTime(dst, m.TimeoutAt)
}

// appendExtra appends the kept fields, and null for those that are not kept. It is not parsed for
// that: among fields of no depth, a key with its colon is nowhere but where it is one.
func appendExtra(dst []byte, extra string) []byte {
	dst = append(dst, extra...)
	deep := strings.Contains(extra, "{")
	for i, key := range extraKeys {
		if !strings.Contains(extra, extraMarks[i]) || deep && extraObject(extra).get(key) == nil {
			dst = append(wire.AppendKey(dst, key), "null"...)
		}
	}
	return dst
}

// nick returns the member's nickname, or "".
func nick(m store.Member) string {
	if !strings.Contains(m.Extra, `"nick":`) {
		return ""
	}
	name, _ := wire.StringField([]byte("{"+m.Extra+"}"), "nick")
	return name
}
