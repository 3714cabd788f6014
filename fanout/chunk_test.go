package fanout

import (
	"fmt"
	"testing"

	"throng/store"
	"throng/wire"
)

func crowd(t testing.TB, count int) *world {
	w := newWorld(t, plainDoc)
	records := make([]store.MemberRecord, count)
	for i := range records {
		records[i].User = uint64(1000 + i)
		if i%100 == 0 {
			w.user(wire.Snowflake(1000+i), fmt.Sprintf("Zoë%d", i))
		}
	}
	w.g.RestoreMembers(records)
	return w
}

func (w *world) query(cmd wire.MembersCommand, intents wire.Intents) []map[string]any {
	w.t.Helper()
	q, err := w.g.MembersQuery(cmd, 1000, intents, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	var chunks []map[string]any
	for !q.Done() {
		for _, d := range q.Next(2, &ChunkRoom{}, noPause) {
			want(w.t, "name", d.Name(), "GUILD_MEMBERS_CHUNK")
			chunks = append(chunks, decode(w.t, d.Body()))
		}
	}
	if more := q.Next(2, &ChunkRoom{}, noPause); more != nil {
		w.t.Error("chunks after the last")
	}
	for i, chunk := range chunks {
		want(w.t, "index", chunk["chunk_index"], i)
		want(w.t, "count", chunk["chunk_count"], len(chunks))
		members := len(chunk["members"].([]any))
		if i < len(chunks)-1 && members != 1000 {
			w.t.Errorf("chunk %d of %d has %d members", i, len(chunks), members)
		}
	}
	return chunks
}

func text(s string) *string { return &s }

func TestWholeListInFullChunks(t *testing.T) {
	for _, count := range []int{1, 999, 1000, 1001, 3500} {
		w := crowd(t, count)
		chunks := w.query(wire.MembersCommand{Query: text(""), Nonce: "n"}, allOfThem)
		total := 0
		for _, chunk := range chunks {
			total += len(chunk["members"].([]any))
			want(t, "nonce", chunk["nonce"], "n")
			if _, there := chunk["presences"]; there {
				t.Error("presences that nobody asked for")
			}
		}
		want(t, "members", total, count)
		want(t, "chunks", len(chunks), (count+999)/1000)
	}
}

func TestQueries(t *testing.T) {
	w := crowd(t, 500)
	w.member(1007, `"nick":"ZOË the nick"`)
	w.publish("PRESENCE_UPDATE", `{"user":{"id":"1007"},"status":"idle"}`)
	tests := []struct {
		name    string
		cmd     wire.MembersCommand
		intents wire.Intents
		members string
	}{
		{"prefix without case", wire.MembersCommand{Query: text("zoË")}, 0,
			"[1000 1007 1100 1200 1300 1400]"},
		{"limit", wire.MembersCommand{Query: text("zoë"), Limit: 2}, 0, "[1000 1007]"},
		{"digits", wire.MembersCommand{Query: text("Zoë1")}, 0, "[1100]"},
		{"nobody", wire.MembersCommand{Query: text("q")}, 0, "[]"},
		{"ids", wire.MembersCommand{UserIDs: []wire.Snowflake{1005, 7, 1001, 1005}}, 0,
			"[1001 1005]"},
		{"some of all", wire.MembersCommand{Query: text(""), Limit: 3}, allOfThem,
			"[1000 1001 1002]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			chunks := w.query(test.cmd, test.intents)
			want(t, "chunks", len(chunks), 1)
			want(t, "members", memberIDs(t, chunks[0]), test.members)
			if test.cmd.UserIDs != nil {
				want(t, "not found", chunks[0]["not_found"], "[7]")
			}
		})
	}
	most := w.query(wire.MembersCommand{Query: text("user-1"), Limit: 1000}, 0)[0]
	want(t, "at most 100", len(most["members"].([]any)), 100)
	cmd := wire.MembersCommand{Query: text("zoë"), Presences: true}
	with := w.query(cmd, wire.IntentGuildPresences)[0]
	want(t, "presences", at(t, with, "presences", 0, "user", "id"), "1007")
	if _, there := w.query(cmd, 0)[0]["presences"]; there {
		t.Error("presences without the intent")
	}
}

// TestQueryHoldsAFew: a client may ask often, and each plan waits for its turn to be sent.
func TestQueryHoldsAFew(t *testing.T) {
	w := crowd(t, 5000)
	for _, cmd := range []wire.MembersCommand{
		{Query: text(""), Limit: 7}, {Query: text("")}, {Query: text("user-1")},
	} {
		q, err := w.g.MembersQuery(cmd, 1000, wire.IntentsUser, 0)
		if err != nil {
			t.Fatal(err)
		}
		for !q.Done() {
			q.Next(1, &ChunkRoom{}, noPause)
		}
		if cap(q.found) > 2*QueryLimitMax {
			t.Errorf("limit %d: %d members are kept", cmd.Limit, cap(q.found))
		}
	}
}

