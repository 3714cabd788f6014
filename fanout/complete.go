package fanout

import (
	"slices"
	"strconv"

	"throng/wire"
)

// A backend says what happened; the protocol wants a whole object, and client libraries fail on
// what is missing. What is missing is added here, and what is there is left as it is.

// messageDefaults are what every new message has.
var messageDefaults = object{
	{"type", []byte("0")}, {"content", []byte(`""`)}, {"edited_timestamp", []byte("null")},
	{"tts", []byte("false")}, {"mention_everyone", []byte("false")}, {"mentions", []byte("[]")},
	{"mention_roles", []byte("[]")}, {"attachments", []byte("[]")}, {"embeds", []byte("[]")},
	{"components", []byte("[]")}, {"pinned", []byte("false")}, {"flags", []byte("0")},
}

var messageRules = []rule{
	{key: "id", shape: shapeID},
	{key: "content", shape: shapeString},
	{key: "type", shape: shapeInt},
	{key: "flags", shape: shapeInt},
	{key: "timestamp", shape: shapeTime},
	{key: "edited_timestamp", shape: shapeTime, nullable: true},
	{key: "tts", shape: shapeBool},
	{key: "pinned", shape: shapeBool},
	{key: "mention_everyone", shape: shapeBool},
	{key: "mentions", shape: shapeArray},
	{key: "mention_roles", shape: shapeIDs},
	{key: "attachments", shape: shapeArray},
	{key: "embeds", shape: shapeArray},
	{key: "components", shape: shapeArray},
	{key: "webhook_id", shape: shapeID},
	// Null in one of these makes discord.js or eris drop the message.
	{key: "application", shape: shapeObject},
	{key: "activity", shape: shapeObject},
	{key: "message_reference", shape: shapeObject},
	{key: "thread", shape: shapeObject},
	{key: "role_subscription_data", shape: shapeObject},
	{key: "resolved", shape: shapeObject},
	{key: "poll", shape: shapeObject},
	{key: "call", shape: shapeObject},
	{key: "sticker_items", shape: shapeArray},
}

// applyMessageCreate is MESSAGE_CREATE.
func applyMessageCreate(t *turn, info wire.EventInfo, o object) *Error {
	g := t.g
	ev, err := g.audience(info, o)
	if err != nil {
		return err
	}
	channel, _ := o.id(keyChannelID)
	if !o.present("author") {
		return invalid("d.author", "It must be a user.")
	}
	if err := g.completeMessage(&o, &ev); err != nil {
		return err.under("d")
	}
	if !o.present("id") {
		o.setID("id", g.NextMessageID(t.now))
	}
	id, ok := o.id("id")
	if !ok {
		return invalid("d.id", "It must be an id.")
	}
	if !o.present("timestamp") {
		o.set("timestamp", quotedTime(t.now))
	}
	for _, d := range messageDefaults {
		if o.get(d.key) == nil {
			o = append(o, d)
		}
	}
	ev.Own = ev.Full
	g.noteChannel(channel)
	if c := g.channelByID[channel]; c != nil {
		c.last = max(c.last, id)
		o.setDefault("channel_type", strconv.FormatInt(c.kind, 10))
	} else if th := g.threadByID[channel]; th != nil {
		th.last = max(th.last, id)
		o.setDefault("channel_type", strconv.FormatInt(th.kind, 10))
	}
	g.head = nil
	t.push(o, channel, id)
	body := o.bytes()
	t.publish(info.Name, body, wire.StripMessage(body), ev)
	return nil
}

// applyMessageUpdate is MESSAGE_UPDATE, which may name only what has changed.
func applyMessageUpdate(t *turn, info wire.EventInfo, o object) *Error {
	ev, err := t.g.audience(info, o)
	if err != nil {
		return err
	}
	if _, ok := o.id("id"); !ok {
		return invalid("d.id", "It must be an id.")
	}
	if err := t.g.completeMessage(&o, &ev); err != nil {
		return err.under("d")
	}
	body := o.bytes()
	ev.Own = ev.Full
	t.publish(info.Name, body, wire.StripMessage(body), ev)
	return nil
}

