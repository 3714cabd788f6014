package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/wire"
)

// fakeNode is a model of a node that fits on a page: maps under a mutex.
type fakeNode struct {
	mu         sync.Mutex
	users      map[wire.Snowflake]UserInput
	tokens     map[string]wire.Snowflake
	guilds     map[wire.Snowflake]*fakeGuild
	channels   map[wire.Snowflake]wire.Snowflake // Channel to guild.
	sessions   map[string]SessionInfo
	posted     []MessageInput
	toUsers    map[wire.Snowflake][]EventInput
	voice      map[string]VoiceServerInput
	typing     int
	batches    []int // Size of every batch of lines, in order.
	drained    bool
	stallLimit time.Duration
	speed      int64
	moved      []string // To these nodes, "" for back to the ring.

	notReady, broken error
	// fail is returned by whatever is asked next and after it, once skip calls went well.
	fail error
	skip int
	// block makes every call wait for its context or for block to close.
	block chan struct{}
	panic any
}

type fakeGuild struct {
	doc      []byte
	members  []string
	events   []EventInput
	announce bool
}

func newFake() *fakeNode {
	return &fakeNode{
		users:    map[wire.Snowflake]UserInput{},
		tokens:   map[string]wire.Snowflake{},
		guilds:   map[wire.Snowflake]*fakeGuild{},
		channels: map[wire.Snowflake]wire.Snowflake{},
		sessions: map[string]SessionInfo{},
		toUsers:  map[wire.Snowflake][]EventInput{},
		voice:    map[string]VoiceServerInput{},
	}
}

