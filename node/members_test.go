package node

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"throng/wire"
)

func repeat(s string, n int) string { return strings.Repeat(s, n) }

// manyMembers is a guild of 2,500: users 1 to 2500, of whom the first has a session. Some have a
// record of their own.
func manyMembers(t *testing.T, tweaks ...func(*core)) (*rig, *wsClient) {
	t.Helper()
	r := startRig(t, Config{}, tweaks...)
	for user := range wire.Snowflake(20) {
		r.user(user+1, true)
	}
	ids := make([]wire.Snowflake, 2500)
	for i := range ids {
		ids[i] = wire.Snowflake(i + 1)
	}
	r.guild(100, ids...)
	c := r.dial("/")
	c.wantOp(wire.OpHello)
	c.send(2, fmt.Sprintf(`{"token":"%s","intents":%d}`, tokenOf(1),
		testIntents|wire.IntentGuildMembers|wire.IntentGuildPresences))
	c.ready(1)
	c.joined(1)
	return r, c
}

// chunk reads one chunk and returns the ids in it.
func (c *wsClient) chunk(index, count int) (ids []string, whole map[string]any) {
	c.t.Helper()
	whole = object(c.t, c.wantEvent("GUILD_MEMBERS_CHUNK").Data)
	if whole["chunk_index"] != float64(index) || whole["chunk_count"] != float64(count) ||
		whole["guild_id"] != "100" {
		c.t.Fatalf("chunk %v of %v of guild %v, want %d of %d", whole["chunk_index"],
			whole["chunk_count"], whole["guild_id"], index, count)
	}
	for _, m := range whole["members"].([]any) {
		ids = append(ids, m.(map[string]any)["user"].(map[string]any)["id"].(string))
	}
	return ids, whole
}

func TestWholeMemberListInChunks(t *testing.T) {
	_, c := manyMembers(t)
	c.send(8, `{"guild_id":"100","query":"","limit":0,"presences":true,"nonce":"n1"}`)
	seen := map[string]bool{}
	for index, size := range []int{1000, 1000, 500} {
		ids, whole := c.chunk(index, 3)
		if len(ids) != size || whole["nonce"] != "n1" {
			t.Errorf("chunk %d has %d members and nonce %v", index, len(ids), whole["nonce"])
		}
		for _, id := range ids {
			if seen[id] {
				t.Errorf("member %s is there twice", id)
			}
			seen[id] = true
		}
		if presences, ok := whole["presences"].([]any); !ok || index > 0 && len(presences) > 0 {
			t.Errorf("chunk %d has presences %v", index, whole["presences"])
		}
		if _, has := whole["not_found"]; has {
			t.Errorf("chunk %d has not_found", index)
		}
	}
	if len(seen) != 2500 {
		t.Errorf("%d members came, want 2500", len(seen))
	}
	// The list again is refused, other requests are not.
	c.send(8, `{"guild_id":["100"],"query":"","limit":0,"nonce":"n2"}`)
	limited := object(t, c.wantEvent("RATE_LIMITED").Data)
	meta, _ := limited["meta"].(map[string]any)
	after, _ := limited["retry_after"].(float64)
	if limited["opcode"] != 8.0 || after <= 0 || after > 30 || meta["guild_id"] != "100" ||
		meta["nonce"] != "n2" {
		t.Errorf("the refusal is %v", limited)
	}
	c.send(8, `{"guild_id":"100","query":"u2","limit":5,"nonce":"`+repeat("x", 33)+`"}`)
	ids, whole := c.chunk(0, 1)
	if len(ids) != 2 || ids[0] != "2" || ids[1] != "20" {
		t.Errorf("u2 finds %v, want 2 and 20", ids)
	}
	if _, has := whole["nonce"]; has {
		t.Error("a nonce that is too long came back")
	}
}

func TestMembersByIDAndByName(t *testing.T) {
	_, c := manyMembers(t)
	c.send(8, `{"guild_id":"100","user_ids":["7","999999","8"],"presences":false}`)
	ids, whole := c.chunk(0, 1)
	missing, _ := whole["not_found"].([]any)
	if fmt.Sprint(ids) != "[7 8]" || fmt.Sprint(missing) != "[999999]" {
		t.Errorf("got %v and not %v", ids, missing)
	}
	c.send(8, `{"guild_id":"100","user_ids":"7"}`)
	if ids, _ = c.chunk(0, 1); fmt.Sprint(ids) != "[7]" {
		t.Errorf("one id that is no array finds %v", ids)
	}
	c.send(8, `{"guild_id":"100","user_ids":[]}`)
	if ids, _ = c.chunk(0, 1); len(ids) != 0 {
		t.Errorf("nobody named finds %v", ids)
	}
	c.send(8, `{"guild_id":"100","query":"nobody","limit":10}`)
	if ids, _ = c.chunk(0, 1); len(ids) != 0 {
		t.Errorf("nobody finds %v", ids)
	}
	c.send(8, `{"guild_id":"100","query":"U1","limit":3}`)
	if ids, _ = c.chunk(0, 1); fmt.Sprint(ids) != "[1 10 11]" {
		t.Errorf("U1 finds %v", ids)
	}
}

func TestWholeListNeedsTheIntent(t *testing.T) {
	r, _ := manyMembers(t)
	c := r.login(2)
	c.joined(1)
	c.send(8, `{"guild_id":"100","query":"","limit":0}`)
	r.until("refused", func() bool { return r.core.drops[RefusedCommand].Load() == 1 })
	c.send(8, `{"guild_id":"100","query":"u3","limit":1}`)
	if ids, _ := c.chunk(0, 1); fmt.Sprint(ids) != "[3]" {
		t.Errorf("u3 finds %v", ids)
	}
}

