package replica

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"throng/node/cluster"
	"throng/store"
)

var modelSeeds = flag.Uint64("seeds", 12, "how many worlds TestModel makes")

const (
	modelNodes  = 3
	modelGuilds = 6
	modelSteps  = 300
)

// world is some nodes on one log, and a plain store that is given the same ops, one batch after
// the other.
type world struct {
	t      *testing.T
	random *rand.Rand
	log    *fakeLog
	plain  store.Replica
	nodes  []*member
	owners map[uint64]int // Of guilds.
}

// member is a node of a world. It is restarted on its store, and joins anew when it was sealed.
type member struct {
	*node
	name        string
	store       keptStore
	incarnation uint64
	joined      map[uint64]map[uint64]bool // By guild, who OnApplied said had joined.
}

// TestModel: whatever is lost, late or not known, what is done at last is what was asked for, on
// every node, also on one that reads only what the log has left.
func TestModel(t *testing.T) {
	for seed := range *modelSeeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := &world{
				t: t, random: rand.New(rand.NewPCG(seed, 5)), log: newFakeLog(),
				plain: store.NewMemory(), owners: map[uint64]int{},
			}
			for i := range modelNodes {
				m := &member{
					name: fmt.Sprintf("n%d", i), store: keptStore{store.NewMemory()},
					incarnation: 1, joined: map[uint64]map[uint64]bool{},
				}
				w.nodes = append(w.nodes, m)
				w.start(m)
				must(t, m.Join(patient(t), 1))
			}
			for step := range modelSteps {
				w.step()
				if step%50 == 49 {
					w.compare()
				}
			}
			for _, m := range w.nodes {
				m.end(t)
			}
		})
	}
}

func (w *world) start(m *member) { m.node = startNode(w.t, w.log, m.name, m.store) }

func (w *world) step() {
	i := w.random.IntN(modelNodes)
	m := w.nodes[i]
	switch w.random.IntN(12) {
	case 0:
		m.reader.pause(true)
	case 1:
		w.awake(m)
		w.hand(1+w.random.Uint64N(modelGuilds), i)
	case 2:
		w.restart(m)
	case 3:
		w.lose(i)
	default:
		w.apply(i, w.batch(i))
	}
}

// awake has a node read on.
func (w *world) awake(m *member) { m.reader.pause(false) }

// hand hands a guild to a node in order.
func (w *world) hand(guild uint64, to int) {
	owner := w.nodes[w.owners[guild]]
	w.awake(owner)
	seq, err := owner.Settle(patient(w.t))
	must(w.t, err)
	must(w.t, w.nodes[to].Wait(patient(w.t), seq))
	w.owners[guild] = to
}

func (w *world) restart(m *member) {
	m.end(w.t)
	w.notice(m)
	w.start(m)
	m.incarnation++
	must(w.t, m.Join(patient(w.t), m.incarnation))
}

// notice remembers what a node was told of, which a restart forgets.
func (w *world) notice(m *member) {
	for _, a := range m.told() {
		for _, guild := range a.Deleted {
			delete(m.joined, guild)
		}
		for _, j := range a.Joined {
			if m.joined[j.Guild] == nil {
				m.joined[j.Guild] = map[uint64]bool{}
			}
			for _, user := range j.Users {
				m.joined[j.Guild][user] = true
			}
		}
	}
}

// lose has a node declared gone in the middle of a batch, which arrives when its guilds are
// another's. It finds out, and comes back.
func (w *world) lose(i int) {
	m, next := w.nodes[i], (i+1+w.random.IntN(modelNodes-1))%modelNodes
	heir := w.nodes[next]
	w.awake(m)
	w.awake(heir)
	ops := w.batch(i)
	short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	w.log.setFate(func() fate { return fateUnknownLate })
	m.limits.triesMax = 1 + w.random.IntN(2)
	if err := m.Apply(ops); err == nil && w.changes(ops) {
		w.t.Fatal("what nobody has stored is acknowledged")
	}
	m.limits.triesMax = smallLimits.triesMax
	if w.random.IntN(2) == 0 {
		_, _ = m.Settle(short)
	}
	w.log.setFate(nil)
	if w.random.IntN(2) == 0 {
		w.log.release(w.random)
	}
	for _, survivor := range w.nodes {
		if survivor != m && (survivor == heir || w.random.IntN(2) == 0) {
			w.awake(survivor)
			must(w.t, survivor.Seal(patient(w.t), m.name, m.incarnation))
		}
	}
	for guild, owner := range w.owners {
		if owner == i {
			w.owners[guild] = next
		}
	}
	for guild := range uint64(modelGuilds) {
		if _, owned := w.owners[guild+1]; !owned && i == 0 {
			w.owners[guild+1] = next // Who has never been handed on is the first node's.
		}
	}
	w.log.release(w.random)
	if err := m.Apply(ops); len(ops) > 0 && !errors.Is(err, ErrFenced) {
		w.t.Fatalf("who was declared gone writes: %v", err)
	}
	must(w.t, heir.Apply(ops))
	must(w.t, w.plain.Apply(ops))
	w.log.release(w.random)
	if err := m.Join(patient(w.t), m.incarnation); !errors.Is(err, ErrFenced) {
		w.t.Fatalf("a sealed incarnation joins: %v", err)
	}
	m.incarnation++
	must(w.t, m.Join(patient(w.t), m.incarnation))
}

