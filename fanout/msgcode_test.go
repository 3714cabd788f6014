package fanout

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"throng/wire"
	"throng/wire/pack/packtest"
)

// msgFields are the fields of Msg that a step of a kind has beside Kind, Loop and Guild; the others
// do not travel.
var msgFields = [msgKindCount][]string{
	MsgPublish:    {"Event"},
	MsgAdmit:      {"Class", "Version", "Passive", "To", "Receiver", "Dispatches"},
	MsgPrivate:    {"To", "Dispatches"},
	MsgReclass:    {"Class", "To"},
	MsgExpel:      {"To", "Dispatches"},
	MsgRefuse:     {"To", "Dispatches"},
	MsgInvite:     {"To"},
	MsgGone:       {},
	MsgAdrift:     {},
	MsgRetry:      {"To"},
	MsgDirect:     {"To", "Event"},
	MsgActivate:   {"To", "Receiver", "Dispatches"},
	MsgDeactivate: {"Version", "To", "Receiver"},
	MsgShare:      {"Several", "Dispatches"},
}

// eventStays are the fields of Event that matter to the guild alone.
var eventStays = []string{"Own", "About", "behind"}

// fullMsg is a step with all that any step has.
func fullMsg(kind MsgKind) *Msg {
	h := Handle{Loop: 7, Slot: 1 << 30, Gen: 3}
	e := fullEvent()
	return &Msg{Kind: kind, Class: 300, Version: 70000, Passive: true, Loop: PassiveLoops,
		Guild: guildID, To: h, Several: []Handle{h, {1, 2, 3}}, Event: &e,
		Receiver: Receiver{Handle: h, User: 1 << 60, Intents: allOfThem,
			Variant: wire.VariantStripped | wire.VariantETF, LargeThreshold: 250,
			SessionID: SessionID{1, 15: 2}, Bot: true, Platform: wire.PlatformMobile,
			Updates: UpdateV2},
		Dispatches: []*wire.Dispatch{
			wire.NewDispatch("TYPING_START", []byte(`{}`), nil),
			wire.NewDispatch("MESSAGE_CREATE", []byte(`{"content":"secret","id":"1"}`),
				[]byte(`{"content":"","id":"1"}`)),
			wire.NewDispatchAfter("GUILD_CREATE", wire.NewShared([]byte(`{"id":"1"`)),
				[]byte(`,"large":true}`)),
			wire.NewDispatch("RESUMED", []byte(`null`), nil),
		}}
}

func fullEvent() Event {
	e := Event{
		Dispatch: wire.NewDispatch("MESSAGE_CREATE", []byte(`{"content":"long"}`),
			[]byte(`{"content":""}`)),
		Intents: wire.IntentGuildMessages, Visible: Bitset{1 << 63, 5}, Self: 12,
		SelfRule: wire.SelfOnly, Full: []wire.Snowflake{1, 2}, Also: []wire.Snowflake{3},
		Passive: true, Own: []wire.Snowflake{4}, About: 5, behind: &behind{},
		Trace: &Trace{ID: [16]byte{1, 15: 2}, Span: [8]byte{3, 7: 4}, Share: 1 << 31},
	}
	e.Sent()
	return e
}

// fullUpdate is an Update with all that there can be in one that has come from another node.
func fullUpdate() *Update {
	overwrites := []wire.Overwrite{{ID: 1, Type: 1, Allow: 2, Deny: 1 << 40}, {ID: 2}}
	return &Update{guild: guildID, version: 9, whole: 8,
		classes: []classView{{base: wire.PermissionsAll, subject: wire.PermissionSubject{
			Owner: true, User: 6, Roles: []wire.Snowflake{7, 8}, TimedOut: true}}, {}},
		channels: []unread{{id: 10, last: 11, pinned: []byte(`"2024"`), overwrites: overwrites,
			need: wire.PermissionViewChannel, version: 9}, {id: 12}},
		voices: []voiceUpdate{{user: 13, raw: []byte(`{"a":1}`), written: []byte(`{"b":2}`),
			overwrites: overwrites, version: 7, memberVersion: 6,
			left: []leftChannel{{channel: 14, overwrites: overwrites, raw: []byte(`{}`),
				version: 5}}}, {user: 15}},
		made: map[updateKey][]*wire.Dispatch{},
	}
}

