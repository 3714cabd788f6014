// Command million measures how large a connection is, and what a node does that has nothing to do.
//
//	go run ./bench/million
//	go run ./bench/million -guest
//
// The first takes slopes between 2,000 and 18,000 sessions on this host, and on a node of its own,
// which counts every allocation, what a session consists of. The second boots a kernel of its own,
// see guest.sh, and takes the slopes with a million sessions in there; -connections tries it with
// fewer. They write bench/results/million.json and million-guest.json, and end by themselves, the
// first after some ten minutes, the second after an hour.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
	"throng/bench/load"
)

const (
	nativeFirst = 2000
	nativeAll   = 18_000
	guestAll    = 1_000_000
	// nativeJournal is a sixteenth of the default: the collector lets garbage grow as large as what
	// is in use, and beside full journals 18,000 sessions are a small part of that.
	nativeJournal = 4 << 20
	guestTimeout  = 3 * time.Hour
	watchSpan     = time.Minute
	nativeTimeout = 25 * time.Minute
)

func main() {
	guest := flag.Bool("guest", false, "in a kernel of its own")
	inside := flag.Bool("inside", false, "this is inside the guest; print samples")
	connections := flag.Int("connections", 0, "sessions; 0: 18,000, and a million with -guest")
	memory := flag.String("memory", "20G", "the guest's memory")
	// The flags are read here too, since they decide on how the bench is run.
	early(guest, inside, connections)
	switch {
	case *inside:
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		ctx, cancel := context.WithTimeout(ctx, guestTimeout)
		err := runInside(ctx, *connections)
		cancel()
		stop()
		if err != nil {
			fmt.Fprintf(os.Stdout, "million: %v\n", err)
			os.Exit(1)
		}
	case *guest:
		trial.Main("million", "The same at a million",
			trial.Options{Name: "million-guest", Runs: 1, Timeout: guestTimeout},
			func(ctx context.Context, t *trial.Trial) error {
				if err := runGuest(ctx, t, *connections, *memory); err != nil {
					return err
				}
				conclude(t, *connections)
				return nil
			})
	default:
		trial.Main("million", "How large is a connection, and what does an idle node do?",
			trial.Options{Timeout: nativeTimeout}, func(ctx context.Context, t *trial.Trial) error {
				first := min(nativeFirst, *connections/2)
				err := t.EachRun(ctx, func(run int) error {
					if err := byObject(ctx, t, first, *connections); err != nil {
						return fmt.Errorf("by object: %w", err)
					}
					return runNative(ctx, t, first, *connections, run == t.Runs-1)
				})
				if err == nil {
					conclude(t, *connections)
					tabulateObjects(t, first, *connections)
				}
				return err
			})
	}
}

// early parses the flags that all modes have, so far as they are needed to choose one.
func early(guest, inside *bool, connections *int) {
	for _, argument := range os.Args[1:] {
		switch argument {
		case "-guest", "--guest":
			*guest = true
		case "-inside", "--inside":
			*inside = true
		}
	}
	if *inside {
		flag.Parse()
	}
	if *connections == 0 {
		*connections = nativeAll
		if *guest {
			*connections = guestAll
		}
	}
}

// runNative measures on this host. Idling takes two minutes, so only the last run does.
func runNative(ctx context.Context, t *trial.Trial, first, connections int, idle bool) error {
	node, err := t.Throng(ctx, "-journal", strconv.Itoa(nativeJournal))
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	s := &subject{node: node, clients: load.Config{NoReturn: true}, journal: nativeJournal,
		restSpan: restSpan, restMax: restMax,
		add: t.Samples.Add, note: t.Note}
	defer s.crowd.Stop()
	if err := s.slopes(ctx, first, connections); err != nil {
		return err
	}
	if !idle {
		return nil
	}
	return s.idle(ctx, connections)
}

// runInside measures inside the guest and writes samples for runGuest to read. It stops nothing: a
// million sockets take long to close, and the guest ends with this program.
func runInside(ctx context.Context, connections int) error {
	node, err := server.StartThrong(ctx, "/throng", guestFlags...)
	if err != nil {
		return err
	}
	began := time.Now()
	s := &subject{
		node: node, journal: crowd.JournalBytes, restSpan: restSpanGuest,
		restMax: restMaxGuest,
		clients: load.Config{NoReturn: true, ConnectTimeout: guestTimeout, OpeningMax: 500,
			Loops: 1},
		add: func(name string, value float64) { fmt.Printf("%s%s\t%g\n", sampleMark, name, value) },
		note: func(format string, args ...any) {
			fmt.Printf("%.0f s  "+format+"\n",
				append([]any{time.Since(began).Seconds()}, args...)...)
		},
	}
	watching, stop := context.WithCancel(ctx)
	go s.watch(watching)
	err = s.slopes(ctx, connections/10, connections)
	stop()
	if err != nil {
		return err
	}
	return s.idle(ctx, connections)
}

// watch says now and then how many sessions are there: a million take an hour.
func (s *subject) watch(ctx context.Context) {
	for trial.Pause(ctx, watchSpan) == nil {
		if m, err := s.node.Metrics(ctx); err == nil {
			s.note("%.0f sessions so far", m[`throng_sessions{state="live"}`])
		}
	}
}
