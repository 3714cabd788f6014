package node

import (
	"fmt"
	"testing"
	"time"

	"throng/node/cluster"
	"throng/node/cluster/enginetest"
	"throng/wire"
)

// TestTunnelEnds: when one of the two nodes goes, the client notices, and may resume if it was not
// the session's.
func TestTunnelEnds(t *testing.T) {
	t.Parallel()
	t.Run("with the node in between", func(t *testing.T) {
		two := startTwo(t, Config{}, false)
		c := two.home.login(1)
		c.joined(1)
		c = c.resumeAt(two.away, "/")
		c.wantEvent("RESUMED")
		two.away.stop()
		c.wantEnd()
		two.home.until("the socket has gone", func() bool {
			return two.home.core.connections.Load() == 0
		})
		two.home.publish(100, 1)
		c = c.resumeAt(two.home, "/")
		c.wantNumber(1)
		c.wantEvent("RESUMED")
	})
	t.Run("with the session's node", func(t *testing.T) {
		two := startTwo(t, Config{}, false)
		record := two.view.Nodes[1]
		proxy := enginetest.NewProxy(t, record.Door)
		record.Door = proxy.Address()
		two.show(record)
		c := two.home.login(1)
		c.joined(1)
		c = c.resumeAt(two.away, "/")
		c.wantEvent("RESUMED")
		proxy.Cut()
		c.wantEnd()
		two.away.given()
	})
	t.Run("when the session's node drains", func(t *testing.T) {
		two := startTwo(t, Config{DrainHard: 10 * time.Second}, false)
		c := two.home.login(1)
		c.joined(1)
		c = c.resumeAt(two.away, "/")
		c.wantEvent("RESUMED")
		two.home.Drain()
		c.wantOp(wire.OpReconnect)
		c.conn.Close()
		two.away.given()
		<-two.home.ended
	})
	t.Run("with the session", func(t *testing.T) {
		two := startTwo(t, Config{}, false)
		c := two.home.login(1)
		c.joined(1)
		c = c.resumeAt(two.away, "/")
		c.wantEvent("RESUMED")
		if err := two.home.CloseSession(two.home.context(), c.session); err != nil {
			t.Fatal(err)
		}
		c.wantClose(closeRows[EndedByOperator].code)
		two.home.given()
		two.away.given()
	})
}

// TestSlowReaderInATunnel: the session's node notices it, however much the kernels in between take.
func TestSlowReaderInATunnel(t *testing.T) {
	t.Parallel()
	two := startTwo(t, Config{Journal: 4 << 20}, false)
	c := two.home.login(1)
	c.joined(1)
	slow, err := c.tryResumeAt(two.away, "/")
	if err != nil {
		t.Fatal(err)
	}
	slow.wantEvent("RESUMED")
	big := repeat("x", 60<<10)
	two.home.until("it is too slow", func() bool {
		two.home.publishEvent(100, namedEvent("TEST_EVENT", `{"n":1,"big":"`+big+`"}`))
		return two.home.closes(SlowReader) == 1
	})
	slow.conn.Close()
	two.home.given()
	two.away.given()
}

// TestSessionIDs: an id says where its session is, and that a second node has the same tag costs a
// question.
func TestSessionIDs(t *testing.T) {
	two := startTwo(t, Config{}, false)
	c := two.home.login(1)
	c.joined(1)
	id, ok := parseSessionID(c.session)
	if loop, here := two.home.core.home(id); !ok || !here || loop != c.home() {
		t.Errorf("%s is on loop %d, %t", c.session, loop, here)
	}
	if _, here := two.away.core.home(id); here {
		t.Errorf("%s is on both nodes", c.session)
	}
	tags := map[uint16]string{}
	for n := 0; ; n++ {
		name := fmt.Sprint("node-", n)
		if nodeTag(name) == nodeTag("node-home") {
			// One that does not answer, and sorts before the one that does.
			two.show(cluster.Node{Name: name, Door: two.view.Nodes[1].Door, Key: "x"},
				two.view.Nodes[1])
			break
		}
		tags[nodeTag(name)] = name
	}
	if len(tags) < 1000 {
		t.Errorf("%d tags until one came twice", len(tags))
	}
	if got := two.away.core.mesh.tagged(id); len(got) != 2 {
		t.Fatalf("asks %v", got)
	}
	c.resumeAt(two.away, "/").wantEvent("RESUMED")
}

// TestResumeInACluster has two nodes find each other by etcd and NATS.
func TestResumeInACluster(t *testing.T) {
	two, e := &twoRigs{}, startEngines(t)
	rigs := startNodes(t, e.config("node-a"), e.config("node-b"))
	two.home, two.away = ownerOf(100, rigs)
	two.home.user(1, true)
	two.home.guild(100, 1)
	two.goAndReturn(t, "/?encoding=json&compress=zlib-stream")

	c := two.home.login(1)
	c.joined(1)
	c = c.resumeAt(two.away, "/")
	c.wantEvent("RESUMED")
	two.home.stop()
	for h, err := c.read(); err == nil; h, err = c.read() {
		if h.opcode == wire.OpcodeClose {
			break
		}
	}
	two.away.until("the session's node is gone", func() bool {
		_, known := two.away.core.mesh.view.Load().Node(two.home.core.limits.node)
		return !known
	})
	next := c.resumeAt(two.away, "/")
	next.wantGone() // Its guild serves here now.
}
