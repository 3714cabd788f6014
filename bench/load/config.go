package load

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"strings"
	"time"

	"throng/tuning"
	"throng/wire"
)

// Target is what kind of server stands at the other end.
type Target string

const (
	TargetDiscord    Target = "discord"    // Any gateway that speaks the Discord protocol.
	TargetWS         Target = "ws"         // Given text frames are sent, text frames are counted.
	TargetNATS       Target = "nats"       // nats-server's WebSocket door: CONNECT, SUB, PUB.
	TargetCentrifuge Target = "centrifuge" // Centrifugo: connect, subscribe, publish.
)

// Config is a run. The zero value of a field is the default that its comment names.
type Config struct {
	Target      Target // "": discord.
	URL         string // ws://host:port/path; several by commas, connections take turns.
	Elsewhere   string // Where a connection goes that was lost, as URL; "": where it was.
	Admin       string // http://host:port of the node's backend door, to provision and publish.
	AdminToken  string
	AllowRemote bool // Without it every address must be loopback.

	Connections          int           // 0: 100.
	ConnectionsPerSource int           // From each of 127.0.0.2, 127.0.0.3, …; 0: 4,000.
	Ramp                 float64       // Connections opened per second; 0: as fast as they open.
	OpeningMax           int           // Connections between TCP connect and being ready; 0: 1,000.
	ConnectTimeout       time.Duration // Until all are ready; 0: 60 s and 1 ms per connection.
	Loops                int           // epoll loops; 0: half the processors, 1 to 2.
	ReceiveBuffer        tuning.Size   // SO_RCVBUF; 0: the kernel's.

	Users   int          // 0: as many as connections, divided by Shards.
	Shards  int          // Connections per user, by the shard option of IDENTIFY; 0: none.
	Token   string       // Pattern, {i} is the user; "": TokenDefault.
	Intents wire.Intents // 0: IntentsDefault.
	Status  string       // Presence in IDENTIFY; "": none. Of invisible ones nobody hears.
	// Capabilities is what a user's client says that it can do; 0: it says nothing.
	Capabilities uint32
	Encoding     wire.Encoding // Of the query.
	Compress     wire.Compression
	Sample       float64       // Fraction of compressed connections that are read in full; 0: 0.01.
	Heartbeat    time.Duration // 0: what HELLO says.
	NoReturn     bool          // Connections that the server ends do not come back.

	Provision bool   // discord: make users, guilds and members through Admin first.
	Shape     string // one, small:K, zipf:S; "": one.
	Guilds    int    // 0: 1 of one, 100 of zipf, as many of small as PerUser asks for.
	PerUser   int    // Guilds that a user is in on average, for small and zipf; 0: 1.

	Publishers int           // 0: 1.
	Rate       float64       // Events per second of each publisher; 0: none.
	Body       int           // Bytes of an event's d; 0: 300.
	Mix        string        // NAME=weight by commas; "": MESSAGE_CREATE.
	Weight     string        // Which guild: uniform or members; "": uniform.
	Burst      int           // Events published at once; 0: none.
	Bursts     int           // How often; 0: once.
	BurstWait  time.Duration // At most until the next burst; 0: 60 s.
	Settle     time.Duration // Between the phases, so that they do not mix; 0: 1 s.
	Duration   time.Duration // Of the paced phase, or of holding still when Rate is 0; 0: 10 s.

	Frozen   float64 // Fraction of connections that stop reading once all are ready.
	Slow     float64 // Fraction that reads SlowRate from then on.
	SlowRate int     // Bytes per second; 0: 1,000.

	Cut         float64       // Fraction of connections cut at once.
	CutAt       time.Duration // After the start of the paced phase.
	CutEvery    time.Duration // And again; 0: once.
	CutIdentify bool          // They come back by IDENTIFY instead of RESUME.
	CutRamp     float64       // Connections that come back per second; 0: at once.

	Send          []string      // ws: frames sent after connecting; {i} the connection, {room}.
	SendAfter     bool          // ws: only after the first frame of the server.
	PublishFrame  string        // ws: the publisher's frame; {room}, {body}, {ts}.
	Beat          string        // ws: frame sent every Heartbeat.
	Count         string        // ws: text that a counted frame must contain; "": all count.
	Room          string        // ws, nats, centrifuge: name of a guild's room; "": room-{g}.
	PublishURL    string        // ws, centrifuge: to publish by HTTP, not over a connection.
	PublishAPIKey string        // centrifuge: its X-API-Key.
	ServerPID     int           // Its CPU and memory go into the report.
	Commit        string        // Of the code measured, for the report.
	ProgressEvery time.Duration // 0: 1 s.
}

// IntentsDefault are all that a bot can have but presences: of those every connection that comes
// sends one to every other, and 9,000 connections would begin with 40 million messages.
const IntentsDefault = wire.IntentsBot &^ wire.IntentGuildPresences

// TokenDefault is the pattern of the tokens that provisioning registers; {s} is a number of the
// shape.
const TokenDefault = "throng-load.{s}.{i}"

