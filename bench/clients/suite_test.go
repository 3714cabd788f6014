package clients

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// The world that every node is provisioned with: two guilds, a large and a small one, both with the
// bot and its human, and enough members for three chunks in the large one.
const (
	botID        = "1000000000000000001"
	humanID      = "1000000000000000002"
	largeGuild   = "2000000000000000001"
	smallGuild   = "2000000000000000002"
	channelID    = "3000000000000000001" // in the large guild
	memberFirst  = 4000000000000000000
	messageFirst = 5000000000000000000
	memberCount  = 2500 // of the large guild, the bot and its human included
	chunkSize    = 1000
)

// Gateway opcodes and close codes that the suite looks for.
const (
	opIdentify      = 2
	opResume        = 6
	closedByTCPOnly = 0
)

// botToken and humanToken have the shape that disgo needs: the user's id in base64 comes first.
var botToken, humanToken = token(botID), token(humanID)

func token(id string) string {
	return base64.RawStdEncoding.EncodeToString([]byte(id)) + ".throng.secret-of-" + id
}

// provision tells a node about the world.
func provision(t *testing.T, n *node) {
	t.Helper()
	n.call(t, "PUT", "/v1/users/"+botID, map[string]any{
		"username": "bot", "bot": true, "token": botToken})
	n.call(t, "PUT", "/v1/users/"+humanID, map[string]any{
		"username": "human", "global_name": "A Human", "bot": true, "token": humanToken})
	for _, guild := range []string{largeGuild, smallGuild} {
		channel := channelID
		if guild == smallGuild {
			channel = "3000000000000000002"
		}
		n.call(t, "PUT", "/v1/guilds/"+guild, map[string]any{
			"name": "guild " + guild, "owner_id": humanID,
			"channels": []any{
				map[string]any{"id": channel, "type": 0, "name": "general"},
				map[string]any{"id": "9" + channel[1:], "type": 2, "name": "voice"},
			},
		})
		accept(t, 2, n.call(t, "POST", "/v1/guilds/"+guild+"/members",
			fmt.Sprintf("{\"user_id\":%q}\n{\"user_id\":%q,\"nick\":\"Hugh\"}\n", botID, humanID)))
	}
	var users, members strings.Builder
	for i := range memberCount - 2 {
		fmt.Fprintf(&users, "{\"id\":\"%d\",\"username\":\"member%04d\"}\n", memberFirst+i, i)
		fmt.Fprintf(&members, "{\"user_id\":\"%d\"}\n", memberFirst+i)
	}
	accept(t, memberCount-2, n.call(t, "POST", "/v1/users", users.String()))
	accept(t, memberCount-2,
		n.call(t, "POST", "/v1/guilds/"+largeGuild+"/members", members.String()))
}

// accept checks the answer of an NDJSON route.
func accept(t *testing.T, want int, answer []byte) {
	t.Helper()
	var got struct {
		Accepted int
		Rejected []json.RawMessage
	}
	if err := json.Unmarshal(answer, &got); err != nil || got.Accepted != want {
		t.Fatalf("got %s (%v), want %d lines accepted", answer, err, want)
	}
}

// messageIDs numbers the messages of all tests; the node takes any id it is given.
var messageIDs atomic.Int64

// publish sends messages, one NDJSON line each, to the channel that all tests use.
func publish(t *testing.T, n *node, contents ...string) {
	t.Helper()
	var lines strings.Builder
	for _, content := range contents {
		text, err := json.Marshal(content) // unlike %q this is JSON for every string
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&lines, `{"t":"MESSAGE_CREATE","d":{"id":"%d","channel_id":%q,"content":%s,`+
			`"author":{"id":%q,"username":"human","discriminator":"0","avatar":null}}}`+"\n",
			messageFirst+messageIDs.Add(1), channelID, text, humanID)
	}
	n.call(t, "POST", "/v1/guilds/"+largeGuild+"/events", lines.String())
}

// library is one client library under test.
type library struct {
	dial func(t *testing.T, n *node, token string, rec *record) client
	// reconnectCode is what it closes its connection with when it obeys op 7.
	reconnectCode int
	// postsNot says why its HTTP client cannot be pointed at the node.
	postsNot string
}

// client is one connected library. What it receives goes to its record.
type client interface {
	// members asks for all members of a guild and returns their ids and the number of chunks.
	members(t *testing.T, guild string) (ids []string, chunks int)
	post(t *testing.T, channel, content string)
	close()
}

// record is what a client has seen, in the order in which its library said so.
type record struct {
	*watch
	// Static after construction. wants says what message number i has to be, where there are too
	// many to keep; nil: they are kept.
	wants func(i int) string

	// Guarded by watch.
	seen  []event
	heard int    // messages, where they are not kept
	wrong string // the first that was not what was wanted
}

