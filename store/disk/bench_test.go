package disk

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"go.etcd.io/bbolt"

	"throng/store"
)

func openBench(b *testing.B) *directory {
	b.Helper()
	d, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	return d.(*directory)
}

func applyBench(b *testing.B, d store.Directory, ops []store.Op) {
	b.Helper()
	if err := d.Apply(ops); err != nil {
		b.Fatal(err)
	}
}

// memberOps are puts of so many members with two roles each, in no order.
func memberOps(guild uint64, count int) []store.Op {
	ops := make([]store.Op, count)
	for i, user := range rand.New(rand.NewPCG(1, guild)).Perm(count) {
		ops[i] = putMember(guild, uint64(user+1)<<22|1, 1<<60, 1<<60|uint64(user%7)<<30)
	}
	return ops
}

func BenchmarkApply(b *testing.B) {
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint("batch ", size), func(b *testing.B) {
			d := openBench(b)
			applyBench(b, d, []store.Op{putGuild(1, "g")})
			ops := memberOps(1, 20_000)
			applyBench(b, d, ops)
			at := 0
			for b.Loop() {
				applyBench(b, d, ops[at:at+size])
				at = (at + size) % (len(ops) - size)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "applies/s")
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "ops/s")
		})
	}
}

// BenchmarkLoadGuild loads a guild in one batch: as Apply does it, and with every put handed to
// bbolt as it comes.
func BenchmarkLoadGuild(b *testing.B) {
	const count = 100_000
	ops := append([]store.Op{putGuild(1, "g")}, memberOps(1, count)...)
	b.Run("sorted", func(b *testing.B) {
		for b.Loop() {
			d := openBench(b)
			applyBench(b, d, ops)
			_ = d.read(func(tx *bbolt.Tx) error {
				b.ReportMetric(float64(tx.Size())/count, "file-B/member")
				return nil
			})
		}
	})
	b.Run("as it comes", func(b *testing.B) {
		for b.Loop() {
			d := openBench(b)
			err := d.write(func(tx *bbolt.Tx) error {
				batch := newBatch(tx)
				for i := range ops {
					if err := batch.apply(&ops[i]); err != nil {
						return err
					}
					if err := batch.flush(); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDeleteGuild(b *testing.B) {
	const count = 100_000
	ops := append([]store.Op{putGuild(1, "g")}, memberOps(1, count)...)
	d := openBench(b)
	for b.Loop() {
		b.StopTimer()
		applyBench(b, d, ops)
		b.StartTimer()
		applyBench(b, d, []store.Op{deleteGuild(1)})
	}
}

func BenchmarkReadGuild(b *testing.B) {
	const count = 100_000
	d := openBench(b)
	applyBench(b, d, append([]store.Op{putGuild(1, "g")}, memberOps(1, count)...))
	for b.Loop() {
		seen := 0
		err := d.GuildMembers(1, func(store.MemberRecord) error { seen++; return nil })
		if err != nil || seen != count {
			b.Fatal(err, seen)
		}
	}
}