// TestEveryFieldOfAStepTravels fails when a field is added that does not, unless msgFields or
// eventStays say so.
func TestEveryFieldOfAStepTravels(t *testing.T) {
	full, u := fullMsg(MsgAdmit), fullUpdate()
	zeros := packtest.Zeros(full, wire.Dispatch{}, behind{})
	want(t, "what is not in a full step", zeros,
		[]string{".Event.Update", ".Event.Asked"}) // Asked is by this node's clock alone.
	want(t, "what is not in a full update", packtest.Zeros(u),
		[]string{".voices[0].member", ".voices[0].account", ".view", ".mu", ".made"})
	want(t, "fields of a dispatch", packtest.Fields(wire.Dispatch{}),
		[]string{"name", "head", "body", "stripped", "frames"})

	known := map[string]bool{"Kind": true, "Loop": true, "Guild": true}
	for kind := range msgKindCount {
		sent, expected := fullMsg(kind), &Msg{Kind: kind, Loop: PassiveLoops, Guild: guildID}
		for _, name := range msgFields[kind] {
			known[name] = true
			field := reflect.ValueOf(expected).Elem().FieldByName(name)
			field.Set(reflect.ValueOf(sent).Elem().FieldByName(name))
		}
		if expected.To != (Handle{}) {
			expected.Loop = int(expected.To.Loop)
		}
		if expected.Event != nil {
			e := fullEvent()
			for _, name := range eventStays {
				field, _ := reflect.TypeOf(e).FieldByName(name)
				want(t, "the event has "+name, field.Name, name)
			}
			e.Own, e.About, e.behind = nil, 0, nil
			expected.Event = &e
		}
		travels(t, sent, expected)
	}
	for _, name := range packtest.Fields(Msg{}) {
		if !known[name] {
			t.Errorf("no kind of step has %s", name)
		}
	}
	e := &Event{Passive: true, Update: u}
	travels(t, &Msg{Guild: guildID, Loop: PassiveLoops, Event: e},
		&Msg{Guild: guildID, Loop: PassiveLoops, Event: e})
}

func travels(t *testing.T, sent, expected *Msg) {
	t.Helper()
	packed, _ := AppendMsg(nil, sent, nil)
	got, _, err := ParseMsg(packed, nil)
	if err != nil {
		t.Errorf("%v: %v", sent.Kind, err)
	} else if !reflect.DeepEqual(&got, expected) {
		t.Errorf("%v comes as\n%+v, want\n%+v", sent.Kind, &got, expected)
	}
}

// TestEmptyAudiencesTravel: what nobody may see is not for all.
func TestEmptyAudiencesTravel(t *testing.T) {
	d := wire.NewDispatch("TEST", []byte(`{}`), nil)
	for _, e := range []Event{
		{Dispatch: d}, {Dispatch: d, Visible: Bitset{}}, {Dispatch: d, Full: []wire.Snowflake{}},
	} {
		travels(t, &Msg{Event: &e, Loop: AllLoops}, &Msg{Event: &e, Loop: AllLoops})
	}
}

// TestUpdateSaysTheSameThere: whatever a passive session knows and wants, it is told the same.
func TestUpdateSaysTheSameThere(t *testing.T) {
	w := largeWorld(t)
	w.joinUser(102, UpdateV1)
	w.joinUser(105, UpdateV2)
	w.user(103, "known")
	for _, user := range []wire.Snowflake{101, 103, 104} {
		w.voice(w.join(user, allOfThem), 12)
	}
	gone := w.join(106, allOfThem)
	w.voice(gone, 12)
	w.voice(gone, 0)
	w.publish("MESSAGE_CREATE", message("11", ""))
	w.now += DefaultLimits.PassivePeriodMilli
	m := &w.g.Tick(w.now).Msgs[0]
	here, there := m.Event.Update, w.travel(m).Event.Update
	told := 0
	for class := range uint32(len(here.classes)) {
		for version := range here.version + 1 {
			for mode := range updateModes {
				k := here.key(class, version, mode, wire.IntentsUser)
				d := here.dispatches(k)
				if k != there.key(class, version, mode, wire.IntentsUser) {
					t.Fatalf("it is not %+v there", k)
				}
				want(t, "dispatches", len(there.dispatches(k)), len(d))
				for i, d := range d {
					want(t, d.Name(), string(there.dispatches(k)[i].Body()), string(d.Body()))
					told++
				}
			}
		}
	}
	if told < 10 || len(here.voices) != 4 {
		t.Errorf("only %d dispatches, %d users in voice", told, len(here.voices))
	}
}

