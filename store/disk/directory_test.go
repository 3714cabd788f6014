package disk

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"throng/store"
)

// directories are the implementations that must behave alike.
var directories = []struct {
	name string
	open func(t *testing.T) store.Replica
}{
	{"memory", func(t *testing.T) store.Replica { return store.NewMemory() }},
	{"disk", func(t *testing.T) store.Replica {
		d, err := Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return d
	}},
}

func putUser(id uint64, name string) store.Op {
	return store.Op{Kind: store.OpPutUser, UserRecord: &store.User{
		ID: id, Flags: id << 40, Name: name, GlobalName: strings.ToUpper(name), Bot: id%2 == 0,
		Doc: fmt.Sprintf(`{"id":"%d"}`, id),
	}}
}

func addUser(id uint64, name string) store.Op {
	op := putUser(id, name)
	op.Kind = store.OpAddUser
	return op
}

func putToken(user uint64, token string) store.Op {
	return store.Op{Kind: store.OpPutToken, User: user, Token: token}
}

func revokeTokens(user uint64) store.Op {
	return store.Op{Kind: store.OpRevokeTokens, User: user}
}

func putGuild(id uint64, doc string, channels ...uint64) store.Op {
	return store.Op{Kind: store.OpPutGuild, Guild: id, Doc: []byte(doc), Channels: channels}
}

func deleteGuild(id uint64) store.Op {
	return store.Op{Kind: store.OpDeleteGuild, Guild: id}
}

func putMember(guild, user uint64, roles ...uint64) store.Op {
	return store.Op{Kind: store.OpPutMember, Guild: guild, Member: store.MemberRecord{
		Member: store.Member{User: user, JoinedAt: 1_700_000_000_000, RoleSet: 9},
		Roles:  roles,
	}}
}

func deleteMember(guild, user uint64) store.Op {
	return store.Op{Kind: store.OpDeleteMember, Guild: guild, User: user}
}

// facts says in one line each what a directory holds of the first ids, which is all that the tests
// write. Two directories with the same facts are the same to a caller.
func facts(t *testing.T, d store.Directory, users uint64, tokens []string) []string {
	t.Helper()
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(d.EachGuild(func(id uint64) error {
		doc, err := d.Guild(id)
		ok(err)
		add("guild %d: %s", id, doc)
		return d.GuildMembers(id, func(m store.MemberRecord) error {
			add("guild %d has %+v", id, m)
			return nil
		})
	}))
	for id := range users {
		user, err := d.User(id)
		ok(err)
		if user != nil {
			add("user %+v", *user)
		}
		guilds, err := d.GuildsOf(id)
		ok(err)
		if len(guilds) != 0 {
			add("user %d in %v", id, guilds)
		}
		guild, err := d.ChannelGuild(id)
		ok(err)
		if guild != 0 {
			add("channel %d of %d", id, guild)
		}
	}
	for _, token := range tokens {
		user, err := d.TokenUser(token)
		ok(err)
		if user != 0 {
			add("token %s of %d", token, user)
		}
	}
	return lines
}

