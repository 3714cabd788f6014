package main

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// model knows what has been published and what each session has heard of it, and counts what must
// not be.
//
// The events of a guild are numbered. A number is posted before the one behind it, but not always
// answered before: then their order is anybody's, as the order of two requests at once is, and the
// earlier is free. So is one that was refused. All others are firm: a session that is in the guild
// hears every firm number, once, and in ascending order. What may be missing is only what was
// posted before its last GUILD_CREATE, with which it begins anew.
type model struct {
	now func() time.Time // An effect: the clock.

	// Guarded by mu.
	mu       sync.Mutex
	guilds   []published
	sessions []*heard
	faults   faults
	since    time.Time // Gaps are taken from here; zero: they are not taken.
	gapOf    map[streamID]time.Duration
	timed    func(guild, door int) bool // Whose latency is taken; nil: nobody's.
	latency  []float64                  // Milliseconds.
}

// streamID is one guild at one session.
type streamID struct{ session, guild int }

// published are the events of a guild, by number.
type published struct {
	events []event
}

type event struct {
	at    time.Time
	door  int
	state eventState
}

type eventState uint8

const (
	pending eventState = iota
	firm
	free
)

// heard is what a session has heard.
type heard struct {
	node    int
	cuts    int // Connections that it has lost.
	streams map[int]*stream
}

// stream is one guild at one session.
type stream struct {
	in   bool      // GUILD_CREATE has come.
	came time.Time // When GUILD_CREATE has.
	last int       // The greatest number so far, -1 before the first.
	seen []bool
	at   time.Time // When the last has come.
}

// faults are counts of what must not be, with some words for the first of them.
type faults struct {
	lost, doubled, reordered int
	outages                  int // That sessions were told of.
	words                    []string
}

func (f *faults) sum() int { return f.lost + f.doubled + f.reordered + f.outages }

// faultWordsMax faults are described.
const faultWordsMax = 20

func (f *faults) say(format string, args ...any) {
	if len(f.words) < faultWordsMax {
		f.words = append(f.words, fmt.Sprintf(format, args...))
	}
}

func newModel(guilds int) *model {
	return &model{now: time.Now, guilds: make([]published, guilds),
		gapOf: map[streamID]time.Duration{}}
}

// session adds a session that is in some guilds, and returns its number.
func (m *model) session(node int, guilds []int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := &heard{node: node, streams: map[int]*stream{}}
	for _, g := range guilds {
		h.streams[g] = &stream{last: -1}
	}
	m.sessions = append(m.sessions, h)
	return len(m.sessions) - 1
}

// post gives the next number of a guild. The one before is free if it has not been answered.
func (m *model) post(guild, door int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &m.guilds[guild]
	if last := len(p.events) - 1; last >= 0 && p.events[last].state == pending {
		p.events[last].state = free
	}
	p.events = append(p.events, event{at: m.now(), door: door})
	return len(p.events) - 1
}

// answer says whether a number was taken.
func (m *model) answer(guild, number int, taken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := &m.guilds[guild].events[number]
	switch {
	case e.state != pending:
	case taken:
		e.state = firm
	default:
		e.state = free
	}
}

// cut says that a session's connection is gone, and with it all it was in.
func (m *model) cut(session int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.sessions[session]
	h.cuts++
	for _, s := range h.streams {
		s.in = false
	}
}

// entered says that GUILD_CREATE has come.
func (m *model) entered(session, guild int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.sessions[session].streams[guild]; s != nil {
		s.in, s.came = true, m.now()
	}
}

// away says that GUILD_DELETE has come. Nobody deletes guilds here, and of a node that is away no
// session is told.
func (m *model) away(session, guild int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.sessions[session].streams[guild]; s != nil {
		s.in = false
		m.faults.outages++
		m.faults.say("session %d is told that guild %d is away", session, guild)
	}
}

// hears says that a number has come to a session.
func (m *model) hears(session, guild, number int) {
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	h, p := m.sessions[session], &m.guilds[guild]
	s := h.streams[guild]
	if s == nil || number < 0 || number >= len(p.events) {
		m.faults.reordered++
		m.faults.say("session %d hears %d of guild %d, which was never posted", session, number,
			guild)
		return
	}
	if !s.in {
		m.faults.reordered++
		m.faults.say("session %d hears %d of guild %d, which it is not in", session, number, guild)
	}
	m.order(session, guild, number, s, p)
	m.time(session, guild, h, s, now)
	if m.timed != nil && m.timed(guild, p.events[number].door) {
		m.latency = append(m.latency, now.Sub(p.events[number].at).Seconds()*1e3)
	}
}

// order checks a number against what has come before. REQUIRES: mu is held.
func (m *model) order(session, guild, number int, s *stream, p *published) {
	for len(s.seen) <= number {
		s.seen = append(s.seen, false)
	}
	switch {
	case s.seen[number]:
		m.faults.doubled++
		m.faults.say("session %d hears %d of guild %d again, after %d", session, number, guild,
			s.last)
	case number < s.last && p.events[number].state == firm:
		m.faults.reordered++
		m.faults.say("session %d hears %d of guild %d after %d", session, number, guild, s.last)
	case number > s.last:
		for n := s.last + 1; n < number; n++ {
			if p.events[n].state == firm && p.events[n].at.After(s.came) {
				m.faults.lost++
				m.faults.say("session %d does not hear %d of guild %d, posted at door %d %v after "+
					"it came, between %d and %d", session, n, guild, p.events[n].door,
					p.events[n].at.Sub(s.came), s.last, number)
			}
		}
	}
	s.seen[number] = true
	s.last = max(s.last, number)
}

// time keeps the longest time in which a stream brought nothing. REQUIRES: mu is held.
func (m *model) time(session, guild int, h *heard, s *stream, now time.Time) {
	id := streamID{session, guild}
	if !m.since.IsZero() && !s.at.IsZero() && now.Sub(s.at) > m.gapOf[id] {
		m.gapOf[id] = now.Sub(s.at)
	}
	s.at = now
}

// mark begins to take gaps.
func (m *model) mark() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.since = m.now()
	clear(m.gapOf)
}

// over says whether all of some guilds' streams, at sessions of some nodes, have brought an event
// that was posted after a time, and how many have not.
func (m *model) over(guilds []int, nodes []int, after time.Time) (waiting int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range m.sessions {
		if !slices.Contains(nodes, h.node) {
			continue
		}
		for _, g := range guilds {
			if s := h.streams[g]; s != nil && (!s.in || s.last < 0 ||
				m.guilds[g].events[s.last].at.Before(after)) {
				waiting++
			}
		}
	}
	return waiting
}

// gaps are the longest of each guild, at sessions of some nodes.
func (m *model) gaps(guilds []int, nodes []int) (all []time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range guilds {
		longest := time.Duration(0)
		for i, h := range m.sessions {
			if slices.Contains(nodes, h.node) {
				longest = max(longest, m.gapOf[streamID{i, g}])
			}
		}
		all = append(all, longest)
	}
	return all
}

// cutsOf are how many connections sessions of some nodes have lost.
func (m *model) cutsOf(nodes []int) (sum int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range m.sessions {
		if slices.Contains(nodes, h.node) {
			sum += h.cuts
		}
	}
	return sum
}

// take gives the faults so far and begins to count anew.
func (m *model) take() faults {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.faults
	m.faults = faults{}
	return f
}

// timeOnly takes the latencies so far, and from now on takes those of which timed says so.
func (m *model) timeOnly(timed func(guild, door int) bool) []float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.latency
	m.timed, m.latency = timed, nil
	return taken
}
