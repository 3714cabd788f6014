package node

import (
	"slices"

	"throng/fanout"
	"throng/wire"
)

// simPushes are the users to whom the guilds push, by message, and those to whom they should.
type simPushes struct {
	got, want map[wire.Snowflake][]wire.Snowflake
}

// watchPushes has the guilds push to the model.
func (w *world) watchPushes() {
	w.pushes = simPushes{map[wire.Snowflake][]wire.Snowflake{}, map[wire.Snowflake][]wire.Snowflake{}}
	w.core.push = func(_ wire.Snowflake, p *fanout.Push) {
		w.pushes.got[p.Message] = append(w.pushes.got[p.Message], p.Users...)
		w.tally["pushes"] += uint64(len(p.Users))
	}
}

// mention says whom a message is to be pushed to: who is mentioned, may read it, and has no session
// of the guild.
func (g *simGuild) mention(message, author wire.Snowflake, c *simChannel, users []wire.Snowflake) {
	w := g.m.w
	for _, user := range users {
		here := func(s *simSession) bool { return s.user == user && !g.news.of[s].passive }
		bot := func(u simUser) bool { return u.id == user && u.bot }
		due := w.pushes.want[message]
		if user == author || g.members[user] == nil || slices.ContainsFunc(g.joined, here) ||
			slices.ContainsFunc(w.users, bot) || slices.Contains(due, user) ||
			g.in(user, c)&simView == 0 {
			continue
		}
		w.pushes.want[message] = append(due, user)
	}
}

// comparePushes holds that there was nothing else, and nothing less.
func (w *world) comparePushes() {
	for message, users := range w.pushes.want {
		if got := w.pushes.got[message]; !slices.Equal(got, users) {
			w.fail("message %d was pushed to %v, want %v", message, got, users)
		}
		delete(w.pushes.got, message)
	}
	for message, users := range w.pushes.got {
		w.fail("message %d was pushed to %v, want nobody", message, users)
	}
}
