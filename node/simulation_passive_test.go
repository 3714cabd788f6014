package node

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"throng/fanout"
	"throng/wire"
)

// Sessions that do not listen to a guild, in plain words: each has its own list of what is new to
// it, and at every tick it is to be told what of that its user may see.

// simNews is what of a guild concerns its passive sessions.
type simNews struct {
	of   map[*simSession]*simListener
	last map[wire.Snowflake]wire.Snowflake // channel -> its newest message
	left []simLeft                         // voice channels, since the last tick
	// Members who had a role that was deleted change their class once more, some time later.
	had map[wire.Snowflake]bool
}

// simListener is how a session stands to a guild.
type simListener struct {
	lazy          bool // it joined when the guild was large
	passive       bool
	ever          bool // it has listened at some time
	threads       bool
	memberUpdates bool
	members       []wire.Snowflake

	// What is new to it.
	channels map[wire.Snowflake]bool
	voices   map[wire.Snowflake]bool
	changed  map[wire.Snowflake]bool // members
	left     []simLeft
	all      bool // it is to be told everything
	mayAll   bool // its class may have changed: then it is told everything
}

// simLeft is a voice channel that a user has left, as it was then.
type simLeft struct {
	user    wire.Snowflake
	channel simChannel
	voice   simVoice
}

// simPasses are the events that go to passive sessions too.
var simPasses = map[string]bool{
	"GUILD_UPDATE": true, "GUILD_DELETE": true, "GUILD_ROLE_CREATE": true,
	"GUILD_ROLE_UPDATE": true, "GUILD_ROLE_DELETE": true, "CHANNEL_CREATE": true,
	"CHANNEL_UPDATE": true, "CHANNEL_DELETE": true, "INTERACTION_CREATE": true, "SIM_UNKNOWN": true,
}

// simOwn are the events that are the user's own whom they are about.
var simOwn = map[string]bool{
	"GUILD_MEMBER_ADD": true, "GUILD_MEMBER_UPDATE": true, "VOICE_STATE_UPDATE": true,
}

// hears says whether a session is given an event, named being those who said it or are mentioned.
func (g *simGuild) hears(r *simSession, name string, c *simChannel, about wire.Snowflake,
	named []wire.Snowflake) bool {
	if !g.may(r, name, c, about) {
		return false
	}
	l := g.news.of[r]
	own := slices.Contains(named, r.user) || simOwn[name] && about == r.user
	if l.passive {
		return own || simPasses[name]
	}
	watched := about != 0 && slices.Contains(l.members, about)
	switch simRules[name].intent {
	case 1:
		return l.memberUpdates || own || watched
	case 8:
		return !l.lazy || watched
	}
	return true
}

// greet notes how a session that has just joined stands to the guild.
func (g *simGuild) greet(r *simSession) {
	if g.news.of == nil {
		g.news.of = map[*simSession]*simListener{}
	}
	lazy := !r.bot && len(g.members) >= g.m.w.core.limits.guild.PassiveMembersMin
	g.news.of[r] = &simListener{lazy: lazy, passive: lazy, memberUpdates: !lazy}
	if lazy {
		g.m.w.count("passive sessions")
		g.news.of[r].forget()
	}
}

// forget begins a new list.
func (l *simListener) forget() {
	l.channels, l.voices = map[wire.Snowflake]bool{}, map[wire.Snowflake]bool{}
	l.changed, l.left, l.all, l.mayAll = map[wire.Snowflake]bool{}, nil, false, false
}

// subscribe is op 14.
func (g *simGuild) subscribe(r *simSession, w wire.Subscription) {
	l := g.news.of[r]
	if r.bot {
		return
	}
	var members []wire.Snowflake
	threads := false
	if !l.passive {
		members, threads = l.members, l.threads
	}
	set := func(to, from *bool) {
		if from != nil {
			*to = *from
		}
	}
	set(&l.threads, w.Threads)
	set(&l.memberUpdates, w.MemberUpdates)
	if w.Members != nil {
		l.members = slices.Compact(slices.Sorted(slices.Values(w.Members)))
	}
	was := l.passive
	if w.Typing != nil {
		l.passive = !*w.Typing
	}
	switch {
	case was && !l.passive:
		l.ever = true
		g.m.w.count("subscriptions")
		if r.has(0) {
			r.give(g.id, &simEvent{name: "GUILD_CREATE", full: g.created(r), again: true}, true)
		}
	case !was && l.passive:
		l.ever = true
		g.m.w.count("subscriptions ended")
		l.forget()
	}
	if l.passive {
		return
	}
	for _, user := range l.members {
		p := g.presences[user]
		if !slices.Contains(members, user) && p != "" && user != r.user && r.has(8) && l.lazy {
			r.give(g.id, &simEvent{name: "PRESENCE_UPDATE", full: fmt.Sprint(user, " ", p)}, true)
		}
	}
	if l.threads && !threads && r.has(0) {
		r.give(g.id, &simEvent{name: "THREAD_LIST_SYNC", full: "threads"}, true)
	}
}

