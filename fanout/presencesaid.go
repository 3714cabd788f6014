package fanout

import "throng/wire"

// SetPresence takes note of what a session says of itself. What others see of a user is all of the
// user's sessions together. It is told some time later, by Tick.
func (g *Guild) SetPresence(h Handle, cmd wire.PresenceCommand, now int64) Change {
	t := g.turn(now)
	if r := g.receivers.get(h); r != nil {
		r.presence = presenceOf(cmd, r.platform)
		r.spoke = true
		g.mark(r.User)
		t.regard(r.User)
	}
	return t.done()
}

// regard makes the user's presence what the user's sessions say.
func (t *turn) regard(user wire.Snowflake) {
	var several [4]sessionPresence
	said := several[:0]
	t.g.receivers.of(user, func(r *receiver) {
		if r.presence != nil && len(said) < presenceSessionsMax {
			said = append(said, sessionPresence{r.presence, r.platform})
		}
	})
	if t.g.presences.set(user, together(said)) {
		t.g.relist(user)
		t.note(user, nil)
	}
}

var presenceRules = []rule{
	{key: "status", shape: shapeString, value: `"online"`},
	{key: "activities", shape: shapeArray, value: "[]"},
	{key: "client_status", shape: shapeObject},
}

// applyPresence is PRESENCE_UPDATE from the backend, about any member. It counts until one of the
// user's sessions says something.
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
	t.note(user, o.bytes())
	return nil
}
