package node

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"sync/atomic"
	"time"

	"throng/node/api"
	"throng/node/cluster"
	"throng/tuning"
	"throng/wire"
)

// A request about a guild comes to any node's door and is answered by the guild's owner. It goes
// there as it is, by HTTP, to a door that is for nodes only: what a route takes and answers is
// known in one place, and a body of a gigabyte flows through. Sending the calls of api.Node over
// the bus instead would need a form for each of them, and a flow control for the large ones.
//
// While a guild is on its way from one node to another, a request waits, for a bounded time and
// with a bounded number of others, and is then refused with 503 and Retry-After. A node that is
// asked and does not have the guild says so before it reads the body, so that nothing of it is
// lost; see astrayHeader.

const (
	// keyHeader is what another node shows, out of this one's record in etcd.
	keyHeader = "Throng-Key"
	// astrayHeader says that the node which was asked does not own the guild, and has done nothing.
	astrayHeader = "Throng-Astray"
)

var errAstray = errors.New("the node that was asked does not own the guild")

// forwarder takes requests to where their guild is.
type forwarder struct {
	// Static after construction.
	node      *Node
	transport *http.Transport
	scheme    string

	// One token per request that waits.
	held chan struct{}
}

func newForwarder(n *Node, tls *tls.Config) *forwarder {
	f := &forwarder{node: n, scheme: "http", held: make(chan struct{}, tuning.HeldRequestsMax)}
	if tls != nil {
		f.scheme = "https"
	}
	f.transport = &http.Transport{
		TLSClientConfig:       tls,
		DialContext:           (&net.Dialer{Timeout: tuning.PeerDialTimeout}).DialContext,
		TLSHandshakeTimeout:   tuning.PeerDialTimeout,
		ExpectContinueTimeout: tuning.PeerAnswerTimeout,
		MaxIdleConnsPerHost:   tuning.PeerConnectionsMax,
		MaxConnsPerHost:       tuning.PeerConnectionsMax,
		IdleConnTimeout:       time.Minute,
		DisableCompression:    true,
	}
	return f
}

// Guild implements api.Elsewhere.
func (f *forwarder) Guild(w http.ResponseWriter, r *http.Request, guild wire.Snowflake) (
	answered bool, err error) {
	if to, here := f.owner(guild); here {
		return false, nil
	} else if to.Name != "" {
		if answered, err = f.send(w, r, guild, to); answered || err != nil {
			return answered, err
		}
	}
	return f.hold(w, r, guild)
}

// hold waits for a guild that has no owner, or one that this node does not know of.
func (f *forwarder) hold(w http.ResponseWriter, r *http.Request, guild wire.Snowflake) (
	answered bool, err error) {
	moving := api.Unavailable(busyRetry, "The guild is on its way to another node.")
	select {
	case f.held <- struct{}{}:
		defer func() { <-f.held }()
	default:
		return false, moving
	}
	end := time.NewTimer(tuning.HeldRequestTimeout)
	defer end.Stop()
	again := time.NewTicker(tuning.HeldRequestPause)
	defer again.Stop()
	var tried cluster.Node // The record that was tried last, not again before due.
	var due time.Time
	pause := tuning.HeldRequestPause
	for {
		select {
		case <-again.C:
		case <-end.C:
			return false, moving
		case <-r.Context().Done():
			return false, r.Context().Err()
		}
		to, here := f.owner(guild)
		if here {
			return false, nil
		}
		if to.Key != tried.Key {
			tried, due, pause = to, time.Time{}, tuning.HeldRequestPause
		}
		if to.Name == "" || time.Now().Before(due) {
			continue
		}
		if answered, err = f.send(w, r, guild, to); answered || err != nil {
			return answered, err
		}
		// A node that was killed refuses at once: a thousand requests that try it twenty times a
		// second each would leave no time for anything else.
		pause *= 2
		due = time.Now().Add(pause)
	}
}

// Channel implements api.Elsewhere.
func (f *forwarder) Channel(w http.ResponseWriter, r *http.Request, channel wire.Snowflake) (
	answered bool, err error) {
	guild, err := f.node.guildOf(channel)
	if err != nil {
		return false, nil // The handler has the words for that.
	}
	return f.Guild(w, r, guild)
}

