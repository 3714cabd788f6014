package fanout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"throng/store"
	"throng/wire"
)

const (
	guildID   wire.Snowflake = 2000000000000000001
	testNow   int64          = 1704067200000 // 2024-01-01T00:00:00Z
	allOfThem                = wire.IntentsBot
)

// world is a guild with the relays of all its loops played by a plain model: it takes Msgs in order
// and notes what each session hears, as "NAME" or "NAME detail".
type world struct {
	t        testing.TB
	g        *Guild
	users    *store.Users
	now      int64
	sessions map[Handle]*heard
	slot     uint32

	// Every step goes the way to another node before it is delivered.
	way way
}

type heard struct {
	Receiver
	class   uint32
	in      bool
	passive bool
	version uint32
	events  []delivery
}

type delivery struct {
	name string
	body []byte
}

// noPause is for who has nobody to let run.
func noPause() {}

func newWorld(t testing.TB, doc string) *world {
	t.Helper()
	users := store.NewUsers()
	w := &world{
		t: t, g: NewGuild(guildID, users), users: users, now: testNow,
		sessions: make(map[Handle]*heard),
	}
	w.must(w.g.Replace([]byte(doc), w.now))
	return w
}

// must plays a change that has to succeed.
func (w *world) must(c Change, err error) Change {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("refused: %v", err)
	}
	return w.play(c)
}

func (w *world) play(c Change) Change {
	w.t.Helper()
	for i := range c.Msgs {
		w.deliver(w.travel(&c.Msgs[i]))
	}
	if err := w.g.Check(); err != nil {
		w.t.Fatalf("check: %v", err)
	}
	if carryWorlds != nil {
		carryWorlds.step(w)
	}
	return c
}

// travel sends a step to another node, where it says the same.
func (w *world) travel(m *Msg) *Msg {
	w.t.Helper()
	return w.way.travel(w.t, m)
}

// way is the way of one guild's steps to another node: what both ends remember.
type way struct{ sent, came *wire.Shared }

func (y *way) travel(t testing.TB, m *Msg) *Msg {
	t.Helper()
	var packed []byte
	packed, y.sent = AppendMsg(nil, m, y.sent)
	there, head, err := ParseMsg(packed, y.came)
	if err != nil {
		t.Fatalf("%v does not travel: %v", m.Kind, err)
	}
	if again, _ := AppendMsg(nil, &there, y.came); !bytes.Equal(packed, again) {
		t.Fatalf("%v goes as\n%x\nand comes as\n%x", m.Kind, packed, again)
	}
	if y.came = head; head != nil && !bytes.Equal(head.Text(), y.sent.Text()) {
		t.Fatalf("the head comes as\n%s\nand was\n%s", head.Text(), y.sent.Text())
	}
	if m.Loop >= 0 {
		there.Loop = m.Loop // It is for all loops there.
	}
	return &there
}

func (w *world) deliver(m *Msg) {
	w.t.Helper()
	switch m.Kind {
	case MsgPublish:
		for _, s := range w.ordered() {
			if s.in && (m.Loop < 0 || m.Loop == int(s.Loop)) {
				w.hear(s, m.Event)
			}
		}
	case MsgDirect:
		w.sessions[m.To].listen(m.Event)
	case MsgActivate:
		s := w.sessions[m.To]
		s.passive, s.Intents = false, m.Receiver.Intents
		s.take(m.Dispatches)
	case MsgDeactivate:
		s := w.sessions[m.To]
		s.passive, s.version = true, m.Version
	case MsgAdmit:
		s := &heard{Receiver: m.Receiver, class: m.Class, in: true, passive: m.Passive,
			version: m.Version}
		w.sessions[m.To] = s
		s.take(m.Dispatches)
	case MsgShare:
		for _, h := range m.Several {
			if int(h.Loop) != m.Loop {
				w.t.Fatalf("loop %d is to serve a session of loop %d", m.Loop, h.Loop)
			}
			w.sessions[h].take(m.Dispatches)
		}
	case MsgPrivate:
		w.sessions[m.To].take(m.Dispatches)
	case MsgReclass:
		w.sessions[m.To].class, w.sessions[m.To].version = m.Class, 0
	case MsgExpel:
		s := w.sessions[m.To]
		s.take(m.Dispatches)
		s.in = false
	case MsgGone:
		for _, s := range w.sessions {
			s.in = s.in && m.Loop != int(s.Loop)
		}
	}
}

func (w *world) hear(s *heard, e *Event) {
	if s.passive && e.Update != nil {
		k := e.Update.key(s.class, s.version, s.Updates, s.Intents)
		s.take(e.Update.dispatches(k))
		s.version = e.Update.version
		return
	}
	if e.Update != nil || s.passive && !e.Passive || !e.admits(s.User, s.Intents, s.class) {
		return
	}
	s.listen(e)
}