// enter starts a call: it locks the node unless the call is to fail.
func (n *fakeNode) enter(ctx context.Context) error {
	if n.block != nil {
		select {
		case <-n.block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	n.mu.Lock()
	if n.panic != nil {
		n.mu.Unlock()
		panic(n.panic)
	}
	if n.fail != nil {
		if n.skip == 0 {
			n.mu.Unlock()
			return n.fail
		}
		n.skip--
	}
	return nil
}

func (n *fakeNode) PutUsers(ctx context.Context, users []UserInput) ([]error, error) {
	if err := n.enter(ctx); err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	n.batches = append(n.batches, len(users))
	errs := make([]error, len(users))
	for i, user := range users {
		if owner, taken := n.tokens[user.Token]; taken && owner != user.ID {
			errs[i] = Conflict("token", "the token is another user's")
			continue
		}
		if raw, named := wire.Field(user.Doc, "username"); named && raw[0] != '"' {
			errs[i] = Invalid("username", "want a name")
			continue
		}
		n.users[user.ID] = user
		if user.Token != "" {
			n.tokens[user.Token] = user.ID
		}
	}
	return errs, nil
}

func (n *fakeNode) PutToken(ctx context.Context, user wire.Snowflake, token string) error {
	if err := n.enter(ctx); err != nil {
		return err
	}
	defer n.mu.Unlock()
	if _, ok := n.users[user]; !ok {
		return UnknownUser
	}
	if owner, taken := n.tokens[token]; taken && owner != user {
		return Conflict("token", "the token is another user's")
	}
	n.tokens[token] = user
	return nil
}

func (n *fakeNode) RevokeTokens(ctx context.Context, user wire.Snowflake) error {
	if err := n.enter(ctx); err != nil {
		return err
	}
	defer n.mu.Unlock()
	if _, ok := n.users[user]; !ok {
		return UnknownUser
	}
	for token, owner := range n.tokens {
		if owner == user {
			delete(n.tokens, token)
		}
	}
	return nil
}

func (n *fakeNode) PutGuild(ctx context.Context, id wire.Snowflake, doc []byte) error {
	if err := n.enter(ctx); err != nil {
		return err
	}
	defer n.mu.Unlock()
	if name, ok := wire.StringField(doc, "name"); !ok || name == "" {
		return Invalid("name", "want a name")
	}
	n.guilds[id] = &fakeGuild{doc: doc}
	return nil
}

// guild finds a guild and takes the lock that goes with it.
func (n *fakeNode) guild(ctx context.Context, id wire.Snowflake) (*fakeGuild, error) {
	if err := n.enter(ctx); err != nil {
		return nil, err
	}
	g, ok := n.guilds[id]
	if !ok {
		n.mu.Unlock()
		return nil, UnknownGuild
	}
	return g, nil
}

func (n *fakeNode) DeleteGuild(ctx context.Context, id wire.Snowflake) error {
	if _, err := n.guild(ctx, id); err != nil {
		return err
	}
	defer n.mu.Unlock()
	delete(n.guilds, id)
	return nil
}

func (n *fakeNode) PutMembers(ctx context.Context, id wire.Snowflake, lines [][]byte,
	announce bool) ([]error, error) {
	g, err := n.guild(ctx, id)
	if err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	n.batches = append(n.batches, len(lines))
	g.announce = announce
	errs := make([]error, len(lines))
	for i, line := range lines {
		user, ok := wire.SnowflakeField(line, "user_id")
		if !ok {
			errs[i] = Invalid("user_id", "want a snowflake")
			continue
		}
		g.members = append(g.members, user.String())
	}
	return errs, nil
}

func (n *fakeNode) ExportMembers(ctx context.Context, id wire.Snowflake,
	f func(lines []byte) error) error {
	g, err := n.guild(ctx, id)
	if err != nil {
		return err
	}
	defer n.mu.Unlock()
	for _, m := range g.members {
		if m == "666" {
			return errors.New("the export fails")
		}
		if err := f(fmt.Appendf(nil, "{\"user_id\":\"%s\"}\n", m)); err != nil {
			return err
		}
	}
	return nil
}

func (n *fakeNode) RemoveMember(ctx context.Context, id, user wire.Snowflake) error {
	g, err := n.guild(ctx, id)
	if err != nil {
		return err
	}
	defer n.mu.Unlock()
	at := slices.Index(g.members, user.String())
	if at < 0 {
		return UnknownMember
	}
	g.members = slices.Delete(g.members, at, at+1)
	return nil
}

func (n *fakeNode) Publish(ctx context.Context, id wire.Snowflake, events []EventInput) (
	uint64, []error, error) {
	g, err := n.guild(ctx, id)
	if err != nil {
		return 0, nil, err
	}
	defer n.mu.Unlock()
	n.batches = append(n.batches, len(events))
	errs := make([]error, len(events))
	for i, e := range events {
		if e.Type == "CHANNEL_DELETE" {
			errs[i] = Invalid("d.id", "there is no such channel")
			continue
		}
		g.events = append(g.events, e)
	}
	return uint64(len(g.events)), errs, nil
}

func (n *fakeNode) PublishUser(ctx context.Context, user wire.Snowflake, events []EventInput) (
	int, []error, error) {
	if err := n.enter(ctx); err != nil {
		return 0, nil, err
	}
	defer n.mu.Unlock()
	if _, ok := n.users[user]; !ok {
		return 0, nil, UnknownUser
	}
	n.toUsers[user] = append(n.toUsers[user], events...)
	count := 0
	for _, s := range n.sessions {
		if s.User == user {
			count++
		}
	}
	return count, nil, nil
}

func (n *fakeNode) Guild(ctx context.Context, id wire.Snowflake) (GuildInfo, error) {
	g, err := n.guild(ctx, id)
	if err != nil {
		return GuildInfo{}, err
	}
	defer n.mu.Unlock()
	name, _ := wire.StringField(g.doc, "name")
	return GuildInfo{ID: id, Name: name, MemberCount: len(g.members),
		EventIndex: uint64(len(g.events)), OwnerNode: "a", Doc: g.doc}, nil
}

func (n *fakeNode) TopGuilds(ctx context.Context, limit int) (list []GuildInfo, err error) {
	if err := n.enter(ctx); err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	for id, g := range n.guilds {
		list = append(list, GuildInfo{ID: id, SessionCount: len(g.members)})
	}
	slices.SortFunc(list, func(a, b GuildInfo) int {
		return cmp.Compare(b.SessionCount, a.SessionCount)
	})
	return list[:min(limit, len(list))], nil
}

func (n *fakeNode) Session(ctx context.Context, id string) (SessionInfo, error) {
	if err := n.enter(ctx); err != nil {
		return SessionInfo{}, err
	}
	defer n.mu.Unlock()
	s, ok := n.sessions[id]
	if !ok {
		return s, UnknownSession
	}
	return s, nil
}

func (n *fakeNode) SessionsOf(ctx context.Context, user wire.Snowflake) (
	list []SessionInfo, err error) {
	if err := n.enter(ctx); err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	for _, s := range n.sessions {
		if s.User == user {
			list = append(list, s)
		}
	}
	return list, nil
}

func (n *fakeNode) ReconnectSession(ctx context.Context, id string) error {
	_, err := n.Session(ctx, id)
	return err
}

func (n *fakeNode) CloseSession(ctx context.Context, id string) error {
	if _, err := n.Session(ctx, id); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.sessions, id)
	return nil
}

func (n *fakeNode) Info(ctx context.Context) (NodeInfo, error) {
	if err := n.enter(ctx); err != nil {
		return NodeInfo{}, err
	}
	defer n.mu.Unlock()
	return NodeInfo{Node: "a", Version: "1", State: "ready", Loops: 2}, nil
}

func (n *fakeNode) Drain() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drained = true
}