// event is one thing seen: ready, guild (ID), message (Text), resumed, members (IDs, Chunks),
// failed (Text).
type event struct {
	Kind, ID, Text, Channel, Author string
	IDs                             []string
	Chunks                          int
}

func newRecord(t *testing.T) *record {
	r := &record{watch: newWatch()}
	t.Cleanup(func() {
		if t.Failed() {
			r.mu.Lock()
			defer r.mu.Unlock()
			t.Logf("the client's last events: %+v", r.seen[max(0, len(r.seen)-20):])
		}
	})
	return r
}

func (r *record) add(e event) {
	r.update(func() {
		if r.wants == nil || e.Kind != "message" {
			r.seen = append(r.seen, e)
			return
		}
		if want := r.wants(r.heard); r.wrong == "" && e.Text != want {
			r.wrong = fmt.Sprintf("message %d is %.200q, want %.200q", r.heard, e.Text, want)
		}
		r.heard++
	})
}

// hears waits for so many messages in all, where they are not kept.
func (r *record) hears(t *testing.T, count int) {
	t.Helper()
	r.until(t, fmt.Sprintf("%d messages", count), func() bool {
		return r.heard >= count || r.wrong != "" || len(r.ofKind("failed")) > 0
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if failed := r.ofKind("failed"); len(failed) > 0 || r.wrong != "" || r.heard > count {
		t.Fatalf("%d of %d messages came; %s %v", r.heard, count, r.wrong, failed)
	}
}

// wait waits until there are count events of a kind and returns them. That its library choked on
// something ends the wait.
func (r *record) wait(t *testing.T, count int, kind string) []event {
	t.Helper()
	var found, failed []event
	r.until(t, fmt.Sprintf("%d × %q", count, kind), func() bool {
		found, failed = r.ofKind(kind), r.ofKind("failed")
		return len(found) >= count || len(failed) > 0
	})
	if len(failed) > 0 {
		t.Fatalf("the library failed while %d × %q was waited for: %s", count, kind, failed[0].Text)
	}
	return found
}

// ofKind is called under the lock.
func (r *record) ofKind(kind string) []event {
	return slices.DeleteFunc(slices.Clone(r.seen), func(e event) bool { return e.Kind != kind })
}

// wantMessages waits for the last of the wanted messages and compares all that arrived.
func (r *record) wantMessages(t *testing.T, want []string) {
	t.Helper()
	var got []string
	for _, e := range r.wait(t, len(want), "message") {
		got = append(got, e.Text)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("messages must arrive in order and once\n got %q\nwant %q", got, want)
	}
}

// life is one client's life on a node, step after step.
type life struct {
	library
	proxy  *proxy
	node   *node
	other  *node // where the client goes when its node is drained
	client client
	rec    *record
	sent   []string // contents of all messages so far
	link   int      // index of the client's present link
}

// suite leads one client from READY over cuts to the drain of its node.
func suite(t *testing.T, lib library) {
	p := startProxy(t)
	n, other := startNode(t, p), startNode(t, p)
	provision(t, n)
	provision(t, other)
	p.pointAt(n)
	l := &life{library: lib, proxy: p, node: n, other: other, rec: newRecord(t)}
	l.client = lib.dial(t, n, botToken, l.rec)
	t.Cleanup(func() { l.client.close() })
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"becomes ready with every guild", l.becomesReady},
		{"receives messages in order", l.receives},
		{"posts and hears itself", l.posts},
		{"gets all members in chunks", l.getsMembers},
		{"joins voice and follows its server", l.speaks},
		{"hears its new name", l.isRenamed},
		{"resumes after a cut without loss", func(t *testing.T) { l.resumes(t, 100) }},
		{"resumes the resumed session with much to catch up", func(t *testing.T) {
			l.resumes(t, 2000)
		}},
		{"obeys op 7 and resumes", l.reconnects},
		{"starts anew on another node when its node drains", l.moves},
	} {
		if !t.Run(step.name, step.run) {
			return // the steps after it would only repeat the complaint
		}
	}
}

func (l *life) becomesReady(t *testing.T) {
	l.wantGuilds(t, 1)
}

// wantGuilds waits for the ready of this number and for both guilds since.
func (l *life) wantGuilds(t *testing.T, round int) {
	t.Helper()
	l.rec.wait(t, round, "ready")
	var got []string
	for _, e := range l.rec.wait(t, 2*round, "guild") {
		got = append(got, e.ID)
	}
	got = got[2*(round-1):]
	slices.Sort(got)
	if want := []string{largeGuild, smallGuild}; !slices.Equal(got, want) {
		t.Fatalf("guilds available: got %q, want %q", got, want)
	}
}

