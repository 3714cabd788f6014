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
// A node that is asked and does not have the guild says so before it reads the body, so that
// nothing of it is lost, and names who has; see seek. While nobody has it, a request waits, for a
// bounded time and with a bounded number of others, and is then refused with 503 and Retry-After.

const (
	// keyHeader is what another node shows, out of this one's record in etcd.
	keyHeader = "Throng-Key"
	// astrayHeader of an answer says that the node which was asked does not serve the guild, has
	// done nothing, and knows of that node, or of none. In a request it is who has said so before.
	astrayHeader = "Throng-Astray"
)

var errAstray = errors.New("the node that was asked does not serve the guild")

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
	answered, here, err := f.take(w, r, guild)
	if answered || here || err != nil {
		return answered, err
	}
	return f.hold(w, r, guild)
}

// take takes a request to who serves the guild: here, or where it is answered. Neither, without an
// error, means that nobody was found.
func (f *forwarder) take(w http.ResponseWriter, r *http.Request, guild wire.Snowflake) (
	answered, here bool, err error) {
	m := f.node.core.mesh
	for t, on := (trip{at: m.self}), true; on; {
		var named string
		if t.at == m.self {
			named = m.find(r.Context(), guild, t.not)
			here = named == m.self
		} else if to, known := m.view.Load().Node(t.at); known {
			answered, named, err = f.send(w, r, to, t.not)
		}
		if answered || here || err != nil {
			return answered, here, err
		}
		on = t.next(named)
	}
	return false, false, nil
}

// hold waits for a guild that nobody serves, or nobody that this node knows of.
func (f *forwarder) hold(w http.ResponseWriter, r *http.Request, guild wire.Snowflake) (
	answered bool, err error) {
	moving := api.Unavailable(busyRetry, movingWords)
	select {
	case f.held <- struct{}{}:
		defer func() { <-f.held }()
	default:
		return false, moving
	}
	end := time.NewTimer(tuning.HeldRequestTimeout)
	defer end.Stop()
	again := time.NewTimer(tuning.HeldRequestPauseMin)
	defer again.Stop()
	tried := f.owner(guild) // The record by which it was tried last, not again before due.
	pause, due := tuning.HeldRequestPauseMin, time.Now()
	for {
		select {
		case <-again.C:
		case <-end.C:
			return false, moving
		case <-r.Context().Done():
			return false, r.Context().Err()
		}
		if now, to := time.Now(), f.owner(guild); to.Key != tried.Key {
			tried, pause, due = to, tuning.HeldRequestPauseMin, now
		} else if now.Before(due) {
			again.Reset(min(due.Sub(now), tuning.HeldRequestPause))
			continue
		}
		answered, here, err := f.take(w, r, guild)
		if answered || here || err != nil {
			return answered, err
		}
		// A node that was killed refuses at once: a thousand requests that try it twenty times a
		// second each would leave no time for anything else.
		pause *= 2
		due = time.Now().Add(pause)
		again.Reset(min(pause, tuning.HeldRequestPause))
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

// owner is the record of who is to own a guild. It has no name while there is none.
func (f *forwarder) owner(guild wire.Snowflake) (to cluster.Node) {
	v := f.node.core.mesh.view.Load()
	to, _ = v.Node(v.Owner(uint64(guild)))
	return to
}

// send has another node answer. Not answered and no error means that the request can be taken on:
// the other node does not serve the guild, or could not be reached, and did not want the body. When
// it did want it, and found the guild gone then, the error is api.Moved.
func (f *forwarder) send(w http.ResponseWriter, r *http.Request, to cluster.Node, not string) (
	answered bool, named string, err error) {
	body := &wantedBody{ReadCloser: r.Body, reading: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(httptrace.WithClientTrace(r.Context(),
		&httptrace.ClientTrace{Got100Continue: body.want}))
	defer cancel()
	go f.follow(ctx, cancel, to)
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
			p.Out.Header.Set(astrayHeader, not)
			if p.Out.Body != http.NoBody {
				p.Out.Header.Set("Expect", "100-continue")
			}
		},
		ModifyResponse: func(a *http.Response) error {
			if astray := a.Header.Values(astrayHeader); len(astray) > 0 {
				named = astray[0]
				return errAstray
			}
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { failed = err },
	}
	p.ServeHTTP(w, out)
	switch {
	case failed == nil:
		return true, "", nil
	case body.stay():
		return false, named, nil
	case errors.Is(failed, errAstray):
		return false, "", body.takeBack()
	}
	f.node.log.Warn("forward: the guild's owner did not answer", "node", to.Name, "error", failed)
	return false, "", api.Unavailable(busyRetry, "The node that has the guild did not answer.")
}

// follow gives a request up that nobody will answer: the other node is lost. One that was stopped
// keeps its connections, and would keep who asks it for as long.
func (f *forwarder) follow(ctx context.Context, giveUp func(), to cluster.Node) {
	tick := time.NewTicker(tuning.HeldRequestPause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if n, known := f.node.core.mesh.view.Load().Node(to.Name); !known || n.Key != to.Key {
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
	reading chan struct{} // Holds a token while somebody reads.

	// Atomic: it is wanted, or stays here, whichever comes first.
	state atomic.Int32
}

const (
	bodyWanted = 1 + iota
	bodyStays
)

var errSilent = errors.New("the node that was asked says nothing")

func (b *wantedBody) want() { b.state.CompareAndSwap(0, bodyWanted) }

// stay says whether nothing has been read, nor ever will be.
func (b *wantedBody) stay() bool { return b.state.CompareAndSwap(0, bodyStays) }

func (b *wantedBody) Read(p []byte) (int, error) {
	b.reading <- struct{}{}
	defer func() { <-b.reading }()
	if b.state.Load() != bodyWanted {
		return 0, errSilent
	}
	return b.ReadCloser.Read(p)
}

func (b *wantedBody) Close() error { return nil }

// takeBack has a body that was wanted for nothing be read anew, see api.Moved. Go's client may be
// at it yet, and would be for long if the rest is not there.
func (b *wantedBody) takeBack() error {
	b.state.Store(bodyStays)
	select {
	case b.reading <- struct{}{}:
		return api.Moved
	case <-time.After(tuning.HeldRequestPause):
		return api.Unavailable(busyRetry, movingWords)
	}
}

const movingWords = "The guild is on its way to another node."

// arrival is the way of a request that another node has sent: it goes no further.
type arrival struct{ node *Node }

// Guild implements api.Elsewhere.
func (a arrival) Guild(w http.ResponseWriter, r *http.Request, guild wire.Snowflake) (
	answered bool, err error) {
	m := a.node.core.mesh
	named := m.find(r.Context(), guild, r.Header.Get(astrayHeader))
	if named == m.self {
		return false, nil
	}
	w.Header().Set(astrayHeader, named)
	return false, api.Unavailable(busyRetry, movingWords)
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