// changes says whether ops leave a trace in the log in any case.
func (w *world) changes(ops []store.Op) bool {
	for _, op := range ops {
		if op.Kind == store.OpPutUser || op.Kind == store.OpPutToken {
			return true
		}
	}
	return false
}

// apply has ops done, however often that takes, while the log does what it can to prevent it.
func (w *world) apply(i int, ops []store.Op) {
	m := w.nodes[i]
	w.awake(m)
	bad := w.random.IntN(6)
	random := rand.New(rand.NewPCG(w.random.Uint64(), 1))
	w.log.setFate(func() fate {
		if bad--; bad < 0 {
			return fateStored
		}
		return fate(random.IntN(int(fateRefusedAtOnce) + 1))
	})
	for tries := 0; ; tries++ {
		err := m.Apply(ops)
		if err == nil {
			break
		}
		if !errors.Is(err, cluster.ErrLogUnknown) && !errors.Is(err, ErrUnavailable) || tries > 20 {
			w.t.Fatalf("try %d: %v", tries, err)
		}
		if w.random.IntN(2) == 0 {
			w.log.release(w.random)
		}
	}
	w.log.setFate(nil)
	if w.random.IntN(2) == 0 {
		w.log.release(w.random)
	}
	must(w.t, w.plain.Apply(ops))
}

// batch makes ops that a node may do. Done twice they do no more than once.
func (w *world) batch(i int) (ops []store.Op) {
	touched := map[uint64]bool{}
	known := map[uint64]bool{}
	must(w.t, w.plain.EachGuild(func(id uint64) error { known[id] = true; return nil }))
	add := func(op ...store.Op) { ops = append(ops, op...) }
	for range 1 + w.random.IntN(8) {
		user := 1 + w.random.Uint64N(60)
		token := string(rune('a' + w.random.IntN(8)))
		switch w.random.IntN(8) {
		case 0:
			add(putUser(user, fmt.Sprint(w.random.IntN(100))))
		case 1:
			add(addUser(user, "added"))
		case 2:
			add(putToken(1+user%5, token))
		case 3:
			if w.random.IntN(3) == 0 {
				add(revoke(1 + user%5))
			}
		default:
			guild := 1 + w.random.Uint64N(modelGuilds)
			if w.owners[guild] != i {
				continue
			}
			add(w.guildOps(guild, known, touched)...)
			touched[guild] = true
		}
	}
	return ops
}

func (w *world) guildOps(guild uint64, known, touched map[uint64]bool) (ops []store.Op) {
	what := w.random.IntN(12)
	switch {
	case what == 0 && !touched[guild]:
		known[guild] = false
		return []store.Op{deleteGuild(guild)}
	case what <= 2 || !known[guild]:
		known[guild] = true
		doc := fmt.Sprintf("%0*d", 1+w.random.IntN(150), w.random.IntN(100))
		return []store.Op{putGuild(guild, doc, guild*100+w.random.Uint64N(3))}
	}
	for range 1 + w.random.IntN(20) {
		user := 1 + w.random.Uint64N(60)
		if w.random.IntN(3) == 0 {
			ops = append(ops, deleteMember(guild, user))
			continue
		}
		op := putMember(guild, user, w.random.Int64N(5), w.random.Uint64N(4))
		if w.random.IntN(20) == 0 {
			op.Member.Extra = fmt.Sprintf("%0300d", 1)
		}
		ops = append(ops, op)
	}
	return ops
}

// compare compares all nodes with the plain store, and one that has just begun.
func (w *world) compare() {
	late := startNode(w.t, w.log, "late", store.NewMemory())
	must(w.t, late.Sync(patient(w.t)))
	same(w.t, "who has just begun", late.Directory, w.plain)
	late.end(w.t)
	for _, m := range w.nodes {
		w.awake(m)
		must(w.t, m.Sync(patient(w.t)))
		same(w.t, m.name, m.Directory, w.plain)
		w.notice(m)
		must(w.t, w.plain.EachGuild(func(guild uint64) error {
			return w.plain.GuildMembers(guild, func(r store.MemberRecord) error {
				if !m.joined[guild][r.User] {
					w.t.Errorf("%s was not told that %d has joined %d", m.name, r.User, guild)
				}
				return nil
			})
		}))
	}
}