// publish publishes count further messages.
func (l *life) publish(t *testing.T, count int) {
	t.Helper()
	from := len(l.sent)
	for i := range count {
		l.sent = append(l.sent, fmt.Sprintf("message %d", from+i))
	}
	publish(t, l.node, l.sent[from:]...)
}

func (l *life) receives(t *testing.T) {
	l.publish(t, 1)
	l.rec.wantMessages(t, l.sent)
	l.publish(t, 50)
	l.rec.wantMessages(t, l.sent)
}

func (l *life) posts(t *testing.T) {
	if l.postsNot != "" {
		t.Log("not tried: " + l.postsNot)
		return
	}
	l.sent = append(l.sent, "from the bot itself")
	l.client.post(t, channelID, "from the bot itself")
	l.rec.wantMessages(t, l.sent)
	last := l.rec.wait(t, len(l.sent), "message")[len(l.sent)-1]
	if last.Author != botID || last.Channel != channelID {
		t.Errorf("the message says it is from %s in %s", last.Author, last.Channel)
	}
}

func (l *life) getsMembers(t *testing.T) {
	ids, chunks := l.client.members(t, largeGuild)
	slices.Sort(ids)
	different := len(slices.Compact(slices.Clone(ids)))
	if len(ids) != memberCount || different != memberCount {
		t.Errorf("got %d members, %d different ones, want %d", len(ids), different, memberCount)
	}
	if want := (memberCount + chunkSize - 1) / chunkSize; chunks != want {
		t.Errorf("got %d chunks, want %d", chunks, want)
	}
}

// resumes cuts the connection while messages are on their way, publishes more while it is cut, and
// wants them all once the client is back, in the session that it had.
func (l *life) resumes(t *testing.T, missed int) {
	before := len(l.rec.wait(t, 0, "resumed"))
	next := l.proxy.linkCount()
	l.publish(t, 100)
	l.proxy.hold()
	if count := l.proxy.cut(); count != 1 {
		t.Fatalf("cut %d connections, want the client's one", count)
	}
	l.proxy.waitEnded(t, l.link, "the cut connection to be gone")
	l.publish(t, missed)
	l.proxy.release()
	l.rec.wait(t, before+1, "resumed")
	l.publish(t, 1) // behind it nothing can be pending
	l.rec.wantMessages(t, l.sent)
	l.cameBack(t, next)
}

// cameBack wants the client's new link to have resumed the session that it had.
func (l *life) cameBack(t *testing.T, link int) {
	t.Helper()
	l.link = link
	ops := l.proxy.opsOf(link)
	if !slices.Contains(ops, opResume) || slices.Contains(ops, opIdentify) {
		t.Errorf("the client must come back with RESUME alone, it sent ops %v", ops)
	}
}

// reconnects has the node ask this one client to reconnect, while messages are on their way.
func (l *life) reconnects(t *testing.T) {
	before := len(l.rec.wait(t, 0, "resumed"))
	next := l.proxy.linkCount()
	var sessions []struct{ ID string }
	answer := l.node.call(t, "GET", "/v1/sessions?user_id="+botID, nil)
	if err := json.Unmarshal(answer, &sessions); err != nil || len(sessions) != 1 {
		t.Fatalf("got sessions %s (%v), want the client's one", answer, err)
	}
	l.publish(t, 100)
	l.node.call(t, "POST", "/v1/sessions/"+sessions[0].ID+"/reconnect", nil)
	l.publish(t, 100)
	l.obeyed(t)
	l.rec.wait(t, before+1, "resumed")
	l.publish(t, 1)
	l.rec.wantMessages(t, l.sent)
	l.cameBack(t, next)
}

// obeyed waits for the client to end its connection as its library does on op 7.
func (l *life) obeyed(t *testing.T) {
	t.Helper()
	end := l.proxy.waitEnded(t, l.link, "the client to leave on op 7")
	switch {
	case end.closeCode == closedByTCPOnly:
		// Messages that the library left unread make its close a reset, which may overtake its
		// close frame.
		if !end.clientEnd {
			t.Error("the node closed the connection before the client did")
		}
	case end.closeCode != l.reconnectCode:
		t.Errorf("the client closed with %d, it answers op 7 with %d", end.closeCode, l.reconnectCode)
	}
}

// moves drains the node. The client is told to reconnect, comes to another node that knows nothing
// of its session, and is live again there.
func (l *life) moves(t *testing.T) {
	l.proxy.pointAt(l.other)
	next := l.proxy.linkCount()
	l.node.call(t, "POST", "/v1/drain", nil)
	l.obeyed(t)
	l.proxy.waitSent(t, next, opResume, "the client to try to resume on the other node")
	l.node.waitExit(t)
	l.node = l.other
	l.wantGuilds(t, 2)
	l.publish(t, 10)
	l.rec.wantMessages(t, l.sent)
}