func TestDirectoryBehaviour(t *testing.T) {
	member := func(guild, user uint64, roles string) string {
		return fmt.Sprintf("guild %d has {Member:{User:%d JoinedAt:1700000000000 TimeoutAt:0 "+
			"RoleSet:0 Flags:0 Extra:} Roles:%s}", guild, user, roles)
	}
	user4 := `user {ID:4 Flags:4398046511104 Name:bob GlobalName:BOB Doc:{"id":"4"} Bot:true}`
	tests := []struct {
		name    string
		batches [][]store.Op
		want    []string
	}{
		{"empty", nil, nil},
		{"an empty batch is fine", [][]store.Op{{}}, nil},
		{"users are put and replaced",
			[][]store.Op{{putUser(4, "al")}, {putUser(4, "bob")}}, []string{user4}},
		{"users are added where there is none", [][]store.Op{
			{addUser(4, "bob")}, {addUser(4, "al")}, {putUser(5, "al"), addUser(5, "bob")},
			{addUser(6, "bob"), putUser(6, "al")}}, []string{user4,
			`user {ID:5 Flags:5497558138880 Name:al GlobalName:AL Doc:{"id":"5"} Bot:false}`,
			`user {ID:6 Flags:6597069766656 Name:al GlobalName:AL Doc:{"id":"6"} Bot:true}`}},
		{"the last op of a batch counts",
			[][]store.Op{{putUser(4, "al"), putUser(4, "bob")}}, []string{user4}},
		{"guilds come in order", [][]store.Op{{putGuild(300, "c"), putGuild(2, "b")},
			{putGuild(2, "B")}}, []string{"guild 2: B", "guild 300: c"}},
		{"members come in order with sorted roles",
			[][]store.Op{{putGuild(1, "g"), putMember(1, 256, 9, 3, 9, 1<<63), putMember(1, 7)}},
			[]string{"guild 1: g", member(1, 7, "[]"),
				member(1, 256, "[3 9 9223372036854775808]"), "user 7 in [1]", "user 256 in [1]"}},
		{"a member is replaced", [][]store.Op{{putGuild(1, "g"), putMember(1, 7, 5)},
			{putMember(1, 7, 6)}},
			[]string{"guild 1: g", member(1, 7, "[6]"), "user 7 in [1]"}},
		{"a member leaves one guild of two", [][]store.Op{
			{putGuild(1, "g"), putGuild(2, "h"), putMember(1, 7), putMember(2, 7)},
			{deleteMember(1, 7)}},
			[]string{"guild 1: g", "guild 2: h", member(2, 7, "[]"), "user 7 in [2]"}},
		{"deletions of the unknown do nothing", [][]store.Op{
			{deleteMember(1, 7), deleteGuild(9), revokeTokens(5)}, {putGuild(1, "g")},
			{deleteMember(1, 7)}}, []string{"guild 1: g"}},
		{"a guild goes with members and index", [][]store.Op{
			{putGuild(1, "g"), putGuild(2, "h"), putMember(1, 7), putMember(1, 8), putMember(2, 7)},
			{deleteGuild(1)}},
			[]string{"guild 2: h", member(2, 7, "[]"), "user 7 in [2]"}},
		{"a guild deleted and made again in one batch has new members only", [][]store.Op{
			{putGuild(1, "g"), putMember(1, 7)},
			{putMember(1, 8), deleteGuild(1), putGuild(1, "G"), putMember(1, 9)}},
			[]string{"guild 1: G", member(1, 9, "[]"), "user 9 in [1]"}},
		{"a new document keeps the members", [][]store.Op{
			{putGuild(1, "g"), putMember(1, 7)}, {putGuild(1, "G")}},
			[]string{"guild 1: G", member(1, 7, "[]"), "user 7 in [1]"}},
		{"channels follow the guild's last document", [][]store.Op{
			{putGuild(1, "g", 50, 51), putGuild(2, "h", 60)},
			{putGuild(1, "g", 51, 52), putGuild(1, "g", 51, 53)}},
			[]string{"guild 1: g", "guild 2: h", "channel 51 of 1", "channel 53 of 1",
				"channel 60 of 2"}},
		{"channels go with their guild", [][]store.Op{
			{putGuild(1, "g", 50, 51), putGuild(2, "h", 60)}, {deleteGuild(1)}},
			[]string{"guild 2: h", "channel 60 of 2"}},
		{"a channel that another guild has taken stays there", [][]store.Op{
			{putGuild(1, "g", 50), putGuild(2, "h", 50)}, {deleteGuild(1)}},
			[]string{"guild 2: h", "channel 50 of 2"}},
		{"tokens are a user's until revoked", [][]store.Op{
			{putToken(4, "a"), putToken(4, "b"), putToken(5, "c")}, {revokeTokens(4)}},
			[]string{"token c of 5"}},
		{"tokens of the same batch are revoked, later ones stay", [][]store.Op{
			{putToken(4, "a"), revokeTokens(4), putToken(4, "b")}}, []string{"token b of 4"}},
		{"a token changes hands", [][]store.Op{
			{putToken(4, "a"), putToken(5, "b")}, {putToken(5, "a")}, {revokeTokens(4)}},
			[]string{"token a of 5", "token b of 5"}},
		{"a token that changed hands goes with its new user", [][]store.Op{
			{putToken(4, "a"), putToken(5, "a")}, {revokeTokens(5)}}, nil},
	}
	for _, impl := range directories {
		for _, test := range tests {
			t.Run(impl.name+"/"+test.name, func(t *testing.T) {
				d := impl.open(t)
				defer d.Close()
				for i, batch := range test.batches {
					if err := d.Apply(batch); err != nil {
						t.Fatalf("batch %d: %v", i, err)
					}
				}
				got := facts(t, d, 400, []string{"a", "b", "c"})
				if !reflect.DeepEqual(got, test.want) {
					t.Errorf("got\n%s\nwant\n%s",
						strings.Join(got, "\n"), strings.Join(test.want, "\n"))
				}
			})
		}
	}
}

