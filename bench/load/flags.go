package load

import (
	"flag"
	"fmt"
	"strconv"
	"strings"

	"throng/wire"
)

// Manual begins the help of the command.
const Manual = `throng load plays many clients and a backend, and reports what they saw.
Progress goes to standard error, a report as JSON to standard output or to -out. Interrupt it
once and it reports what it has so far.

A node with everything in memory, 9,000 connections in one guild, a burst and then five a second:
  throng -data "" &
  throng load -connections 9000 -burst 60 -rate 5 -server-pid $!

Others:
  throng load -shape small:50 -per-user 3 -publishers 4 -rate 200 -mix MESSAGE_CREATE=9,TYPING_START
  throng load -connections 9000 -rate 5 -cut 1 -cut-at 3s          a storm of resumes
  throng load -compress zstd-stream -frozen 0.01 -slow 0.01 -rate 10
  throng load -provision=false -url ws://127.0.0.1:7000/gateway -token 'Bot {i}'
  throng load -target nats -url ws://127.0.0.1:8443/ -rate 5
  throng load -target centrifuge -url ws://127.0.0.1:8000/connection/websocket -burst 60
  throng load -target ws -url ws://127.0.0.1:9000/chat -send '{"join":"{room}"}' \
    -publish-frame '{"to":"{room}","say":{body}}' -rate 5

The frames that are counted and whose time is taken bear "ts":<unix nanoseconds>, anywhere.
`

// Group is a heading of the help and the flags under it.
type Group struct {
	Title string
	Flags []string
}

// Groups are all flags in the order of the help.
var Groups = []Group{
	{"Where to", []string{"target", "url", "elsewhere", "admin", "admin-token", "allow-remote"}},
	{"Connections", []string{"connections", "per-source", "ramp", "opening", "connect-timeout",
		"loops", "receive-buffer"}},
	{"Sessions", []string{"users", "shards", "token", "intents", "encoding", "compress", "sample",
		"status", "heartbeat", "no-return"}},
	{"Guilds", []string{"provision", "shape", "guilds", "per-user"}},
	{"Events", []string{"publishers", "rate", "burst", "bursts", "burst-wait", "body", "mix",
		"weight"}},
	{"Time", []string{"duration", "settle"}},
	{"Faults", []string{"frozen", "slow", "slow-rate", "cut", "cut-at", "cut-every",
		"cut-identify", "cut-ramp"}},
	{"Other targets", []string{"send", "send-after", "publish-frame", "beat", "count", "room",
		"publish-url", "publish-key"}},
	{"Report", []string{"server-pid", "progress"}},
}

// secrets do not go into reports.
var secrets = map[string]bool{"admin-token": true, "publish-key": true}

// Bind declares the flags. What c holds is their default, or what withDefaults would make of it.
func (c *Config) Bind(f *flag.FlagSet) {
	if c.URL == "" {
		c.URL, c.Admin, c.Provision = "ws://127.0.0.1:8080/", "http://127.0.0.1:9090", true
	}
	c.bindConnections(f)
	c.bindSessions(f)
	c.bindEvents(f)
	c.bindFaults(f)
	c.bindOthers(f)
}

func (c *Config) bindConnections(f *flag.FlagSet) {
	f.Var(text{
		func() string { return string(c.Target) },
		func(s string) error { c.Target = Target(s); return nil },
	}, "target", "`kind` of server: discord (any gateway of that protocol), ws, nats or "+
		"centrifuge; empty: discord")
	f.StringVar(&c.URL, "url", c.URL, "`URL` of the gateway; several by commas take turns")
	f.StringVar(&c.Elsewhere, "elsewhere", c.Elsewhere,
		"`URL` for connections that were lost, several by commas; empty: where they were")
	f.StringVar(&c.Admin, "admin", c.Admin, "`URL` of the node's backend door")
	f.StringVar(&c.AdminToken, "admin-token", c.AdminToken, "its bearer `token`")
	f.BoolVar(&c.AllowRemote, "allow-remote", c.AllowRemote,
		"permit addresses that are not this host's; only load what is yours")
	f.IntVar(&c.Connections, "connections", c.Connections, "how many; 0: 100")
	f.IntVar(&c.ConnectionsPerSource, "per-source", c.ConnectionsPerSource,
		"connections from each of 127.0.0.2, 127.0.0.3, …; 0: 4000")
	f.Float64Var(&c.Ramp, "ramp", c.Ramp, "connections opened per second; 0: no limit")
	f.IntVar(&c.OpeningMax, "opening", c.OpeningMax,
		"connections that may be between TCP and ready at a time; 0: 1000")
	f.DurationVar(&c.ConnectTimeout, "connect-timeout", c.ConnectTimeout,
		"go on without those not ready by then; 0: 1m and 1ms per connection")
	f.IntVar(&c.Loops, "loops", c.Loops, "epoll loops; 0: half the processors, 2 at most")
	f.Var(&c.ReceiveBuffer, "receive-buffer", "SO_RCVBUF, a `size`; 0: the kernel's")
}

