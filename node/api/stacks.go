package api

import (
	"net/http"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"

	profiles "net/http/pprof"
)

// Stacks is where the process's goroutines are.
type Stacks struct {
	Goroutines int     `json:"goroutines"`
	Truncated  bool    `json:"truncated,omitempty"` // There were more than fit.
	Places     []Place `json:"places"`
}

// Place is goroutines that wait, or run, in the same function for the same reason.
type Place struct {
	Count    int    `json:"count"`
	State    string `json:"state"`    // The runtime's: "chan receive", "IO wait".
	Function string `json:"function"` // The innermost that is no part of Go's own library.
	At       string `json:"at"`       // Its file and line, of one of them.
	Inside   string `json:"inside"`   // The innermost of all.
	From     string `json:"created_by,omitempty"`
	// LongestMinutes is how long the one that has waited longest has; the runtime counts whole
	// minutes, from the collection of garbage that first found it waiting.
	LongestMinutes int    `json:"longest_wait_minutes"`
	Stack          string `json:"stack"` // Of one of them.
}

const (
	stacksBytesFirst = 1 << 20
	stacksBytesMax   = 64 << 20 // Those of 60,000 goroutines.
)

// getStacks serves GET /debug/stacks. To print them the world is stopped, for some 10 µs a
// goroutine, as for /debug/pprof/goroutine?debug=2.
func (d *adminDoor) getStacks(w http.ResponseWriter, r *http.Request) error {
	buf := make([]byte, stacksBytesFirst)
	n := runtime.Stack(buf, true)
	for n == len(buf) && n < stacksBytesMax {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	s := summarize(string(buf[:n]))
	s.Truncated = n == len(buf)
	return writeJSON(w, http.StatusOK, s)
}

// summarize groups stacks as runtime.Stack prints them, the most frequent first.
func summarize(text string) Stacks {
	type key struct{ state, function, inside, from string }
	var s Stacks
	places := map[key]*Place{}
	for stack := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		p, ok := parseStack(stack)
		if !ok {
			continue
		}
		s.Goroutines++
		k := key{p.State, p.Function, p.Inside, p.From}
		known := places[k]
		if known == nil {
			places[k] = p
			continue
		}
		known.Count++
		if p.LongestMinutes > known.LongestMinutes {
			known.LongestMinutes, known.Stack = p.LongestMinutes, p.Stack
		}
	}
	s.Places = []Place{}
	for _, p := range places {
		s.Places = append(s.Places, *p)
	}
	slices.SortFunc(s.Places, func(a, b Place) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Function+a.State+a.Inside+a.From,
			b.Function+b.State+b.Inside+b.From)
	})
	return s
}

// parseStack reads one goroutine: "goroutine 7 [chan receive, 3 minutes]:", then two lines a frame.
func parseStack(stack string) (p *Place, ok bool) {
	head, frames, _ := strings.Cut(stack, "\n")
	_, what, ok := strings.Cut(head, "[")
	what, _, closed := strings.Cut(what, "]")
	if !ok || !closed {
		return nil, false
	}
	p = &Place{Count: 1, Stack: frames}
	for i, part := range strings.Split(what, ", ") {
		minutes, isWait := strings.CutSuffix(part, " minutes")
		switch {
		case i == 0:
			p.State = part
		case isWait:
			p.LongestMinutes, _ = strconv.Atoi(minutes)
		}
	}
	lines := strings.Split(frames, "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		if from, ok := strings.CutPrefix(lines[i], "created by "); ok {
			p.From, _, _ = strings.Cut(from, " in goroutine")
			break
		}
		// The arguments are in the last parentheses: a method's receiver is in others.
		function := lines[i]
		if open := strings.LastIndexByte(function, '('); open > 0 {
			function = function[:open]
		}
		if p.Inside == "" {
			p.Inside = function
		}
		if p.Function == "" && !isLibrary(function) {
			p.Function = function
			p.At, _, _ = strings.Cut(strings.TrimSpace(lines[i+1]), " +0x")
		}
	}
	if p.Function == "" {
		p.Function = p.Inside
	}
	return p, true
}

// isLibrary says that a function is of Go's own library: the first element of its package's path
// has no dot, and is not this module's.
func isLibrary(function string) bool {
	first, _, _ := strings.Cut(function, "/")
	if first == function { // No slash: the package ends at the first dot.
		first, _, _ = strings.Cut(function, ".")
		return first != "main" && first != "throng"
	}
	return first != "throng" && !strings.Contains(first, ".")
}

// leaks serves /debug/pprof/goroutineleak: goroutines that wait for what nobody can reach any more,
// as the collector finds them. Go has that as an experiment.
func (d *adminDoor) leaks(w http.ResponseWriter, r *http.Request) error {
	const name = "goroutineleak"
	if pprof.Lookup(name) == nil {
		return &Error{Status: http.StatusNotImplemented, Message: "this binary was built without " +
			"the profile of leaked goroutines; GOEXPERIMENT=goroutineleakprofile go build has it"}
	}
	profiles.Handler(name).ServeHTTP(w, r)
	return nil
}