// TestChunksAreMadeAsTheyAreRead has more chunks than are made ahead, and cuts the connection in
// their middle: a resume goes on with them.
func TestChunksAreMadeAsTheyAreRead(t *testing.T) {
	_, c := manyMembers(t, func(c *core) { c.limits.chunksAheadMax = 1 })
	c.send(8, `{"guild_id":"100","query":"","limit":0}`)
	c.chunk(0, 3)
	c.conn.Close()
	next := c.again()
	chunks, resumed := 1, false
	for chunks < 3 || !resumed {
		switch h := next.wantOp(wire.OpDispatch); h.Type {
		case "RESUMED":
			resumed = true
		case "GUILD_MEMBERS_CHUNK":
			if n, _ := wire.IntField(h.Data, "chunk_index"); int(n) != chunks {
				t.Fatalf("chunk %d came, want %d", n, chunks)
			}
			chunks++
		}
	}
}

// TestListByAnyLimitIsAList: asking for the first two billion members is asking for all.
func TestListByAnyLimitIsAList(t *testing.T) {
	_, c := manyMembers(t)
	const list = `{"guild_id":"100","query":"","limit":2000000000}`
	c.send(8, list)
	for index := range 3 {
		c.chunk(index, 3)
	}
	c.send(8, list)
	c.wantEvent("RATE_LIMITED")
	for range 3 {
		c.send(8, `{"guild_id":"100","query":"","limit":100}`)
		c.chunk(0, 1)
	}
}

// TestRequestsOfOneSessionTakeTurns: of a hundred requests one is worked on, so that the others
// hold no members, and whoever identifies does not wait behind them.
func TestRequestsOfOneSessionTakeTurns(t *testing.T) {
	var at, most, held atomic.Int64
	release := make(chan struct{})
	r, c := manyMembers(t, func(c *core) {
		submit := c.submit
		c.submit = func(what messageKind, job func()) bool {
			if held.Load() == 0 {
				return submit(what, job)
			}
			most.Store(max(most.Load(), at.Add(1)))
			return submit(what, func() { <-release; at.Add(-1); job() })
		}
	})
	held.Store(1)
	const requests = 50
	for n := range requests {
		c.send(8, fmt.Sprintf(`{"guild_id":"100","query":"u","limit":1,"nonce":"%d"}`, n))
	}
	r.until("all are asked", func() bool {
		waiting := 0
		r.onLoop(c.home(), func(l *loop) {
			for _, s := range l.sessions {
				if s != nil && s.habits != nil {
					waiting += len(s.habits.requests)
				}
			}
		})
		return waiting == requests
	})
	close(release)
	for n := range requests {
		if _, whole := c.chunk(0, 1); whole["nonce"] != fmt.Sprint(n) {
			t.Fatalf("answer %d has nonce %v", n, whole["nonce"])
		}
	}
	if most.Load() != 1 {
		t.Errorf("workers were at %d requests at a time, want 1", most.Load())
	}
}

// TestMemberRequestsHaveALimit: connection after connection of one session asks, and no worker
// comes to it. The line is bounded, who asks once too often is told so, what is in line is
// answered after the resume, and the node's account of memory has it.
func TestMemberRequestsHaveALimit(t *testing.T) {
	var held atomic.Bool
	release := make(chan struct{})
	const most = 6
	r, c := manyMembers(t, func(c *core) {
		c.limits.memberRequestsMax = most
		submit := c.submit
		c.submit = func(what messageKind, job func()) bool {
			if !held.Load() {
				return submit(what, job)
			}
			return submit(what, func() { <-release; job() })
		}
	})
	held.Store(true)
	line := func() (waiting, bytes int) {
		r.onLoop(c.home(), func(l *loop) {
			for _, s := range l.sessions {
				if s != nil && s.habits != nil {
					waiting += len(s.habits.requests)
					bytes += s.memory(&newRuler().Ruler)
				}
			}
		})
		return waiting, bytes
	}
	named := repeat(`"1234567890",`, 99) + `"7"`
	ask := func(n int) {
		c.send(8, fmt.Sprintf(`{"guild_id":"100","user_ids":[%s],"nonce":"%d"}`, named, n))
	}
	for n := range most {
		if n == most/2 {
			r.until("the half are in line", func() bool { at, _ := line(); return at == n })
			c.conn.Close()
			c = c.again()
			c.wantEvent("RESUMED")
		}
		ask(n)
	}
	r.until("all are in line", func() bool { at, _ := line(); return at == most })
	if _, bytes := line(); bytes < most*100*8 {
		t.Errorf("%d requests for 100 users each are said to hold %d B", most, bytes)
	}
	ask(most)
	limited := object(t, c.wantEvent("RATE_LIMITED").Data)
	if meta, _ := limited["meta"].(map[string]any); meta["nonce"] != fmt.Sprint(most) {
		t.Errorf("one too many is refused with %v", limited)
	}
	r.onLoop(c.home(), func(l *loop) {
		for _, s := range l.sessions {
			if s != nil && s.habits != nil {
				(&startStream{&memberStream{to: s.handle(l)}}).do(l)
			}
		}
	})
	if at, _ := line(); at != most || r.core.drops[CommandBusy].Load() != 2 {
		t.Errorf("%d are in line, and %d were dropped", at, r.core.drops[CommandBusy].Load())
	}
	close(release)
	for n := range most {
		if _, whole := c.chunk(0, 1); whole["nonce"] != fmt.Sprint(n) {
			t.Fatalf("answer %d has nonce %v", n, whole["nonce"])
		}
	}
}
