package fanout

import (
	"cmp"
	"slices"

	"throng/wire"
)

// guildLists are the member lists of a guild that has subscribers to them, and what of the guild
// they need often, remembered.
type guildLists struct {
	memberLists
	g    *Guild
	eyes listEyes
	ids  map[wire.Snowflake]string

	reorder bool  // The roles have changed.
	resee   bool  // What members may view has changed.
	more    bool  // work is to be called again at once.
	nextAt  int64 // When is soon enough for a round, and for what has changed for many.
	roundAt int64 // When the last one began.
	tellAt  int64 // When counts are told next.
	buildAt int64 // When is soon enough for a build.
	sinceAt int64 // When the one that is under way began.
}

func newGuildLists(g *Guild) *guildLists {
	ls := &guildLists{g: g}
	ls.look()
	ls.memberLists = *newMemberLists(g.id, ls)
	return ls
}

// look forgets what is remembered of roles and permissions.
func (ls *guildLists) look() {
	ls.eyes = ls.g.eyes(ls.g.classes.named)
	ls.ids = make(map[wire.Snowflake]string)
}

func (ls *guildLists) listing(user wire.Snowflake) (listing, bool) {
	m, ok := ls.g.members.Get(uint64(user))
	if !ok {
		return listing{}, false
	}
	return ls.eyes.listing(m), true
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

func (ls *guildLists) views(user, channel wire.Snowflake) bool {
	m, ok := ls.g.members.Get(uint64(user))
	c := ls.g.listChannel(channel)
	return ok && c != nil && ls.eyes.views(m, c)
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

// sight is the owner, and the roles with what they hold of the permissions that show channels: an
// overwrite for a role that is gone counts no more.
func (ls *guildLists) sight() string {
	sight := appendBlocks(nil, uint32(ls.g.owner>>32), uint32(ls.g.owner))
	for _, r := range ls.g.roles {
		const need = wire.PermissionViewChannel | wire.PermissionAdministrator
		held := r.permissions & need
		sight = appendBlocks(sight, uint32(r.id>>32), uint32(r.id), uint32(held))
	}
	return string(sight)
}

func (ls *guildLists) totals() (members, online int) {
	return ls.g.members.Len(), ls.g.presences.online
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
	g.mark(user)
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
		g.lists.subscribe(r.Handle, r.User, channels)
	}
}

// workLists is the end of a turn: what lists are due to tell goes out, as much as a slice of the
// shard is long. A round begins as often as the limit says in a busy guild, and otherwise at once.
func (t *turn) workLists() {
	ls := t.g.lists
	if ls == nil {
		return
	}
	if len(ls.subscribers) == 0 {
		t.g.lists = nil
		return
	}
	due := ls.nextAt <= t.now
	if due && (ls.reorder || ls.resee) {
		ls.look()
		ls.regroup()
		if ls.resee {
			ls.resight()
		}
		ls.reorder, ls.resee = false, false
		ls.nextAt = t.now + listPeriodMilli
	}
	// What members may view must be known before anybody is told anything.
	ls.more = !ls.resee && t.workRound(due)
	if ls.tellAt <= t.now && ls.stage == listsRest && len(ls.doubted) == 0 && !ls.resee {
		ls.tellCounts()
		ls.tellAt = t.now + listCountsMilli
	}
	t.tellLists()
}

// workRound does a slice of a round, and sees to it that there is a pause after each, of as long as
// it took at least.
func (t *turn) workRound(begin bool) (more bool) {
	ls := t.g.lists
	before := ls.number
	more = ls.work(begin, t.g.limits.ListSliceMicro)
	if ls.number != before {
		ls.roundAt = t.now
		ls.nextAt = t.now + listPeriodMilli
	}
	if ls.stage != listsRest {
		ls.nextAt = max(ls.nextAt, t.now+(t.now-ls.roundAt))
	}
	return more
}

// pending reports whether there is something for a round, or that has changed for many.
func (ls *guildLists) pending() bool {
	return ls.reorder || ls.resee || len(ls.touched) > 0 || ls.built != nil
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
	case ls.more:
		return 1
	case ls.pending():
		return max(ls.nextAt, 1)
	case ls.stale && ls.building == nil:
		return max(ls.buildAt, 1)
	case ls.anyStale():
		return max(ls.tellAt, 1)
	}
	return 0
}

// Unfinished reports whether the guild wants Tick as soon as others have had their turn: it has
// done as much as one call may take.
func (g *Guild) Unfinished() bool { return g.lists != nil && g.lists.more }

// ListBuild is the making of a guild's member lists. Its holder calls Run, away from the shard, and
// gives it back to Listed.
type ListBuild struct {
	*listBuild
	of *guildLists
}

// Run makes the lists. It calls pause again and again, so that others may run: a million who are
// online are two seconds.
func (b *ListBuild) Run(pause func()) { b.run(pause) }

// ListBuild returns a build that is to be begun, or nil. It is to be asked for after every call
// that may have changed the guild.
func (g *Guild) ListBuild(now int64) *ListBuild {
	ls := g.lists
	if ls == nil || now < ls.buildAt || ls.resee || ls.reorder {
		return nil
	}
	b := ls.build()
	if b == nil {
		return nil
	}
	ls.sinceAt = now
	return &ListBuild{b, ls}
}

// Listed takes a build back; ok says that it has been run. The next one may not begin before as
// much time has passed as this one took, so that a guild has a worker half of the time at most.
func (g *Guild) Listed(b *ListBuild, ok bool, now int64) Change {
	t := g.turn(now)
	switch ls := g.lists; {
	case ls != b.of:
	case !ok:
		g.ListsFailed(b, now)
	default:
		ls.done(b.listBuild, true)
		ls.buildAt = now + (now - ls.sinceAt)
		ls.nextAt = min(ls.nextAt, now)
	}
	return t.done()
}

// ListsFailed gives a build up, for some time.
func (g *Guild) ListsFailed(b *ListBuild, now int64) {
	if ls := g.lists; ls == b.of {
		ls.done(b.listBuild, false)
		ls.buildAt = now + listRetryMilli
	}
}
