package cluster

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"throng/node/cluster/enginetest"
	"throng/tuning"
)

// claim makes a fence this log's and returns the token.
func (r *reader) claim(fence string, token uint64) uint64 {
	r.t.Helper()
	next, err := r.store(Batch{
		Writes: []Write{{fence, number(1, 0)}}, Fence: fence, Token: token,
	})
	must(r.t, err)
	return next
}

// fenced is a batch that writes a number to subjects.
func fenced(fence string, token, v uint64, subjects ...string) Batch {
	b := Batch{Fence: fence, Token: token}
	for _, s := range subjects {
		b.Writes = append(b.Writes, Write{s, number(v, 0)})
	}
	return b
}

// refused is an error when a batch is not refused for its token.
func (r *reader) refused(b Batch) {
	r.t.Helper()
	if _, err := r.store(b); !errors.Is(err, ErrLogConflict) || errors.Is(err, ErrLogUnknown) {
		r.t.Errorf("%s at %d: %v", b.Fence, b.Token, err)
	}
}

// is compares values once the log has been read up to a sequence.
func (r *reader) is(last, v uint64, subjects ...string) {
	r.t.Helper()
	must(r.t, r.Wait(patient(r.t), last))
	for _, s := range subjects {
		if got := r.value(s); got != v {
			r.t.Errorf("%s is %d, and should be %d", s, got, v)
		}
	}
}

// eachSize runs a test with one server and with three.
func eachSize(t *testing.T, f func(t *testing.T, servers []*enginetest.Engine)) {
	t.Parallel()
	t.Run("one", func(t *testing.T) {
		needEngines(t)
		f(t, []*enginetest.Engine{enginetest.NATS(t)})
	})
	t.Run("three", func(t *testing.T) {
		needEngines(t)
		f(t, enginetest.NATSCluster(t, 3))
	})
}

// TestLogFences: once somebody else has the fence, nothing is written under the token before,
// neither one message nor any of many.
func TestLogFences(t *testing.T) {
	eachSize(t, func(t *testing.T, servers []*enginetest.Engine) {
		a := openLog(t, len(servers), 0, servers...)
		b := openLog(t, len(servers), 0, servers...)
		first := a.claim("own", 0)
		b.refused(fenced("own", 0, 9, "own"))
		b.refused(fenced("own", 0, 9, "x"))
		_, err := a.store(fenced("own", first, 1, "x", "y", "z"))
		must(t, err)
		last, err := a.store(fenced("own", first, 2, "x"))
		must(t, err)
		b.is(last, 2, "x")
		b.is(last, 1, "y", "z")

		second := b.claim("own", first)
		a.refused(fenced("own", first, 3, "x"))
		a.refused(fenced("own", first, 3, "x", "y", "z", "new"))
		a.refused(fenced("own", first, 3, "own"))
		a.refused(fenced("none", first, 3, "x"))
		_, err = b.store(fenced("own", second, 4, "x"))
		must(t, err)

		// The fence may be written with others; then the token is the next one.
		third, err := b.store(fenced("own", second, 5, "x", "y", "z", "own"))
		must(t, err)
		b.refused(fenced("own", second, 6, "x"))
		last, err = b.store(fenced("own", third, 7, "y"))
		must(t, err)
		for _, r := range []*reader{a, b, openLog(t, len(servers), 0, servers...)} {
			r.is(last, 5, "x", "z")
			r.is(last, 7, "y")
			r.is(last, 0, "new", "none")
		}
		if b.seqs["own"] != third {
			t.Errorf("the token is %d, and %d is the fence's sequence", third, b.seqs["own"])
		}
	})
}

// TestLogTakesLargeBatches: the largest that may be, and nothing larger.
func TestLogTakesLargeBatches(t *testing.T) {
	eachSize(t, func(t *testing.T, servers []*enginetest.Engine) {
		a := openLog(t, len(servers), 0, servers...)
		token := a.claim("own", 0)
		many := Batch{Fence: "own", Token: token}
		for i := range tuning.LogBatchWritesMax {
			many.Writes = append(many.Writes, Write{fmt.Sprint("m.", i), number(1, 0)})
		}
		last, err := a.store(many)
		must(t, err)
		large := Batch{Fence: "own", Token: token}
		for i := range tuning.LogBatchBytesMax / (1 << 19) {
			large.Writes = append(large.Writes, Write{fmt.Sprint("l.", i), number(2, 1<<19)})
		}
		_, err = a.store(large)
		must(t, err)
		a.is(last, 1, "m.0", fmt.Sprint("m.", tuning.LogBatchWritesMax-1))
	})
}

// TestLogOfOneFenceIsInOrder: batches that are published at once are stored one after the other,
// whichever of them go together.
func TestLogOfOneFenceIsInOrder(t *testing.T) {
	eachSize(t, func(t *testing.T, servers []*enginetest.Engine) {
		a := openLog(t, len(servers), 0, servers...)
		token := a.claim("own", 0)
		const batches = 500
		var results []<-chan result
		for v := range uint64(batches) {
			subjects := []string{"x", fmt.Sprint("s.", v%7)}
			if v%10 == 0 {
				subjects = append(subjects, "y", "z")
			}
			results = append(results, a.begin(fenced("own", token, v, subjects[v%2:]...)))
		}
		var before uint64
		for v, r := range results {
			last, err := await(t, r)
			must(t, err)
			if last < before {
				t.Errorf("%d is stored at %d, the one before it at %d", v, last, before)
			}
			before = last
		}
		a.is(before, batches-1-(batches-1)%2, "x")
		a.is(before, batches-10, "y", "z")
		for i := range uint64(7) {
			a.is(before, batches-1-(batches-1-i)%7, fmt.Sprint("s.", i))
		}
	})
}

// TestLogFencesManyWriters: three logs write under one token side by side, as no owner does. Most
// are refused by three servers while another is on its way to them, which is no conflict.
func TestLogFencesManyWriters(t *testing.T) {
	eachSize(t, func(t *testing.T, servers []*enginetest.Engine) {
		var logs []*reader
		for range 3 {
			logs = append(logs, openLog(t, len(servers), 0, servers...))
		}
		token := logs[0].claim("own", 0)
		var results []<-chan result
		for v := range uint64(20) {
			for i, l := range logs {
				subject := fmt.Sprintf("%d.%d", i, v)
				results = append(results, l.begin(fenced("own", token, v, subject)))
			}
		}
		var lasts []uint64
		for _, r := range results {
			last, err := await(t, r)
			must(t, err)
			lasts = append(lasts, last)
		}
		for i := range logs {
			logs[0].is(slices.Max(lasts), 19, fmt.Sprintf("%d.19", i))
		}
		// A claim comes through among them.
		results = results[:0]
		for v := range uint64(20) {
			results = append(results, logs[0].begin(fenced("own", token, v, "a")))
		}
		logs[1].claim("own", token)
		for _, r := range results {
			if _, err := await(t, r); err != nil && !errors.Is(err, ErrLogConflict) {
				t.Error(err)
			}
		}
		logs[0].refused(fenced("own", token, 1, "a"))
	})
}
