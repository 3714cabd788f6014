package node

import (
	"fmt"
	"slices"
	"strings"

	"throng/node/api"
	"throng/wire"
)

// Presences, in plain words: each session says something, a user is what all of its sessions say,
// and whoever's presence changes stands in a line until it is told.

// simSaid is what a session says of itself.
type simSaid struct{ status, doing string }

// simPlatforms are what clients say for their browser, and what others see of that, in the order
// in which others see it.
var simPlatforms = []struct{ browser, shown string }{
	{"disco", "web"}, {"Discord Client", "desktop"}, {"Discord iOS", "mobile"},
}

func simSaidOf(p wire.PresenceCommand) (said simSaid) {
	said.status = p.Status
	wire.EachElement(p.Activities, func(raw []byte) bool {
		said.doing, _ = wire.StringField(raw, "name")
		return true
	})
	return said
}

// line is those who are to be told of.
type simLine struct {
	noted map[wire.Snowflake]string // user -> what the backend wrote, or ""
	order []wire.Snowflake
}

// regard makes a user's presence what its sessions say.
func (g *simGuild) regard(user wire.Snowflake) {
	var doing []string
	shown := map[string]string{}
	rank := func(status string) int { return slices.Index([]string{"dnd", "online", "idle"}, status) }
	best := ""
	for _, r := range slices.Backward(g.joined) {
		said := g.said[r]
		if r.user != user || rank(said.status) < 0 {
			continue
		}
		if said.doing != "" && !slices.Contains(doing, said.doing) {
			doing = append(doing, said.doing)
		}
		on := simPlatforms[r.platform].shown
		if shown[on] == "" || rank(said.status) < rank(shown[on]) {
			shown[on] = said.status
		}
		if best == "" || rank(said.status) < rank(best) {
			best = said.status
		}
	}
	text := ""
	if best != "" {
		text = simPresenceText(best, doing, shown)
	}
	if text != g.presences[user] {
		g.bePresent(user, text)
		g.note(user, "")
	}
}

// simPresenceText is a presence as the simulation writes it.
func simPresenceText(status string, doing []string, shown map[string]string) string {
	text := strings.Join(append([]string{status}, doing...), " ")
	for _, p := range simPlatforms {
		if shown[p.shown] != "" {
			text += fmt.Sprintf(" %s=%s", p.shown, shown[p.shown])
		}
	}
	return text
}

// bePresent makes text the user's presence; "" is offline.
func (g *simGuild) bePresent(user wire.Snowflake, text string) {
	if g.presences[user] = text; text == "" {
		delete(g.presences, user)
	}
}

// note puts the user into the line, unless nobody would hear of it.
func (g *simGuild) note(user wire.Snowflake, body string) {
	heard := false
	for _, r := range g.joined {
		l := g.news.of[r]
		heard = heard || !l.passive && (!l.lazy && r.has(8) || len(l.members) > 0)
	}
	if !heard {
		g.line = simLine{}
		g.m.w.count("presences for nobody")
		return
	}
	if len(g.line.noted) == 0 {
		g.line = simLine{noted: map[wire.Snowflake]string{}}
	}
	if _, known := g.line.noted[user]; !known {
		g.line.order = append(g.line.order, user)
	} else {
		g.m.w.count("presences replaced")
	}
	g.line.noted[user] = body
}

// tellPresences tells of the first in the line.
func (g *simGuild) tellPresences() {
	for told := 0; told < g.m.w.core.limits.guild.PresencesMax && len(g.line.order) > 0; {
		user := g.line.order[0]
		g.line.order = g.line.order[1:]
		text, noted := g.line.noted[user]
		if !noted {
			continue
		}
		told++
		if text == "" {
			text = g.presences[user]
		}
		g.sayPresence(user, text)
	}
	if len(g.line.noted) > 0 {
		g.m.w.count("presences put off")
	}
}

// sayPresence tells of one user; text is "" for offline.
func (g *simGuild) sayPresence(user wire.Snowflake, text string) {
	delete(g.line.noted, user)
	if text == "" {
		text = wire.StatusOffline
	}
	g.publish(&simEvent{name: "PRESENCE_UPDATE", full: fmt.Sprint(user, " ", text)}, nil, user)
}

// presenceEvent is the backend's word on a member, which goes out as it is.
func (w *world) presenceEvent(g *simGuild) (api.EventInput, simOp) {
	user := w.someMember(g)
	status := []string{"online", "idle", "dnd", "offline"}[w.rng.IntN(4)]
	name := fmt.Sprint("shown ", w.mark())
	d := fmt.Appendf(nil, `{"user":{"id":"%d"},"status":"%s",`+
		`"activities":[{"name":"%s","type":0}]}`, user, status, name)
	return api.EventInput{Type: "PRESENCE_UPDATE", Data: d}, func(g *simGuild) {
		if g.members[user] == nil {
			return
		}
		if status == wire.StatusOffline {
			g.bePresent(user, "")
			g.note(user, status+" "+name)
			return
		}
		said := simPresenceText(status, []string{name}, map[string]string{"web": status})
		g.bePresent(user, said)
		g.note(user, said)
	}
}
