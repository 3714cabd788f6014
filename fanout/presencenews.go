package fanout

import (
	"throng/wire"
)

// Presence changes more often than anything else that is told of, matters least, and each change
// replaces the one before. 100,000 people who come into a guild of 100,000 members within a minute
// are 1,667 changes a second; to a thousand sessions that follow presences this is 1.7 million
// frames a second, more than the machine has, and every message would stand behind them.
//
// So a change is not told, it is noted, which is all that it costs somebody who connects: 200 ns.
// What has been noted is told together a short time later, each user once, as it is then. How many
// are told at once is bounded by what that costs, users times listeners, and the more it is the
// later comes the next time. They are told only when the loops are through with what the guild sent
// before: what a busy guild has no time for waits, is replaced meanwhile, and no message waits for
// it. Past PresencePeriodMaxMilli one bounded round goes out all the same.
//
// Who is back to what was told last is told again: somebody may have come, or asked, in between.
//
// Who listens: of a large guild its bots, and those of its users' sessions that ask for some
// members (op 14, members). Whoever looks at the member list sees presences there, in its rows. So
// in a large guild without bots nothing is even noted.
//
// The other place to do this is each loop, between the guild and its receivers. There each loop
// keeps a table of who has changed, every change is a message to every loop, and what the guild
// sends stays as frequent as the changes; what is gained is that a loop that lags tells less than
// its neighbours. The guild's own count of what its loops have not handed out gives the same, see
// behind.go.
//
// Invariant: a user is in of while somebody may know something else than how the user is now.
type presenceNews struct {
	// User -> the backend's own PRESENCE_UPDATE, when that was the last to say something, or nil.
	of    map[wire.Snowflake][]byte
	order []wire.Snowflake // By the first change. Users who are not in of any more are passed over.
	dueAt int64
}

// note takes down that the user's presence has changed; body is nil or the backend's.
func (t *turn) note(user wire.Snowflake, body []byte) {
	g := t.g
	n := &g.unsaid
	if g.receivers.following == 0 && len(g.watchers) == 0 {
		n.forget()
		return
	}
	if len(n.of) == 0 {
		n.of = make(map[wire.Snowflake][]byte)
		n.order = n.order[:0]
		n.dueAt = max(n.dueAt, t.now+g.limits.PresencePeriodMilli)
	}
	if _, known := n.of[user]; !known {
		n.order = append(n.order, user)
	}
	n.of[user] = body
}

func (n *presenceNews) forget() { n.of, n.order = nil, nil }

// presencesDue returns when the guild wants to tell presences; 0 is not before one changes.
func (g *Guild) presencesDue() int64 {
	if len(g.unsaid.of) == 0 {
		return 0
	}
	return max(g.unsaid.dueAt, 1)
}

// PresencesReady says whether Tick tells presences: it is time to, and what the guild has sent has
// been handed out, or that takes long.
func (g *Guild) PresencesReady(now int64) bool {
	due := g.presencesDue()
	if due == 0 || now < due {
		return false
	}
	_, behind := g.Behind()
	patience := g.limits.PresencePeriodMaxMilli - g.limits.PresencePeriodMilli
	return behind == 0 || now >= due+patience
}

// tellPresences tells some of what has been noted, oldest first. The more that is, the longer the
// time to the next.
func (t *turn) tellPresences() {
	g := t.g
	if !g.PresencesReady(t.now) {
		return
	}
	n, l := &g.unsaid, &g.limits
	listeners := max(g.receivers.following, 1)
	most := presenceShare * (presenceDeliveriesMax/listeners - 1)
	most = max(1, min(most, l.PresencesMax))
	told := 0
	for told < most && len(n.order) > 0 {
		user := n.order[0]
		n.order = n.order[1:]
		body, noted := n.of[user]
		if !noted {
			continue
		}
		if body == nil {
			body = g.presences.get(user).append(nil, user, g.id)
		}
		t.publishPresence(user, body)
		told++
	}
	if len(n.of) == 0 {
		n.forget()
	}
	cost := min(listeners*(presenceShare+told)/presenceShare, presenceDeliveriesMax)
	span := l.PresencePeriodMaxMilli - l.PresencePeriodMilli
	n.dueAt = t.now + l.PresencePeriodMilli + span*int64(cost)/presenceDeliveriesMax
}

// publishPresence sends PRESENCE_UPDATE about the user. What has been noted is told by that.
func (t *turn) publishPresence(user wire.Snowflake, body []byte) {
	delete(t.g.unsaid.of, user)
	info, _ := wire.LookupEvent("PRESENCE_UPDATE")
	ev := toAll(info)
	ev.Self, ev.SelfRule, ev.About = user, info.Self, user
	t.publish(info.Name, body, nil, ev)
}