// eachPassive calls f for what each passive session has still to be told.
func (g *simGuild) eachPassive(f func(r *simSession, l *simListener)) {
	for _, r := range g.joined {
		if l := g.news.of[r]; l.passive {
			f(r, l)
		}
	}
}

func (g *simGuild) noteMessage(channel, id wire.Snowflake) {
	if g.news.last == nil {
		g.news.last = map[wire.Snowflake]wire.Snowflake{}
	}
	g.news.last[channel] = max(g.news.last[channel], id)
	g.noteChannel(channel)
}

func (g *simGuild) noteChannel(id wire.Snowflake) {
	g.eachPassive(func(_ *simSession, l *simListener) { l.channels[id] = true })
}

func (g *simGuild) noteMember(user wire.Snowflake) {
	if g.voices[user] != nil {
		g.eachPassive(func(_ *simSession, l *simListener) { l.changed[user] = true })
	}
}

func (g *simGuild) noteVoice(user wire.Snowflake, before *simVoice) {
	now := g.voices[user]
	var left []simLeft
	if before != nil && (now == nil || now.channel != before.channel) {
		if c := g.channel(before.channel); c != nil {
			left = []simLeft{{user, *c, *before}}
		}
	}
	any := false
	g.eachPassive(func(_ *simSession, l *simListener) {
		l.voices[user] = true
		l.left = append(l.left, left...)
		any = true
	})
	if any {
		g.news.left = append(g.news.left, left...)
	}
}

// noteSight is a change after which everybody may see more.
func (g *simGuild) noteSight() {
	g.eachPassive(func(_ *simSession, l *simListener) { l.all = true })
}

func (g *simGuild) noteRole(before, after uint64) {
	if after&^before&(simView|simAdministrator) != 0 {
		g.noteSight()
	}
}

// mayReset is a change that may move the users' sessions to another class.
func (g *simGuild) mayReset(users ...wire.Snowflake) {
	g.eachPassive(func(r *simSession, l *simListener) {
		l.mayAll = l.mayAll || slices.Contains(users, r.user)
	})
}

// swept notes that a member had a role that is deleted.
func (g *simGuild) swept(user wire.Snowflake) {
	if g.news.had == nil {
		g.news.had = map[wire.Snowflake]bool{}
	}
	g.news.had[user] = true
}

// named are the users whom overwrites name.
func (g *simGuild) named() map[wire.Snowflake]bool {
	named := map[wire.Snowflake]bool{}
	for _, c := range g.channels {
		for _, o := range c.grant {
			if o.member {
				named[o.id] = true
			}
		}
	}
	return named
}

func (g *simGuild) noteNamed(before map[wire.Snowflake]bool) {
	now := g.named()
	for user := range before {
		if !now[user] {
			g.mayReset(user)
		}
	}
	for user := range now {
		if !before[user] {
			g.mayReset(user)
		}
	}
}

// simUpdate is what a session is to be told at a tick: any one of the lists of events.
type simUpdate struct {
	options [][]simEvent
}

// tick tells the passive sessions the news, when that is due.
func (g *simGuild) tick(due int64) {
	if due == 0 || due > g.m.w.core.wall() {
		return
	}
	g.eachPassive(func(r *simSession, l *simListener) {
		u := &simUpdate{}
		if !l.all {
			u.options = append(u.options, g.update(r, l, false))
		}
		if l.all || l.mayAll || g.members[r.user].timeout != 0 || g.news.had[r.user] {
			u.options = append(u.options, g.update(r, l, true))
		}
		st := r.stream(g.id)
		st.due = append(st.due, simDue{update: u})
		r.count += 1 + len(g.voices)
		l.forget()
		g.m.w.count(fmt.Sprintf("updates of mode %d", r.mode))
	})
	g.news.left = nil
}

// update is what a session is told: what is new to it, or everything.
func (g *simGuild) update(r *simSession, l *simListener, all bool) (events []simEvent) {
	t := g.tell(r, l, all)
	if len(t.channels)+len(t.states)+len(t.members)+len(t.gone) == 0 {
		return nil
	}
	switch r.mode {
	case fanout.UpdateV1:
		t = g.tell(r, l, true)
		return []simEvent{{name: "PASSIVE_UPDATE_V1", full: t.text(false)}}
	case fanout.UpdateV2:
		return []simEvent{{name: "PASSIVE_UPDATE_V2", full: t.text(true)}}
	}
	if len(t.channels) > 0 {
		events = append(events, simEvent{name: "CHANNEL_UNREAD_UPDATE",
			full: strings.Join(t.channels, " ")})
	}
	for _, text := range append(t.states, t.goneTexts...) {
		events = append(events, simEvent{name: "VOICE_STATE_UPDATE", full: text})
	}
	return events
}