func TestDirectoryRefusesBatchWhole(t *testing.T) {
	good := []store.Op{putUser(4, "al"), putGuild(1, "g"), putMember(1, 7), putToken(4, "a")}
	tests := []struct {
		name string
		bad  store.Op
		is   error
	}{
		{"no kind", store.Op{}, nil},
		{"unknown kind", store.Op{Kind: 99}, nil},
		{"user without record", store.Op{Kind: store.OpPutUser}, nil},
		{"user without id", putUser(0, "x"), nil},
		{"user to add without record", store.Op{Kind: store.OpAddUser}, nil},
		{"token without user", putToken(0, "x"), nil},
		{"token without text", putToken(4, ""), nil},
		{"revoke without user", revokeTokens(0), nil},
		{"guild without document", putGuild(2, ""), nil},
		{"guild without id", putGuild(0, "g"), nil},
		{"delete without guild", deleteGuild(0), nil},
		{"member without user", putMember(1, 0), nil},
		{"member without guild", putMember(0, 7), nil},
		{"delete member without user", deleteMember(1, 0), nil},
		{"member of an unknown guild", putMember(3, 7), store.ErrUnknownGuild},
	}
	for _, impl := range directories {
		for _, test := range tests {
			t.Run(impl.name+"/"+test.name, func(t *testing.T) {
				d := impl.open(t)
				defer d.Close()
				err := d.Apply(append(good[:len(good):len(good)], test.bad))
				if err == nil {
					t.Fatal("got no error")
				}
				if test.is != nil && !errors.Is(err, test.is) {
					t.Errorf("got %v, want %v", err, test.is)
				}
				if !strings.HasPrefix(err.Error(), "op 5 of 5: ") {
					t.Errorf("got %q, want the op's place in it", err)
				}
				if got := facts(t, d, 20, []string{"a"}); got != nil {
					t.Errorf("of the refused batch stayed %q", got)
				}
			})
		}
	}
}

func TestDirectoryDeletedGuildTakesNoMember(t *testing.T) {
	for _, impl := range directories {
		t.Run(impl.name, func(t *testing.T) {
			d := impl.open(t)
			defer d.Close()
			err := d.Apply([]store.Op{
				putGuild(1, "g"), putMember(1, 7), deleteGuild(1), putMember(1, 8)})
			if !errors.Is(err, store.ErrUnknownGuild) {
				t.Errorf("got %v, want %v", err, store.ErrUnknownGuild)
			}
		})
	}
}

