package node

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"throng/node/cluster"
	"throng/tuning"
	"throng/wire"
)

// A tunnel begins as a request at the peer door of the session's node, which answers 101, or 404
// when it has no such session; see tunnel.go.
const (
	tunnelPath     = "/tunnel"
	tunnelProtocol = "throng-tunnel"
)

var errNoSession = errors.New("the node has no such session")

// tunnelFacts are what the session's node has to know of a socket.
type tunnelFacts struct {
	Version     uint8  `json:"version"`
	Encoding    string `json:"encoding"`
	Compression string `json:"compression,omitempty"`
	Commands    uint16 `json:"commands"`
	LeftMilli   int64  `json:"left_ms"` // Until it has to have a session.
	Host        string `json:"host"`    // What the client called the node that it has reached.
	Remote      string `json:"remote"`  // The client's address.
	Token       []byte `json:"token"`
	Session     string `json:"session_id"`
	Seq         uint32 `json:"seq"`
}

func factsOf(m *movedSocket) tunnelFacts {
	f := tunnelFacts{
		Version: m.version, Encoding: m.variant.Encoding().String(), Commands: m.commands,
		LeftMilli: m.left, Host: m.opening.host, Remote: m.remote,
		Token: []byte(m.resume.Token), Session: m.resume.SessionID, Seq: m.resume.Seq,
	}
	if m.asked != wire.CompressionNone {
		f.Compression = m.asked.String()
	}
	return f
}

// socket is the socket as its session's loop takes it.
func (f *tunnelFacts) socket() (*movedSocket, error) {
	encoding, ok := wire.ParseEncoding(f.Encoding)
	compression, ok2 := wire.ParseCompression(f.Compression)
	if !ok || !ok2 {
		return nil, fmt.Errorf("encoding %q, compression %q", f.Encoding, f.Compression)
	}
	return &movedSocket{
		variant: wire.VariantOf(encoding, compression), version: f.Version,
		opening: &opening{host: f.Host, moved: true, far: true}, commands: f.Commands,
		left: f.LeftMilli, asked: compression, remote: f.Remote,
		resume: wire.Resume{Token: string(f.Token), SessionID: f.Session, Seq: f.Seq},
	}, nil
}

// carry takes a connection to the node of the session that it wants, and returns when it has ended.
// It reports false when no node takes it: then the connection is as it was.
func (x *tunnels) carry(client net.Conn, m *movedSocket) (carried bool) {
	defer x.release()
	if client.RemoteAddr() == nil {
		return false // It has been reset.
	}
	facts := factsOf(m)
	for _, to := range m.far {
		peer, early, err := x.dial(to, facts)
		if err == nil {
			x.carried.Add(1)
			unsent := m.control
			if m.stream != nil {
				unsent = m.stream.unsent
			}
			x.core.dropStream(m.stream)
			x.begin(&tunnel{client, peer}, append(unsent, early...), m.rest)
			return true
		}
		if !errors.Is(err, errNoSession) {
			m.later = true
			x.core.log.Debug("resume: the session's node cannot be asked", "node", to.Name,
				"error", err)
		}
	}
	return false
}

// begin runs a tunnel behind what either end has to have first.
func (x *tunnels) begin(t *tunnel, down, up []byte) {
	soon := time.Now().Add(tuning.PeerAnswerTimeout)
	_ = t.client.SetWriteDeadline(soon)
	_ = t.peer.SetWriteDeadline(soon)
	_, err := t.client.Write(down)
	if err == nil {
		_, err = t.peer.Write(up)
	}
	if err != nil {
		t.cut()
		return
	}
	x.run(t)
}

// dial asks a node for a session. early is what came behind its answer.
func (x *tunnels) dial(to cluster.Node, f tunnelFacts) (peer net.Conn, early []byte, err error) {
	if peer, err = x.connect(to); err != nil {
		return nil, nil, err
	}
	_ = peer.SetDeadline(time.Now().Add(tuning.PeerAnswerTimeout))
	if early, err = ask(peer, to, f); err != nil {
		_ = peer.Close()
		return nil, nil, err
	}
	_ = peer.SetDeadline(time.Time{})
	return peer, early, nil
}

// connect opens a connection to a node's door.
func (x *tunnels) connect(to cluster.Node) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(x.ctx, tuning.PeerDialTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", to.Door)
	if err != nil {
		return nil, err
	}
	watchPeer(conn)
	if x.tls == nil {
		return conn, nil
	}
	c := x.tls.Clone()
	c.ServerName, _, _ = net.SplitHostPort(to.Door)
	secure := tls.Client(conn, c)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// ask sends the request for a tunnel and reads the answer.
func ask(peer net.Conn, to cluster.Node, f tunnelFacts) (early []byte, err error) {
	body, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest(http.MethodPost, "http://"+to.Door+tunnelPath,
		bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set(keyHeader, to.Key)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", tunnelProtocol)
	if err := r.Write(peer); err != nil {
		return nil, err
	}
	in := bufio.NewReader(peer)
	answer, err := http.ReadResponse(in, r)
	if err != nil {
		return nil, err
	}
	switch answer.StatusCode {
	case http.StatusSwitchingProtocols:
		return in.Peek(in.Buffered())
	case http.StatusNotFound:
		return nil, errNoSession
	}
	return nil, fmt.Errorf("it answers with %s", answer.Status)
}
