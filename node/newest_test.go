package node

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"throng/node/cluster/enginetest"
	"throng/tuning"
	"throng/wire"
)

// TestTokenOfAnotherNode: a token is good on every node as soon as who made it was told so, however
// far behind the other node's store is.
func TestTokenOfAnotherNode(t *testing.T) {
	e := startEngines(t)
	proxy := enginetest.NewProxy(t, e.nats.Host())
	behind := e.config("node-b")
	behind.NATS = "nats://" + proxy.Address()
	rigs := startNodes(t, e.config("node-a"), behind)
	a, b := rigs[0], rigs[1]
	for user := wire.Snowflake(1); ; user++ {
		c := b.dial("/")
		c.wantOp(wire.OpHello)
		proxy.Freeze()
		a.user(user, true)
		asked := b.core.newest.asked.Load()
		c.send(2, identifyBody(user, ""))
		b.until("its store knows nobody", func() bool {
			return b.core.newest.asked.Load() > asked
		})
		status := make(chan int, 1)
		go func() { status <- b.whoAmI(tokenOf(user)) }()
		proxy.Thaw()
		h := c.next()
		if h.opcode == wire.OpcodeClose && h.code == closeRows[NodeBusy].code {
			<-status
			continue // NATS was away for too long; that happens to a machine that stands still.
		}
		if h.Type != "READY" {
			t.Errorf("got %v", h)
		}
		if got := <-status; got != http.StatusOK {
			t.Errorf("by HTTP it is %d", got)
		}
		break
	}
	c := b.dial("/")
	c.wantOp(wire.OpHello)
	c.send(2, identifyBody(9999, ""))
	c.wantClose(wire.CloseAuthenticationFailed)
	if got := b.whoAmI(tokenOf(9999)); got != http.StatusUnauthorized {
		t.Errorf("nobody's token is %d", got)
	}
}

// whoAmI is the status that the client-facing door answers a token with.
func (r *rig) whoAmI(token string) int {
	req, err := http.NewRequest("GET", "http://"+r.doors["api"]+"/api/v10/users/@me", nil)
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bot "+token)
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// TestTokensThatCannotBeChecked: while the log is away nobody is told that a token is nobody's, and
// who is known gets in.
func TestTokensThatCannotBeChecked(t *testing.T) {
	asks := make(chan error)
	var syncs atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := startRig(t, Config{}, func(c *core) {
		c.newest = newNewest(ctx, func(context.Context) error {
			syncs.Add(1)
			return <-asks
		})
		go c.newest.run()
	})
	r.user(1, true)
	r.login(1)
	if syncs.Load() != 0 {
		t.Error("the log is asked for who is known")
	}
	identify := func(user wire.Snowflake) *wsClient {
		c := r.dial("/")
		c.wantOp(wire.OpHello)
		c.send(2, identifyBody(user, ""))
		return c
	}
	first := identify(2)
	r.until("the log is asked", func() bool { return syncs.Load() == 1 })
	// All who come while the first waits share one.
	var all []*wsClient
	for i := range 20 {
		all = append(all, identify(wire.Snowflake(3+i)))
	}
	statuses := make(chan int, 1)
	go func() { statuses <- r.whoAmI(tokenOf(30)) }()
	r.until("they wait", func() bool {
		r.core.newest.mu.Lock()
		defer r.core.newest.mu.Unlock()
		return len(r.core.newest.waiting) == len(all)+1
	})
	asks <- nil
	first.wantClose(wire.CloseAuthenticationFailed)
	r.until("the log is asked again", func() bool { return syncs.Load() == 2 })
	r.user(22, true) // Of another node, as it were.
	asks <- errors.New("no servers")
	for _, c := range all {
		c.wantClose(closeRows[NodeBusy].code)
	}
	if got := <-statuses; got != http.StatusServiceUnavailable {
		t.Errorf("by HTTP it is %d", got)
	}

	r.core.newest.mu.Lock()
	r.core.newest.waiting = slices.Repeat([]func(error){func(error) {}}, tuning.NewestAsksMax)
	r.core.newest.mu.Unlock()
	identify(40).wantClose(closeRows[NodeBusy].code)
	if got := syncs.Load(); got != 2 {
		t.Errorf("the log was asked %d times", got)
	}
}
