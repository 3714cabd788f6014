// Package trial is what every bench does around its own measuring: it refuses a tree that is not
// committed, builds the programs under test from that tree, runs the comparison several times, and
// keeps what was found.
//
// A result that nobody can come back to is worth nothing, so a result names its commit, and there
// is none of a changed tree: with -dirty a bench measures such a tree, prints what it found and
// writes nothing. A bench ends by itself: there is a time for the whole of it, servers die with
// it, and an interrupt stops it like the end of that time. All sides of a comparison are measured
// in each run, one after the other, before the next run begins, so that a ratio is between things
// that saw the same machine. Start reading at Main.
package trial

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"throng/bench/internal/host"
	"throng/bench/internal/report"
	"throng/bench/internal/server"
)

// runsMin is how many runs a median needs. A bench may preset fewer where one takes very long.
const runsMin = 3

// Trial is one execution of a bench.
type Trial struct {
	// Static after construction.
	Root    string // of the tree
	Folder  string // for what is built; removed at the end
	Runs    int
	Dirty   bool
	Samples report.Samples
	Result  *report.Result
	began   time.Time
}

// Options are the flags that all benches have. A bench may preset Runs and Timeout.
type Options struct {
	Runs    int           // 0: 3.
	Timeout time.Duration // 0: 15 minutes.
	// Name is the bench's name when that is not its folder's.
	Name string
}

// Main runs a bench: it reads the flags, those of the bench among them, measures, and keeps the
// result. It does not return when something failed.
func Main(bench, question string, o Options, measure func(ctx context.Context, t *Trial) error) {
	if o.Runs == 0 {
		o.Runs = runsMin
	}
	runsLeast := min(o.Runs, runsMin)
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Minute
	}
	dirty := flag.Bool("dirty", false, "measure a tree that is not committed, and keep nothing")
	flag.IntVar(&o.Runs, "runs", o.Runs, "how often every side is measured")
	flag.DurationVar(&o.Timeout, "timeout", o.Timeout, "the bench ends then, whatever it is doing")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "%s: %q is no flag\n", bench, flag.Arg(0))
		os.Exit(2)
	}
	if o.Runs < runsLeast && !*dirty {
		fmt.Fprintf(os.Stderr, "%s: -runs: a result needs at least %d\n", bench, runsLeast)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	err := run(ctx, bench, question, o, *dirty, measure)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", bench, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bench, question string, o Options, dirty bool,
	measure func(ctx context.Context, t *Trial) error) error {
	tree, err := host.ReadTree()
	if err != nil {
		return err
	}
	if len(tree.Changed) > 0 && !dirty {
		return fmt.Errorf("the tree is not what is committed, so a result would not say what was "+
			"measured; commit, or try it out with -dirty, which keeps no result; changed: %q",
			tree.Changed)
	}
	folder, err := os.MkdirTemp("", "throng-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	host.RaiseDescriptors()
	name := bench
	if o.Name != "" {
		name = o.Name
	}
	t := &Trial{Root: tree.Root, Folder: folder, Runs: o.Runs, Dirty: dirty,
		Samples: report.Samples{}, began: time.Now()}
	t.Result = &report.Result{Bench: name, Question: question, Command: "go run ./bench/" + bench,
		Commit: tree.Commit, Date: t.began.UTC().Format(time.DateOnly), Machine: host.Describe(),
		Flags: given(), Servers: map[string][]string{}, Runs: o.Runs, Samples: t.Samples}
	t.Note("%s: %s", name, question)
	if err := server.Build(ctx, tree.Root, ".", t.Program("throng")); err != nil {
		return err
	}
	if err := measure(ctx, t); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("stopped after %v: %w", time.Since(t.began).Round(time.Second), err)
		}
		return err
	}
	t.Result.Seconds = time.Since(t.began).Seconds()
	return t.keep()
}

// given are the flags of this execution, but for the one that says to keep nothing.
func given() (flags []string) {
	flag.Visit(func(f *flag.Flag) {
		if f.Name != "dirty" && f.Name != "timeout" {
			flags = append(flags, "-"+f.Name+"="+f.Value.String())
		}
	})
	return flags
}

// keep prints the result and, for a committed tree, writes it and the pages.
func (t *Trial) keep() error {
	fmt.Print(t.Result.Text())
	if t.Dirty {
		t.Note("-dirty: nothing is kept")
		return nil
	}
	if err := t.Result.Save(filepath.Join(t.Root, "bench", "results")); err != nil {
		return err
	}
	return report.UpdatePages(t.Root)
}

// Program is where a program of that name is, or is to be built.
func (t *Trial) Program(name string) string { return filepath.Join(t.Folder, name) }

// Note tells whoever waits for the bench how far it is.
func (t *Trial) Note(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1f s  "+format+"\n",
		append([]any{time.Since(t.began).Seconds()}, args...)...)
}

// Throng starts a node with flags; the result names them.
func (t *Trial) Throng(ctx context.Context, flags ...string) (*server.Throng, error) {
	t.Result.Servers["throng"] = server.ThrongFlags(flags...)
	return server.StartThrong(ctx, t.Program("throng"), flags...)
}

// BuildRawlimit compiles the kernel's floor, for Raw.
func (t *Trial) BuildRawlimit(ctx context.Context) error {
	return server.BuildRawlimit(ctx, t.Root, t.Program("rawlimit"))
}

// Raw measures the kernel's floor.
func (t *Trial) Raw(ctx context.Context, sockets, bytes, rounds int) (server.Raw, error) {
	return server.RunRawlimit(ctx, t.Program("rawlimit"), sockets, bytes, rounds)
}

// EachRun calls f for every run.
func (t *Trial) EachRun(ctx context.Context, f func(run int) error) error {
	for run := range t.Runs {
		t.Note("run %d of %d", run+1, t.Runs)
		if err := f(run); err != nil {
			return fmt.Errorf("run %d: %w", run+1, err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// Pause waits, for things to settle.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Until waits until done says so.
func Until(ctx context.Context, limit time.Duration, what string, done func() (bool, error)) error {
	for end := time.Now().Add(limit); ; {
		if ok, err := done(); ok || err != nil {
			return err
		}
		if time.Now().After(end) {
			return errors.New(what + " did not happen within " + limit.String())
		}
		if err := Pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// Drain waits until the node has delivered nothing for as long as settle.
func Drain(ctx context.Context, node *server.Throng, settle, limit time.Duration) error {
	before, err := node.Metrics(ctx)
	if err != nil {
		return err
	}
	return Until(ctx, limit, "the end of what was published", func() (bool, error) {
		if err := Pause(ctx, settle); err != nil {
			return false, err
		}
		now, err := node.Metrics(ctx)
		quiet := now.Since(before)["throng_deliveries_total"] == 0
		before = now
		return quiet, err
	})
}
