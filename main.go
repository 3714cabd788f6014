// Command throng is a real-time gateway: one process that holds a host full of sessions which
// speak the Discord Gateway protocol, and delivers a backend's events to those who may see them.
//
//	throng [serve] [flags]   run a node
//	throng load [flags]      put load on a gateway, this or another, and report
//	throng doctor            check the host for a wanted number of connections
//	throng version           print the version
//
// This file is wiring only: flags and the THRONG_ environment become a node.Config, signals become
// a drain, errors become an exit code: 0 after a drain, 1 on an error, 2 on wrong usage. What a
// node does begins in package node; what its figures mean is in package tuning.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"throng/bench/load"
	"throng/node"
	"throng/tuning"
)

// Exit codes.
const (
	exitDone  = 0
	exitError = 1
	exitUsage = 2
)

const summary = `throng holds sessions that speak the Discord Gateway protocol, and delivers events.

  throng [serve] [flags]   run a node (the default)
  throng load [flags]      put load on a gateway and report
  throng doctor [flags]    check this host for a number of connections
  throng version           print the version

Sizes are 64K, 256M or 2G, durations 41250ms or 3m. Every flag can also be set in the environment:
THRONG_ and its name in capitals with _ for -, as in THRONG_ADMIN_TOKEN. A flag wins over it.
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run takes the command's name off the arguments. Without one, or with a flag first, it is serve.
func run(args []string, out, errs io.Writer) int {
	command := "serve"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	switch command {
	case "serve":
		return serve(args, out, errs)
	case "load":
		return generate(args, out, errs)
	case "doctor":
		return doctor(args, out, errs)
	case "version":
		fmt.Fprintf(out, "throng %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS,
			runtime.GOARCH)
		return exitDone
	case "help":
		return serve([]string{"-h"}, out, errs)
	}
	fmt.Fprintf(errs, "throng: %q is none of serve, load, doctor, version\n", command)
	return exitUsage
}

// options are the flags of serve: the node's configuration, and the two that main keeps.
type options struct {
	node      node.Config
	logFormat string
	logLevel  level
}

// level is slog's, read and shown as people write it.
type level struct{ slog.Level }

func (l *level) String() string { return strings.ToLower(l.Level.String()) }

func (l *level) Set(text string) error {
	if l.UnmarshalText([]byte(text)) != nil {
		return fmt.Errorf("%q is none of debug, info, warn, error", text)
	}
	return nil
}

// group is a heading of `throng serve -h` and the flags under it.
type group struct {
	title string
	flags []string
}

var groups = []group{
	{"Doors", []string{"listen", "api", "admin", "admin-token", "public-url", "origin",
		"tls-cert", "tls-key", "proxy-from", "address-connections", "address-rate"}},
	{"State and identity", []string{"data", "demo", "auth", "auth-key"}},
	{"Sessions", []string{"resume-window", "heartbeat-interval", "max-connections",
		"identify-concurrency"}},
	{"Resources", []string{"loops", "gc-percent", "memory-limit", "journal",
		"compress-context", "compress-window", "read-buffer", "write-buffer",
		"socket-send-buffer", "socket-receive-buffer"}},
	{"Pushes", []string{"push-webhook", "push-token", "push-nats", "push-subject"}},
	{"Cluster", []string{"node", "etcd", "nats", "advertise", "weight", "cluster", "nats-replicas",
		"nats-credentials", "cluster-ca", "cluster-cert", "cluster-key", "import"}},
	{"Ending", []string{"drain-grace", "drain-spread", "drain-hard"}},
	{"Seeing inside", []string{"log-format", "log-level", "stall-limit", "otlp", "flight",
		"flight-folder"}},
}

// bind declares the flags of serve. The defaults shown are the ones that node fills in.
func (o *options) bind(f *flag.FlagSet) {
	o.bindDoors(f)
	o.bindResources(f)
	o.bindPushes(f)
	o.bindCluster(f)
	o.bindSeeing(f)
	c := &o.node
	f.DurationVar(&c.ResumeWindow, "resume-window", tuning.ResumeWindow,
		"how long a session outlives its socket")
	f.DurationVar(&c.HeartbeatInterval, "heartbeat-interval", tuning.HeartbeatInterval,
		"how often clients must say that they live")
	f.IntVar(&c.MaxConnections, "max-connections", 0,
		"gateway connections; 0: the descriptor limit less a reserve")
	f.IntVar(&c.IdentifyConcurrency, "identify-concurrency", 0,
		"identify buckets, one identify per bucket and 5 s; 0: off")

	f.DurationVar(&c.DrainGrace, "drain-grace", tuning.DrainGrace,
		"after SIGTERM: not ready, but nobody is sent away yet")
	f.DurationVar(&c.DrainSpread, "drain-spread", tuning.DrainSpread,
		"then sessions are told to reconnect elsewhere, evenly over this time")
	f.DurationVar(&c.DrainHard, "drain-hard", tuning.DrainHard,
		"the end, counted from SIGTERM, whatever is left")
}

func (o *options) bindSeeing(f *flag.FlagSet) {
	c := &o.node
	o.logFormat = "text"
	f.StringVar(&o.logFormat, "log-format", o.logFormat, "text or json, on standard error")
	f.Var(&o.logLevel, "log-level", "the least `level` to log: debug, info, warn or error")
	f.DurationVar(&c.StallLimit, "stall-limit", tuning.StallLimit,
		"a message that keeps a loop or a shard for longer is shown by /v1/stalls")
	f.StringVar(&c.OTLP, "otlp", "",
		"`URL` of a collector, as http://127.0.0.1:4318, for what a traceparent says is traced")
	c.Flight = tuning.FlightBytes
	f.Var(&c.Flight, "flight",
		"`size` of the recording of the last seconds that is kept when that happens; 0: none")
	f.StringVar(&c.FlightFolder, "flight-folder", "",
		"`folder` for such recordings; without it they are in memory, see /debug/flights")
}

func (o *options) bindDoors(f *flag.FlagSet) {
	c := &o.node
	c.BindDoors(f)
	f.StringVar(&c.Data, "data", node.DataDefault,
		"`folder` of the embedded store; \"\" keeps everything in memory")
	f.BoolVar(&c.Demo, "demo", false,
		"in memory, with a guild and three users; prints tokens and what to try")
	f.StringVar(&c.Auth, "auth", node.AuthDefault,
		"tokens (provisioned through -admin) or jwt")
	f.StringVar(&c.AuthKey, "auth-key", "",
		"`key` for jwt: HS256 secret, path of a PEM public key, or https:// JWKS")
}

func (o *options) bindResources(f *flag.FlagSet) {
	c := &o.node
	c.ReadBuffer, c.WriteBuffer = tuning.ReadBufferBytes, tuning.WriteBufferBytes
	c.Journal = tuning.JournalBytes
	c.CompressWindow = tuning.CompressWindow
	f.IntVar(&c.Loops, "loops", 0, "event loops; 0: GOMAXPROCS")
	f.IntVar(&c.GCPercent, "gc-percent", 0,
		fmt.Sprintf("GOGC; negative: off; 0: the environment's, or %d", tuning.GCPercent))
	f.Var(&c.MemoryLimit, "memory-limit", fmt.Sprintf("GOMEMLIMIT, a `size`; "+
		"0: the environment's, or %d %% of the cgroup's", tuning.MemoryLimitPercent))
	f.Var(&c.Journal, "journal", "per loop: `size` of the frames kept for sending and resuming")
	f.Var(&c.CompressWindow, "compress-window", "what zstd-stream clients keep: a `size`, 2^n")
	f.Var(&c.CompressContext, "compress-context", "memory for connections' own compressors, a "+
		"`size`; who asks first gets one, the others share")
	f.Var(&c.ReadBuffer, "read-buffer", "per loop: `size` of one read")
	f.Var(&c.WriteBuffer, "write-buffer", "per connection that is backed up: a `size`")
	f.Var(&c.SocketSendBuffer, "socket-send-buffer", "SO_SNDBUF, a `size`; 0: the kernel's")
	f.Var(&c.SocketReceiveBuffer, "socket-receive-buffer", "SO_RCVBUF, a `size`; 0: the kernel's")
}

func (o *options) bindCluster(f *flag.FlagSet) {
	c := &o.node
	f.StringVar(&c.Node, "node", "", "this node's `name` among others; without it the host's")
	f.StringVar(&c.Etcd, "etcd", "", "`URLs` of etcd, with commas; without it the node is alone")
	f.StringVar(&c.NATS, "nats", "", "`URLs` of NATS with JetStream, with commas")
	f.StringVar(&c.Advertise, "advertise", "", "`host` or host:port where other nodes reach this "+
		"one; without it the host's first address")
	f.Float64Var(&c.Weight, "weight", 1,
		"share of the guilds, 1 being that of any other node; negative: what is pinned to it")
	f.StringVar(&c.Cluster, "cluster", node.ClusterDefault, "`name` of the cluster")
	f.IntVar(&c.NATSReplicas, "nats-replicas", 0,
		"servers of NATS that keep guilds; 0: three where there are as many, or one")
	f.StringVar(&c.NATSCredentials, "nats-credentials", "", "`file` with a JWT and its key")
	f.StringVar(&c.ClusterCA, "cluster-ca", "",
		"PEM `file`: whom to believe among etcd, NATS and nodes")
	f.StringVar(&c.ClusterCert, "cluster-cert", "", "PEM `file`: what to show to them")
	f.StringVar(&c.ClusterKey, "cluster-key", "", "PEM `file`: its key")
	f.StringVar(&c.Import, "import", "",
		"`folder` of a node that was alone: its data becomes the cluster's, which has none")
}

func (o *options) bindPushes(f *flag.FlagSet) {
	c := &o.node
	f.StringVar(&c.PushWebhook, "push-webhook", "",
		"`URL` that is told of messages that mention members who are away")
	f.StringVar(&c.PushToken, "push-token", "", "bearer `token` sent to -push-webhook")
	f.StringVar(&c.PushNATS, "push-nats", "", "or `URL` of a NATS server to tell")
	f.StringVar(&c.PushSubject, "push-subject", node.PushSubjectDefault, "`subject` for that")
}

// parse reads flags, then the environment for those that were not given. It returns an exit code
// and whether to go on.
func parse(f *flag.FlagSet, args []string, help func(), errs io.Writer) (int, bool) {
	f.SetOutput(io.Discard)
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		help()
		return exitDone, false
	}
	if err == nil && f.NArg() > 0 {
		err = fmt.Errorf("%q is no flag", f.Arg(0))
	}
	if err == nil {
		err = overlay(f)
	}
	if err != nil {
		fmt.Fprintf(errs, "throng: %v; throng %s -h lists the flags\n", err, f.Name())
		return exitUsage, false
	}
	return exitDone, true
}

// overlay sets flags from the environment. A variable that is set to nothing counts: an empty
// THRONG_DATA means memory, as -data "" does.
func overlay(f *flag.FlagSet) error {
	given := map[string]bool{}
	f.Visit(func(set *flag.Flag) { given[set.Name] = true })
	var failed error
	f.VisitAll(func(unset *flag.Flag) {
		name := "THRONG_" + strings.ToUpper(strings.ReplaceAll(unset.Name, "-", "_"))
		text, ok := os.LookupEnv(name)
		if given[unset.Name] || !ok || failed != nil {
			return
		}
		if err := f.Set(unset.Name, text); err != nil {
			failed = fmt.Errorf("%s (-%s): %q: %w", name, unset.Name, text, err)
		}
	})
	return failed
}

// help prints what a command is, then its flags by group, in two lines each.
func help(f *flag.FlagSet, out io.Writer, about string, groups []group) {
	fmt.Fprint(out, about)
	for _, g := range groups {
		fmt.Fprintf(out, "\n%s\n", g.title)
		for _, name := range g.flags {
			entry := f.Lookup(name)
			argument, usage := flag.UnquoteUsage(entry)
			fmt.Fprintf(out, "  -%s\n        %s\n", strings.TrimSpace(name+" "+argument),
				usage+shownDefault(entry))
		}
	}
}

func shownDefault(entry *flag.Flag) string {
	switch entry.DefValue {
	case "", "0", "0s", "false":
		return ""
	}
	return " (default " + entry.DefValue + ")"
}

// settle turns what flags can say into what node.Config means: there a zero is "not said".
func (o *options) settle() error {
	c := &o.node
	c.InMemory = c.Data == ""
	c.Version = version()
	for _, span := range []struct {
		flag  string
		value *time.Duration
	}{
		{"resume-window", &c.ResumeWindow}, {"heartbeat-interval", &c.HeartbeatInterval},
		{"drain-grace", &c.DrainGrace}, {"drain-spread", &c.DrainSpread},
		{"drain-hard", &c.DrainHard},
	} {
		if *span.value < 0 {
			return fmt.Errorf("-%s: %v is negative", span.flag, *span.value)
		}
		if *span.value == 0 {
			*span.value = -1
		}
	}
	return nil
}

// serve runs a node until it has drained.
func serve(args []string, out, errs io.Writer) int {
	var o options
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	o.bind(flags)
	code, ok := parse(flags, args, func() { help(flags, out, summary, groups) }, errs)
	if !ok {
		return code
	}
	if err := o.settle(); err != nil {
		return fail(errs, err)
	}
	log, err := logger(o.logFormat, o.logLevel.Level, errs)
	if err != nil {
		return fail(errs, err)
	}
	asked := tuning.Runtime{GCPercent: o.node.GCPercent, MemoryLimit: int64(o.node.MemoryLimit)}
	inForce := asked.Apply(tuning.ReadQuota(tuning.ThisHost().Root))
	o.node.GCPercent = inForce.GCPercent
	o.node.MemoryLimit = tuning.Size(inForce.MemoryLimit)

	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	o.node.Inherits, _ = strconv.Atoi(os.Getenv(node.TakeoverVariable))
	_ = os.Unsetenv(node.TakeoverVariable) // What this process starts inherits nothing.
	n, err := node.New(o.node, log)
	if err != nil {
		return fail(errs, err)
	}
	signal.Notify(signals, syscall.SIGUSR2) // Before it is open there is nothing to take over.
	return untilDrained(n, signals, log, out, errs)
}

// untilDrained runs the node. The first signal begins a drain, the second ends the process now,
// and a third, should even that hang, is left to the kernel. SIGUSR2 has another process take over.
func untilDrained(n *node.Node, signals chan os.Signal, log *slog.Logger,
	out, errs io.Writer) int {
	ctx, drain := context.WithCancel(context.Background())
	defer drain()
	result := make(chan error, 1)
	go func() { result <- n.Run(ctx) }()
	for draining := false; ; {
		select {
		case err := <-result:
			if err != nil {
				return fail(errs, err)
			}
			return exitDone
		case received := <-signals:
			if received == syscall.SIGUSR2 {
				go n.Restart(os.Args[1:], out, errs)
				continue
			}
			if draining {
				signal.Stop(signals)
				log.Warn("second signal, ending at once", "signal", received.String())
				n.Abort()
				return exitError
			}
			log.Info("draining; a second signal ends at once", "signal", received.String())
			draining = true
			drain()
		}
	}
}

func fail(errs io.Writer, err error) int {
	fmt.Fprintf(errs, "throng: %v\n", err)
	return exitError
}

func logger(format string, level slog.Level, errs io.Writer) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: level}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(errs, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(errs, options)), nil
	}
	return nil, fmt.Errorf("-log-format: %q is neither text nor json", format)
}

// generate runs the load generator until it is done or told to stop; both end with a report.
func generate(args []string, out, errs io.Writer) int {
	var c load.Config
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	c.Bind(flags)
	file := flags.String("out", "", "`file` for the report; without it standard output")
	var headings []group
	for _, g := range load.Groups {
		headings = append(headings, group{g.Title, g.Flags})
	}
	headings[len(headings)-1].flags = append(headings[len(headings)-1].flags, "out")
	about := func() { help(flags, out, load.Manual, headings) }
	if code, ok := parse(flags, args, about, errs); !ok {
		return code
	}
	c.Commit = version()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // A second signal ends the process as if it were not caught.
	report, err := load.Run(ctx, c, errs)
	text, failed := json.MarshalIndent(report, "", "  ")
	switch {
	case err != nil && len(report.Phases) == 0:
		return fail(errs, err)
	case failed != nil:
		return fail(errs, failed)
	case *file == "":
		fmt.Fprintf(out, "%s\n", text)
	default:
		failed = os.WriteFile(*file, append(text, '\n'), 0o644)
	}
	if err = errors.Join(err, failed); err != nil {
		return fail(errs, err)
	}
	return exitDone
}

// doctor prints what the host has, what it should have, the commands that mend it, and what it can
// hold as it is.
func doctor(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("doctor", flag.ContinueOnError)
	connections := flags.Int("connections", 1_000_000, "wanted number of connections")
	rate := flags.Float64("rate", tuning.DeliveryRate, "deliveries a second to each of them")
	secure := flags.Bool("tls", false, "reckon with what TLS in the node takes")
	measure := flags.Duration("measure", time.Second,
		"how long to look what the processors can deliver, with a node of its own; 0: not")
	code, ok := parse(flags, args, func() {
		flags.SetOutput(out)
		fmt.Fprintln(out, "throng doctor checks this host and exits with 1 when something blocks.")
		flags.PrintDefaults()
	}, errs)
	switch {
	case !ok:
		return code
	case *connections < 1:
		fmt.Fprintf(errs, "throng: -connections: %d is less than 1\n", *connections)
		return exitUsage
	case *rate <= 0 || *measure < 0 || *measure > tuning.SelfTestMax:
		fmt.Fprintf(errs, "throng: -rate: above 0; -measure: 0 to %v\n", tuning.SelfTestMax)
		return exitUsage
	}
	host := tuning.ThisHost()
	host.TLS = *secure
	demand := tuning.Demand{Rate: *rate}
	if *measure > 0 {
		fmt.Fprintf(errs, "delivering to clients on this host for %v\n", *measure)
		var err error
		if demand.Measured, err = selfTest(*measure); err != nil {
			fmt.Fprintf(errs, "throng: -measure: %v\n", err)
		}
	}
	d := tuning.Diagnosis{Connections: *connections, Rate: *rate,
		Findings: tuning.Examine(host, *connections), Ceilings: tuning.Ceilings(host, demand)}
	if d.Write(out); tuning.Blocked(d.Findings) {
		return exitError
	}
	return exitDone
}

// selfTest runs a node in memory and clients of it, and returns the deliveries per second that they
// make together: a node that has the processors for itself makes more.
func selfTest(span time.Duration) (perSecond float64, err error) {
	doors, stop, err := node.Start(node.Config{InMemory: true})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return load.Speed(context.Background(), doors["gateway"], doors["admin"], span)
}

// version is the module's, or the commit that the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
