package node

import (
	"context"
	"runtime/metrics"

	"throng/node/api"
	"throng/store"
	"throng/tuning"
)

// Memory says what the node holds, by part. Each owner answers for what it has, at the same time as
// the others.
func (n *Node) Memory(ctx context.Context) (api.MemoryInfo, error) {
	began := nanos()
	asking, cancel := context.WithTimeout(ctx, tuning.AsideTimeout)
	defer cancel()
	answers := map[string]chan *measured{}
	for _, l := range n.core.loops {
		answer := make(chan *measured, 1)
		answers[l.stats.name] = answer
		l.stats.ask(func() { answer <- l.memory() })
	}
	for _, s := range n.core.shards {
		w := s.newGuildWalk()
		answers[s.stats.name] = w.done
		s.stats.ask(w.goOn)
	}
	all := n.core.sharedMemory()
	info := api.MemoryInfo{}
	for name, answer := range answers {
		select {
		case m := <-answer:
			all.merge(m)
		case <-asking.Done():
			info.Missing = append(info.Missing, name)
		}
	}
	var sum tuning.Estimate
	for _, name := range all.names {
		p := all.parts[name]
		sum = sum.Add(p.estimate)
		info.Parts = append(info.Parts, api.MemoryPart{Part: name, Count: p.count,
			Bytes: int64(p.estimate.Sum), ErrorBytes: int64(p.estimate.Bound())})
	}
	info.Bytes, info.ErrorBytes = int64(sum.Sum), int64(sum.Bound())
	info.Process = processMemory()
	info.TookSeconds = seconds(nanos() - began)
	return info, ctx.Err()
}

// sharedMemory is what is nobody's.
func (c *core) sharedMemory() *measured {
	m, r := &measured{}, newRuler()
	r.part(m, partUsers, c.users.Len(), c.users.Memory(&r.Ruler))
	m.add(partMembers, int(c.members.Load()), tuning.Estimate{})
	// A user's list of sessions has one, nearly always.
	live, channels := c.live.Size(), c.channels.Size()
	r.part(m, partIndexes, live+channels,
		store.ConcurrentBytes(&r.Ruler, live, 32)+live*r.Heap(12)+
			store.ConcurrentBytes(&r.Ruler, channels, 16))
	r.part(m, partStreams, int(c.contexts.Load()), int(c.contextBytes.Load()))
	if d, ok := unheld(c.dir).(inMemory); ok {
		r.part(m, partDirectory, 0, d.Memory(&r.Ruler, c.users))
	}
	return m
}

// inMemory is a directory that is not on a disk.
type inMemory interface {
	Memory(r *store.Ruler, known *store.Users) int
}

// unheld is the directory itself.
func unheld(d store.Directory) store.Directory {
	if held, ok := d.(*heldDirectory); ok {
		return held.Directory
	}
	return d
}

// processSamples are what the runtime says of the whole process.
var processSamples = []struct{ name, metric string }{
	{"heap_live", "/memory/classes/heap/objects:bytes"},
	{"heap_unused", "/memory/classes/heap/unused:bytes"},
	{"heap_free", "/memory/classes/heap/free:bytes"},
	{"heap_released", "/memory/classes/heap/released:bytes"},
	{"stacks", "/memory/classes/heap/stacks:bytes"},
	{"total", "/memory/classes/total:bytes"},
	{"gc_goal", "/gc/heap/goal:bytes"},
	{"marked", "/gc/heap/live:bytes"},
}

func processMemory() map[string]int64 {
	samples := make([]metrics.Sample, len(processSamples))
	for i := range samples {
		samples[i].Name = processSamples[i].metric
	}
	metrics.Read(samples)
	process := map[string]int64{}
	for i, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			process[processSamples[i].name] = int64(s.Value.Uint64())
		}
	}
	return process
}