func (c *Config) bindSessions(f *flag.FlagSet) {
	f.IntVar(&c.Users, "users", c.Users, "different users; 0: one per connection, or per shards")
	f.IntVar(&c.Shards, "shards", c.Shards,
		"connections of each user, by the shard option of IDENTIFY; 0: the option is left out")
	f.StringVar(&c.Token, "token", c.Token, "`pattern`, {i} is the user; empty: "+TokenDefault)
	f.Var(text{
		func() string { return strconv.Itoa(int(c.Intents)) },
		func(s string) error {
			n, err := strconv.ParseUint(s, 0, 32)
			c.Intents = wire.Intents(n)
			return err
		},
	}, "intents", fmt.Sprintf("`bits`; 0: %d, all of a bot's but presences", IntentsDefault))
	f.Var(text{
		func() string { return c.Encoding.String() },
		func(s string) (err error) {
			c.Encoding, err = known(s, wire.ParseEncoding)
			return err
		},
	}, "encoding", "json or etf")
	f.Var(text{
		func() string { return c.Compress.String() },
		func(s string) (err error) {
			c.Compress, err = known(strings.TrimPrefix(s, "none"), wire.ParseCompression)
			return err
		},
	}, "compress", "none, zlib-stream or zstd-stream")
	f.Float64Var(&c.Sample, "sample", c.Sample, "fraction of compressed connections that are "+
		"read; of the others messages are only counted; 0: 0.01")
	f.StringVar(&c.Status, "status", c.Status,
		"presence in IDENTIFY, as in invisible; empty: it is left out")
	f.DurationVar(&c.Heartbeat, "heartbeat", c.Heartbeat, "interval; 0: what HELLO says")
	f.BoolVar(&c.NoReturn, "no-return", c.NoReturn,
		"leave connections closed that the server closed")
	f.BoolVar(&c.Provision, "provision", c.Provision,
		"make users, tokens, guilds and members through -admin first")
	f.StringVar(&c.Shape, "shape", c.Shape, "one (everybody is in each guild), small:K (K members "+
		"each) or zipf:S (sizes fall by rank to the power S); empty: one")
	f.IntVar(&c.Guilds, "guilds", c.Guilds,
		"how many; 0: 1 of one, 100 of zipf, as many of small as -per-user asks for")
	f.IntVar(&c.PerUser, "per-user", c.PerUser, "guilds of a user, in the mean; 0: 1")
}

func (c *Config) bindEvents(f *flag.FlagSet) {
	f.IntVar(&c.Publishers, "publishers", c.Publishers, "that publish side by side; 0: 1")
	f.Float64Var(&c.Rate, "rate", c.Rate, "events per second of each publisher; 0: none")
	f.IntVar(&c.Burst, "burst", c.Burst,
		"events published at once, before the rate begins; 0: none")
	f.IntVar(&c.Bursts, "bursts", c.Bursts, "bursts, each after the one before has arrived; 0: 1")
	f.DurationVar(&c.BurstWait, "burst-wait", c.BurstWait,
		"at most, until all of a burst has arrived; 0: 1m")
	f.IntVar(&c.Body, "body", c.Body, "bytes of an event's d; 0: 300")
	f.StringVar(&c.Mix, "mix", c.Mix, "`NAME=weight,…` of the events; empty: MESSAGE_CREATE")
	f.StringVar(&c.Weight, "weight", c.Weight,
		"guilds are chosen uniform or by members; empty: uniform")
	f.DurationVar(&c.Duration, "duration", c.Duration, "of publishing at the rate, or of holding "+
		"still when there is none; 0: 10s")
	f.DurationVar(&c.Settle, "settle", c.Settle, "between phases; 0: 1s")
}

