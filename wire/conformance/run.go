package conformance

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"sync"
	"time"

	"throng/wire"
)

const (
	// awaitLimit ends the wait for something that the server owes. It is no part of any good run.
	awaitLimit = 5 * time.Second
	// fineOctets is how many octets of a step go out as small as a chop size says. What comes
	// after them is the inside of one long payload, and a write for each octet of it would show
	// nothing new.
	fineOctets = 512
)

// Run runs a case over a connection, which dial opens and on which the handshake is done (see
// Upgrade). chop and the result are those of Drive.
func Run(c Case, chop int, dial func() (net.Conn, error)) (Verdict, error) {
	conn, err := dial()
	if err != nil {
		return Failed, fmt.Errorf("case %s: dial: %w", c.ID, err)
	}
	defer conn.Close()
	l := &listener{heard: make(chan struct{}, 1)}
	go l.listen(conn)

	for _, s := range c.Steps {
		l.send(conn, s, chop)
		if !l.await(func(t *transcript) bool { return t.reached(s.Await) }) {
			l.note(func(t *transcript) { t.late = true })
		}
	}
	if c.Closing == ClosingByClient {
		want := len(c.Replies)
		if l.await(func(t *transcript) bool { return t.reached(want) }) {
			l.send(conn, goodbye(), chop)
		}
	}
	// The server closes the connection first, so that it is the client who can come back at once
	// to the same pair of ports. RFC 6455 7.1.1.
	if !l.await(func(t *transcript) bool { return t.dropped }) {
		l.note(func(t *transcript) { t.linger = true })
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return c.grade(&l.transcript)
}

// listener hears the server while the client speaks, since a server that echoes may not read on
// before it has been read.
type listener struct {
	mu         sync.Mutex
	transcript transcript // Guarded by mu.

	heard chan struct{} // Holds a token when the transcript has changed.
}

func (l *listener) note(f func(*transcript)) {
	l.mu.Lock()
	f(&l.transcript)
	l.mu.Unlock()
	select {
	case l.heard <- struct{}{}:
	default:
	}
}

func (l *listener) listen(conn net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		l.note(func(t *transcript) {
			t.take(buf[:n])
			t.dropped = err != nil
		})
		if err != nil {
			return
		}
	}
}

// send writes a step. A write fails when the server has closed; what it said before is what counts.
func (l *listener) send(conn net.Conn, s Step, chop int) {
	for piece := range pieces(s, chop, fineOctets) {
		l.mu.Lock()
		over := l.transcript.over()
		l.mu.Unlock()
		if over {
			return
		}
		if _, err := conn.Write(piece); err != nil {
			return
		}
	}
}

func (l *listener) await(done func(*transcript) bool) bool {
	limit := time.NewTimer(awaitLimit)
	defer limit.Stop()
	for {
		l.mu.Lock()
		ok := done(&l.transcript)
		l.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-l.heard:
		case <-limit.C:
			return false
		}
	}
}

// Upgrade does the client's side of the opening handshake, and reads no further than its end.
func Upgrade(conn net.Conn, host, target string) error {
	key := base64.StdEncoding.EncodeToString([]byte("conformance case"))
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		target, host, key)
	if err != nil {
		return fmt.Errorf("write the handshake: %w", err)
	}
	var reply []byte
	for one := make([]byte, 1); !bytes.HasSuffix(reply, []byte("\r\n\r\n")); {
		if _, err := conn.Read(one); err != nil {
			return fmt.Errorf("read the handshake's reply: %w", err)
		}
		if reply = append(reply, one[0]); len(reply) > Limits().HeaderBytes {
			return fmt.Errorf("the handshake's reply is too long")
		}
	}
	accept := wire.AppendAccept([]byte("\r\nSec-WebSocket-Accept: "), key)
	if !bytes.HasPrefix(reply, []byte("HTTP/1.1 101 ")) || !bytes.Contains(reply, accept) {
		return fmt.Errorf("the handshake was answered %q", reply)
	}
	return nil
}
