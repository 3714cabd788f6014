package load

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"throng/tuning"
	"throng/wire"
)

// run is one run: the loops, the publishers, and what was counted so far.
type run struct {
	// Static after construction.
	config   Config
	ctx      context.Context
	shape    *shape
	mix      []kind
	dialect  dialect
	event    func(a *author, guild int, k *kind, mark int64) []byte
	targets  []netip.AddrPort
	others   []netip.AddrPort // For those that were lost.
	request  []byte           // The upgrade.
	accept   []byte           // What the answer to it must contain.
	loops    []*loop
	http     *http.Client
	start    time.Time
	progress io.Writer

	// Static before the first event is published.
	receivers []uint32 // By guild: connections that should get its events.

	// Guarded by mu.
	mu       sync.Mutex
	stats    *stats // What publishers saw during the phase.
	expected uint64 // Deliveries, over all phases.
	fault    error  // The first of a publisher.

	// Owned by the goroutine of Run.
	report Report
	total  stats
	now    phase

	// Atomic: written by Run, read by the loops.
	stopping atomic.Bool
}

// phase is the one that is going on.
type phase struct {
	// Guarded by run.mu, since the progress line shows it.
	name string
	// Owned by the goroutine of Run.
	start          time.Time
	server, client Usage
}

// descriptorReserve is for what is no connection: publishers, epoll, the terminal.
const descriptorReserve = 64

func newRun(ctx context.Context, c Config, progress io.Writer) (*run, error) {
	if !supported {
		return nil, errors.New("the load generator needs epoll, which is Linux")
	}
	c.URL = orScheme(c.URL, "ws://")
	c.Admin = orScheme(c.Admin, "http://")
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	if limit := tuning.DescriptorLimit(); uint64(c.Connections+descriptorReserve) > limit {
		return nil, fmt.Errorf("-connections: %d, but the descriptor limit is %d; see ulimit -n",
			c.Connections, limit)
	}
	if progress == nil {
		progress = io.Discard
	}
	r := &run{config: c, ctx: ctx, progress: progress, stats: &stats{}, start: time.Now()}
	r.http = &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: max(c.Publishers, provisioners), DisableCompression: true},
	}
	var err error
	if r.shape, err = newShape(&c); err != nil {
		return nil, err
	}
	r.config.Token = strings.ReplaceAll(c.Token, "{s}", strconv.FormatUint(r.shape.salt, 10))
	if r.mix, err = parseMix(c.Mix, c.Intents); err != nil {
		return nil, err
	}
	r.speak()
	if err := r.resolve(); err != nil {
		return nil, err
	}
	r.describe()
	for i := range c.Loops {
		l, err := newLoop(r, i)
		if err != nil {
			return nil, err
		}
		r.loops = append(r.loops, l)
	}
	return r, nil
}

// orScheme lets addresses be written as the node's own flags have them.
func orScheme(address, scheme string) string {
	if address == "" || strings.Contains(address, "://") {
		return address
	}
	return scheme + address
}

// speak chooses the dialect.
func (r *run) speak() {
	r.event = (*author).plain
	switch r.config.Target {
	case TargetWS:
		r.dialect = &ws{&r.config, newRooms(&r.config, r.shape)}
	case TargetNATS:
		r.dialect = &nats{newRooms(&r.config, r.shape)}
	case TargetCentrifuge:
		r.dialect = &centrifuge{&r.config, newRooms(&r.config, r.shape)}
	default:
		r.dialect, r.event = &discord{config: &r.config}, (*author).gateway
	}
}

// resolve finds the addresses of the targets and writes the upgrade. Every connection sends the
// same key: it proves to the client that the answer is one to an upgrade, and one proof is enough.
func (r *run) resolve() (err error) {
	if r.targets, err = addresses(r.config.URL); err != nil {
		return fmt.Errorf("-url: %w", err)
	}
	if r.config.Elsewhere != "" {
		if r.others, err = addresses(r.config.Elsewhere); err != nil {
			return fmt.Errorf("-elsewhere: %w", err)
		}
	}
	first, _, _ := strings.Cut(r.config.URL, ",")
	u, err := url.Parse(r.dialect.path(first))
	if err != nil {
		return fmt.Errorf("-url: %w", err)
	}
	var random [16]byte
	_, _ = rand.Read(random[:])
	key := base64.StdEncoding.EncodeToString(random[:])
	r.request = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n"+
		"User-Agent: throng-load\r\n\r\n", u.RequestURI(), u.Host, key)
	r.accept = wire.AppendAccept(nil, key)
	return nil
}

// addresses are those of URLs by commas.
func addresses(urls string) (all []netip.AddrPort, err error) {
	for text := range strings.SplitSeq(urls, ",") {
		u, err := url.Parse(text)
		if err != nil {
			return nil, err
		}
		address, err := net.ResolveTCPAddr("tcp4", u.Host)
		if err != nil {
			return nil, err
		}
		target := address.AddrPort()
		all = append(all, netip.AddrPortFrom(target.Addr().Unmap(), target.Port()))
	}
	return all, nil
}

// describe fills in what the report says of the run itself.
func (r *run) describe() {
	members := 0
	for g := range r.shape.guilds() {
		members += r.shape.ends[g] - r.shape.begin(g)
	}
	r.report = Report{
		Date: r.start.UTC().Truncate(time.Second), Commit: r.config.Commit, Host: thisHost(),
		Flags: r.config.given(), Connections: r.config.Connections,
		Guilds: r.shape.guilds(), Members: members,
	}
}
