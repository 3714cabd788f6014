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

// write writes and waits.
func (r *reader) write(w Write) (seq uint64, err error) {
	r.t.Helper()
	type answer struct {
		seq uint64
		err error
	}
	answers := make(chan answer, 1)
	w.Done = func(seq uint64, err error) { answers <- answer{seq, err} }
	must(r.t, r.Publish(w))
	select {
	case a := <-answers:
		return a.seq, a.err
	case <-time.After(patience):
		r.t.Fatal("a write is not answered")
		return 0, nil
	}
}

func TestLogKeepsTheLast(t *testing.T) {
	needEngines(t)
	server := enginetest.NATS(t)
	a := openLog(t, 1, 0, server)
	first, err := a.write(Write{Subject: "u.1", Data: number(1, 0)})
	must(t, err)
	for v := range uint64(10) {
		_, err := a.write(Write{Subject: "u.2", Data: number(v, 0)})
		must(t, err)
	}
	last, err := a.write(Write{Subject: "g.3.own", Data: number(7, 0)})
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
	if err := a.Publish(Write{
		Subject: "u.1", Data: make([]byte, tuning.LogMessageBytesMax+1),
	}); err == nil {
		t.Error("a message that is too large is taken")
	}
	_, err = a.write(Write{Subject: "g.3.doc", Data: number(1, tuning.LogMessageBytesMax)})
	must(t, err)
}

func TestLogGuards(t *testing.T) {
	needEngines(t)
	server := enginetest.NATS(t)
	a, b := openLog(t, 1, 0, server), openLog(t, 1, 0, server)
	first, err := a.write(Write{Subject: "x", Data: number(1, 0), Guarded: true})
	must(t, err)
	if _, err := b.write(Write{
		Subject: "x", Data: number(2, 0), Guarded: true,
	}); !errors.Is(err, ErrLogConflict) {
		t.Errorf("there is a message, and none was expected: %v", err)
	}
	second, err := b.write(Write{Subject: "x", Data: number(3, 0), Guarded: true, After: first})
	must(t, err)
	if _, err := a.write(Write{
		Subject: "x", Data: number(4, 0), Guarded: true, After: first,
	}); !errors.Is(err, ErrLogConflict) {
		t.Errorf("there is another message: %v", err)
	}
	must(t, a.Wait(patient(t), second))
	if a.value("x") != 3 {
		t.Errorf("x is %d", a.value("x"))
	}
}

// writers write ever greater numbers to subjects until stop, and note which were acknowledged.
type writers struct {
	mu      sync.Mutex
	stored  map[string]uint64 // The greatest acknowledged.
	written map[string]uint64 // The greatest there was.
	acked   int
	unknown int
	slowest time.Duration
}

// outstandingMax writes are on their way at a time: a stream that flushes each is slow.
const outstandingMax = 300

func (w *writers) run(r *reader, subjects int, stop <-chan struct{}) {
	random := rand.New(rand.NewPCG(1, uint64(subjects)))
	var open sync.WaitGroup
	defer open.Wait()
	outstanding := make(chan struct{}, outstandingMax)
	for v := uint64(1); ; {
		select {
		case <-stop:
			return
		default:
		}
		subject, start := fmt.Sprintf("s.%d", random.IntN(subjects)), time.Now()
		w.mu.Lock()
		w.written[subject] = v
		w.mu.Unlock()
		value := v
		outstanding <- struct{}{}
		open.Add(1)
		err := r.Publish(Write{
			Subject: subject, Data: number(v, 200), Done: func(_ uint64, err error) {
				defer open.Done()
				defer func() { <-outstanding }()
				w.mu.Lock()
				defer w.mu.Unlock()
				w.slowest = max(w.slowest, time.Since(start))
				if err != nil {
					w.unknown++
					return
				}
				w.acked++
				if value < w.stored[subject] {
					r.t.Errorf("%s: %d is acknowledged after %d", subject, value,
						w.stored[subject])
				}
				w.stored[subject] = value
			},
		})
		if err != nil {
			open.Done()
			r.t.Error(err)
			return
		}
		v++
	}
}

func (w *writers) has(count int) func() bool {
	return func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.acked >= count
	}
}

func (w *writers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked
}

// check compares what was acknowledged with what somebody reads who has nothing.
func (w *writers) check(t *testing.T, r *reader, last uint64) {
	t.Helper()
	must(t, r.Wait(patient(t), last))
	w.mu.Lock()
	defer w.mu.Unlock()
	for subject, v := range w.stored {
		if got := r.value(subject); got < v || got > w.written[subject] {
			t.Errorf("%s: %d is acknowledged, %d was written, and %d is there", subject, v,
				w.written[subject], got)
		}
	}
}

// TestLogLosesNothing: servers are killed while writes are on their way; whatever was acknowledged
// is there, for who reads on and for who begins. That killed servers lose nothing does not depend
// on when they flush: what they wrote is with the kernel. Only a flush outlives the machine, which
// no test here can show.
func TestLogLosesNothing(t *testing.T) {
	needEngines(t)
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
			var servers []*enginetest.Engine
			if c.servers == 1 {
				servers = []*enginetest.Engine{enginetest.NATS(t, c.flags...)}
			} else {
				servers = enginetest.NATSCluster(t, c.servers, c.flags...)
			}
			a := openLog(t, c.replicas, 0, servers...)
			w := &writers{stored: map[string]uint64{}, written: map[string]uint64{}}
			stop := make(chan struct{})
			var writing sync.WaitGroup
			writing.Go(func() { w.run(a, 50, stop) })
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
			last, err := a.write(Write{Subject: "end", Data: number(0, 0)})
			must(t, err)
			w.check(t, a, last)
			w.check(t, openLog(t, c.replicas, 0, servers...), last)
			t.Logf("%d acknowledged, %d unknown, the slowest after %v", w.acked, w.unknown,
				w.slowest)
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
	var unknown, full int
	for i := range tuning.LogWritesMax + 10 {
		err := a.Publish(Write{
			Subject: fmt.Sprint(i % 100), Data: number(1, 0), Done: func(_ uint64, err error) {
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, ErrLogUnknown) {
					unknown++
				}
			},
		})
		if errors.Is(err, ErrLogFull) {
			full++
		}
	}
	a.Close()
	if unknown != tuning.LogWritesMax || full != 10 {
		t.Errorf("%d writes are unknown, %d found no room", unknown, full)
	}
	if err := a.Publish(Write{Subject: "x"}); !errors.Is(err, ErrLogClosed) {
		t.Errorf("a closed log takes a write: %v", err)
	}
	if err := a.Wait(patient(t), 1); !errors.Is(err, ErrLogClosed) {
		t.Errorf("a closed log is waited for: %v", err)
	}
}