func (c *Config) bindFaults(f *flag.FlagSet) {
	f.Float64Var(&c.Frozen, "frozen", c.Frozen, "fraction that stops reading once all are ready")
	f.Float64Var(&c.Slow, "slow", c.Slow, "fraction that reads -slow-rate from then on")
	f.IntVar(&c.SlowRate, "slow-rate", c.SlowRate, "bytes per second; 0: 1000")
	f.Float64Var(&c.Cut, "cut", c.Cut, "fraction of connections that is cut at once and comes back")
	f.DurationVar(&c.CutAt, "cut-at", c.CutAt, "after publishing at the rate has begun")
	f.DurationVar(&c.CutEvery, "cut-every", c.CutEvery, "and again after so long; 0: once")
	f.BoolVar(&c.CutIdentify, "cut-identify", c.CutIdentify, "come back by IDENTIFY, not RESUME")
	f.Float64Var(&c.CutRamp, "cut-ramp", c.CutRamp, "connections back per second; 0: no limit")
}

func (c *Config) bindOthers(f *flag.FlagSet) {
	f.Var(text{
		func() string { return strings.Join(c.Send, " ") },
		func(s string) error { c.Send = append(c.Send, s); return nil },
	}, "send", "ws: `frame` sent after connecting, may be repeated; {i} is the connection, {room} "+
		"its first room")
	f.BoolVar(&c.SendAfter, "send-after", c.SendAfter, "ws: send after the server's first frame")
	f.StringVar(&c.PublishFrame, "publish-frame", c.PublishFrame,
		"ws: `frame` that the publishers' connections send; {room}, {body}, {ts}")
	f.StringVar(&c.Beat, "beat", c.Beat, "ws: `frame` that every connection sends each -heartbeat")
	f.StringVar(&c.Count, "count", c.Count, "ws: `text` that a frame must contain to be counted")
	f.StringVar(&c.Room, "room", c.Room,
		"ws, nats, centrifuge: `name` of a guild's room; empty: room-{g}")
	f.StringVar(&c.PublishURL, "publish-url", c.PublishURL,
		"publish by POST to this `URL` instead of over a connection; ws: one event a line; "+
			"centrifuge: its /api/publish")
	f.StringVar(&c.PublishAPIKey, "publish-key", c.PublishAPIKey, "centrifuge: its API `key`")
	f.IntVar(&c.ServerPID, "server-pid", c.ServerPID,
		"`process` whose processor time and memory go into the report")
	f.DurationVar(&c.ProgressEvery, "progress", c.ProgressEvery, "between two lines; 0: 1s")
}

// text is a flag that is read by a function.
type text struct {
	get func() string
	set func(string) error
}

func (t text) Set(s string) error { return t.set(s) }

// String is also called on a zero text, to find out what a flag without a value looks like.
func (t text) String() string {
	if t.get == nil {
		return ""
	}
	return t.get()
}

func known[T any](s string, parse func(string) (T, bool)) (T, error) {
	value, ok := parse(s)
	if !ok {
		return value, fmt.Errorf("%q is not one of them", s)
	}
	return value, nil
}

// given lists the flags that are not as they would be without any.
func (c Config) given() map[string]string {
	var plain Config
	ours, others := flag.NewFlagSet("", 0), flag.NewFlagSet("", 0)
	c.Bind(ours)
	plain.Bind(others)
	plain = plain.withDefaults()
	given := map[string]string{}
	ours.VisitAll(func(f *flag.Flag) {
		if value := f.Value.String(); value != others.Lookup(f.Name).Value.String() {
			given[f.Name] = value
			if secrets[f.Name] {
				given[f.Name] = "(given)"
			}
		}
	})
	return given
}
