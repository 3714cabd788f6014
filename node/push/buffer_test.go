package push

import (
	"math/rand/v2"
	"testing"

	"throng/wire"
)

func note(channel, message wire.Snowflake) *Note {
	return &Note{Guild: 1, Channel: channel, Message: message, Author: 9, Name: "ada", Text: "hello"}
}

func offerOne(b *buffer, user wire.Snowflake, n *Note, now int64) {
	b.offer(n, []wire.Snowflake{user}, now)
}

// users are whom a batch is for, in its order.
func users(batch []Push) (ids []wire.Snowflake) {
	for _, p := range batch {
		ids = append(ids, p.User)
	}
	return ids
}

func TestBufferDropsTheOldestWhenFull(t *testing.T) {
	b := newBuffer(3, 100, 1000)
	for user := range wire.Snowflake(5) {
		offerOne(b, user+1, note(1, user+1), 0)
	}
	tally, depth := b.count()
	if depth != 3 || tally.shed != 2 || tally.offered != 5 {
		t.Errorf("depth %d, shed %d, offered %d; want 3, 2, 5", depth, tally.shed, tally.offered)
	}
	batch, more := b.take(10, 0)
	if got := users(batch); len(got) != 3 || got[0] != 3 || got[2] != 5 || more {
		t.Errorf("took %v, more %v; want 3 to 5 and nothing more", got, more)
	}
}

func TestBufferCollapsesInPlace(t *testing.T) {
	b := newBuffer(10, 100, 1000)
	offerOne(b, 1, note(1, 101), 0)
	offerOne(b, 2, note(1, 101), 0)
	offerOne(b, 1, note(1, 102), 5)
	offerOne(b, 1, note(2, 103), 5) // Another channel is another matter.
	batch, _ := b.take(10, 5)
	if len(batch) != 3 {
		t.Fatalf("took %d, want 3", len(batch))
	}
	first := batch[0]
	if first.User != 1 || first.Note.Message != 102 || first.Count != 2 {
		t.Errorf("the first is %d's message %d for %d; want 1's 102 for 2", first.User,
			first.Note.Message, first.Count)
	}
	if batch[1].User != 2 || batch[1].Count != 1 || batch[2].Note.Channel != 2 {
		t.Errorf("the others are %+v", batch[1:])
	}
	if tally, _ := b.count(); tally.collapsed != 1 {
		t.Errorf("collapsed %d, want 1", tally.collapsed)
	}
	// Once taken, there is nothing to replace.
	offerOne(b, 1, note(1, 104), 6)
	if batch, _ := b.take(10, 6); len(batch) != 1 || batch[0].Count != 1 {
		t.Errorf("after that took %+v", batch)
	}
}

func TestBufferThrowsAwayWhatIsTooOld(t *testing.T) {
	b := newBuffer(10, 100, 1000)
	offerOne(b, 1, note(1, 1), 0)
	offerOne(b, 2, note(1, 1), 1)
	offerOne(b, 3, note(1, 1), 1)
	offerOne(b, 3, note(1, 2), 900) // The newer one makes it young.
	batch, _ := b.take(10, 1001)
	if got := users(batch); len(got) != 2 || got[0] != 2 || got[1] != 3 {
		t.Errorf("took %v, want 2, which is just young enough, and 3", got)
	}
	if tally, _ := b.count(); tally.expired != 1 || tally.waitedMax != 1000 {
		t.Errorf("expired %d, longest wait %d; want 1 and 1000", tally.expired, tally.waitedMax)
	}
}

// TestBufferLooksAtFewAtATime: guilds wait for the lock meanwhile.
func TestBufferLooksAtFewAtATime(t *testing.T) {
	b := newBuffer(100, 10, 1000)
	for user := range wire.Snowflake(25) {
		offerOne(b, user+1, note(1, 1), 0)
	}
	offerOne(b, 26, note(1, 1), 5000)
	for round := range 2 {
		if batch, more := b.take(100, 5000); len(batch) != 0 || !more {
			t.Fatalf("round %d took %v, more %v; want none yet, and more", round, users(batch), more)
		}
	}
	if batch, more := b.take(100, 5000); len(batch) != 1 || more {
		t.Errorf("took %v, more %v; want the last", users(batch), more)
	}
}

// TestBufferAgainstModel compares with a slice that is searched.
func TestBufferAgainstModel(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		most := 1 + r.IntN(8)
		b := newBuffer(most, 1+r.IntN(4), 50)
		var model []Push
		var offered, collapsed, shed, expired, taken uint64
		now := int64(0)
		for range 300 {
			now += int64(r.IntN(10))
			if r.IntN(3) > 0 {
				user := wire.Snowflake(1 + r.IntN(6))
				n := note(wire.Snowflake(1+r.IntN(2)), wire.Snowflake(now+1))
				offered++
				offerOne(b, user, n, now)
				p := Push{User: user, Note: n, Count: 1, offered: now}
				found := false
				for i := range model {
					if model[i].key() == p.key() {
						p.Count += model[i].Count
						model[i], found = p, true
						collapsed++
					}
				}
				if !found && len(model) == most {
					model = model[1:]
					shed++
				}
				if !found {
					model = append(model, p)
				}
				continue
			}
			limit := 1 + r.IntN(4)
			batch, _ := b.take(limit, now)
			for looked := 0; looked < b.lookMax && limit > 0 && len(model) > 0; looked++ {
				p := model[0]
				model = model[1:]
				if now-p.offered > 50 {
					expired++
					continue
				}
				if len(batch) == 0 || batch[0] != p {
					t.Fatalf("seed %d: took %+v, want %+v next", seed, batch, p)
				}
				batch, limit = batch[1:], limit-1
				taken++
			}
			if len(batch) > 0 {
				t.Fatalf("seed %d: took %+v beyond what the model has", seed, batch)
			}
		}
		got, depth := b.count()
		got.waited, got.waitedMax = 0, 0
		want := tally{offered: offered, collapsed: collapsed, shed: shed, expired: expired,
			taken: taken}
		if got != want || depth != len(model) || len(b.index) != depth {
			t.Fatalf("seed %d: tally %+v, depth %d, index %d; want %+v, %d", seed, got, depth,
				len(b.index), want, len(model))
		}
	}
}

func BenchmarkOffer(b *testing.B) {
	q := newBuffer(1<<16, 256, 1<<40)
	n := note(1, 1)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		offerOne(q, wire.Snowflake(i), n, 0)
	}
}
