package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"throng/tuning"
)

// queueModel is a queue with a stream that stores what is sent, or not, and says so, or not.
type queueModel struct {
	t       *testing.T
	random  *rand.Rand
	queue   logQueue
	now     time.Time
	seq     uint64
	count   int               // Of batches.
	order   map[*job]int      // In which they were published.
	lanes   map[string]bool   // Under way.
	tokens  map[string]uint64 // Of fences.
	latest  map[string]int    // Of each lane, which batch was stored last.
	ended   int
	flights int
	merged  int               // Batches in flights.
	unknown map[string]uint64 // Tokens that are void.
	voided  int
}

func newQueueModel(t *testing.T, seed uint64) *queueModel {
	return &queueModel{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), queue: newLogQueue(seed%2 == 0),
		now: time.Unix(1000, 0), order: map[*job]int{}, lanes: map[string]bool{},
		tokens: map[string]uint64{}, latest: map[string]int{},
		unknown: map[string]uint64{},
	}
}

// publish adds a batch: of a fence, at its token as it is or was, or of some subjects.
func (m *queueModel) publish() {
	b := Batch{}
	if m.random.IntN(2) == 0 {
		b.Fence = fmt.Sprint("f", m.random.IntN(3))
		b.Token = m.tokens[b.Fence]
		b.Writes = append(b.Writes, Write{Subject: b.Fence + ".x", Data: make([]byte, 10)})
		if m.random.IntN(5) == 0 {
			b.Writes = append(b.Writes, Write{Subject: b.Fence})
		}
	} else {
		for range 1 + m.random.IntN(4) {
			b.Writes = append(b.Writes, Write{Subject: fmt.Sprint("s", m.random.IntN(6))})
		}
	}
	if err := m.queue.add(b); err != nil {
		m.t.Fatal(err)
	}
	m.count++
	for key := range b.eachLane {
		lane := m.queue.lanes[key]
		m.order[lane[len(lane)-1]] = m.count
	}
}

// lanesOf are the lanes of a flight.
func lanesOf(f *flight) []string {
	return slices.Compact(slices.Sorted(f.jobs[0].eachLane))
}

// depart takes flights and checks that no two are in one lane.
func (m *queueModel) depart() []*flight {
	all := m.queue.take(m.now)
	for _, f := range all {
		f.tries++
		if f.tries > 1 {
			continue
		}
		m.flights++
		m.merged += len(f.jobs)
		fence, token := f.fence()
		for _, j := range f.jobs {
			if j.Fence != fence || j.Token != token || j.movesFence() && len(f.jobs) > 1 {
				m.t.Fatalf("%+v is in a flight of %s at %d", j.Batch, fence, token)
			}
		}
		for _, key := range lanesOf(f) {
			if m.lanes[key] {
				m.t.Fatalf("two flights are in lane %s", key)
			}
			m.lanes[key] = true
		}
	}
	m.report()
	return all
}

// answer says of a flight that it is stored, is refused, or nothing.
func (m *queueModel) answer(f *flight) {
	fence, token := f.fence()
	switch m.random.IntN(4) {
	case 0:
		f.unanswered = f.unanswered || m.random.IntN(2) == 0
		m.queue.again(f, m.now, errNotSent)
		if slices.Contains(m.queue.later, f) {
			return
		}
	case 1:
		m.queue.settle(f, 0, ErrLogConflict)
	default:
		if fence != "" && token != m.tokens[fence] {
			m.queue.settle(f, 0, ErrLogConflict)
			break
		}
		m.seq++
		if f.jobs[0].movesFence() {
			m.tokens[fence] = m.seq
		}
		m.queue.settle(f, m.seq, nil)
	}
	for _, key := range lanesOf(f) {
		delete(m.lanes, key)
	}
	m.report()
}

// report checks that those of a lane end in the order in which they were published.
func (m *queueModel) report() {
	for _, j := range m.queue.report() {
		m.ended++
		number := m.order[j]
		for key := range j.eachLane {
			if number < m.latest[key] {
				m.t.Fatalf("batch %d ends after %d in lane %s", number, m.latest[key], key)
			}
			m.latest[key] = number
		}
		if errors.Is(j.err, ErrLogUnknown) && j.Fence != "" {
			m.unknown[j.Fence] = j.Token
		}
		token, is := m.unknown[j.Fence]
		void := is && token == j.Token && !j.movesFence()
		if void && j.err == nil || !void && errors.Is(j.err, ErrLogVoid) {
			m.t.Fatalf("a batch of %s at %d, which is void: %v; it ends with %v", j.Fence, j.Token,
				void, j.err)
		}
		if errors.Is(j.err, ErrLogVoid) {
			m.voided++
		}
	}
}

