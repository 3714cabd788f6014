package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"throng/node/cluster/enginetest"
	"throng/tuning"
)

// reader is a Log with what it has applied.
type reader struct {
	*Log
	t *testing.T

	mu     sync.Mutex
	values map[string]uint64
	seqs   map[string]uint64
	last   uint64
	count  int
}

func openLog(t *testing.T, replicas int, from uint64, servers ...*enginetest.Engine) *reader {
	t.Helper()
	r := &reader{t: t, values: map[string]uint64{}, seqs: map[string]uint64{}, last: from}
	var err error
	r.Log, err = OpenLog(patient(t), r.config(replicas, from, servers...))
	must(t, err)
	t.Cleanup(r.Close)
	return r
}

func (r *reader) config(replicas int, from uint64, servers ...*enginetest.Engine) LogConfig {
	c := LogConfig{Cluster: "test.log", Replicas: replicas, From: from, Apply: r.apply}
	for _, s := range servers {
		if c.NATS.Servers != "" {
			c.NATS.Servers += ","
		}
		c.NATS.Servers += s.Address()
	}
	return c
}

func (r *reader) apply(e Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Seq <= r.last {
		r.t.Errorf("message %d comes after %d", e.Seq, r.last)
	}
	r.last = e.Seq
	r.values[e.Subject] = binary.BigEndian.Uint64(e.Data)
	r.seqs[e.Subject] = e.Seq
	r.count++
}

func (r *reader) value(subject string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.values[subject]
}

func number(v uint64, size int) []byte {
	return append(binary.BigEndian.AppendUint64(nil, v), make([]byte, max(size-8, 0))...)
}

// result is what Done of a batch was told.
type result struct {
	last uint64
	err  error
}

// begin publishes; the result comes.
func (r *reader) begin(b Batch) <-chan result {
	r.t.Helper()
	results := make(chan result, 2)
	b.Done = func(last uint64, err error) { results <- result{last, err} }
	must(r.t, r.Publish(b))
	return results
}

func await(t *testing.T, results <-chan result) (last uint64, err error) {
	t.Helper()
	select {
	case a := <-results:
		return a.last, a.err
	case <-time.After(patience):
		t.Fatal("a batch is not answered")
		return 0, nil
	}
}

// store publishes and waits.
func (r *reader) store(b Batch) (last uint64, err error) {
	r.t.Helper()
	return await(r.t, r.begin(b))
}

// write stores one message.
func (r *reader) write(subject string, v uint64) (last uint64, err error) {
	r.t.Helper()
	return r.store(Batch{Writes: []Write{{subject, number(v, 0)}}})
}

func TestLogKeepsTheLast(t *testing.T) {
	needEngines(t)
	server := enginetest.NATS(t)
	a := openLog(t, 1, 0, server)
	first, err := a.write("u.1", 1)
	must(t, err)
	for v := range uint64(10) {
		_, err := a.write("u.2", v)
		must(t, err)
	}
	last, err := a.write("g.3.own", 7)
	must(t, err)
	must(t, a.Wait(patient(t), last))
	if a.value("u.2") != 9 || a.value("g.3.own") != 7 || a.Applied() != last {
		t.Errorf("applied to %d of %d: %v", a.Applied(), last, a.values)
	}
	// Who comes later reads what is left, and who has the beginning the rest.
	b, c := openLog(t, 1, 0, server), openLog(t, 1, first, server)
	must(t, b.Wait(patient(t), last))
	must(t, c.Wait(patient(t), last))
	if b.count != 3 || c.count != 2 || b.value("u.1") != 1 || c.value("u.2") != 9 {
		t.Errorf("b has %v, c %v", b.values, c.values)
	}
	if _, err := OpenLog(patient(t), a.config(1, last+1, server)); !errors.Is(err, errLogBehind) {
		t.Errorf("what was applied is not in the log: %v", err)
	}
	_, err = a.store(Batch{Writes: []Write{{"g.3.doc", number(1, tuning.LogMessageBytesMax)}}})
	must(t, err)
}

// writers write ever greater numbers until stop, and note which were acknowledged: to single
// subjects, and to several of one fence at once.
type writers struct {
	tokens []uint64 // Of fences.

	mu      sync.Mutex
	stored  map[string]uint64 // The greatest acknowledged.
	written map[string]uint64 // The greatest there was.
	lost    map[string]bool   // Of what a batch is unknown.
	refused map[written]bool  // By subject and number: servers were away for too long.
	acked   int
	slowest time.Duration
}

type written struct {
	name  string
	value uint64
}

const (
	// outstandingMax batches are on their way at a time: a stream that flushes each is slow.
	outstandingMax = 300

	writtenSubjects = 50
	writtenFences   = 10
	fencedSubjects  = 5
)

func newWriters(r *reader) *writers {
	w := &writers{
		stored: map[string]uint64{}, written: map[string]uint64{}, lost: map[string]bool{},
		refused: map[written]bool{},
	}
	for i := range writtenFences {
		w.tokens = append(w.tokens, r.claim(fmt.Sprintf("f.%d.own", i), 0))
	}
	return w
}

// batch makes the next batch, and the name of what it writes to: a subject, or a fence's start.
func (w *writers) batch(random *rand.Rand, v uint64) (b Batch, name string) {
	if random.IntN(10) > 0 {
		name = fmt.Sprintf("s.%d", random.IntN(writtenSubjects))
		return Batch{Writes: []Write{{name, number(v, 200)}}}, name
	}
	i := random.IntN(writtenFences)
	name = fmt.Sprintf("f.%d", i)
	b = Batch{Fence: name + ".own", Token: w.tokens[i]}
	for k := range fencedSubjects {
		b.Writes = append(b.Writes, Write{fmt.Sprintf("%s.%d", name, k), number(v, 200)})
	}
	return b, name
}

