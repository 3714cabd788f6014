package node

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"throng/fanout"
	"throng/wire"
	"throng/wire/pack/packtest"
)

// fullAsks is one of each that a session asks, with all that there can be in it.
func fullAsks() []guildMessage {
	h := fanout.Handle{Loop: 300, Slot: 1 << 30, Gen: 70000}
	guild := guildCall{1 << 60}
	who := asker{h, 900, wire.IntentsBot}
	presence := wire.PresenceCommand{Since: ptr(int64(1704067200000)), Status: wire.StatusDND,
		Activities: []byte(`[{"name":"chess","type":0}]`), AFK: true}
	return []guildMessage{
		&joinGuild{guild.guild, fanout.Receiver{Handle: h, User: 900, Intents: wire.IntentsUser,
			Variant: wire.VariantETF, LargeThreshold: 250, SessionID: fanout.SessionID{15: 1},
			Bot: true, Platform: wire.PlatformVR, Updates: fanout.UpdateV1}, &presence},
		&leaveGuild{guild.guild, h, 900, true},
		&setVoice{guild, h, wire.VoiceStateCommand{GuildID: guild.guild, ChannelID: 12,
			SelfMute: true, SelfDeaf: true, SelfVideo: true}},
		&setPresence{guild, h, presence},
		&queryMembers{guild, who, wire.MembersCommand{GuildID: guild.guild,
			MoreGuildIDs: []wire.Snowflake{7}, Query: ptr("an"), UserIDs: []wire.Snowflake{8, 9},
			Limit: 100, Presences: true, Nonce: "nonce"}, chunkPlace{1 << 40, 1 << 60, 1000}},
		&askGuild{guild, who, wire.ChannelInfoCommand{GuildID: guild.guild,
			Fields: []string{"status", "voice_start_time"}}},
		&subscribeGuild{guild, h, wire.Subscription{Typing: ptr(true), Threads: ptr(true),
			Activities: ptr(true), MemberUpdates: ptr(true), Members: []wire.Snowflake{1, 2},
			Channels: []wire.ListRanges{{Channel: 10, Ranges: []wire.ListRange{{First: 100,
				Last: 199}, {First: 0, Last: 99}}}, {Channel: 11}},
			ThreadLists: []wire.Snowflake{3}}},
		&inviteGuild{guild, h},
	}
}

func ptr[T any](v T) *T { return &v }

func travelAsk(t *testing.T, m guildMessage) {
	t.Helper()
	packed, ok := appendAsk(nil, m)
	got, err := parseAsk(packed)
	if !ok || err != nil {
		t.Errorf("%T does not travel: %v", m, err)
		return
	}
	clear(packed) // It must not matter to what was read.
	if !reflect.DeepEqual(got, m) {
		t.Errorf("%T comes as\n%+v, want\n%+v", m, got, m)
	}
}

// TestEveryFieldOfAnAskTravels fails when a field is added that does not.
func TestEveryFieldOfAnAskTravels(t *testing.T) {
	for _, m := range fullAsks() {
		if zeros := packtest.Zeros(m); len(zeros) > 0 {
			t.Errorf("%T: the test sends nothing in %q", m, zeros)
		}
		travelAsk(t, m)
		if m.from().Gen == 0 || m.id() == 0 {
			t.Errorf("%T comes from %v about guild %d", m, m.from(), m.id())
		}
	}
}

// TestEverythingThatSessionsAskTravels reads the source: what a session asks says from whom it is.
func TestEverythingThatSessionsAskTravels(t *testing.T) {
	var asked []string
	for _, m := range fullAsks() {
		asked = append(asked, strings.TrimPrefix(fmt.Sprintf("%T", m), "*node."))
	}
	// These are asked by nobody.
	nobodys := []string{"guildCall", "eachGuild", "errandBatch", "fence", "shardTick"}
	found := 0
	for _, name := range receiversOf(t, "from") {
		found++
		if !slices.Contains(nobodys, name) && !slices.Contains(asked, name) {
			t.Errorf("%s is asked by sessions and does not travel", name)
		}
	}
	if want := len(nobodys) + len(asked); found != want {
		t.Errorf("%d kinds of messages say from whom they are, want %d", found, want)
	}
	if _, ok := appendAsk(nil, &tickGuild{}); ok {
		t.Error("a tick travels")
	}
}

// receiversOf returns the types of the package that have a method of that name.
func receiversOf(t *testing.T, method string) (types []string) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != method {
				continue
			}
			of := f.Recv.List[0].Type
			if star, ok := of.(*ast.StarExpr); ok {
				of = star.X
			}
			types = append(types, of.(*ast.Ident).Name)
		}
	}
	return types
}

// TestAbsentIsNotEmpty: what was not said is not said there either.
func TestAbsentIsNotEmpty(t *testing.T) {
	guild := guildCall{5}
	none, false_ := []wire.Snowflake{}, ptr(false)
	for _, m := range []guildMessage{
		&joinGuild{guild: 5},
		&setPresence{guildCall: guild, presence: wire.PresenceCommand{Status: wire.StatusIdle}},
		&setPresence{guildCall: guild, presence: wire.PresenceCommand{Status: wire.StatusOnline,
			Activities: []byte(`[]`), Since: ptr(int64(-1))}},
		&queryMembers{guildCall: guild},
		&queryMembers{guildCall: guild, command: wire.MembersCommand{Query: ptr(""), UserIDs: none}},
		&askGuild{guildCall: guild},
		&subscribeGuild{guildCall: guild},
		&subscribeGuild{guild, fanout.Handle{}, wire.Subscription{Typing: false_, Threads: false_,
			Members: none, Channels: []wire.ListRanges{}, ThreadLists: none}},
	} {
		travelAsk(t, m)
	}
}

