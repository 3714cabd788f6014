package server

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Site is what one place in the program has allocated that is still in use.
type Site struct {
	Bytes, Objects float64
	Stack          []string // Functions, the one that allocated first.
}

// Heap runs the node's collector and reads what is in use by where it was allocated. Only of a
// node from StartThrongCounted is that everything.
func (t *Throng) Heap(ctx context.Context) ([]Site, error) {
	text, err := t.ask(ctx, http.MethodGet, "/debug/pprof/heap?gc=1&debug=1", "", nil)
	if err != nil {
		return nil, err
	}
	return parseHeap(string(text))
}

// parseHeap reads the profile's text. Each site is a line, and one for each function below it:
//
//	16: 1024 [16: 1024] @ 0x4e1f2a 0x4e2d09
//	#	0x4e1f29	throng/node.(*loop).opened+0x49	/src/node/socket.go:70
func parseHeap(text string) (sites []Site, err error) {
	if !strings.HasPrefix(text, "heap profile: ") {
		return nil, fmt.Errorf("this is no heap profile: %.80q", text)
	}
	_, text, _ = strings.Cut(text, "\n")
	for line := range strings.Lines(text) {
		if len(line) > 0 && line[0] >= '0' && line[0] <= '9' {
			s := Site{}
			if _, err := fmt.Sscanf(line, "%f: %f [", &s.Objects, &s.Bytes); err != nil {
				return nil, fmt.Errorf("parse %.80q: %w", line, err)
			}
			sites = append(sites, s)
			continue
		}
		part := strings.Split(strings.TrimSpace(line), "\t")
		if len(part) < 3 || part[0] != "#" || len(sites) == 0 {
			continue
		}
		if _, err := strconv.ParseUint(strings.TrimPrefix(part[1], "0x"), 16, 64); err != nil {
			continue // Not a function: what stands at the end of the profile.
		}
		function := part[2]
		if at := strings.LastIndexByte(function, '+'); at > 0 {
			function = function[:at]
		}
		last := &sites[len(sites)-1]
		last.Stack = append(last.Stack, function)
	}
	return sites, nil
}