func TestDirectoryKeepsWholeRecords(t *testing.T) {
	member := store.MemberRecord{
		Member: store.Member{User: 1<<64 - 2, JoinedAt: -5, TimeoutAt: 1 << 62,
			Flags: 1<<32 - 1, Extra: `"nick":"ü\u0000"`},
		Roles: []uint64{1, 1<<64 - 1},
	}
	user := store.User{ID: 1<<64 - 1, Flags: 1<<64 - 1, Name: "n", Doc: strings.Repeat("x", 70_000)}
	for _, impl := range directories {
		t.Run(impl.name, func(t *testing.T) {
			d := impl.open(t)
			defer d.Close()
			err := d.Apply([]store.Op{putGuild(1<<64-1, "g"),
				{Kind: store.OpPutMember, Guild: 1<<64 - 1, Member: member},
				{Kind: store.OpPutUser, UserRecord: &user}})
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.User(user.ID)
			if err != nil || *got != user {
				t.Errorf("got user %+v, %v", got, err)
			}
			err = d.GuildMembers(1<<64-1, func(got store.MemberRecord) error {
				if !reflect.DeepEqual(got, member) {
					t.Errorf("got %+v, want %+v", got, member)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDirectoryWalksStopAtFirstError(t *testing.T) {
	stop := errors.New("enough")
	for _, impl := range directories {
		t.Run(impl.name, func(t *testing.T) {
			d := impl.open(t)
			defer d.Close()
			ops := []store.Op{putGuild(1, "g"), putGuild(2, "h")}
			for user := range uint64(3 * readChunkCount) {
				ops = append(ops, putMember(1, user+1))
			}
			if err := d.Apply(ops); err != nil {
				t.Fatal(err)
			}
			seen := uint64(0)
			err := d.GuildMembers(1, func(m store.MemberRecord) error {
				if seen++; m.User != seen {
					t.Fatalf("got member %d, want %d", m.User, seen)
				}
				if seen == 2*readChunkCount+1 {
					return stop
				}
				return nil
			})
			if err != stop || seen != 2*readChunkCount+1 {
				t.Errorf("got %v after %d members", err, seen)
			}
			guilds := 0
			err = d.EachGuild(func(uint64) error { guilds++; return stop })
			if err != stop || guilds != 1 {
				t.Errorf("got %v after %d guilds", err, guilds)
			}
		})
	}
}

func TestDirectoryClosedSaysSo(t *testing.T) {
	for _, impl := range directories {
		t.Run(impl.name, func(t *testing.T) {
			d := impl.open(t)
			for range 2 {
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
			}
			_, user := d.User(1)
			_, token := d.TokenUser("a")
			_, guilds := d.GuildsOf(1)
			_, guild := d.Guild(1)
			for i, err := range []error{user, token, guilds, guild, d.Apply(nil),
				d.Apply([]store.Op{putGuild(1, "g")}),
				d.GuildMembers(1, func(store.MemberRecord) error { return nil }),
				d.EachGuild(func(uint64) error { return nil })} {
				if !errors.Is(err, store.ErrClosed) {
					t.Errorf("call %d: got %v, want %v", i, err, store.ErrClosed)
				}
			}
		})
	}
}

// TestDirectoryReadersAndWriters has readers look on while batches move all members of a guild at
// once: whoever reads sees all of them with one and the same time.
func TestDirectoryReadersAndWriters(t *testing.T) {
	for _, impl := range directories {
		t.Run(impl.name, func(t *testing.T) {
			d := impl.open(t)
			defer d.Close()
			const members = 2*readChunkCount + 3
			apply := func(at int64) {
				ops := []store.Op{putGuild(1, "g")}
				for user := range uint64(members) {
					op := putMember(1, user+1)
					op.Member.JoinedAt = at
					ops = append(ops, op)
				}
				if err := d.Apply(ops); err != nil {
					t.Error(err)
				}
			}
			apply(0)
			var done atomic.Bool
			var readers sync.WaitGroup
			for range 2 {
				readers.Go(func() {
					for !done.Load() {
						seen := map[int64]int{}
						err := d.GuildMembers(1, func(m store.MemberRecord) error {
							seen[m.JoinedAt]++
							return nil
						})
						if err != nil || len(seen) != 1 {
							t.Errorf("saw %v, %v", seen, err)
						}
						if guilds, err := d.GuildsOf(7); err != nil || len(guilds) != 1 {
							t.Errorf("got guilds %v, %v", guilds, err)
						}
					}
				})
			}
			for at := range int64(20) {
				apply(at)
			}
			done.Store(true)
			readers.Wait()
		})
	}
}
