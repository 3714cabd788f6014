package node

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"throng/node/faulttest"
	"throng/wire"
)

// TestVanishedPeerIsGivenUp is row 17 of the matrix: a peer acknowledges nothing any more while an
// event is on its way to it. The kernel gives up on it, the node on the connection, and the session
// is left for its client to come back to. The node's own limit is TestUserTimeoutIsSet's.
func TestVanishedPeerIsGivenUp(t *testing.T) {
	t.Parallel()
	const limit = 500 * time.Millisecond
	r := startRig(t, Config{})
	r.user(1, true)
	r.user(2, true)
	r.guild(100, 1, 2)
	witness, c := r.login(1), r.login(2)
	witness.joined(1)
	c.joined(1)
	local := c.conn.LocalAddr().String()
	r.eachSocket(func(_ *loop, k *socket) {
		if k.io.Remote() == local {
			setUserTimeout(int(k.io.(*connection).fd), limit)
		}
	})
	if err := faulttest.Deafen(c.conn); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r.publish(100, 1)
	witness.wantNumber(1)
	r.until("the connection is given up", func() bool { return r.core.connections.Load() == 1 })
	if took := time.Since(began); took < limit/2 {
		t.Errorf("it was given up after %v", took)
	}
	if got := r.closes(ConnectionLost); got != 1 {
		t.Errorf("%d connections were lost, want 1", got)
	}
	sockets := 0
	r.eachSocket(func(*loop, *socket) { sockets++ })
	if sockets != 1 {
		t.Errorf("the loops have %d sockets, want 1", sockets)
	}
	next := c.again()
	next.wantNumber(1)
	next.wantEvent("RESUMED")
}

// TestStoppedNodeDeclaresNobodyDead is row 19 of the matrix with a whole process: it is stopped for
// longer than a client may be silent, and what the clients said meanwhile is waiting in the kernel.
func TestStoppedNodeDeclaresNobodyDead(t *testing.T) {
	t.Parallel()
	const silence, stop = 6 * time.Second, 7 * time.Second
	const clients = 5
	r, pid, wait := startChildProcess(t,
		fmt.Sprintf("%s=%d", silenceVariable, silence.Milliseconds()))
	user := fmt.Sprintf(`{"username":"u","bot":true,"token":"%s"}`, tokenOf(1))
	request, err := http.NewRequest("PUT", "http://"+r.doors["admin"]+"/v1/users/1",
		strings.NewReader(user))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	var all []*wsClient
	for range clients {
		all = append(all, r.login(1))
	}
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	beats := 0
	tick := time.NewTicker(silence / 10)
	defer tick.Stop()
	for end := time.Now().Add(stop); time.Now().Before(end); <-tick.C {
		beats++
		for _, c := range all {
			c.send(1, "null")
		}
	}
	if err := unix.Kill(pid, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		for range beats {
			c.wantOp(wire.OpHeartbeatAck)
		}
	}
	if got := r.metric(`throng_closes_total{reason="heartbeat_missed"}`); got != "0" {
		t.Errorf("%s were declared dead", got)
	}
	if err := wait(); err != nil {
		t.Errorf("the node ended with %v", err)
	}
}
