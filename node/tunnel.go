package node

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"throng/tuning"
)

// A session lives on one node, and its client may come back through another: the balancer does not
// know, or the client has forgotten resume_gateway_url. As between two loops it is the connection
// that goes to the session. The node that was reached takes the socket out of its loop and carries
// its bytes to the session's node, for as long as the connection lasts: a tunnel. There the end of
// the tunnel is a socket of the session's loop like any other.
//
// So nothing of the session moves: its journal, its numbers, its place in the relays and in each of
// its guilds. To take the session itself over would be cheaper afterwards, and it would outlive its
// node's drain, which it does not. But each of its guilds (2,500 at most, on any node) would have
// to change the receiver's loop at one place in the order of its events, the events before that
// place would have to follow from the old node, numbered there, and either of the two may be lost
// meanwhile. To refuse, and have the client identify anew, costs 100 µs and up of its guilds'
// shards and the loop, and every GUILD_CREATE once more: after an outage of the balancer, for
// everybody at once. A tunnel costs a read and a write more for what is carried, 2 descriptors and
// the memory that tuning.TunnelsMax speaks of; and since clients prefer the URL that READY gave
// them, few need one for long.
//
// What has been sent to the client stays sent: HELLO, perhaps packed by a compressor that stays
// here. What the session's node sends behind it is blocks that refer to nothing before themselves;
// see wire/stream.go. A session whose connections had a compressor of their own goes on
// uncompressed in a tunnel.
//
// Bytes are read and written, not spliced. Splicing takes a pipe for each direction, 4 descriptors
// more than the 2, and saves the copy of some hundred bytes between two system calls of which there
// are as many either way: an event of 300 bytes and its answer take 139 µs with copies, 142 µs
// spliced, and 77 µs without a tunnel (BenchmarkTunnel).
//
// Who reads too slowly fills the buffers of the kernels in between, and then those of the session's
// socket, whose loop does about it what it always does. Whichever end ends, the tunnel ends the
// other, behind the bytes that are on their way. A lost host is noticed by the kernel; see
// tuning.TunnelSilenceMax. A node that drains cuts its tunnels, as evenly as it sends its own
// sessions away: it cannot say op 7 in a stream that it does not write, and a lost connection is
// what every client resumes after. Sessions of a draining node end with it, so none is carried to
// it.

// tunnels are the connections that are carried between this node and others.
type tunnels struct {
	// Static after construction.
	core *core
	ctx  context.Context // Ends with the node.
	stop context.CancelFunc
	tls  *tls.Config // Between nodes. Nil: there is none. Set before the node runs.

	// Atomic: written by loops and by tunnels, read by metrics.
	held    atomic.Int64  // Connections of clients that are carried, or are to be.
	carried atomic.Uint64 // RESUMEs that went elsewhere.

	// Guarded by mu.
	mu   sync.Mutex
	open map[*tunnel]struct{}
	away int // Cut by a drain.
}

// tunnel is two connections that are as one.
type tunnel struct{ client, peer net.Conn }

func newTunnels(c *core) *tunnels {
	x := &tunnels{core: c, open: map[*tunnel]struct{}{}}
	x.ctx, x.stop = context.WithCancel(context.Background())
	return x
}

// admit takes a place for a connection of a client, and counts the one to its session's node.
func (x *tunnels) admit() bool {
	if x.held.Add(1) > x.core.limits.tunnelsMax {
		x.held.Add(-1)
		return false
	}
	if x.core.connections.Add(1) > x.core.limits.connectionsMax {
		x.release()
		return false
	}
	return true
}

// release gives back what admit took.
func (x *tunnels) release() {
	x.core.connections.Add(-1)
	x.held.Add(-1)
}

// run carries bytes both ways until either end has ended, and closes both.
func (x *tunnels) run(t *tunnel) {
	x.mu.Lock()
	x.open[t] = struct{}{}
	x.mu.Unlock()
	defer func() {
		x.mu.Lock()
		delete(x.open, t)
		x.mu.Unlock()
		t.cut()
	}()
	if x.ctx.Err() != nil {
		return
	}
	up := make(chan struct{})
	go func() {
		defer close(up)
		t.up()
	}()
	t.down()
	<-up
}

// down carries what the session's node says.
func (t *tunnel) down() {
	pump(t.client, t.peer, make([]byte, tuning.TunnelDownBytes))
	end(t.client)
}

// up carries what the client says. When nobody hears it any more it is read all the same: the
// kernel answers bytes that come to a closed socket with a reset, which may overtake a close frame.
func (t *tunnel) up() {
	pump(t.peer, t.client, make([]byte, tuning.TunnelUpBytes))
	end(t.peer)
	_, _ = io.Copy(io.Discard, t.client)
}

// pump carries bytes until one of the two connections has ended.
func pump(to, from net.Conn, buf []byte) {
	for {
		n, err := from.Read(buf)
		if n > 0 {
			_ = to.SetWriteDeadline(time.Now().Add(tuning.LagTimeout))
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// end says that no more comes, and waits so long for the other side to say it too.
func end(c net.Conn) {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		_ = h.CloseWrite()
	}
	_ = c.SetReadDeadline(time.Now().Add(tuning.LingerTimeout))
}

// cut ends it now.
func (t *tunnel) cut() {
	_ = t.client.Close()
	_ = t.peer.Close()
}

// sendAway cuts tunnels until this share of all has been cut.
func (x *tunnels) sendAway(share, of int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	due := (len(x.open)+x.away)*share/of - x.away
	for t := range x.open {
		if due--; due < 0 {
			return
		}
		delete(x.open, t)
		x.away++
		t.cut()
	}
}

// close cuts all of them, and those that would begin.
func (x *tunnels) close() {
	x.stop()
	x.sendAway(1, 1)
}

// watchPeer has the kernel notice when the other node's host is lost.
func watchPeer(conn net.Conn) {
	if s, ok := conn.(*tls.Conn); ok {
		conn = s.NetConn()
	}
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	_ = c.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable: true, Idle: tuning.TunnelProbeAfter, Interval: time.Second, Count: 3,
	})
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { setUserTimeout(int(fd), tuning.TunnelSilenceMax) })
	}
}
