package fanout

import (
	"maps"
	"slices"
	"sync"

	"throng/wire"
)

// presence is what others see of someone's activity. It is immutable.
type presence struct {
	status     string
	activities []byte // A JSON array.
	client     []byte // The client_status object.
}

// presences are the members who are not offline. One writer, the shard; a Query reads while it
// runs elsewhere.
type presences struct {
	// Guarded by mu, which is held for one look-up at a time. A concurrent table would cost 2 KB
	// for each guild or 100 bytes for each entry, and most guilds have two people online.
	mu     sync.RWMutex
	byUser map[wire.Snowflake]*presence

	// Owned by the shard.
	online int
}

func (ps *presences) get(user wire.Snowflake) *presence {
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	return ps.byUser[user]
}

// set makes p the user's presence; nil is offline. It says whether anything changed.
func (ps *presences) set(user wire.Snowflake, p *presence) bool {
	old := ps.get(user)
	switch {
	case p == nil:
		return ps.remove(user)
	case old == nil:
		ps.online++
	case old.equal(p):
		return false
	}
	ps.mu.Lock()
	if ps.byUser == nil {
		ps.byUser = make(map[wire.Snowflake]*presence)
	}
	ps.byUser[user] = p
	ps.mu.Unlock()
	return true
}

func (ps *presences) remove(user wire.Snowflake) bool {
	_, was := ps.byUser[user]
	if was {
		ps.online--
		ps.mu.Lock()
		delete(ps.byUser, user)
		ps.mu.Unlock()
	}
	return was
}

// users returns those who are not offline, ascending.
func (ps *presences) users() []wire.Snowflake {
	return slices.Sorted(maps.Keys(ps.byUser))
}

func (p *presence) equal(q *presence) bool {
	return p.status == q.status && string(p.activities) == string(q.activities) &&
		string(p.client) == string(q.client)
}

// offline is the presence of whoever has none.
var offline = &presence{
	status: wire.StatusOffline, activities: []byte("[]"), client: []byte("{}"),
}

// append appends the presence of the user, with the guild's id when guild is not 0.
func (p *presence) append(dst []byte, user, guild wire.Snowflake) []byte {
	dst = user.AppendJSON(append(dst, `{"user":{"id":`...))
	dst = append(dst, '}')
	if guild != 0 {
		dst = guild.AppendJSON(wire.AppendKey(dst, "guild_id"))
	}
	dst = wire.AppendString(wire.AppendKey(dst, "status"), p.status)
	dst = append(wire.AppendKey(dst, "activities"), p.activities...)
	dst = append(wire.AppendKey(dst, "client_status"), p.client...)
	return append(dst, '}')
}

// presenceOf makes a presence of what a session said of itself; nil when it is offline to others.
func presenceOf(cmd wire.PresenceCommand) *presence {
	if cmd.Status == wire.StatusOffline || cmd.Status == wire.StatusInvisible {
		return nil
	}
	status := cmd.Status
	if status == "" {
		status = wire.StatusOnline
	}
	if len(cmd.Activities) == 0 || string(cmd.Activities) == "[]" {
		if p := idlePresences[status]; p != nil {
			return p
		}
	}
	return newPresence(status, cmd.Activities)
}

func newPresence(status string, activities []byte) *presence {
	p := &presence{status: status, activities: activities}
	if len(activities) == 0 {
		p.activities = offline.activities
	}
	p.client = append(wire.AppendString([]byte(`{"web":`), status), '}')
	return p
}

// idlePresences are those of people who do nothing that they tell of, which is nearly everybody:
// they share one value per status.
var idlePresences = map[string]*presence{
	wire.StatusOnline: newPresence(wire.StatusOnline, nil),
	wire.StatusIdle:   newPresence(wire.StatusIdle, nil),
	wire.StatusDND:    newPresence(wire.StatusDND, nil),
}

// SetPresence takes note of what a session says of itself. Of a user with several sessions the
// latest word counts, and when that session ends the newest of the others that has spoken.
func (g *Guild) SetPresence(h Handle, cmd wire.PresenceCommand, now int64) Change {
	t := g.turn(now)
	if r := g.receivers.get(h); r != nil {
		r.presence = presenceOf(cmd)
		r.spoke = true
		t.setPresence(r.User, r.presence)
	}
	return t.done()
}

// setPresence changes the user's presence and tells those who want to know.
func (t *turn) setPresence(user wire.Snowflake, p *presence) {
	if !t.g.presences.set(user, p) {
		return
	}
	t.g.relist(user)
	if p == nil {
		p = offline
	}
	info, _ := wire.LookupEvent("PRESENCE_UPDATE")
	ev := toAll(info)
	ev.Self, ev.SelfRule, ev.About = user, info.Self, user
	t.publish("PRESENCE_UPDATE", p.append(nil, user, t.g.id), nil, ev)
}

// losePresence follows the end of a session that had spoken.
func (t *turn) losePresence(user wire.Snowflake) {
	var left *presence
	heard := false
	t.g.receivers.of(user, func(r *receiver) {
		if r.spoke && !heard {
			left, heard = r.presence, true
		}
	})
	t.setPresence(user, left)
}

var presenceRules = []rule{
	{key: "status", shape: shapeString, value: `"online"`},
	{key: "activities", shape: shapeArray, value: "[]"},
	{key: "client_status", shape: shapeObject},
}

// applyPresence is PRESENCE_UPDATE from the backend, about any member.
func applyPresence(t *turn, info wire.EventInfo, o object) *Error {
	user, ok := o.id("user_id")
	if raw := o.get("user"); raw != nil && wire.IsObject(raw) {
		user, ok = wire.SnowflakeField(raw, "id")
	}
	if !ok {
		return invalid("d.user.id", "It must be an id.")
	}
	if _, member := t.g.members.Get(uint64(user)); !member {
		return notFound("d.user.id", "The guild has no such member.")
	}
	if err := applyRules(&o, presenceRules); err != nil {
		return err.under("d")
	}
	status, _ := wire.DecodeString(o.get("status"))
	p := &presence{
		status: status, activities: compact(o.get("activities")),
		client: compact(o.get("client_status")),
	}
	switch status {
	case wire.StatusOffline, wire.StatusInvisible:
		p = nil
		o.set("status", []byte(`"offline"`))
	case wire.StatusOnline, wire.StatusIdle, wire.StatusDND:
		if len(p.client) == 0 {
			p.client = append(append([]byte(`{"web":`), o.get("status")...), '}')
		}
	default:
		return invalid("d.status", "It must be online, idle, dnd, invisible or offline.")
	}
	t.g.presences.set(user, p)
	t.g.relist(user)
	account := object{}
	if raw := o.get("user"); raw != nil && wire.IsObject(raw) {
		account = parseObject(raw)
	}
	account.setID("id", user)
	o.set("user", account.bytes())
	o.drop("user_id")
	if p != nil {
		o.set("client_status", p.client)
	} else {
		o.setDefault("client_status", "{}")
	}
	ev := toAll(info)
	ev.Self, ev.SelfRule, ev.About = user, info.Self, user
	t.publish(info.Name, o.bytes(), nil, ev)
	return nil
}
