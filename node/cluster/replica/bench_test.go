package replica

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"throng/store"
	"throng/store/disk"
)

// sample is a member as services have them: an id of some years, one to four of 60 roles, every
// tenth with a nick.
func sample(guild uint64, random *rand.Rand) store.Op {
	const year = uint64(365*24*3600*1000) << 22
	const join = 1_500_000_000_000
	op := putMember(guild, 2*year+random.Uint64N(8*year), join+random.Int64N(200_000_000_000))
	for range 1 + random.IntN(4) {
		op.Member.Roles = append(op.Member.Roles, 5*year+uint64(random.IntN(60))<<22)
	}
	if random.IntN(10) == 0 {
		op.Member.Extra = `"nick":"somebody else"`
	}
	return op
}

func benchNode(b *testing.B, onDisk bool, pageMembers int) (*fakeLog, *node) {
	log := newFakeLog()
	var s store.Replica = store.NewMemory()
	if onDisk {
		d, err := disk.Open(b.TempDir())
		must(b, err)
		s = d
	}
	n := startNode(b, log, "a", s)
	n.limits = defaultLimits
	n.limits.pageMembersMax = pageMembers
	must(b, n.Join(patient(b), 1))
	b.Cleanup(func() { n.end(b) })
	return log, n
}

var pageSizes = []int{64, 128, 256, 512}

// BenchmarkLoad puts a guild of 200,000 members, 10,000 at a time and in no order, and says what
// that is in the log: all that was written, and what stays.
func BenchmarkLoad(b *testing.B) {
	const count, each = 200_000, 10_000
	for _, onDisk := range []bool{false, true} {
		for _, size := range pageSizes {
			b.Run(fmt.Sprintf("disk=%v/page=%d", onDisk, size), func(b *testing.B) {
				for b.Loop() {
					log, n := benchNode(b, onDisk, size)
					random := rand.New(rand.NewPCG(1, 2))
					must(b, n.Apply([]store.Op{putGuild(1, "g")}))
					for range count / each {
						ops := make([]store.Op, each)
						for i := range ops {
							ops[i] = sample(1, random)
						}
						must(b, n.Apply(ops))
					}
					kept := 0
					for _, e := range log.kept {
						kept += len(e.Data) + len(e.Subject)
					}
					b.ReportMetric(float64(kept)/count, "kept-B/member")
					b.ReportMetric(float64(log.bytes)/count, "written-B/member")
					b.ReportMetric(float64(log.stored)/count, "messages/member")
				}
				b.ReportMetric(count*float64(b.N)/b.Elapsed().Seconds(), "members/s")
			})
		}
	}
}

// BenchmarkApply changes members of a guild of 100,000: one, and 10,000 all over it.
func BenchmarkApply(b *testing.B) {
	for _, onDisk := range []bool{false, true} {
		for _, size := range pageSizes {
			for _, count := range []int{1, 10_000} {
				name := fmt.Sprintf("disk=%v/page=%d/ops=%d", onDisk, size, count)
				b.Run(name, func(b *testing.B) { benchApply(b, onDisk, size, count) })
			}
		}
	}
}

func benchApply(b *testing.B, onDisk bool, size, count int) {
	log, n := benchNode(b, onDisk, size)
	random := rand.New(rand.NewPCG(1, 2))
	all := []store.Op{putGuild(1, "g")}
	for range 100_000 {
		all = append(all, sample(1, random))
	}
	must(b, n.Apply(all))
	before, done := log.bytes, 0
	b.ReportAllocs()
	for b.Loop() {
		ops := make([]store.Op, count)
		for i := range ops {
			op := all[1+random.IntN(len(all)-1)]
			op.Member.JoinedAt = int64(random.Uint64N(2e12))
			ops[i] = op
		}
		must(b, n.Apply(ops))
		done += count
	}
	b.ReportMetric(float64(log.bytes-before)/float64(done), "written-B/op")
}

// BenchmarkCatchUp is a new node that reads a guild of 200,000 members with their users.
func BenchmarkCatchUp(b *testing.B) {
	const count = 200_000
	log, n := benchNode(b, false, defaultLimits.pageMembersMax)
	random := rand.New(rand.NewPCG(1, 2))
	ops := []store.Op{putGuild(1, "g")}
	for range count {
		op := sample(1, random)
		ops = append(ops, op, addUser(op.Member.User, "somebody"))
	}
	must(b, n.Apply(ops))
	for _, onDisk := range []bool{false, true} {
		b.Run(fmt.Sprintf("disk=%v", onDisk), func(b *testing.B) {
			for b.Loop() {
				var s store.Replica = store.NewMemory()
				if onDisk {
					d, err := disk.Open(b.TempDir())
					must(b, err)
					s = d
				}
				late := startNode(b, log, "late", s)
				late.limits = defaultLimits
				must(b, late.Sync(patient(b)))
				late.end(b)
			}
			b.ReportMetric(count*float64(b.N)/b.Elapsed().Seconds(), "members/s")
		})
	}
}
