package disk

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"throng/store"
)

func putPage(guild, first, last uint64, users ...uint64) store.Op {
	page := &store.Page{First: first, Last: last}
	for _, user := range users {
		page.Members = append(page.Members, putMember(guild, user).Member)
	}
	return store.Op{Kind: store.OpPutPage, Guild: guild, Page: page}
}

func putNote(key, text string) store.Op {
	op := store.Op{Kind: store.OpPutNote, Note: key}
	if text != "" {
		op.Doc = []byte(text)
	}
	return op
}

func putTokenHash(user uint64, token string) store.Op {
	hash := store.TokenHash(token)
	return store.Op{Kind: store.OpPutTokenHash, User: user, Token: string(hash[:])}
}

// replicaFacts are facts and what only a replica tells.
func replicaFacts(t *testing.T, d store.Replica, users uint64) []string {
	t.Helper()
	lines := facts(t, d, users, []string{"a", "b", "c"})
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for guild := range uint64(4) {
		ok(d.GuildMembers(guild, func(m store.MemberRecord) error {
			lines = append(lines, fmt.Sprintf("in %d: %+v", guild, m))
			return nil
		}))
		channels, err := d.GuildChannels(guild)
		ok(err)
		lines = append(lines, fmt.Sprint("channels ", channels))
		for user := uint64(0); ; {
			first, last, err := d.PageOf(guild, user)
			ok(err)
			lines = append(lines, fmt.Sprint("page ", guild, first, last))
			if user = last + 1; user == 0 {
				break
			}
		}
	}
	for _, key := range []string{"x", "y"} {
		note, err := d.Note(key)
		ok(err)
		lines = append(lines, fmt.Sprintf("note %q %v", note, note == nil))
	}
	ok(d.EachUser(func(u *store.User) error {
		lines = append(lines, fmt.Sprintf("each %+v", *u))
		return nil
	}))
	var tokens []string
	ok(d.EachToken(func(hash [sha256.Size]byte, user uint64) error {
		tokens = append(tokens, fmt.Sprintf("token %x of %d", hash, user))
		return nil
	}))
	slices.Sort(tokens)
	return append(lines, tokens...)
}

func TestPages(t *testing.T) {
	tests := []struct {
		name    string
		batches [][]store.Op
		want    string // of guild 1: its members, then its pages
	}{
		{"a page is all of its range", [][]store.Op{
			{putGuild(1, "g"), putMember(1, 5), putMember(1, 7), putMember(1, 9)},
			{putPage(1, 6, 8, 6, 8)}}, "5 6 8 9 | 0-5 6-max"},
		{"a page before its guild", [][]store.Op{
			{putPage(1, 0, math.MaxUint64, 3)}, {putGuild(1, "g")}}, "3 | 0-max"},
		{"a page that is split", [][]store.Op{
			{putGuild(1, "g"), putPage(1, 0, math.MaxUint64, 3, 5, 7)},
			{putPage(1, 0, 4, 3, 4), putPage(1, 5, math.MaxUint64, 7, 8)}},
			"3 4 7 8 | 0-4 5-max"},
		{"a page of the same batch is replaced", [][]store.Op{
			{putGuild(1, "g"), putPage(1, 0, math.MaxUint64, 3, 5), putPage(1, 0, 4, 2),
				putPage(1, 5, math.MaxUint64), putPage(1, 0, 4, 3)}}, "3 | 0-4 5-max"},
		{"members of the same batch are replaced", [][]store.Op{
			{putGuild(1, "g"), putMember(1, 3), putPage(1, 0, 4, 2), putMember(1, 4)}},
			"2 4 | 0-max"},
		{"pages go with the guild", [][]store.Op{
			{putGuild(1, "g"), putPage(1, 9, 20, 9), putGuild(2, "h"), putPage(2, 3, 9, 9)},
			{deleteGuild(1)}, {putGuild(1, "G")}}, " | 0-max"},
		{"pages of the highest users", [][]store.Op{
			{putGuild(1, "g"), putPage(1, math.MaxUint64, math.MaxUint64, math.MaxUint64)}},
			"18446744073709551615 | 0-18446744073709551614 18446744073709551615-max"},
	}
	for _, impl := range directories {
		for _, test := range tests {
			t.Run(impl.name+"/"+test.name, func(t *testing.T) {
				d := impl.open(t)
				defer d.Close()
				for _, batch := range test.batches {
					if err := d.Apply(batch); err != nil {
						t.Fatal(err)
					}
				}
				if got := members(t, d, 1) + " | " + pages(t, d, 1); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
			})
		}
	}
}

