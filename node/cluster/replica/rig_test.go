package replica

import (
	"context"
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/store"
)

// patience is for a machine that does much else.
const patience = 2 * time.Minute

func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// keptStore is a store that outlives its directory.
type keptStore struct{ store.Replica }

func (keptStore) Close() error { return nil }

// node is a directory that follows a fake log.
type node struct {
	*Directory
	reader *reader

	// Guarded by mu.
	mu      sync.Mutex
	applied []Applied
}

// told returns what OnApplied was told since it was asked before.
func (n *node) told() []Applied {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.applied
	n.applied = nil
	return all
}

// smallLimits make everything happen with few members.
var smallLimits = limits{
	pageMembersMax: 4, pageBytesMax: 400, partBytesMax: 20, messageBytesMax: 5000,
	chunkOpsMax: 50, chunkBytesMax: 2000, batchMessagesMax: 70, batchBytesMax: 20_000,
	groupBytesMax: 2000, queueBytesMax: 100_000,
	triesMax: 5, applyTimeout: patience, syncTimeout: patience, retryPause: time.Millisecond,
}

func startNode(t testing.TB, log *fakeLog, name string, s store.Replica) *node {
	t.Helper()
	n := &node{}
	d, err := Open(Config{
		Node: name, Store: s,
		OnApplied: func(a *Applied) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.applied = append(n.applied, *a)
		},
	})
	must(t, err)
	n.Directory = d
	d.limits = smallLimits
	n.reader = log.read(d.Applied(), d.Take)
	must(t, d.Start(log, "fake"))
	return n
}

func (n *node) end(t testing.TB) {
	t.Helper()
	must(t, n.Close())
	n.reader.close()
}

// facts says in one line each what a store holds. Of pages and notes nothing is said.
func facts(t testing.TB, s store.Replica) []string {
	t.Helper()
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	must(t, s.EachGuild(func(id uint64) error {
		doc, err := s.Guild(id)
		must(t, err)
		channels, err := s.GuildChannels(id)
		must(t, err)
		add("guild %d: %s %v", id, doc, channels)
		return nil
	}))
	for id := range uint64(12) {
		must(t, s.GuildMembers(id, func(m store.MemberRecord) error {
			add("guild %d has %+v", id, m)
			return nil
		}))
	}
	must(t, s.EachUser(func(u *store.User) error {
		add("user %+v", *u)
		return nil
	}))
	for user := range uint64(80) {
		guilds, err := s.GuildsOf(user)
		must(t, err)
		if len(guilds) > 0 {
			add("user %d is in %v", user, guilds)
		}
	}
	var tokens []string
	must(t, s.EachToken(func(hash [sha256.Size]byte, user uint64) error {
		tokens = append(tokens, fmt.Sprintf("token %x of %d", hash, user))
		return nil
	}))
	slices.Sort(tokens)
	return append(lines, tokens...)
}

func same(t testing.TB, what string, got, want store.Replica) {
	t.Helper()
	a, b := facts(t, got), facts(t, want)
	if !reflect.DeepEqual(a, b) {
		t.Fatalf("%s has\n%s\nand should have\n%s", what, strings.Join(a, "\n"),
			strings.Join(b, "\n"))
	}
}

func putUser(id uint64, name string) store.Op {
	return store.Op{Kind: store.OpPutUser, UserRecord: &store.User{ID: id, Name: name}}
}

func addUser(id uint64, name string) store.Op {
	op := putUser(id, name)
	op.Kind = store.OpAddUser
	return op
}

func putToken(user uint64, token string) store.Op {
	return store.Op{Kind: store.OpPutToken, User: user, Token: token}
}

func revoke(user uint64) store.Op { return store.Op{Kind: store.OpRevokeTokens, User: user} }

func putGuild(id uint64, doc string, channels ...uint64) store.Op {
	return store.Op{Kind: store.OpPutGuild, Guild: id, Doc: []byte(doc), Channels: channels}
}

func deleteGuild(id uint64) store.Op { return store.Op{Kind: store.OpDeleteGuild, Guild: id} }

func putMember(guild, user uint64, joined int64, roles ...uint64) store.Op {
	return store.Op{Kind: store.OpPutMember, Guild: guild, Member: store.MemberRecord{
		Member: store.Member{User: user, JoinedAt: joined}, Roles: roles,
	}}
}

func deleteMember(guild, user uint64) store.Op {
	return store.Op{Kind: store.OpDeleteMember, Guild: guild, User: user}
}