// TestQueryIsOfOneMoment: whoever joins, leaves or changes while chunks are made is there as when
// the answer was planned, and every chunk but the last is full.
func TestQueryIsOfOneMoment(t *testing.T) {
	w := crowd(t, 2500)
	q, err := w.g.MembersQuery(wire.MembersCommand{Query: text("")}, 1000, allOfThem, w.now)
	if err != nil {
		t.Fatal(err)
	}
	chunks := q.Next(1, &ChunkRoom{}, noPause)
	for i := range 600 {
		w.must(w.g.RemoveMember(wire.Snowflake(1000+4*i), w.now))
		w.publish("GUILD_MEMBER_ADD", fmt.Sprintf(`{"user":{"id":"%d"}}`, 10_000+i))
	}
	chunks = append(chunks, q.Next(10, &ChunkRoom{}, noPause)...)
	user := 1000
	for _, d := range chunks {
		for _, m := range decode(t, d.Body())["members"].([]any) {
			want(t, "user", at(t, m, "user", "id"), fmt.Sprint(user))
			user++
		}
	}
	want(t, "members", user-1000, 2500)
}

// A request that names nobody is answered by one empty chunk.
func TestQueryForNobody(t *testing.T) {
	w := crowd(t, 2)
	chunks := w.query(wire.MembersCommand{}, 0)
	want(t, "chunks", len(chunks), 1)
	want(t, "members", len(chunks[0]["members"].([]any)), 0)
}

func TestQueriesRefused(t *testing.T) {
	w := crowd(t, 2)
	for _, test := range []struct {
		name string
		cmd  wire.MembersCommand
		user wire.Snowflake
		kind ErrorKind
	}{
		{"whole list without the intent", wire.MembersCommand{Query: text("")}, 1000, Forbidden},
		{"too many", wire.MembersCommand{UserIDs: make([]wire.Snowflake, 101)}, 1000, Invalid},
		{"no member", wire.MembersCommand{Query: text("a")}, 5, Forbidden},
	} {
		_, err := w.g.MembersQuery(test.cmd, test.user, 0, w.now)
		if got, ok := err.(*Error); !ok || got.Kind != test.kind {
			t.Errorf("%s: got %v", test.name, err)
		}
	}
}

// A query runs away from the shard, which goes on meanwhile. The race detector judges.
func TestQueryRunsBesideTheShard(t *testing.T) {
	w := crowd(t, 1500)
	cmd := wire.MembersCommand{Query: text(""), Presences: true}
	q, err := w.g.MembersQuery(cmd, 1000, allOfThem, w.now)
	if err != nil {
		t.Fatal(err)
	}
	members := make(chan int)
	go func() {
		count := 0
		for !q.Done() {
			for _, d := range q.Next(1, &ChunkRoom{}, noPause) {
				list, _ := wire.Field(d.Body(), "members")
				wire.EachElement(list, func([]byte) bool { count++; return true })
			}
		}
		members <- count
	}()
	for i := range 200 {
		w.try("PRESENCE_UPDATE", `{"user":{"id":%d},"status":"idle"}`, 1000+i)
		w.try("GUILD_MEMBER_UPDATE", `{"user":{"id":%d},"roles":["5"],"nick":"n"}`, 1300+i)
		w.try("GUILD_ROLE_CREATE", `{"role":{"id":%d}}`, 10000+i)
		w.try("GUILD_ROLE_DELETE", `{"role_id":%d}`, 10000+i)
	}
	want(t, "members", <-members, 1500)
}

func TestChannelInfo(t *testing.T) {
	w := newWorld(t, plainDoc)
	w.member(200, "")
	w.publish("VOICE_CHANNEL_STATUS_UPDATE", `{"id":"12","status":"chess"}`)
	cmd := wire.ChannelInfoCommand{GuildID: guildID, Fields: []string{"status"}}
	m := decode(t, w.g.ChannelInfo(cmd, 200, w.now).Body())
	want(t, "status", at(t, m, "channels", 0, "status"), "chess")
	cmd.Fields = nil
	m = decode(t, w.g.ChannelInfo(cmd, 200, w.now).Body())
	want(t, "nothing asked", len(m["channels"].([]any)), 0)
}

func BenchmarkWholeList(b *testing.B) {
	w := crowd(b, 100000)
	b.ReportAllocs()
	for b.Loop() {
		cmd := wire.MembersCommand{Query: text("")}
		q, _ := w.g.MembersQuery(cmd, 1000, allOfThem, w.now)
		for !q.Done() {
			q.Next(4, &ChunkRoom{}, noPause)
		}
	}
}

// TestReusedBodiesAreWrittenAnew: what is taken back is the room of later chunks, which are the same
// as without.
func TestReusedBodiesAreWrittenAnew(t *testing.T) {
	g := newMillion(t, 5*chunkMembers/2)
	empty := ""
	ask := func() Query {
		q, err := g.MembersQuery(wire.MembersCommand{Query: &empty}, millionUser(1),
			wire.IntentsBot, testNow)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	fresh, reused := ask(), ask()
	room := map[*byte]bool{}
	var kept ChunkRoom
	chunks := 0
	for ; !fresh.Done(); chunks++ {
		want, got := fresh.Next(1, &ChunkRoom{}, noPause), reused.Next(1, &kept, noPause)
		if string(want[0].Body()) != string(got[0].Body()) {
			t.Fatalf("chunk %d differs", chunks)
		}
		room[&got[0].Body()[0]] = true
		kept.TakeBack(got)
	}
	if !reused.Done() || len(room) >= chunks {
		t.Errorf("%d chunks have %d rooms, done: %t", chunks, len(room), reused.Done())
	}
}