// owner is the record of a guild's owner. It has no name while there is none.
func (f *forwarder) owner(guild wire.Snowflake) (to cluster.Node, here bool) {
	m := f.node.core.mesh
	name, here := m.owner(guild)
	if here || name == "" {
		return to, here
	}
	to, _ = m.view.Load().Node(name)
	return to, false
}

// send has another node answer. Not answered and no error means that it can be tried again: the
// other node is not the owner, or could not be reached, and did not want the body.
func (f *forwarder) send(w http.ResponseWriter, r *http.Request, guild wire.Snowflake,
	to cluster.Node) (answered bool, err error) {
	body := &wantedBody{ReadCloser: r.Body}
	ctx, cancel := context.WithCancel(httptrace.WithClientTrace(r.Context(),
		&httptrace.ClientTrace{Got100Continue: func() { body.wanted.Store(true) }}))
	defer cancel()
	go f.follow(ctx, cancel, guild, to, body)
	out := r.Clone(ctx)
	if out.Body = body; r.ContentLength == 0 {
		out.Body = http.NoBody
	}
	failed := error(nil)
	p := &httputil.ReverseProxy{
		Transport: f.transport, FlushInterval: -1,
		ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = f.scheme, to.Door
			p.Out.Host = r.Host
			p.Out.Header.Set(keyHeader, to.Key)
			if p.Out.Body != http.NoBody {
				p.Out.Header.Set("Expect", "100-continue")
			}
		},
		ModifyResponse: func(a *http.Response) error {
			if a.Header.Get(astrayHeader) != "" {
				return errAstray
			}
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { failed = err },
	}
	p.ServeHTTP(w, out)
	switch {
	case failed == nil:
		return true, nil
	case body.wanted.Load():
		f.node.log.Warn("forward: the guild's owner did not answer", "node", to.Name,
			"error", failed)
		return false, api.Unavailable(busyRetry, "The node that has the guild did not answer.")
	}
	return false, nil
}

// follow gives a request up that nobody will answer: one that the other node has not begun to read,
// when another node owns the guild, and any, when the other node is lost. A node that was stopped
// keeps its connections, and would keep who asks it for as long.
func (f *forwarder) follow(ctx context.Context, giveUp func(), guild wire.Snowflake,
	to cluster.Node, body *wantedBody) {
	tick := time.NewTicker(tuning.HeldRequestPause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		there, known := f.node.core.mesh.view.Load().Node(to.Name)
		if owner, _ := f.owner(guild); !known || there.Key != to.Key ||
			(owner.Key != to.Key && !body.wanted.Load()) {
			giveUp()
			return
		}
	}
}

// wantedBody is a body that is not closed, and not read before it is wanted, so that it can be sent
// to another node as long as it is not. Go's client would send it when it has waited for long
// enough, and a node that was stopped would take it when it wakes.
type wantedBody struct {
	io.ReadCloser
	wanted atomic.Bool
}

var errSilent = errors.New("the node that was asked says nothing")

func (b *wantedBody) Read(p []byte) (int, error) {
	if !b.wanted.Load() {
		return 0, errSilent
	}
	return b.ReadCloser.Read(p)
}

func (b *wantedBody) Close() error { return nil }

// arrival is the way of a request that another node has sent: it goes no further.
type arrival struct{ node *Node }

// Guild implements api.Elsewhere.
func (a arrival) Guild(w http.ResponseWriter, _ *http.Request, guild wire.Snowflake) (
	answered bool, err error) {
	if _, here := a.node.core.mesh.owner(guild); here {
		return false, nil
	}
	w.Header().Set(astrayHeader, a.node.core.limits.node)
	return false, api.Unavailable(busyRetry, "The guild is on its way to another node.")
}

// Channel implements api.Elsewhere.
func (a arrival) Channel(w http.ResponseWriter, r *http.Request, channel wire.Snowflake) (
	answered bool, err error) {
	guild, err := a.node.guildOf(channel)
	if err != nil {
		return false, nil
	}
	return a.Guild(w, r, guild)
}
