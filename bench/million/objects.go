package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"throng/bench/internal/crowd"
	"throng/bench/internal/report"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
	"throng/bench/load"
)

// objects are what a session consists of, by the functions that allocate it. Of a stack, the
// function nearest to the allocation that begins with one of these names decides.
var objects = []struct {
	name      string
	functions []string
}{
	{"connection: descriptor, address, place in its loop's table",
		[]string{"throng/node.(*driver).welcome", "throng/node.(*driver).register"}},
	{"socket: parser, limits, deadlines", []string{"throng/node.(*loop).opened"}},
	{"session, and its list of guilds", []string{"throng/node.(*loop).begin",
		"throng/node.(*core).guildsOf", "throng/store.(*memory).GuildsOf"}},
	{"timers", []string{"throng/node.(*wheel)."}},
	{"outbox: its place in the journal", []string{"throng/store.(*Outbox)."}},
	{"relay: the receiver's entry and link", []string{"throng/fanout.(*relay).",
		"throng/fanout.(*links)."}},
	{"guild: the receiver's record", []string{"throng/fanout.(*receivers)."}},
	{"guild: presence", []string{"throng/fanout.(*presences)."}},
	{"index of users' live sessions", []string{"throng/node.(*core).addLive"}},
}

// objectsTitle is that of the table, which README.md shows too.
const objectsTitle = report.SessionTable

// objectOf is the number of the object in which a site counts, -1 without one.
func objectOf(stack []string) int {
	for _, function := range stack {
		for i, o := range objects {
			for _, name := range o.functions {
				if strings.HasPrefix(function, name) {
					return i
				}
			}
		}
	}
	return -1
}

// byObject connects first and then all to a node of its own, and takes what each between the two
// has in the heap by object. Tables that double are part of who fills them, with the room that
// they happen to have.
func byObject(ctx context.Context, t *trial.Trial, first, all int) error {
	node, err := server.StartThrongCounted(ctx, t.Program("throng"), "-journal",
		strconv.Itoa(nativeJournal))
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	s := &subject{node: node, clients: load.Config{NoReturn: true}, note: t.Note}
	defer s.crowd.Stop()
	groups := []crowd.Group{
		{Name: "first", Connections: first, Clients: s.clients},
		{Name: "rest", First: first, Connections: all - first, Clients: s.clients},
	}
	if err := s.provision(ctx, groups, all); err != nil {
		return err
	}
	var at [2][]float64
	var total [2]float64
	for i, g := range groups {
		if err := s.crowd.Join(ctx, node, g); err != nil {
			return err
		}
		if err := trial.Pause(ctx, settle); err != nil {
			return err
		}
		sites, err := node.Heap(ctx)
		if err != nil {
			return err
		}
		at[i] = make([]float64, len(objects))
		for _, site := range sites {
			total[i] += site.Bytes
			if o := objectOf(site.Stack); o >= 0 {
				at[i][o] += site.Bytes
			}
		}
	}
	each := 1 / float64(all-first)
	for i, o := range objects {
		grown := at[1][i] - at[0][i]
		if grown <= 0 {
			return fmt.Errorf("nothing of a session is allocated in %v: is that where %q is made?",
				o.functions, o.name)
		}
		t.Samples.Add(objectSample(o.name), grown*each)
	}
	t.Samples.Add("profiled B/connection", (total[1]-total[0])*each)
	return nil
}

func objectSample(name string) string { return "of a session: " + name + ", B" }

// tabulateObjects adds the table: all objects, what no object accounts for, and the sum, which is
// what resident memory at rest grows by.
func tabulateObjects(t *trial.Trial, first, all int) {
	s := t.Samples
	var rows [][]string
	rest, named := s.Median("rest B/connection"), 0.0
	for _, o := range objects {
		bytes := s.Median(objectSample(o.name))
		rows = append(rows, []string{o.name, report.Number(bytes)})
		named += bytes
	}
	sum := fmt.Sprintf("resident memory, slope between %s and %s sessions",
		report.Number(float64(first)), report.Number(float64(all)))
	rows = append(rows, []string{"Go's runtime, free room in its pages, all else",
		report.Number(rest - named)}, []string{sum, report.Number(rest)})
	t.Result.Table(objectsTitle, []string{"part", "B"}, rows)
	t.Result.Say("The parts are %s of the %s bytes that a session adds to the heap's profile, "+
		"in which a node of its own counts every allocation.", report.Number(named),
		report.Number(s.Median("profiled B/connection")))
}