func (n *fakeNode) Ready() error                { return n.notReady }
func (n *fakeNode) Check(context.Context) error { return n.broken }

func (n *fakeNode) Authenticate(ctx context.Context, token string) (User, error) {
	if err := n.enter(ctx); err != nil {
		return User{}, err
	}
	defer n.mu.Unlock()
	user, ok := n.users[n.tokens[token]]
	if !ok {
		return User{}, Unauthorized
	}
	bot, _ := wire.Field(user.Doc, "bot")
	return User{ID: user.ID, Bot: string(bot) == "true", Doc: user.Doc}, nil
}

func (n *fakeNode) StartLimits(context.Context, wire.Snowflake) (StartLimits, error) {
	return StartLimits{Shards: 1, Total: 1000, Remaining: 999, MaxConcurrency: 1}, nil
}

func (n *fakeNode) GuildDoc(ctx context.Context, id, as wire.Snowflake) ([]byte, error) {
	g, err := n.guild(ctx, id)
	if err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	if !slices.Contains(g.members, as.String()) {
		return nil, MissingAccess
	}
	return g.doc, nil
}

func (n *fakeNode) ChannelDoc(ctx context.Context, channel, as wire.Snowflake) ([]byte, error) {
	guild, ok := n.channels[channel]
	if !ok {
		return nil, UnknownChannel
	}
	if _, err := n.GuildDoc(ctx, guild, as); err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, `{"id":"%d","type":0}`, channel), nil
}

func (n *fakeNode) PostMessage(ctx context.Context, channel, as wire.Snowflake,
	m MessageInput) ([]byte, error) {
	if _, err := n.ChannelDoc(ctx, channel, as); err != nil {
		return nil, err
	}
	if strings.Contains(m.Content, "forbidden") {
		return nil, MissingPermissions
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.posted = append(n.posted, m)
	var mentions [][]byte
	for _, id := range m.MentionUsers {
		mentions = append(mentions, n.users[id].Doc)
	}
	return m.Append(nil, MessageMeta{ID: 4, Channel: channel, Author: n.users[as].Doc,
		Mentions: mentions}), nil
}

func (n *fakeNode) Typing(ctx context.Context, channel, as wire.Snowflake) error {
	_, err := n.ChannelDoc(ctx, channel, as)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		n.typing++
	}
	return err
}

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   string
}

// request sends one request; header is pairs of name and value.
func request(t testing.TB, method, url, body string, header ...string) answer {
	t.Helper()
	a, err := send(method, url, strings.NewReader(body), header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

func send(method, url string, body io.Reader, header ...string) (answer, error) {
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b)}, errors.Join(err, resp.Body.Close())
}

// want fails the test unless the answer has this status and exactly this body; an empty body is
// not compared.
func (a answer) want(t testing.TB, status int, body string) {
	t.Helper()
	if a.status != status || body != "" && strings.TrimSpace(a.body) != body {
		t.Errorf("got %d %s\nwant %d %s", a.status, a.body, status, body)
	}
}

// serve starts a server for a door and returns its address.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// watched tells how many events a guild has after each publish.
type watched struct {
	*fakeNode
	seen chan int
}

func (w *watched) Publish(ctx context.Context, id wire.Snowflake, events []EventInput) (
	uint64, []error, error) {
	index, errs, err := w.fakeNode.Publish(ctx, id, events)
	if len(events) > 0 {
		w.seen <- int(index)
	}
	return index, errs, err
}

func (f *fakeNode) Cluster(context.Context) (ClusterInfo, error) {
	return ClusterInfo{Self: "fake"}, f.fail
}

func (f *fakeNode) MoveGuild(_ context.Context, _ wire.Snowflake, node string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moved = append(f.moved, node)
	return f.fail
}
