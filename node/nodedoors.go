package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"throng/node/api"
	"throng/node/console"
	"throng/tuning"
)

// doors are the three listeners with what serves the two of HTTP.
type doors struct {
	log     *slog.Logger
	opened  func(door, address string)
	release func()
	gateway string
	client  *capped
	admin   *capped
	servers []*http.Server // client, admin, and peer if there are others
	failed  chan<- error
	serving sync.WaitGroup // those who accept

	// Set by equip: what ends requests that only read.
	ending context.Context
	end    context.CancelFunc

	// Atomic: requests under way, of each door; the doors are shut by purpose.
	clientRequests atomic.Int64
	adminRequests  atomic.Int64
	shutting       atomic.Bool

	peer       net.Listener
	config     api.Config
	page       *console.Console
	advertised string // host:port of peer
	key        string // what the others show there
}

// openDoors takes the three addresses, so that a start fails before anything is served.
func (n *Node) openDoors() (*doors, error) {
	d := &doors{log: n.log, opened: n.opened, release: func() {}}
	var err error
	if len(n.engine.gate.opened) == 0 {
		if n.engine.gate.address, d.release, err = claim(n.cfg.Listen); err != nil {
			return nil, fmt.Errorf("-listen: %w", err)
		}
	}
	d.gateway = n.engine.gate.address
	// The backend and the operator get in when clients use all of theirs.
	admin := max(n.cfg.APIConnections/2, tuning.AdminConnectionsMin)
	client := n.cfg.APIConnections - admin
	if x := n.inherited; x != nil {
		d.client, d.admin = newCapped(x.doors[0], client), newCapped(x.doors[1], admin)
	} else if err := d.listen(n.cfg, client, admin); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(d.gateway)
	number, _ := net.LookupPort("tcp", port)
	c := api.Config{
		AdminToken: n.cfg.AdminToken, Metrics: n.metrics(), Log: n.log,
		GatewayURL: n.cfg.PublicURL, GatewayPort: number, GatewayTLS: n.cfg.TLSCert != "",
		Limits: api.Limits{
			Guild: n.bodyMax(tuning.GuildBodyBytesMax),
			Event: n.bodyMax(tuning.EventBodyBytesMax),
		},
		Panicked: func() { n.core.panics.Add(1) },
		Tracer:   n.core.tracer,
	}
	if n.cfg.many() {
		if err := d.openPeerDoor(n, c); err != nil {
			return nil, err
		}
		n.away = newForwarder(n, n.cfg.clusterTLS)
		c.Elsewhere = n.away
	}
	d.config = c
	d.page = n.newConsole(d.gateway)
	d.equip(n)
	return d, nil
}

// listen opens the doors, of so many connections each.
func (d *doors) listen(cfg Config, client, admin int) (err error) {
	if d.client, err = listenCapped(cfg.API, client); err != nil {
		return fmt.Errorf("-api: %w", err)
	}
	if d.admin, err = listenCapped(cfg.Admin, admin); err != nil {
		return fmt.Errorf("-admin: %w", err)
	}
	return nil
}

// equip makes the servers of the two doors.
func (d *doors) equip(n *Node) {
	c := d.config
	c.Pages, c.Live = d.page.Pages(), d.page.Live
	d.ending, d.end = context.WithCancel(context.Background())
	forClients := api.NewServer(d.counted(api.Client(n, c), d.client, &d.clientRequests), c)
	forAdmins := api.NewServer(d.counted(api.Admin(n, c), d.admin, &d.adminRequests), c)
	forClients.ConnState, forAdmins.ConnState = d.client.follow, d.admin.follow
	forClients.ConnContext, forAdmins.ConnContext = withConn, withConn
	d.servers = append([]*http.Server{forClients, forAdmins}, d.servers...)
}

// connKey is where a request's context has its connection.
type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// counted counts the requests that a door is at, and ends those that only read when the door wants
// to be shut: some are streams without an end. It notes for which the node waits: a client's until
// its body has come, a backend's, whose body may be long and is work in itself, until it is read.
func (d *doors) counted(door http.Handler, at *capped, requests *atomic.Int64) http.Handler {
	ending, forClients := d.ending, at == d.client // Of these servers; the next have their own.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		defer requests.Add(-1)
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		conn, _ := ctx.Value(connKey{}).(net.Conn)
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			defer context.AfterFunc(ending, cancel)()
		}
		// NB: a copy, since the server looks at the body of its own.
		r = r.WithContext(ctx)
		if forClients && r.ContentLength != 0 {
			r.Body = &owedBody{ReadCloser: r.Body, left: r.ContentLength,
				come: func() { at.owes(conn, false) }}
		} else {
			at.owes(conn, false)
		}
		defer at.owes(conn, true)
		door.ServeHTTP(w, r)
	})
}