func members(t *testing.T, d store.Replica, guild uint64) string {
	t.Helper()
	var all []string
	err := d.GuildMembers(guild, func(m store.MemberRecord) error {
		all = append(all, fmt.Sprint(m.User))
		guilds, err := d.GuildsOf(m.User)
		if err != nil || !slices.Contains(guilds, guild) {
			t.Errorf("user %d is in guilds %v, %v", m.User, guilds, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func pages(t *testing.T, d store.Replica, guild uint64) string {
	t.Helper()
	var all []string
	for user := uint64(0); ; {
		first, last, err := d.PageOf(guild, user)
		if err != nil || first > user || last < user {
			t.Fatalf("the page of %d is from %d to %d, %v", user, first, last, err)
		}
		if user = last + 1; user == 0 {
			return strings.Join(append(all, fmt.Sprintf("%d-max", first)), " ")
		}
		all = append(all, fmt.Sprintf("%d-%d", first, last))
	}
}

func TestReplicaRefusesWhatCannotBeMeant(t *testing.T) {
	for _, impl := range directories {
		d := impl.open(t)
		defer d.Close()
		for i, op := range []store.Op{
			putPage(0, 0, 1), putPage(1, 2, 1), putPage(1, 2, 3, 4), putPage(1, 2, 3, 1),
			putPage(1, 0, 9, 3, 3), putPage(1, 0, 9, 4, 3), {Kind: store.OpPutPage, Guild: 1},
			putNote("", "x"), {Kind: store.OpPutTokenHash, User: 1, Token: "short"},
			putTokenHash(0, "a"),
		} {
			if err := d.Apply([]store.Op{op}); err == nil {
				t.Errorf("%s: op %d is taken", impl.name, i)
			}
		}
	}
}

// TestReplicasAgree gives memory and disk the same random batches, and a third what the first one
// tells of itself.
func TestReplicasAgree(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		memory := store.NewMemory()
		disk, err := Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer disk.Close()
		for range 60 {
			var ops []store.Op
			for range 1 + random.IntN(12) {
				ops = append(ops, randomOp(random))
			}
			errMemory, errDisk := memory.Apply(ops), disk.Apply(ops)
			if (errMemory == nil) != (errDisk == nil) {
				t.Fatalf("seed %d: memory says %v, disk %v", seed, errMemory, errDisk)
			}
		}
		got, want := replicaFacts(t, disk, 40), replicaFacts(t, memory, 40)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: disk has\n%s\nmemory\n%s", seed, strings.Join(got, "\n"),
				strings.Join(want, "\n"))
		}
	}
}

func randomOp(random *rand.Rand) store.Op {
	guild, user := 1+random.Uint64N(3), 1+random.Uint64N(30)
	token := string("abc"[random.IntN(3)])
	switch random.IntN(14) {
	case 0:
		return putUser(user, fmt.Sprint(random.IntN(9)))
	case 1:
		return putToken(user%4+1, token)
	case 2:
		return putTokenHash(user%4+1, token)
	case 3:
		return revokeTokens(user%4 + 1)
	case 4:
		return deleteGuild(guild)
	case 5:
		return putMember(guild, user)
	case 6:
		return deleteMember(guild, user)
	case 7:
		return putNote(string("xy"[random.IntN(2)]), strings.Repeat("n", random.IntN(3)))
	case 8, 9:
		return putGuild(guild, "g", 10+guild, 20+random.Uint64N(5))
	}
	last := user + random.Uint64N(15)
	var users []uint64
	for u := user; u <= last; u++ {
		if random.IntN(2) == 0 {
			users = append(users, u)
		}
	}
	return putPage(guild, user, last, users...)
}

// TestFilesOfNodesAloneAreOpened: such files have no parts for what only a replica is asked.
func TestFilesOfNodesAloneAreOpened(t *testing.T) {
	folder := t.TempDir()
	d, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	db := d.(*directory).db
	tx, err := db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range [][]byte{bucketPages, bucketNotes} {
		if err := tx.DeleteBucket(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = Open(folder); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Apply([]store.Op{putNote("x", "y")}); err != nil {
		t.Fatal(err)
	}
	if note, err := d.Note("x"); err != nil || !bytes.Equal(note, []byte("y")) {
		t.Errorf("got note %q, %v", note, err)
	}
}
