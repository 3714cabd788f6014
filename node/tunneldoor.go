package node

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"throng/node/api"
	"throng/tuning"
)

// takeTunnel is the door of the session's node: it makes the connection that the request came on a
// socket of the session's loop.
func (n *Node) takeTunnel(w http.ResponseWriter, r *http.Request) {
	m, id, status := readFacts(w, r)
	if status != 0 {
		http.Error(w, http.StatusText(status), status)
		return
	}
	home, here := n.core.home(id)
	if here && !n.core.draining.Load() {
		here, status = n.hasSession(r.Context(), home, id)
	}
	switch {
	case status != 0:
		http.Error(w, "The session's loop has too much to do.", status)
		return
	case !here:
		http.Error(w, "There is no such session.", http.StatusNotFound)
		return
	case n.core.connections.Add(1) > n.core.limits.connectionsMax:
		n.core.connections.Add(-1)
		http.Error(w, "The node is full.", http.StatusServiceUnavailable)
		return
	}
	conn, err := switchProtocol(w, m)
	moving := move{to: n.engine.drivers[home], guest: guest{remote: endpointFrom(m.remote)},
		socket: m}
	if err == nil {
		watchPeer(conn)
		conn, err = n.core.tunnels.plain(conn)
	}
	if err == nil {
		moving.fd, err = descriptorOf(conn)
	}
	if err != nil {
		n.log.Debug("resume: a connection from another node is lost", "error", err)
		n.engine.strand(moving)
		return
	}
	n.engine.lineUp(moving)
}

// readFacts reads what a request for a tunnel says. A status says what is wrong with it.
func readFacts(w http.ResponseWriter, r *http.Request) (m *movedSocket, id sessionID, status int) {
	var f tunnelFacts
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, tuning.TunnelFactsBytesMax))
	if err == nil {
		err = json.Unmarshal(body, &f)
	}
	if err == nil {
		m, err = f.socket()
	}
	id, ok := parseSessionID(f.Session)
	if err != nil || !ok || r.Header.Get("Upgrade") != tunnelProtocol {
		return nil, id, http.StatusBadRequest
	}
	return m, id, 0
}

// hasSession says whether a loop has the session now. Only its id is looked at: the loop says
// itself what else is wrong, to the client.
func (n *Node) hasSession(ctx context.Context, home int, id sessionID) (here bool, status int) {
	ctx, cancel := context.WithTimeout(ctx, tuning.PeerAnswerTimeout)
	defer cancel()
	err := n.onLoop(ctx, home, func(l *loop) error {
		if l.byID(id) == nil {
			return api.UnknownSession
		}
		return nil
	})
	if err == nil || errors.Is(err, api.UnknownSession) {
		return err == nil, 0
	}
	return false, http.StatusServiceUnavailable
}

// switchProtocol takes the connection from the HTTP server.
func switchProtocol(w http.ResponseWriter, m *movedSocket) (net.Conn, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	m.rest, _ = buffered.Reader.Peek(buffered.Reader.Buffered())
	_ = conn.SetDeadline(time.Time{})
	_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"+
		"Upgrade: "+tunnelProtocol+"\r\n\r\n")
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// plain is a connection that a loop can take: what comes with TLS is carried on to a pair of
// sockets, for one goroutine, a copy and two descriptors more.
func (x *tunnels) plain(conn net.Conn) (net.Conn, error) {
	if _, secure := conn.(*tls.Conn); !secure {
		return conn, nil
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	var pair [2]net.Conn
	for i, fd := range fds {
		unix.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "pair")
		var failed error
		pair[i], failed = net.FileConn(f)
		err = errors.Join(err, failed, f.Close())
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	const more = 2
	x.core.connections.Add(more)
	go func() {
		defer x.core.connections.Add(-more)
		x.run(&tunnel{client: conn, peer: pair[0]})
	}()
	return pair[1], nil
}
