package node

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// owners sends how the owners' inboxes stand and what they have done, summed over them.
func (c *collector) owners(out chan<- prometheus.Metric,
	gauge func(*prometheus.Desc, float64, ...string),
	count func(*prometheus.Desc, uint64, ...string)) {
	var sum timings
	for _, p := range c.node.pictures(context.Background()) {
		gauge(descInbox, float64(p.queue.depth), p.name)
		gauge(descOldest, seconds(p.queue.age), p.name)
		for k := range sum {
			sum[k].merge(&p.timings[k])
		}
	}
	_, stalls := c.node.core.stalls.newest()
	count(descStalls, uint64(stalls))
	for k := range kindCount {
		t := &sum[k]
		if t.count == 0 {
			continue
		}
		name := k.String()
		out <- prometheus.MustNewConstSummary(descHandle, uint64(t.count), seconds(t.sum), nil,
			name)
		out <- prometheus.MustNewConstHistogram(descDuration, uint64(t.count), seconds(t.sum),
			t.cumulative(), name)
		gauge(descHandleMax, seconds(t.longest), name)
		if t.worked > 0 {
			gauge(descWorkedMax, seconds(t.worked), name)
		}
	}
}

// Every second power of two from 256 ns to 17 s is a bucket of the histogram that is scraped: there
// are as many time series for each type.
const (
	scrapedFirst = 8
	scrapedLast  = 34
	scrapedEach  = 2
)

// cumulative is how many calls took less than the ends of these buckets, in seconds.
func (t *timing) cumulative() map[float64]uint64 {
	ends := map[float64]uint64{}
	var below uint64
	for i, n := range t.spread[:scrapedLast+1] {
		below += n
		if i >= scrapedFirst && (i-scrapedFirst)%scrapedEach == 0 {
			ends[seconds(1<<i)] = below
		}
	}
	return ends
}