// TestAsksAreHeldToTheirBounds: what no parser of commands lets through is not taken from another
// node either.
func TestAsksAreHeldToTheirBounds(t *testing.T) {
	presence := func(status, activities string) guildMessage {
		return &setPresence{presence: wire.PresenceCommand{Status: status,
			Activities: []byte(activities)}}
	}
	many := make([]wire.Snowflake, 1+wire.SubscriptionMembersMax)
	rows := func(lists, ranges, first, last int) guildMessage {
		s := wire.Subscription{Channels: make([]wire.ListRanges, lists)}
		for i := range s.Channels {
			s.Channels[i].Ranges = make([]wire.ListRange, ranges)
			for k := range s.Channels[i].Ranges {
				s.Channels[i].Ranges[k] = wire.ListRange{First: first, Last: last}
			}
		}
		return &subscribeGuild{wants: s}
	}
	for _, c := range []struct {
		name string
		m    guildMessage
	}{
		{"no status", presence("", `[]`)},
		{"another status", presence("happy", `[]`)},
		{"activities that are no array", presence(wire.StatusIdle, `{}`)},
		{"activities that are no JSON", presence(wire.StatusIdle, `[}`)},
		{"deep activities", presence(wire.StatusIdle, strings.Repeat("[", 100)+
			strings.Repeat("]", 100))},
		{"long activities", presence(wire.StatusIdle, `["`+
			strings.Repeat("a", wire.ActivitiesBytesMax)+`"]`)},
		{"many users", &queryMembers{command: wire.MembersCommand{UserIDs: many}}},
		{"many guilds", &queryMembers{command: wire.MembersCommand{MoreGuildIDs: many}}},
		{"a long nonce", &queryMembers{command: wire.MembersCommand{Nonce: strings.Repeat("n", 33)}}},
		{"a negative limit", &queryMembers{command: wire.MembersCommand{Limit: -1}}},
		{"many fields", &askGuild{command: wire.ChannelInfoCommand{Fields: make([]string, 17)}}},
		{"many members", &subscribeGuild{wants: wire.Subscription{Members: many}}},
		{"many thread lists", &subscribeGuild{wants: wire.Subscription{ThreadLists: many}}},
		{"many lists", rows(wire.SubscriptionChannelsMax+1, 0, 0, 0)},
		{"many ranges", rows(1, wire.SubscriptionRangesMax+1, 0, 0)},
		{"a wide range", rows(1, 1, 0, wire.ListRangeWidthMax)},
		{"a range that ends before it begins", rows(1, 1, 1, 0)},
		{"a row below all", rows(1, 1, -1, 0)},
		{"another variant", &joinGuild{receiver: fanout.Receiver{Variant: wire.Variant(wire.VariantCount)}}},
		{"another platform", &joinGuild{receiver: fanout.Receiver{Platform: wire.Platforms}}},
		{"a strange threshold", &joinGuild{receiver: fanout.Receiver{LargeThreshold: -1}}},
	} {
		packed, _ := appendAsk(nil, c.m)
		if _, err := parseAsk(packed); err == nil {
			t.Errorf("%s: taken", c.name)
		}
	}
}

// TestPartsOfAnAskAreRefused damages what is asked, and looks at what reading it takes.
func TestPartsOfAnAskAreRefused(t *testing.T) {
	const perByteMax, perAskMax = 8, 512
	r := rand.New(rand.NewPCG(1, 2))
	var damaged [][]byte
	total := 0
	for _, m := range fullAsks() {
		packed, _ := appendAsk(nil, m)
		for n := range packed {
			if _, err := parseAsk(packed[:n]); err == nil {
				t.Errorf("%T: %d of %d bytes are taken for all", m, n, len(packed))
			}
			d := slices.Clone(packed)
			for k := range min(r.IntN(5), len(d)-n) {
				d[n+k] = 255
			}
			damaged = append(damaged, d)
			total += len(d)
		}
		if _, err := parseAsk(append(packed, 0)); err == nil {
			t.Errorf("%T: one byte more is not noticed", m)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, d := range damaged {
		_, _ = parseAsk(d)
	}
	runtime.ReadMemStats(&after)
	if taken := int(after.TotalAlloc - before.TotalAlloc); taken >
		total*perByteMax+len(damaged)*perAskMax {
		t.Errorf("%d asks of %d bytes took %d bytes", len(damaged), total, taken)
	}
}

// FuzzParseAsk: whatever comes is read or refused, and what is read is written the same again.
func FuzzParseAsk(f *testing.F) {
	for _, m := range fullAsks() {
		packed, _ := appendAsk(nil, m)
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseAsk(b)
		if err != nil {
			return
		}
		once, _ := appendAsk(nil, m)
		again, err := parseAsk(once)
		if err != nil {
			t.Fatalf("%T is not read again: %v", m, err)
		}
		if twice, _ := appendAsk(nil, again); !bytes.Equal(once, twice) {
			t.Fatalf("%T is written in two ways:\n%x\n%x", m, once, twice)
		}
	})
}

// BenchmarkAskCode is what it takes to ask another node, for the longest command and for joining.
func BenchmarkAskCode(b *testing.B) {
	for _, m := range fullAsks() {
		b.Run(m.kind().String(), func(b *testing.B) {
			var packed []byte
			b.ReportAllocs()
			for b.Loop() {
				packed, _ = appendAsk(packed[:0], m)
				if _, err := parseAsk(packed); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(packed)), "bytes")
		})
	}
}
