package load

import (
	"github.com/HdrHistogram/hdrhistogram-go"
)

// measure is one kind of time that is taken.
type measure uint8

const (
	measureEvent measure = iota
	measureReplayed
	measurePublish
	measureConnect
	measureIdentify
	measureAvailable
	measureResume
	measureBack
	measureHeartbeat
	measureCount
)

// Histograms hold microseconds up to an hour in three digits, which is 180 KB each; most phases
// need few of them.
const (
	histogramMaxMicros = 3_600_000_000
	histogramDigits    = 3
)

// stats is what one loop, or the publishers, saw during one phase.
type stats struct {
	Counts
	histograms [measureCount]*hdrhistogram.Histogram
	// Of deliveries; 0: there was none.
	firstNano, lastNano int64
}

// record takes a time in nanoseconds. Clocks of one host can differ by a little between two
// processors, and less than nothing is nothing.
func (s *stats) record(m measure, nano int64) {
	h := s.histograms[m]
	if h == nil {
		h = hdrhistogram.New(1, histogramMaxMicros, histogramDigits)
		s.histograms[m] = h
	}
	_ = h.RecordValue(min(max(nano/1000, 0), histogramMaxMicros))
}

// delivered notes that deliveries were made at that time.
func (s *stats) delivered(count uint64, now int64) {
	s.Delivered += count
	if s.firstNano == 0 {
		s.firstNano = now
	}
	s.lastNano = now
}

func (s *stats) closed(reason string)   { increment(&s.Closes, reason) }
func (s *stats) resumed(outcome string) { increment(&s.Resumes, outcome) }

func increment(m *map[string]uint64, key string) {
	if *m == nil {
		*m = map[string]uint64{}
	}
	(*m)[key]++
}

// add merges another into s.
func (s *stats) add(other *stats) {
	s.Counts.add(&other.Counts)
	for m, from := range other.histograms {
		if from == nil {
			continue
		}
		if s.histograms[m] == nil {
			s.histograms[m] = hdrhistogram.New(1, histogramMaxMicros, histogramDigits)
		}
		s.histograms[m].Merge(from)
	}
	if other.firstNano != 0 {
		if s.firstNano == 0 || other.firstNano < s.firstNano {
			s.firstNano = other.firstNano
		}
		s.lastNano = max(s.lastNano, other.lastNano)
	}
}

func (c *Counts) add(other *Counts) {
	from := other.numbers()
	for i, n := range c.numbers() {
		*n += *from[i]
	}
	addAll(&c.Closes, other.Closes)
	addAll(&c.Resumes, other.Resumes)
}

func addAll(to *map[string]uint64, from map[string]uint64) {
	for key, n := range from {
		if *to == nil {
			*to = map[string]uint64{}
		}
		(*to)[key] += n
	}
}

// numbers are all counts that are one number. A test holds that none is left out.
func (c *Counts) numbers() []*uint64 {
	return []*uint64{
		&c.Connects, &c.ConnectFailures, &c.Ready, &c.GuildCreates, &c.Messages, &c.Dispatches,
		&c.Delivered, &c.Bytes, &c.Reads, &c.Published, &c.PublishRefused, &c.PublishFailed,
		&c.Expected, &c.SequenceGaps, &c.SequenceMissing, &c.Duplicates, &c.Heartbeats, &c.Cuts,
	}
}

// quantiles reads a histogram, in milliseconds.
func (s *stats) quantiles(m measure) Quantiles {
	h := s.histograms[m]
	if h == nil || h.TotalCount() == 0 {
		return Quantiles{}
	}
	milli := func(percent float64) float64 { return float64(h.ValueAtPercentile(percent)) / 1000 }
	return Quantiles{
		Count: uint64(h.TotalCount()),
		P50:   milli(50), P90: milli(90), P99: milli(99), P999: milli(99.9),
		Max: float64(h.Max()) / 1000,
	}
}

// phase turns stats into what the report says.
func (s *stats) phase(name string, seconds float64) Phase {
	p := Phase{
		Name: name, Seconds: seconds, Counts: s.Counts,
		Event: s.quantiles(measureEvent), Replayed: s.quantiles(measureReplayed),
		Publish: s.quantiles(measurePublish), Connect: s.quantiles(measureConnect),
		Identify: s.quantiles(measureIdentify), Available: s.quantiles(measureAvailable),
		Resume: s.quantiles(measureResume), Back: s.quantiles(measureBack),
		Heartbeat: s.quantiles(measureHeartbeat),
	}
	if span := s.lastNano - s.firstNano; span > 0 {
		p.DeliveriesPerSecond = float64(s.Delivered) / (float64(span) / 1e9)
	}
	return p
}