// applyPins is CHANNEL_PINS_UPDATE.
func applyPins(t *turn, info wire.EventInfo, o object) *Error {
	g := t.g
	ev, err := g.audience(info, o)
	if err != nil {
		return err
	}
	if err := applyRules(&o, pinRules); err != nil {
		return err.under("d")
	}
	id, _ := o.id(keyChannelID)
	var p *place
	if c := g.channelByID[id]; c != nil {
		p = &c.place
	} else if th := g.threadByID[id]; th != nil {
		p = &th.place
	}
	if raw := o.get(keyPinned); raw != nil && p != nil {
		p.pinned, p.repinned = slices.Clone(raw), true
		g.head = nil
		g.noteChannel(id)
	}
	t.publish(info.Name, o.bytes(), nil, ev)
	return nil
}

var pinRules = []rule{{key: keyPinned, shape: shapeTime, nullable: true}}

// completeMessage completes what a message says of users, and finds out who is to get the full
// body: the author and the mentioned. Of those only the connected matter, and an event without any
// is delivered faster.
func (g *Guild) completeMessage(o *object, ev *Event) *Error {
	if err := applyRules(o, messageRules); err != nil {
		return err
	}
	view := g.view()
	if raw := o.get("author"); raw != nil && !wire.IsNull(raw) {
		full, author, err := g.completeUser(raw)
		if err != nil {
			return err.under("author")
		}
		o.set("author", full)
		member, ok := g.members.Get(uint64(author))
		if ok && !o.present("webhook_id") && !o.present("member") {
			o.set("member", view.appendPartial(nil, member))
		}
		g.addFull(ev, author)
	}
	if raw := o.get("mentions"); raw != nil {
		mentions, err := g.completeMentions(&view, raw, ev)
		if err != nil {
			return err
		}
		o.set("mentions", mentions)
	}
	slices.Sort(ev.Full)
	ev.Full = slices.Compact(ev.Full)
	return nil
}

// completeMentions makes each mention a whole user, with the member in it when it is one.
func (g *Guild) completeMentions(view *memberView, raw []byte, ev *Event) ([]byte, *Error) {
	dst := append(make([]byte, 0, len(raw)+256), '[')
	var err *Error
	index := 0
	wire.EachElement(raw, func(value []byte) bool {
		var full []byte
		var id wire.Snowflake
		if full, id, err = g.completeUser(value); err != nil {
			err = err.under(indexed("mentions", index))
			return false
		}
		index++
		dst = append(wire.AppendComma(dst), full...)
		member, ok := g.members.Get(uint64(id))
		if _, there := wire.Field(full, "member"); ok && !there {
			dst = view.appendPartial(wire.AppendKey(dst[:len(dst)-1], "member"), member)
			dst = append(dst, '}')
		}
		g.addFull(ev, id)
		return true
	})
	return append(dst, ']'), err
}

func (g *Guild) addFull(ev *Event, user wire.Snowflake) {
	if g.receivers.connected(user) {
		ev.Full = append(ev.Full, user)
	}
}

// withMember adds the member of user_id to an event that shows who did something.
func (g *Guild) withMember(o *object) {
	user, ok := o.id("user_id")
	if !ok || o.present("member") {
		return
	}
	if member, ok := g.members.Get(uint64(user)); ok {
		view := g.view()
		o.set("member", view.append(nil, member, 0))
	}
}

// applyTyping is TYPING_START.
func applyTyping(t *turn, info wire.EventInfo, o object) *Error {
	ev, err := t.g.audience(info, o)
	if err != nil {
		return err
	}
	if _, ok := o.id("user_id"); !ok {
		return invalid("d.user_id", "It must be an id.")
	}
	o.setDefault("timestamp", strconv.FormatInt(t.now/1000, 10))
	t.g.withMember(&o)
	t.publish(info.Name, o.bytes(), nil, ev)
	return nil
}

// applyReaction is MESSAGE_REACTION_ADD.
func applyReaction(t *turn, info wire.EventInfo, o object) *Error {
	ev, err := t.g.audience(info, o)
	if err != nil {
		return err
	}
	for _, key := range []string{"user_id", "message_id"} {
		if _, ok := o.id(key); !ok {
			return invalid("d."+key, "It must be an id.")
		}
	}
	o.setDefault("burst", "false")
	o.setDefault("type", "0")
	t.g.withMember(&o)
	t.publish(info.Name, o.bytes(), nil, ev)
	return nil
}