// connectionsPerSource is well below the 28,000 ports that an address has. The kernel looks for a
// free port by trying one after the other, the even ones first, and past half of those a connect
// costs it milliseconds: 18,000 connections from one address took 10 s, from five 3 s.
const connectionsPerSource = 4000

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	orString(&c.Shape, shapeOne)
	orString(&c.Mix, "MESSAGE_CREATE")
	orString(&c.Weight, weightUniform)
	orString(&c.Room, "room-{g}")
	if c.Target == "" {
		c.Target = TargetDiscord
	}
	c.Provision = c.Provision && c.Target == TargetDiscord
	if c.Target == TargetDiscord {
		orString(&c.Token, TokenDefault)
	}
	orInt(&c.Connections, 100)
	orInt(&c.ConnectionsPerSource, connectionsPerSource)
	orInt(&c.OpeningMax, 1000)
	orInt(&c.Loops, min(2, max(1, runtime.GOMAXPROCS(0)/2)))
	orInt(&c.Users, (c.Connections+max(c.Shards, 1)-1)/max(c.Shards, 1))
	orInt(&c.PerUser, 1)
	orInt(&c.Publishers, 1)
	orInt(&c.Body, 300)
	orInt(&c.Bursts, 1)
	orInt(&c.SlowRate, 1000)
	orSpan(&c.ConnectTimeout, time.Minute+time.Duration(c.Connections)*time.Millisecond)
	orSpan(&c.BurstWait, time.Minute)
	orSpan(&c.Settle, time.Second)
	orSpan(&c.Duration, 10*time.Second)
	orSpan(&c.ProgressEvery, time.Second)
	if c.Intents == 0 {
		c.Intents = IntentsDefault
	}
	if c.Sample == 0 {
		c.Sample = 0.01
	}
	return c
}

func orString(s *string, other string) {
	if *s == "" {
		*s = other
	}
}

func orInt(n *int, other int) {
	if *n == 0 {
		*n = other
	}
}

func orSpan(d *time.Duration, other time.Duration) {
	if *d == 0 {
		*d = other
	}
}

// validate names the flag that is wrong. REQUIRES: withDefaults was applied.
func (c *Config) validate() error {
	switch c.Target {
	case TargetDiscord, TargetWS, TargetNATS, TargetCentrifuge:
	default:
		return fmt.Errorf("-target: %q is none of discord, ws, nats, centrifuge", c.Target)
	}
	for _, n := range []struct {
		name  string
		value float64
		max   float64
	}{
		{"connections", float64(c.Connections), 50e6}, {"users", float64(c.Users), 50e6},
		{"per-source", float64(c.ConnectionsPerSource), 64_000}, {"loops", float64(c.Loops), 64},
		{"guilds", float64(c.Guilds), 10e6}, {"shards", float64(c.Shards), 10_000},
		{"publishers", float64(c.Publishers), 1000}, {"rate", c.Rate, 1e6},
		{"burst", float64(c.Burst), 1e6}, {"body", float64(c.Body), 1 << 20},
		{"frozen", c.Frozen, 1}, {"slow", c.Slow, 1}, {"cut", c.Cut, 1}, {"sample", c.Sample, 1},
		{"ramp", c.Ramp, 1e6}, {"cut-ramp", c.CutRamp, 1e6},
		{"opening", float64(c.OpeningMax), 1e6},
	} {
		if n.value < 0 || n.value > n.max {
			return fmt.Errorf("-%s: %v is not from 0 to %v", n.name, n.value, n.max)
		}
	}
	if c.Weight != weightUniform && c.Weight != weightMembers {
		return fmt.Errorf("-weight: %q is neither uniform nor members", c.Weight)
	}
	if c.Frozen+c.Slow > 1 {
		return errors.New("-frozen and -slow: together more than all")
	}
	return c.validateAddresses()
}

func (c *Config) validateAddresses() error {
	publishes := c.Rate > 0 || c.Burst > 0
	if c.Target == TargetDiscord && c.Admin == "" && (c.Provision || publishes) {
		return errors.New("-admin: needed to provision and to publish; see -provision=false")
	}
	if c.Target == TargetWS && c.PublishFrame+c.PublishURL == "" && publishes {
		return errors.New("-publish-frame or -publish-url: needed to publish to a ws target")
	}
	for u := range strings.SplitSeq(c.URL, ",") {
		if err := c.checkURL("url", u, "ws"); err != nil {
			return err
		}
	}
	if c.Elsewhere != "" {
		for u := range strings.SplitSeq(c.Elsewhere, ",") {
			if err := c.checkURL("elsewhere", u, "ws"); err != nil {
				return err
			}
		}
	}
	if c.Admin != "" {
		if err := c.checkURL("admin", c.Admin, "http"); err != nil {
			return err
		}
	}
	if c.PublishURL != "" {
		return c.checkURL("publish-url", c.PublishURL, "http")
	}
	return nil
}

// checkURL holds that a load goes where it was meant to go: a typing mistake in an address must
// not become an attack.
func (c *Config) checkURL(flag, text, scheme string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Port() == "" {
		return fmt.Errorf("-%s: %q is no %s://host:port/path", flag, text, scheme)
	}
	if u.Scheme != scheme {
		return fmt.Errorf("-%s: %q: only %s:// is supported", flag, text, scheme)
	}
	if c.AllowRemote {
		return nil
	}
	addresses, err := net.LookupIP(u.Hostname())
	if err != nil {
		return fmt.Errorf("-%s: %w", flag, err)
	}
	for _, ip := range addresses {
		if !ip.IsLoopback() {
			return fmt.Errorf("-%s: %s is not this host; -allow-remote permits it", flag, u.Host)
		}
	}
	return nil
}
