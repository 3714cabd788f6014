package fanout

import (
	"cmp"
	"maps"
	"slices"

	"throng/store"
	"throng/wire"
)

// guildLists are the member lists of a guild that has subscribers to them, and what of the guild
// they need often, remembered: the highest hoisted role of a role-set, and who may view a channel.
type guildLists struct {
	memberLists
	g *Guild

	folded []byte // The name of the last listing.
	roles  map[uint32]wire.Snowflake
	sight  map[listSight]bool
	ids    map[wire.Snowflake]string

	order   []wire.Snowflake // The hoisted roles as the lists have them.
	reorder bool             // The roles have changed.
	resee   bool             // What members may view has changed.
	more    bool             // There is more to do.
	nextAt  int64            // When is soon enough for that, and for whoever is touched.
	tellAt  int64            // When counts are told next.
}

// listSight is what decides whether a member may view a channel.
type listSight struct {
	channel wire.Snowflake
	key     classKey
}

func newGuildLists(g *Guild) *guildLists {
	ls := &guildLists{g: g}
	ls.forgetRoles()
	ls.forgetSight()
	ls.order = ls.hoisted()
	ls.memberLists = *newMemberLists(g.id, ls)
	return ls
}

func (ls *guildLists) forgetRoles() { ls.roles = make(map[uint32]wire.Snowflake) }

func (ls *guildLists) forgetSight() {
	ls.sight = make(map[listSight]bool)
	ls.ids = make(map[wire.Snowflake]string)
}

func (ls *guildLists) listing(user wire.Snowflake) (listing, bool) {
	g := ls.g
	m, ok := g.members.Get(uint64(user))
	if !ok {
		return listing{}, false
	}
	ls.folded = appendFolded(ls.folded[:0], g.displayName(m))
	return listing{
		name: ls.folded, role: ls.highest(m.RoleSet), online: g.presences.get(user) != nil,
	}, true
}

// displayName is what clients call the member.
func (g *Guild) displayName(m store.Member) string {
	if m.Extra != "" {
		if name := nick(m); name != "" {
			return name
		}
	}
	user := g.users.Get(m.User)
	if user == nil {
		return placeholderName(wire.Snowflake(m.User))
	}
	return cmp.Or(user.GlobalName, user.Name)
}

// highest returns the highest hoisted role of the set, or 0.
func (ls *guildLists) highest(set uint32) wire.Snowflake {
	if set == 0 {
		return 0
	}
	highest, known := ls.roles[set]
	if !known {
		var best *role
		for _, id := range ls.g.roleSets.Roles(set) {
			r := ls.g.roleByID[wire.Snowflake(id)]
			if r != nil && r.hoist && (best == nil || compareHoisted(r, best) < 0) {
				best = r
			}
		}
		if best != nil {
			highest = best.id
		}
		ls.roles[set] = highest
	}
	return highest
}

func compareHoisted(a, b *role) int {
	return cmp.Or(cmp.Compare(b.position, a.position), cmp.Compare(a.id, b.id))
}

func (ls *guildLists) hoisted() []wire.Snowflake {
	var hoisted []*role
	for _, r := range ls.g.roles {
		if r.hoist && r.id != ls.g.id {
			hoisted = append(hoisted, r)
		}
	}
	slices.SortFunc(hoisted, compareHoisted)
	ids := make([]wire.Snowflake, len(hoisted))
	for i, r := range hoisted {
		ids[i] = r.id
	}
	return ids
}

// views asks for a class of members rather than for the member. Timeouts do not hide channels.
func (ls *guildLists) views(user, channel wire.Snowflake) bool {
	g := ls.g
	m, ok := g.members.Get(uint64(user))
	c := g.listChannel(channel)
	if !ok || c == nil {
		return false
	}
	m.TimeoutAt = 0
	at := listSight{c.id, g.keyOf(m, 0)}
	views, known := ls.sight[at]
	if !known {
		subject := g.subjectOf(at.key)
		held := wire.ChannelPermissions(g.basePermissions(subject), g.id, subject, c.overwrites)
		views = held.Has(wire.PermissionViewChannel)
		if len(ls.sight) >= listSightMax {
			clear(ls.sight)
		}
		ls.sight[at] = views
	}
	return views
}

// listChannel returns the channel whose list the channel or thread has, or nil.
func (g *Guild) listChannel(id wire.Snowflake) *channel {
	if th := g.threadByID[id]; th != nil {
		id = th.parent
	}
	return g.channelByID[id]
}