type simTold struct{ channels, states, members, gone, goneTexts []string }

func (t *simTold) text(gone bool) string {
	text := fmt.Sprintf("channels %v voice %v members %v", t.channels, t.states, t.members)
	if gone {
		text += fmt.Sprintf(" gone %v", t.gone)
	}
	return text
}

func (g *simGuild) tell(r *simSession, l *simListener, all bool) (t simTold) {
	channels := slices.Clone(g.channels)
	slices.SortFunc(channels, func(a, b simChannel) int { return int(int64(a.id) - int64(b.id)) })
	for i := range channels {
		c := &channels[i]
		if (all || l.channels[c.id]) && g.in(r.user, c)&simView != 0 {
			t.channels = append(t.channels, fmt.Sprintf("%d=%d", c.id, g.news.last[c.id]))
		}
	}
	if !r.has(7) {
		return t
	}
	left := l.left
	if all {
		left = g.news.left
	}
	users := maps.Clone(l.voices)
	maps.Copy(users, l.changed)
	for user := range g.voices {
		users[user] = true
	}
	for _, v := range left {
		users[v.user] = true
	}
	for _, user := range slices.Sorted(maps.Keys(users)) {
		v := g.voices[user]
		if v != nil && g.in(r.user, g.channel(v.channel))&simView != 0 {
			state := all || l.voices[user]
			if state {
				t.states = append(t.states, v.text(user, v.channel))
			}
			if state || l.changed[user] {
				t.members = append(t.members, g.memberText(user))
			}
			continue
		}
		for _, o := range slices.Backward(left) {
			if o.user == user && g.saw(r.user, o.channel) {
				t.gone = append(t.gone, user.String())
				t.goneTexts = append(t.goneTexts, o.voice.text(user, 0))
				break
			}
		}
	}
	return t
}

// saw says whether a user sees a channel as it was; somebody whom no channel names any more is no
// exception there either.
func (g *simGuild) saw(user wire.Snowflake, c simChannel) bool {
	if !g.named()[user] {
		c.grant = slices.DeleteFunc(slices.Clone(c.grant), func(o simGrant) bool { return o.member })
	}
	return g.in(user, &c)&simView != 0
}

// takeUpdate goes on with the updates that are due; it reports false when the event is none of
// them. One that could have ended earlier, or have been empty, has when what comes is not its own:
// all that was taken counts, and not what each was thought to be.
func (st *simStream) takeUpdate(name, digest string) bool {
	if st.read == len(st.due) || st.due[st.read].update == nil {
		return false
	}
	taken := append(slices.Clip(st.taken), simEvent{name: name, full: digest})
	if st.begins(st.read, taken) {
		st.taken = taken
		return true
	}
	end := st.read
	for end < len(st.due) && st.due[end].update != nil {
		end++
	}
	if st.ends(st.read, end, st.taken) {
		st.read, st.taken = end, nil
	}
	return false
}

// begins says whether these events can be the first of the updates from number n on.
func (st *simStream) begins(n int, events []simEvent) bool {
	if len(events) == 0 {
		return true
	}
	if n == len(st.due) || st.due[n].update == nil {
		return false
	}
	return slices.ContainsFunc(st.due[n].update.options, func(o []simEvent) bool {
		both := min(len(o), len(events))
		return slices.Equal(o[:both], events[:both]) && st.begins(n+1, events[both:])
	})
}

// ends says whether they can be all of the updates from number n up to end.
func (st *simStream) ends(n, end int, events []simEvent) bool {
	if n == end {
		return len(events) == 0
	}
	return slices.ContainsFunc(st.due[n].update.options, func(o []simEvent) bool {
		return len(o) <= len(events) && slices.Equal(o, events[:len(o)]) &&
			st.ends(n+1, end, events[len(o):])
	})
}

// done says whether nothing more has to come.
func (st *simStream) done() bool {
	for _, due := range st.due[st.read:] {
		if due.update == nil {
			return false
		}
	}
	return st.ends(st.read, len(st.due), st.taken)
}

// untold names something that a passive session has not been told yet, "" when there is nothing.
func (w *world) untold() (what string) {
	for _, g := range w.model.guilds {
		g.eachPassive(func(r *simSession, l *simListener) {
			if len(g.update(r, l, l.all)) > 0 {
				what = fmt.Sprintf("session %s has not been told of guild %d's news", r.id, g.id)
			}
		})
	}
	for _, s := range w.core.shards {
		for id, p := range s.guilds {
			if p.guild != nil && p.guild.NextTick() != 0 {
				what = fmt.Sprintf("guild %d has news to tell", id)
			}
		}
	}
	return what
}
