package replica

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"throng/node/cluster"
	"throng/store"
)

func TestSubjects(t *testing.T) {
	hash := store.TokenHash("x")
	for text, want := range map[string]subject{
		userSubject(1<<64 - 1): {kind: kindUser, id: 1<<64 - 1},
		tokenSubject(hash):     {kind: kindToken, name: string(hash[:])},
		revocationSubject(7):   {kind: kindRevocation, id: 7},
		documentSubject(7):     {kind: kindDocument, id: 7},
		partSubject(7, 3):      {kind: kindPart, id: 7, part: 3},
		pageSubject(7, 0):      {kind: kindPage, id: 7},
		nodeSubject("a.b-c"):   {kind: kindNode, name: "a.b-c"},
		syncSubject("a"):       {kind: kindSync, name: "a"},
		importSubject:          {kind: kindImport},
	} {
		if got, ok := parseSubject(text); !ok || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "u", "u.", "u.x", "u.01", "u.+1", "u.1.2", "t.", "t.00",
		"g", "g.1", "g.1.x", "g.1.doc.", "g.1.doc.x", "g.1.m", "g.x.doc", "n.", "s", "i.1", "x.1",
		"u.18446744073709551616"} {
		if got, ok := parseSubject(text); ok {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func TestDocuments(t *testing.T) {
	for _, length := range []int{1, 19, 20, 21, 100, 500} {
		doc, channels := bytes.Repeat([]byte("d"), length), []uint64{3, 1 << 60}
		parts, last := encodeDocument(9, doc, channels, 20)
		body, err := open(last)
		must(t, err)
		d, err := decodeDocument(body)
		must(t, err)
		bodies := map[uint64][]byte{99: []byte("of a longer one")}
		for i, part := range parts {
			body, err := open(part)
			must(t, err)
			bodies[uint64(i+1)] = body
		}
		got, gotChannels, ok := d.join(bodies)
		if !ok || !bytes.Equal(got, doc) || !slices.Equal(gotChannels, channels) ||
			d.incarnation != 9 || d.parts != len(parts)+1 {
			t.Errorf("%d bytes: got %q %v, %v, of %+v", length, got, gotChannels, ok, d)
		}
		for i := range parts {
			other := maps.Clone(bodies)
			other[uint64(i+1)] = []byte("of another")
			if _, _, ok := d.join(other); ok {
				t.Errorf("%d bytes: part %d is another's", length, i+1)
			}
		}
	}
}

// FuzzMessages gives a group any message: it is refused or applied, and what was applied is what
// its own encoder would have written.
func FuzzMessages(f *testing.F) {
	page := &store.Page{First: 5, Last: 9, Members: []store.MemberRecord{
		{Member: store.Member{User: 7}, Roles: []uint64{1}}}}
	parts, last := encodeDocument(3, []byte("a document that is long"), []uint64{1, 2}, 20)
	f.Add("u.4", encodeUser(&store.User{ID: 4, Name: "x"}))
	f.Add(tokenSubject(store.TokenHash("x")), encodeToken(4))
	f.Add("r.4", empty())
	f.Add("g.1.doc", last)
	f.Add("g.1.doc", encodeDeletion(8))
	f.Add("g.1.doc.1", parts[0])
	f.Add("g.1.m.5", encodePage(3, page))
	f.Add("g.1.m.5", empty())
	f.Add("n.a", encodeNode(3, true))
	f.Add("s.a", empty())
	f.Add("i", encodeImport("a", true))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		d, err := Open(Config{Node: "a", Store: store.NewMemory()})
		must(t, err)
		g := newGroup(d, 1)
		err = g.read([]cluster.Entry{
			{Subject: "g.1.m.0", Seq: 1, Data: encodePage(2, &store.Page{Last: 1<<64 - 1})},
			{Subject: name, Seq: 2, Data: data},
		})
		if err != nil {
			return
		}
		must(t, d.Replica.Apply(append(g.ops, notePositionOp(2))))
		if _, err := Open(Config{Node: "a", Store: d.Replica}); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzFences(f *testing.F) {
	f.Add(encodeFences(map[string]fence{"a": {1, 2, true}, "b": {3, 4, false}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		fences, err := decodeFences(data)
		if err != nil {
			return
		}
		again, err := decodeFences(encodeFences(fences))
		if err != nil || !maps.Equal(again, fences) {
			t.Fatalf("got %v, %v, want %v", again, err, fences)
		}
	})
}

// TestQueueTakesWholeBatches: what is taken ends where a batch ends, or where it can be cut.
func TestQueueTakesWholeBatches(t *testing.T) {
	loose := limits{groupBytesMax: 1000, queueBytesMax: 1e6}
	full := loose
	full.queueBytesMax = 1
	for _, test := range []struct {
		queue  string // u: a user, p: a part; in capitals: more of the batch follows.
		limits limits
		want   int
	}{
		{"u", loose, 1}, {"uuu", loose, 3}, {"uU", loose, 1}, {"uUUu", loose, 4},
		{"UUU", loose, 0}, {"", loose, 0}, {"uuuuuuuuuuuu", loose, 7},
		{"uUUUUUUUUUUu", loose, 1}, {"UUUUUUUUUUUUu", loose, 13},
		{"UUU", full, 3}, {"UUPP", full, 2}, {"UPPU", full, 4}, {"PP", full, 2}, {"uUPP", full, 1},
	} {
		q := queue{}
		for _, c := range test.queue {
			e := cluster.Entry{Subject: "u.1", Data: empty()}
			if strings.ToLower(string(c)) == "p" {
				e.Subject = "g.1.doc.1"
			}
			if c < 'a' {
				e.Data[0] |= flagMore
			}
			q.entries = append(q.entries, e)
			q.bytes += entryBytes + len(e.Data)
		}
		if got := q.whole(&test.limits); got != test.want {
			t.Errorf("of %q %d are taken, want %d (%s)", test.queue, got, test.want,
				fmt.Sprint(test.limits.queueBytesMax))
		}
	}
}