func (ls *guildLists) listID(channel wire.Snowflake) string {
	id, known := ls.ids[channel]
	if !known {
		if c := ls.g.listChannel(channel); c != nil {
			id = wire.MemberListID(ls.g.roleByID[ls.g.id].permissions, c.overwrites)
			ls.ids[channel] = id
		}
	}
	return id
}

func (ls *guildLists) totals() (members, online int) {
	return ls.g.members.Len(), ls.g.presences.online
}

func (ls *guildLists) users(onlineOnly bool) []wire.Snowflake {
	if onlineOnly {
		return slices.Collect(maps.Keys(ls.g.presences.byUser))
	}
	users := make([]wire.Snowflake, 0, ls.g.members.Len())
	ls.g.members.Range(func(m store.Member) bool {
		users = append(users, wire.Snowflake(m.User))
		return true
	})
	return users
}

func (ls *guildLists) appendMember(dst []byte, user wire.Snowflake) []byte {
	g := ls.g
	m, _ := g.members.Get(uint64(user))
	m.User = uint64(user)
	view := g.view()
	dst = view.append(dst, m, 0)
	dst = wire.AppendKey(dst[:len(dst)-1], "presence")
	dst = g.presences.get(user).append(dst, user, g.id)
	return append(dst, '}')
}

// relist takes note that the member's place in lists, or what they show of it, may have changed.
func (g *Guild) relist(user wire.Snowflake) {
	if g.lists != nil {
		g.lists.touch(user)
	}
}

// subscribeLists is told whenever the ranges of member lists may have changed that a session is to
// be shown: r.wants.lists while the session listens, and none once r.passive is set, which it is
// too when the session leaves.
func (t *turn) subscribeLists(r *receiver) {
	g := t.g
	left := g.receivers.get(r.Handle) == nil
	var channels []listChannel
	if !r.passive {
		for _, want := range r.wants.lists {
			if blocks := listBlocks(want.Ranges); len(blocks) > 0 {
				channels = append(channels, listChannel{want.Channel, blocks})
			}
		}
	}
	if g.lists == nil {
		if len(channels) == 0 {
			return
		}
		g.lists = newGuildLists(g)
	}
	if left {
		g.lists.leave(r.Handle)
	} else {
		t.reseeLists()
		g.lists.subscribe(r.Handle, r.User, channels)
	}
	g.lists.more = true
	t.tellLists()
}

// workLists is the end of a turn: what lists are due to tell goes out. In a busy guild that is as
// often as the limit says, and otherwise at once.
func (t *turn) workLists() {
	ls := t.g.lists
	if ls == nil {
		return
	}
	if len(ls.subscribers) == 0 {
		t.g.lists = nil
		return
	}
	t.reseeLists()
	if ls.nextAt <= t.now && (ls.more || len(ls.touched) > 0) {
		ls.more = ls.work(listWorkMax)
		ls.nextAt = t.now + listPeriodMilli
	}
	if ls.tellAt <= t.now {
		ls.tellCounts()
		ls.tellAt = t.now + listCountsMilli
	}
	t.tellLists()
}

// reseeLists brings the lists up to the guild's roles and channels, if these have changed.
func (t *turn) reseeLists() {
	ls := t.g.lists
	if ls.reorder {
		ls.reorder = false
		if order := ls.hoisted(); !slices.Equal(order, ls.order) {
			ls.order = order
			ls.forgetRoles()
			ls.regroup()
			ls.more = true
		}
	}
	if ls.resee {
		ls.resee = false
		ls.forgetSight()
		ls.resight()
		ls.more = true
	}
}

// tellLists sends what the lists have to say: one step for each loop with somebody to hear it, or
// one for so many.
func (t *turn) tellLists() {
	for _, n := range t.g.lists.take() {
		to := slices.Clone(n.to)
		slices.SortStableFunc(to, func(a, b Handle) int { return cmp.Compare(a.Loop, b.Loop) })
		for len(to) > 0 {
			count := 1
			for count < min(len(to), listShareMax) && to[count].Loop == to[0].Loop {
				count++
			}
			t.send(Msg{Kind: MsgShare, Loop: int(to[0].Loop), Several: to[:count:count],
				Dispatches: []*wire.Dispatch{n.dispatch}})
			to = to[count:]
		}
	}
}

// listsDue returns when the lists want the guild's Tick; 0 is not before something happens.
func (g *Guild) listsDue() int64 {
	switch ls := g.lists; {
	case ls == nil:
		return 0
	case ls.more || len(ls.touched) > 0:
		return max(ls.nextAt, 1)
	case ls.stale():
		return max(ls.tellAt, 1)
	}
	return 0
}
