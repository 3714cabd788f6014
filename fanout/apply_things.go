package fanout

import (
	"slices"

	"throng/wire"
)

// thingsOf returns the guild's list of the kind.
func (g *Guild) thingsOf(kind *thingKind) *things {
	for _, list := range g.things() {
		if list.kind == kind {
			return list.things
		}
	}
	panic("fanout: a kind of thing that no guild has")
}

// thingsBody is the body of an event with a whole list, and the answer to a request for sounds.
func (g *Guild) thingsBody(kind *thingKind) []byte {
	dst := g.id.AppendJSON([]byte(`{"guild_id":`))
	return append(g.thingsOf(kind).append(wire.AppendKey(dst, kind.key)), '}')
}

// applyThings returns the applier of an event that replaces a whole list.
func applyThings(kind *thingKind) applier {
	return func(t *turn, info wire.EventInfo, o object) *Error {
		raw := o.get(kind.key)
		if raw == nil || !wire.IsArray(raw) {
			return invalid("d."+kind.key, "It must be an array.")
		}
		all, err := kind.parseAll(t.g.id, raw)
		if err != nil {
			return err.under("d")
		}
		*t.g.thingsOf(kind) = all
		t.g.head = nil
		t.keep(t.g.keep())
		t.publish(info.Name, t.g.thingsBody(kind), nil, toAll(info))
		return nil
	}
}

// applyThingPut returns the applier of an event that adds an object or changes some of its fields.
func applyThingPut(kind *thingKind) applier {
	return func(t *turn, info wire.EventInfo, o object) *Error {
		all := t.g.thingsOf(kind)
		id, _ := o.id(kind.id)
		if at := all.find(id); at >= 0 {
			whole := parseObject(all.list[at].raw)
			whole.merge(o)
			o = whole
		} else if len(all.list) >= thingsMax {
			return conflict("d", "The guild has as many as it may.")
		}
		one, err := kind.parse(t.g.id, o)
		if err != nil {
			return err.under("d")
		}
		ev, err := t.g.audience(info, o)
		if err != nil {
			return err
		}
		all.put(one)
		t.g.head = nil
		t.keep(t.g.keep())
		t.publish(info.Name, withGuild(one.raw, t.g.id), nil, ev)
		return nil
	}
}

// applyThingDelete returns the applier of an event that removes an object. Where the protocol wants
// the whole object in the event, what d left out is filled in.
func applyThingDelete(kind *thingKind) applier {
	return func(t *turn, info wire.EventInfo, o object) *Error {
		all := t.g.thingsOf(kind)
		id, ok := o.id(kind.id)
		if !ok {
			return invalid("d."+kind.id, "It must be an id.")
		}
		at := all.find(id)
		if at < 0 {
			return notFound("d."+kind.id, "The guild has no such object.")
		}
		if kind != &soundKind {
			whole := parseObject(all.list[at].raw)
			whole.merge(o)
			o = whole
		}
		ev, err := t.g.audience(info, o)
		if err != nil {
			return err
		}
		all.list = slices.Delete(all.list, at, at+1)
		t.g.head = nil
		t.keep(t.g.keep())
		t.publish(info.Name, o.bytes(), nil, ev)
		return nil
	}
}

// withGuild returns the object with guild_id in it.
func withGuild(raw []byte, guild wire.Snowflake) []byte {
	if _, there := wire.Field(raw, "guild_id"); there {
		return raw
	}
	dst := wire.AppendKey(append(make([]byte, 0, len(raw)+40), raw[:len(raw)-1]...), "guild_id")
	return append(guild.AppendJSON(dst), '}')
}