func (s *heard) listen(e *Event) {
	body := e.Dispatch.Body()
	if s.Variant&wire.VariantStripped != 0 && e.Dispatch.HasStripped() && !e.full(s.User) {
		_, _, body = e.Dispatch.Parts()
	}
	s.events = append(s.events, delivery{e.Dispatch.Name(), body})
}

func (s *heard) take(dispatches []*wire.Dispatch) {
	for _, d := range dispatches {
		s.events = append(s.events, delivery{d.Name(), d.Body()})
	}
}

// ordered returns the sessions in the order of their slots.
func (w *world) ordered() []*heard {
	all := make([]*heard, 0, len(w.sessions))
	for _, s := range w.sessions {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *heard) int { return int(a.Slot) - int(b.Slot) })
	return all
}

// user registers an account.
func (w *world) user(id wire.Snowflake, name string) {
	w.t.Helper()
	u, err := ParseUser(id, []byte(fmt.Sprintf(`{"username":%q}`, name)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.users.Put(u)
}

// member makes the user a member, with further fields as JSON (`"roles":["1"]`).
func (w *world) member(id wire.Snowflake, fields string) Change {
	w.t.Helper()
	if fields != "" {
		fields = "," + fields
	}
	in, err := ParseMember([]byte(fmt.Sprintf(`{"user_id":"%d"%s}`, id, fields)))
	if err != nil {
		w.t.Fatal(err)
	}
	c, errs := w.g.PutMembers([]MemberInput{in}, false, w.now)
	if errs[0] != nil {
		w.t.Fatal(errs[0])
	}
	return w.play(c)
}

func (w *world) join(user wire.Snowflake, intents wire.Intents) *heard {
	w.t.Helper()
	w.slot++
	r := Receiver{
		Handle: Handle{Loop: uint16(w.slot % 2), Slot: w.slot, Gen: 1},
		User:   user, Intents: intents,
		LargeThreshold: 50, SessionID: SessionID{15: byte(w.slot)}, Bot: true,
	}
	if intents&wire.IntentMessageContent == 0 {
		r.Variant |= wire.VariantStripped
	}
	w.must(w.g.Join(r, w.now))
	return w.sessions[r.Handle]
}

func (w *world) publish(name, d string) Change {
	w.t.Helper()
	return w.must(w.g.Publish(name, []byte(d), w.now))
}

// refused publishes what has to be refused, and compares the field at fault.
func (w *world) refused(name, d string, kind ErrorKind, field string) {
	w.t.Helper()
	before := string(w.g.Doc())
	_, err := w.g.Publish(name, []byte(d), w.now)
	got, ok := err.(*Error)
	if !ok || got.Kind != kind || got.Field != field || got.Reason == "" {
		w.t.Errorf("%s %s: got %#v, want kind %d field %q", name, d, err, kind, field)
	}
	if string(w.g.Doc()) != before {
		w.t.Errorf("%s %s: was refused and changed the guild", name, d)
	}
}

// names returns and forgets the names of what was heard.
func (s *heard) names() string {
	var names []string
	for _, e := range s.events {
		names = append(names, e.name)
	}
	s.events = nil
	return strings.Join(names, " ")
}

// last returns the newest event of that name as a map, and forgets nothing.
func (s *heard) last(t testing.TB, name string) map[string]any {
	t.Helper()
	for _, e := range slices.Backward(s.events) {
		if e.name == name {
			return decode(t, e.body)
		}
	}
	t.Fatalf("heard no %s but %q", name, s.names())
	return nil
}

func decode(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	if !wire.ValidJSON(raw, 32) {
		t.Fatalf("invalid JSON: %s", raw)
	}
	return m
}

// at follows a path of keys and indexes.
func at(t testing.TB, v any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch key := step.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				t.Fatalf("no object at %v of %v: %v", step, path, v)
			}
			if v, ok = m[key]; !ok {
				t.Fatalf("no %q of %v", key, path)
			}
		case int:
			list, ok := v.([]any)
			if !ok || key >= len(list) {
				t.Fatalf("no element %d of %v: %v", key, path, v)
			}
			v = list[key]
		}
	}
	return v
}

func want(t testing.TB, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// plainDoc is a guild with a channel for all (10), one for role 5 (11), a voice channel (12), an
// owner.
const plainDoc = `{"name":"g","owner_id":"100",
 "roles":[{"id":"5","name":"staff","permissions":"0"}],
 "channels":[{"id":10,"name":"general"},
  {"id":"11","name":"staff","permission_overwrites":[
   {"id":"2000000000000000001","type":0,"allow":"0","deny":"1024"},
   {"id":"5","type":0,"allow":1024,"deny":"0"}]},
  {"id":"12","type":2,"name":"voice"}]}`