// TestHeadTravelsOnce: GUILD_CREATE is long for the first that joins, and short for the next. When
// the guild has changed, that is what goes.
func TestHeadTravelsOnce(t *testing.T) {
	w := largeWorld(t)
	size := func(user wire.Snowflake) (total int) {
		w.slot++
		c, err := w.g.Join(Receiver{Handle: Handle{Slot: w.slot}, User: user,
			Intents: allOfThem}, w.now)
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.Msgs {
			packed, _ := AppendMsg(nil, &c.Msgs[i], w.way.sent)
			total += len(packed)
			w.travel(&c.Msgs[i])
		}
		return total
	}
	first, second := size(102), size(102)
	head := len(w.way.sent.Text())
	w.publish("MESSAGE_CREATE", message("10", ""))
	third := size(102)
	if first < head || second > first-head || third > second+50 {
		t.Errorf("joins take %d, %d and, after a message, %d bytes; the head has %d", first, second,
			third, head)
	}
}

// TestStepHasOneNewHead: a second one goes with its body, and both are what they were.
func TestStepHasOneNewHead(t *testing.T) {
	one, other := wire.NewShared([]byte(`{"id":"1"`)), wire.NewShared([]byte(`{"id":"2"`))
	m := &Msg{Kind: MsgPrivate}
	for _, head := range []*wire.Shared{one, other, one} {
		m.Dispatches = append(m.Dispatches, wire.NewDispatchAfter("TEST", head, []byte(`}`)))
	}
	var y way
	for i, d := range y.travel(t, m).Dispatches {
		want(t, "body", string(d.Body()), string(m.Dispatches[i].Body()))
	}
	if y.sent != one {
		t.Error("the first head is not the one that is remembered")
	}
}

// seeds are steps of every kind in binary. They are short, since the fuzzer tries to leave out
// every part of what it finds.
func seeds() (all [][]byte) {
	msgs := []*Msg{{Event: &Event{Update: fullUpdate()}}}
	for kind := range msgKindCount {
		msgs = append(msgs, fullMsg(kind))
	}
	for _, m := range msgs {
		packed, _ := AppendMsg(nil, m, nil)
		all = append(all, packed)
	}
	return all
}

// TestPartsOfAStepAreRefused: a step that was cut, or that has more behind it, is none.
func TestPartsOfAStepAreRefused(t *testing.T) {
	for _, packed := range seeds() {
		for n := range packed {
			if _, _, err := ParseMsg(packed[:n], nil); err == nil {
				t.Errorf("%d of %d bytes are taken for a step", n, len(packed))
			}
		}
		if _, _, err := ParseMsg(append(slices.Clone(packed), 0), nil); err == nil {
			t.Error("one byte more is not noticed")
		}
	}
}

// TestNoStepAsksForMuchMemory reads what was damaged so that it names large numbers.
func TestNoStepAsksForMuchMemory(t *testing.T) {
	const perByteMax = 2
	const perStepMax = 4096 // An event, and four dispatches with their frames' places.
	r := rand.New(rand.NewPCG(1, 2))
	var damaged [][]byte
	total := 0
	for _, packed := range seeds() {
		for at := range packed {
			d := slices.Clone(packed)
			for n := range min(r.IntN(5), len(d)-at) {
				d[at+n] = 255
			}
			if at+4 < len(d) {
				d[at+4] = byte(r.Uint32())
			}
			damaged = append(damaged, d)
			total += len(d)
		}
	}
	head := wire.NewShared([]byte(`{"id":"1","name":"a guild"`))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, d := range damaged {
		_, _, _ = ParseMsg(d, head)
	}
	runtime.ReadMemStats(&after)
	taken := int(after.TotalAlloc - before.TotalAlloc)
	if taken > total*perByteMax+len(damaged)*perStepMax {
		t.Errorf("%d steps of %d bytes took %d bytes", len(damaged), total, taken)
	}
}

// FuzzParseMsg: whatever comes is read or refused, and what is read is written the same again.
func FuzzParseMsg(f *testing.F) {
	for _, packed := range seeds() {
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		last := wire.NewShared([]byte(`{"id":"1","name":"a guild"`))
		m, _, err := ParseMsg(b, last)
		if err != nil {
			return
		}
		once, _ := AppendMsg(nil, &m, last)
		again, _, err := ParseMsg(once, last)
		if err != nil {
			t.Fatalf("%v is not read again: %v", m.Kind, err)
		}
		twice, _ := AppendMsg(nil, &again, last)
		if !bytes.Equal(once, twice) {
			t.Fatalf("%v is written in two ways:\n%x\n%x", m.Kind, once, twice)
		}
	})
}
