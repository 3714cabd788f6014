package node

import (
	"math/rand/v2"
	"reflect"

	"throng/store"
	"throng/tuning"
)

// ruler measures tables by looking at some of their elements, and keeps account of how far it may
// be off by that. One goroutine at a time.
type ruler struct {
	store.Ruler
	seen tuning.Estimate // of what has been measured since the last part
}

func newRuler() *ruler {
	r := &ruler{}
	note := func(e tuning.Estimate) int {
		r.seen = r.seen.Add(e)
		return int(e.Sum)
	}
	r.Ruler = store.Ruler{
		Heap: tuning.HeapBytes,
		Map:  tuning.MapBytes,
		Sum: func(n int, size func(int) int) int {
			return note(tuning.Sum(n, tuning.MemoryLooks, rand.IntN, size))
		},
		Draw: tuning.MemoryLooks,
		Drawn: func(n int, sizes []int) int {
			return note(tuning.Sampled(n, sizes))
		},
	}
	return r
}

// part adds what was measured to a part, with the bound on it.
func (r *ruler) part(m *measured, name string, count, bytes int) {
	e := r.seen
	r.seen = tuning.Estimate{}
	m.add(name, count, e.Instead(float64(bytes)))
}

// measured is what one owner, or all of them, take, by part.
type measured struct {
	names []string
	parts map[string]*measuredPart
}

type measuredPart struct {
	count    int
	estimate tuning.Estimate
}

func (m *measured) add(name string, count int, e tuning.Estimate) {
	if m.parts == nil {
		m.parts = map[string]*measuredPart{}
	}
	p := m.parts[name]
	if p == nil {
		p = &measuredPart{}
		m.parts[name] = p
		m.names = append(m.names, name)
	}
	p.count += count
	p.estimate = p.estimate.Add(e)
}

func (m *measured) merge(o *measured) {
	for _, name := range o.names {
		m.add(name, o.parts[name].count, o.parts[name].estimate)
	}
}

// sizeOf is the length of a T.
func sizeOf[T any]() int { return int(reflect.TypeFor[T]().Size()) }
