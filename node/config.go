package node

import (
	"cmp"
	"crypto/tls"
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

// Defaults that are no limits; those are in package tuning.
const (
	ListenDefault = ":8080"
	APIDefault    = ":8081"
	AdminDefault  = "127.0.0.1:9090"
	DataDefault   = "./throng-data"
	AuthDefault   = AuthTokens
)

// Values of Config.Auth.
const (
	AuthTokens = "tokens" // Tokens are provisioned through the admin listener.
	AuthJWT    = "jwt"    // Tokens are signed by somebody else; "sub" is the user id.
)

// addressRateMax is one a microsecond, as fine as it is counted.
const addressRateMax = 1_000_000

// loopsMax is what the socket library accepts.
const loopsMax = 256

// Config is what the flags of `throng serve` say, one field per flag. The zero value of a field
// is its default. For a duration that may be zero, a negative one stands for zero.
type Config struct {
	Listen     string // Address of the gateway listener.
	API        string // Address of the client-facing HTTP listener.
	Admin      string // Address of the listener for backend and operator.
	AdminToken string // Bearer token of Admin; required when Admin is not on loopback.
	PublicURL  string // ws:// or wss:// URL told to clients; "" = from the request's Host.
	Origins    string // Origins of the pages that may connect, with commas; "" = any.
	TLSCert    string // PEM file that the gateway shows; "" = no TLS.
	TLSKey     string // PEM file: its key.
	ProxyFrom  string // Networks whose connections begin with a PROXY header, with commas.

	AddressConnections int // Connections of one address at a time; 0 = no limit.
	AddressRate        int // Connections of one address a second; 0 = no limit.

	Data     string // Folder of the embedded store.
	InMemory bool   // No store: everything is gone at the end.
	Demo     bool   // In memory, with a guild and three users to try.

	Auth    string // AuthTokens or AuthJWT.
	AuthKey string // For AuthJWT: a secret, a path of a PEM public key, or an https:// JWKS.

	Loops               int         // Event loops; 0 = GOMAXPROCS.
	GCPercent           int         // GOGC; negative = off. Applied by main, reported by the node.
	MemoryLimit         tuning.Size // GOMEMLIMIT; 0 = none. Applied by main.
	ReadBuffer          tuning.Size // Bytes per loop.
	WriteBuffer         tuning.Size // Bytes per connection that is backed up.
	SocketSendBuffer    tuning.Size // SO_SNDBUF in bytes; 0 = the kernel's.
	SocketReceiveBuffer tuning.Size // SO_RCVBUF in bytes; 0 = the kernel's.
	Journal             tuning.Size // Bytes per loop.
	CompressContext     tuning.Size // Budget for connections' own compressors; 0 = all share.
	CompressWindow      tuning.Size // Of zstd streams: what clients keep. A power of two.

	ResumeWindow        time.Duration // Life of a session without a socket; negative = none.
	HeartbeatInterval   time.Duration // Told to clients in HELLO.
	MaxConnections      int           // Gateway connections; 0 = what the descriptor limit allows.
	APIConnections      int           // HTTP connections on API and Admin; derived, no flag.
	IdentifyConcurrency int           // Identify buckets (max_concurrency); 0 = no limit.

	PushWebhook string // URL that pushes are posted to; "" = to no webhook.
	PushToken   string // Bearer token sent to PushWebhook.
	PushNATS    string // NATS server that pushes are published at; "" = at none.
	PushSubject string // Subject of PushNATS.

	DrainGrace  time.Duration // Not ready, but nobody is closed; negative = none.
	DrainSpread time.Duration // Over which sessions are sent away; negative = at once.
	DrainHard   time.Duration // From the signal to the end, whatever is left.

	Node            string  // This node's name among others; "" = the host's.
	Cluster         string  // The cluster's name.
	Etcd            string  // URLs of etcd, with commas between them; "" = the node is alone.
	NATS            string  // URLs of NATS, as those.
	NATSReplicas    int     // Servers that keep what outlives a node; 0 = three, or one.
	NATSCredentials string  // File with a JWT and its key.
	Weight          float64 // Its share of the guilds; 0 = 1, negative = only what is pinned to it.
	Advertise       string  // host or host:port for other nodes; "" = this host's first address.
	ClusterCA       string  // PEM file: whom to believe.
	ClusterCert     string  // PEM file: what to show.
	ClusterKey      string  // PEM file: its key.
	Import          string  // Folder of a node that was alone; its data is to be the cluster's.
	clusterTLS      *tls.Config

	OTLP         string        // URL of a collector that traces are sent to; "" = none.
	StallLimit   time.Duration // A message that takes longer is written down.
	Flight       tuning.Size   // Bytes of the process's flight recorder; 0 = none.
	FlightFolder string        // Where its recordings go; "" = they are kept in memory.

	Version string // Reported by GET /v1/node.

	// Inherits is how many descriptors another process has left, see TakeoverVariable; 0 = none.
	Inherits int
}

// withDefaults fills what was left out and checks the whole. The error is one sentence that begins
// with the flag to change.
func (c Config) withDefaults() (Config, error) {
	c.Listen = cmp.Or(c.Listen, ListenDefault)
	c.API = cmp.Or(c.API, APIDefault)
	c.Admin = cmp.Or(c.Admin, AdminDefault)
	c.Data = cmp.Or(c.Data, DataDefault)
	c.InMemory = c.InMemory || c.Demo
	c.Auth = cmp.Or(c.Auth, AuthDefault)
	c.Version = cmp.Or(c.Version, "unknown")
	c.PushSubject = cmp.Or(c.PushSubject, PushSubjectDefault)
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")

	c.Loops = cmp.Or(c.Loops, min(runtime.GOMAXPROCS(0), loopsMax))
	c.GCPercent = cmp.Or(c.GCPercent, tuning.GCPercent)
	c.ReadBuffer = cmp.Or(c.ReadBuffer, tuning.ReadBufferBytes)
	c.WriteBuffer = cmp.Or(c.WriteBuffer, tuning.WriteBufferBytes)
	c.Journal = cmp.Or(c.Journal, tuning.JournalBytes)
	c.CompressWindow = cmp.Or(c.CompressWindow, tuning.CompressWindow)

	c.HeartbeatInterval = cmp.Or(c.HeartbeatInterval, tuning.HeartbeatInterval)
	c.DrainHard = cmp.Or(c.DrainHard, tuning.DrainHard)
	c.StallLimit = cmp.Or(c.StallLimit, tuning.StallLimit)
	c.ResumeWindow = max(cmp.Or(c.ResumeWindow, tuning.ResumeWindow), 0)
	c.DrainGrace = max(cmp.Or(c.DrainGrace, tuning.DrainGrace), 0)
	c.DrainSpread = max(cmp.Or(c.DrainSpread, tuning.DrainSpread), 0)

	for _, check := range []func() error{
		c.checkDoors, c.checkAuth, c.checkSizes, c.checkTimes, c.checkPush, c.checkCluster,
	} {
		if err := check(); err != nil {
			return Config{}, err
		}
	}
	return c.withConnections(tuning.DescriptorLimit())
}

// checkDoors looks at the addresses. Whoever reaches the admin listener may publish as anybody and
// read every token's user, so it is open to others only behind a token.
func (c *Config) checkDoors() error {
	for _, door := range []struct{ flag, address string }{
		{"-listen", c.Listen}, {"-api", c.API}, {"-admin", c.Admin},
	} {
		if _, _, err := net.SplitHostPort(door.address); err != nil {
			return fmt.Errorf("%s: %q is no address such as :8080 or 127.0.0.1:8080",
				door.flag, door.address)
		}
	}
	if c.AdminToken == "" && !loopback(c.Admin) {
		return fmt.Errorf("-admin: %q is not a loopback address, so -admin-token must be set",
			c.Admin)
	}
	if _, err := parseOrigins(c.Origins); err != nil {
		return fmt.Errorf("-origin: %w", err)
	}
	if _, err := parseNetworks(c.ProxyFrom); err != nil {
		return fmt.Errorf("-proxy-from: %w", err)
	}
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("-tls-cert: and -tls-key must be set both, or none")
	case c.AddressConnections < 0:
		return fmt.Errorf("-address-connections: %d is negative", c.AddressConnections)
	case c.AddressRate < 0 || c.AddressRate > addressRateMax:
		return fmt.Errorf("-address-rate: %d is not between 0 and %d", c.AddressRate,
			addressRateMax)
	}
	if c.PublicURL == "" {
		return nil
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Host == "" || (u.Scheme != "ws" && u.Scheme != "wss") {
		return fmt.Errorf("-public-url: %q is no URL such as wss://gateway.example.com",
			c.PublicURL)
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("-public-url: %q has a query or a fragment, and clients add their own",
			c.PublicURL)
	}
	return nil
}

// loopback reports whether only this host reaches the address. A name other than localhost may
// resolve to anything later, so it does not count.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

func (c *Config) checkAuth() error {
	switch {
	case c.Auth != AuthTokens && c.Auth != AuthJWT:
		return fmt.Errorf("-auth: %q is neither %s nor %s", c.Auth, AuthTokens, AuthJWT)
	case c.Auth == AuthJWT && c.AuthKey == "":
		return fmt.Errorf("-auth-key: must be set for -auth %s", AuthJWT)
	case c.Auth == AuthTokens && c.AuthKey != "":
		return fmt.Errorf("-auth-key: is of use only with -auth %s", AuthJWT)
	}
	return nil
}

func (c *Config) checkSizes() error {
	if c.Loops < 1 || c.Loops > loopsMax {
		return fmt.Errorf("-loops: %d is not between 1 and %d", c.Loops, loopsMax)
	}
	for _, size := range []struct {
		flag        string
		value       tuning.Size
		least, most tuning.Size
	}{
		{"-memory-limit", c.MemoryLimit, 0, 1 << 50},
		{"-read-buffer", c.ReadBuffer, 1 << 10, 16 << 20},
		{"-write-buffer", c.WriteBuffer, 1 << 10, 16 << 20},
		{"-socket-send-buffer", c.SocketSendBuffer, 0, 1 << 30},
		{"-socket-receive-buffer", c.SocketReceiveBuffer, 0, 1 << 30},
		{"-journal", c.Journal, tuning.JournalBytesMin, 1 << 40},
		{"-flight", c.Flight, 0, tuning.FlightBytesMax / 2},
		{"-compress-window", c.CompressWindow, wire.WindowBytesMin, wire.WindowBytesMax},
	} {
		if size.value < size.least || size.value > size.most {
			return fmt.Errorf("%s: %v is not between %v and %v",
				size.flag, size.value, size.least, size.most)
		}
	}
	if w := c.CompressWindow; w&(w-1) != 0 {
		return fmt.Errorf("-compress-window: %v is no power of two", w)
	}
	return nil
}

func (c *Config) checkTimes() error {
	const day = 24 * time.Hour
	for _, span := range []struct {
		flag        string
		value       time.Duration
		least, most time.Duration
	}{
		{"-heartbeat-interval", c.HeartbeatInterval, 10 * time.Millisecond, day},
		{"-resume-window", c.ResumeWindow, 0, day},
		{"-drain-grace", c.DrainGrace, 0, day},
		{"-drain-spread", c.DrainSpread, 0, day},
		{"-drain-hard", c.DrainHard, time.Millisecond, 3 * day},
		{"-stall-limit", c.StallLimit, tuning.StallLimitMin, time.Hour},
	} {
		if span.value < span.least || span.value > span.most {
			return fmt.Errorf("%s: %v is not between %v and %v",
				span.flag, max(span.value, 0), span.least, span.most)
		}
	}
	if c.IdentifyConcurrency < 0 {
		return fmt.Errorf("-identify-concurrency: %d is negative", c.IdentifyConcurrency)
	}
	return nil
}

// withConnections divides the descriptors. A number of connections that the limit cannot carry is
// refused now rather than met later.
func (c Config) withConnections(descriptors uint64) (Config, error) {
	most, http := tuning.Descriptors(descriptors, c.Loops)
	switch {
	case c.MaxConnections < 0:
		return Config{}, fmt.Errorf("-max-connections: %d is negative", c.MaxConnections)
	case most == 0:
		return Config{}, fmt.Errorf("-max-connections: the descriptor limit of %d leaves none; "+
			"raise it with ulimit -n", descriptors)
	case c.MaxConnections > most:
		return Config{}, fmt.Errorf("-max-connections: the descriptor limit of %d is enough for "+
			"%d, not for %d; throng doctor tells how to raise it", descriptors, most,
			c.MaxConnections)
	}
	c.MaxConnections = cmp.Or(c.MaxConnections, most)
	c.APIConnections = http
	return c, nil
}
