package node

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/wire"
)

// hostedEverywhere logs a user in until each of two loops has a session, and returns an id of
// nobody for each.
func hostedEverywhere(t *testing.T, r *rig) (ids [2]string) {
	t.Helper()
	for range 200 {
		c := r.login(1)
		ids[c.home()] = strings.Repeat("a", 16) + c.session[16:]
		if ids[0] != "" && ids[1] != "" {
			return ids
		}
	}
	t.Fatal("the kernel gives all connections to one loop")
	return ids
}

// TestMovesCostNoDescriptors floods a node that has few descriptors with RESUMEs for the loop that
// the connection is not on, from peers that stay and from peers that reset. Nobody has to be known
// for that, and the accept that fails for want of descriptors would end every loop.
func TestMovesCostNoDescriptors(t *testing.T) {
	r, wait := startChild(t)
	request, err := http.NewRequest(http.MethodPut, "http://"+r.doors["admin"]+"/v1/users/1",
		strings.NewReader(fmt.Sprintf(`{"username":"a","bot":true,"token":"%s"}`, tokenOf(1))))
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := http.DefaultClient.Do(request); err != nil || answer.StatusCode > 299 {
		t.Fatalf("%v %v", answer, err)
	}
	ids := hostedEverywhere(t, r)
	var peers sync.WaitGroup
	for n := range descriptorLimit {
		peers.Go(func() {
			for round := range 20 {
				c, err := r.tryConnect(0)
				if err != nil || c.tryUpgrade("/") != nil {
					time.Sleep(time.Millisecond) // It is full, which it may be.
					continue
				}
				for hop := range 8 {
					_ = c.tryWrite(c.command(6, fmt.Sprintf(
						`{"token":"x","session_id":"%s","seq":1}`, ids[hop&1])))
				}
				if (n+round)%2 == 0 {
					_ = c.conn.(*net.TCPConn).SetLinger(0)
				} else {
					_ = c.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
					_, _ = c.in.Discard(1 << 20)
				}
				c.conn.Close()
			}
		})
	}
	peers.Wait()
	until(t, "connections are counted as before", func() bool {
		return r.metric("throng_connections") == r.metric(`throng_sessions{state="live"}`)
	})
	c := r.dial("/")
	c.wantOp(wire.OpHello)
	if err := wait(); err != nil {
		t.Errorf("the node ended with %v", err)
	}
}

// TestMovesGiveNoTime: a connection has its time to begin a session once, however often it moves.
func TestMovesGiveNoTime(t *testing.T) {
	t.Parallel()
	r := startRig(t, Config{}, func(c *core) { c.limits.identifyMilli = 1500 })
	r.user(1, true)
	ids := hostedEverywhere(t, r)
	c := r.dial("/")
	c.wantOp(wire.OpHello)
	began := time.Now()
	for hop := 0; ; hop++ {
		if time.Since(began) > 10*time.Second {
			t.Fatal("it is still there")
		}
		body := fmt.Sprintf(`{"token":"x","session_id":"%s","seq":1}`, ids[hop&1])
		if c.tryWrite(c.command(6, body)) != nil {
			return
		}
		h, err := c.read()
		for err == nil && h.Op != int(wire.OpInvalidSession) && h.opcode != wire.OpcodeClose {
			h, err = c.read()
		}
		if err != nil || h.opcode == wire.OpcodeClose {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// TestResumeOnALoopWithoutSessions: an id of another life of the node is refused in words, though
// its loop has no sockets that could say them.
func TestResumeOnALoopWithoutSessions(t *testing.T) {
	r := startRig(t, Config{Loops: 8})
	r.user(1, true)
	r.guild(100, 1)
	c := r.dial("/")
	c.wantOp(wire.OpHello)
	c.user = 1
	for index := range 8 {
		c.send(6, fmt.Sprintf(`{"token":"%s","session_id":"%s%04x00000000","seq":1}`, tokenOf(1),
			strings.Repeat("a", 20), index))
		c.wantOp(wire.OpHeartbeat)
		c.wantOp(wire.OpInvalidSession)
	}
	c.identify(1, "")
	c.joined(1)
}

// TestStrandedMoveGivesItsCompressorBack: the budget gets back what a connection had that never
// arrived.
func TestStrandedMoveGivesItsCompressorBack(t *testing.T) {
	r := startRig(t, Config{CompressContext: 64 << 20})
	r.user(1, true)
	ids := hostedEverywhere(t, r)
	for n := range 200 {
		c := r.dial("/?compress=zlib-stream")
		c.write(c.command(6, fmt.Sprintf(`{"token":"x","session_id":"%s","seq":1}`, ids[n&1])))
		_ = c.conn.(*net.TCPConn).SetLinger(0)
		c.conn.Close()
	}
	r.until("all is given back", func() bool {
		return r.core.contexts.Load() == 0 && r.core.contextBytes.Load() == 0
	})
}