func TestLogQueue(t *testing.T) {
	merged, voided := false, 0
	for seed := range uint64(500) {
		m := newQueueModel(t, seed)
		var under []*flight
		for step := range 400 {
			if step < 300 && m.random.IntN(2) == 0 {
				m.publish()
			}
			m.now = m.now.Add(time.Duration(m.random.IntN(500)) * time.Millisecond)
			if m.random.IntN(50) == 0 {
				m.now = m.now.Add(tuning.LogWriteTimeout)
			}
			under = append(under, m.depart()...)
			if len(under) > 0 {
				i := m.random.IntN(len(under))
				f := under[i]
				under = slices.Delete(under, i, i+1)
				m.answer(f)
			}
		}
		for step := 0; len(under) > 0 || m.ended < m.count; step++ {
			if step > 10_000 {
				t.Fatalf("seed %d: %d of %d have ended", seed, m.ended, m.count)
			}
			m.now = m.now.Add(time.Second)
			under = append(under, m.depart()...)
			for _, f := range under {
				m.answer(f)
			}
			under = nil
		}
		q := &m.queue
		if q.count != 0 || q.bytes != 0 || len(q.lanes) != 0 || len(q.later) != 0 {
			t.Fatalf("seed %d: something is left: %+v", seed, q)
		}
		if m.merged > m.flights {
			merged = true
			if !q.merges {
				t.Fatalf("seed %d: %d batches in %d flights", seed, m.merged, m.flights)
			}
		}
		voided += m.voided
	}
	if !merged || voided == 0 {
		t.Errorf("merged: %v, void: %d", merged, voided)
	}
}

// TestLogQueueMerges: what waits for a fence goes together, up to a limit, under one token, and
// without what moves the fence.
func TestLogQueueMerges(t *testing.T) {
	q := newLogQueue(true)
	add := func(token uint64, bytes int, subjects ...string) {
		b := Batch{Fence: "f", Token: token}
		for _, s := range subjects {
			b.Writes = append(b.Writes, Write{s, make([]byte, bytes)})
		}
		must(t, q.add(b))
	}
	next := func(want int) *flight {
		t.Helper()
		all := q.take(time.Unix(1, 0))
		if len(all) != 1 || len(all[0].jobs) != want {
			t.Fatalf("%d flights, the first of %d batches and not %d", len(all), len(all[0].jobs),
				want)
		}
		q.settle(all[0], 1, nil)
		return all[0]
	}
	add(1, 1, "a")
	add(1, 1, "b", "c")
	add(1, 1, "d", "f")
	add(2, 1, "a")
	add(2, 1, "a")
	add(3, 1, "a")
	for range tuning.LogFlightWritesMax + 1 {
		add(4, 1, "a")
	}
	add(5, tuning.LogFlightBytesMax, "a")
	add(5, 1, "a")
	for _, want := range []int{2, 1, 2, 1, tuning.LogFlightWritesMax, 1, 1, 1} {
		next(want)
	}
	if q.report(); q.count != 0 || len(q.lanes) != 0 {
		t.Errorf("%d writes are left", q.count)
	}
}

func TestLogRefusesWhatCannotBeMeant(t *testing.T) {
	q := newLogQueue(true)
	many := make([]Write, tuning.LogBatchWritesMax+1)
	heavy := make([]Write, tuning.LogBatchBytesMax/tuning.LogMessageBytesMax+1)
	for i := range heavy {
		heavy[i].Data = make([]byte, tuning.LogMessageBytesMax)
	}
	for name, b := range map[string]Batch{
		"nothing":             {},
		"a token for nothing": {Writes: []Write{{"x", nil}}, Token: 1},
		"a fence amid":        {Writes: []Write{{"f", nil}, {"x", nil}}, Fence: "f"},
		"a large message": {
			Writes: []Write{{"x", make([]byte, tuning.LogMessageBytesMax+1)}},
		},
		"many messages":  {Writes: many},
		"large messages": {Writes: heavy},
	} {
		if err := q.add(b); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	if q.count != 0 || len(q.lanes) != 0 {
		t.Errorf("%d writes wait", q.count)
	}
}

func TestLogReadsAnswers(t *testing.T) {
	api := func(status int, code jetstream.ErrorCode) error {
		return fmt.Errorf("nats: %w", &jetstream.APIError{Code: status, ErrorCode: code})
	}
	for _, c := range []struct {
		name string
		err  error
		want verdict
	}{
		{"stored", nil, verdictStored},
		{"silence", jetstream.ErrAsyncPublishTimeout, verdictNone},
		{"cut off", nats.ErrDisconnected, verdictNone},
		{"away", nats.ErrReconnectBufExceeded, verdictBusy},
		{"no leader", jetstream.ErrNoStreamResponse, verdictBusy},
		{"a part", errors.Join(errNotSent, nats.ErrConnectionClosed), verdictBusy},
		{"too large", nats.ErrMaxPayload, verdictRefused},
		{"another last message", api(400, 10071), verdictConflict},
		{"another on its way", api(400, 10164), verdictBusy},
		{"itself on its way", api(409, 10158), verdictBusy},
		{"a batch's part lost", api(400, 10176), verdictBusy},
		{"a batch that is there", api(400, 10201), verdictHere},
		{"too many batches", api(429, 10210), verdictBusy},
		{"a full disk", api(503, 10077), verdictNone},
		{"batches are off", api(400, 10174), verdictRefused},
	} {
		if got := judge(c.err); got != c.want {
			t.Errorf("%s: %d, and not %d", c.name, got, c.want)
		}
	}
}