func (w *writers) run(r *reader, stop <-chan struct{}) {
	random := rand.New(rand.NewPCG(1, 2))
	var open sync.WaitGroup
	defer open.Wait()
	outstanding := make(chan struct{}, outstandingMax)
	for v := uint64(1); ; v++ {
		select {
		case <-stop:
			return
		default:
		}
		b, name := w.batch(random, v)
		start := time.Now()
		w.mu.Lock()
		lost := w.lost[name]
		if !lost {
			w.written[name] = v
		}
		w.mu.Unlock()
		if lost {
			continue
		}
		outstanding <- struct{}{}
		open.Add(1)
		b.Done = func(_ uint64, err error) {
			defer open.Done()
			<-outstanding
			w.done(r.t, name, v, time.Since(start), err)
		}
		if err := r.Publish(b); err != nil {
			open.Done()
			r.t.Error(err)
			return
		}
	}
}

func (w *writers) done(t *testing.T, name string, v uint64, took time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slowest = max(w.slowest, took)
	switch {
	case errors.Is(err, ErrLogUnknown) || w.lost[name]:
		// A server was away for longer than is tried. What has a fence would have to claim it anew.
		w.lost[name] = name[0] == 'f'
		return
	case errors.Is(err, ErrLogAway):
		w.refused[written{name, v}] = true
		return
	case err != nil:
		t.Errorf("%s: %d is not stored: %v", name, v, err)
		return
	}
	w.acked++
	if v < w.stored[name] {
		t.Errorf("%s: %d is acknowledged after %d", name, v, w.stored[name])
	}
	w.stored[name] = v
}

func (w *writers) has(count int) func() bool {
	return func() bool { return w.count() >= count }
}

func (w *writers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked
}

// check compares what was acknowledged with what somebody reads who has nothing. Of what was
// written as a whole there is one number.
func (w *writers) check(t *testing.T, r *reader, last uint64) {
	t.Helper()
	must(t, r.Wait(patient(t), last))
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, v := range w.stored {
		subjects := []string{name}
		if name[0] == 'f' {
			subjects = subjects[:0]
			for k := range fencedSubjects {
				subjects = append(subjects, fmt.Sprintf("%s.%d", name, k))
			}
		}
		first := r.value(subjects[0])
		if first < v || first > w.written[name] {
			t.Errorf("%s: %d is acknowledged, %d was written, and %d is there", name, v,
				w.written[name], first)
		}
		if w.refused[written{name, first}] {
			t.Errorf("%s: %d is there, and was refused", name, first)
		}
		for _, subject := range subjects {
			if got := r.value(subject); got != first {
				t.Errorf("%s has %d, and %s has %d", subjects[0], first, subject, got)
			}
		}
	}
}

// TestLogLosesNothing: servers are killed while batches are on their way; whatever was acknowledged
// is there, for who reads on and for who begins, and of no batch a part without the others. That
// killed servers lose nothing does not depend on when they flush: what they wrote is with the
// kernel. Only a flush outlives the machine, which no test here can show.
func TestLogLosesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		servers  int
		replicas int
		flags    []string
		rounds   int
	}{
		{"one server", 1, 1, nil, 3},
		{"one server that flushes", 1, 1, []string{"-sync-always"}, 3},
		{"three servers", 3, 3, nil, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			needEngines(t)
			var servers []*enginetest.Engine
			if c.servers == 1 {
				servers = []*enginetest.Engine{enginetest.NATS(t, c.flags...)}
			} else {
				servers = enginetest.NATSCluster(t, c.servers, c.flags...)
			}
			a := openLog(t, c.replicas, 0, servers...)
			w := newWriters(a)
			stop := make(chan struct{})
			var writing sync.WaitGroup
			writing.Go(func() { w.run(a, stop) })
			for i := range c.rounds {
				until(t, "writes", w.has(w.count()+500))
				servers[i%len(servers)].Kill()
				if c.servers > 1 {
					until(t, "writes go on without one server", w.has(w.count()+500))
				}
				servers[i%len(servers)].Start()
			}
			until(t, "writes", w.has(w.count()+500))
			close(stop)
			writing.Wait()
			last, err := a.write("end", 0)
			must(t, err)
			w.check(t, a, last)
			w.check(t, openLog(t, c.replicas, 0, servers...), last)
			t.Logf("%d acknowledged, the slowest after %v, %d refused, lost %v", w.acked,
				w.slowest, len(w.refused), w.lost)
		})
	}
}

// TestLogIsBounded: with a server that does not answer no more than so many writes wait, all of
// them end, and Close does not wait for any.
func TestLogIsBounded(t *testing.T) {
	needEngines(t)
	server := enginetest.NATS(t)
	a := openLog(t, 1, 0, server)
	server.Freeze()
	var mu sync.Mutex
	var ended, full int
	for i := range tuning.LogWritesMax + 10 {
		err := a.Publish(Batch{
			Writes: []Write{{fmt.Sprint(i % 100), number(1, 0)}}, Done: func(_ uint64, err error) {
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, ErrLogUnknown) || errors.Is(err, ErrLogClosed) {
					ended++
				}
			},
		})
		if errors.Is(err, ErrLogFull) {
			full++
		}
	}
	a.Close()
	if ended != tuning.LogWritesMax || full != 10 {
		t.Errorf("%d writes have ended, %d found no room", ended, full)
	}
	if err := a.Publish(Batch{Writes: []Write{{"x", nil}}}); !errors.Is(err, ErrLogClosed) {
		t.Errorf("a closed log takes a write: %v", err)
	}
	if err := a.Wait(patient(t), 1); !errors.Is(err, ErrLogClosed) {
		t.Errorf("a closed log is waited for: %v", err)
	}
}