// owedBody is a body that says when it has all come.
type owedBody struct {
	io.ReadCloser
	left int64 // below 0: nobody has said how long it is
	come func()
}

func (b *owedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	known := b.left > 0
	b.left -= int64(n)
	if err == io.EOF || known && b.left <= 0 {
		b.come()
	}
	return n, err
}

var errRequests = errors.New("requests go on for too long")

// shut closes the doors when all that they are at is answered. Requests that only read are told to
// end soon, and connections that bring no request, or only a part of one, are closed. A client may
// hold it up for a while and never makes it fail; a backend's writes do, and go on then. After an
// error the doors are shut too.
//
// NB: http.Server's own Shutdown drops a request without an answer that arrives after it has begun,
// on a connection from before. So here it is a server that keeps no connection.
func (d *doors) shut() error {
	d.shutting.Store(true)
	for _, l := range []*capped{d.client, d.admin} {
		_ = l.Close()
	}
	for _, s := range d.servers {
		s.SetKeepAlivesEnabled(false)
	}
	d.serving.Wait() // So that what has been accepted is counted.
	defer time.AfterFunc(tuning.TakeoverReadsTimeout, d.end).Stop()
	began := time.Now()
	for d.busy() {
		for _, l := range []*capped{d.client, d.admin} {
			l.closeSilent(tuning.TakeoverSilentTimeout)
			l.closeOwing(began, tuning.TakeoverOwingTimeout)
		}
		span := time.Since(began)
		if span > tuning.TakeoverRequestsTimeout {
			_ = d.servers[0].Close()
		}
		// What a client's request is at ends when its connection does.
		if span > tuning.TakeoverRequestsTimeout+tuning.TakeoverOwingTimeout ||
			span > tuning.TakeoverRequestsTimeout && d.adminBusy() {
			return errRequests
		}
		time.Sleep(stillPause)
	}
	for _, s := range d.servers {
		_ = s.Close()
	}
	return nil
}

// busy says whether a connection is open, or a request under way.
func (d *doors) busy() bool {
	return d.client.open() > 0 || d.clientRequests.Load() > 0 || d.adminBusy()
}

func (d *doors) adminBusy() bool { return d.admin.open() > 0 || d.adminRequests.Load() > 0 }

// open opens the doors that were shut, by duplicates of their listeners: of client and admin.
func (d *doors) open(n *Node, files []*os.File) error {
	for i, l := range []**capped{&d.client, &d.admin} {
		again, err := net.FileListener(files[i])
		if err != nil {
			return err
		}
		*l = newCapped(again, cap((*l).slots))
	}
	d.servers = nil
	d.equip(n)
	d.shutting.Store(false)
	d.serve(d.failed)
	return nil
}

// bodyMax is a limit on a request's body, less when the journal could not hold what becomes of it.
func (n *Node) bodyMax(most int64) int64 {
	const framesPerJournal = 8 // A frame is a quarter of it at most, ETF doubles a body.
	return min(most, int64(n.cfg.Journal)/framesPerJournal)
}

func (d *doors) serve(failed chan<- error) {
	d.failed = failed
	for i, l := range []net.Listener{d.client, d.admin, d.peer}[:len(d.servers)] {
		name := [...]string{"api", "admin", "advertise"}[i]
		d.log.Info("listening", "door", name, "addr", l.Addr().String())
		if d.opened != nil {
			d.opened(name, l.Addr().String())
		}
		s := d.servers[i]
		d.serving.Go(func() {
			err := s.Serve(l)
			if !errors.Is(err, http.ErrServerClosed) && !d.shutting.Load() {
				failed <- fmt.Errorf("-%s: %w", name, err)
			}
		})
	}
}

func (d *doors) close() {
	for _, s := range d.servers {
		_ = s.Close()
	}
	_ = d.client.Close()
	_ = d.admin.Close()
	if d.peer != nil {
		_ = d.peer.Close()
	}
	d.release()
	d.release = func() {}
}
