package clients

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
)

// proxy stands between the clients and the node, where the network would be.
type proxy struct {
	listener net.Listener
	*watch
	// Guarded by watch.
	upstream string
	held     bool // new connections are accepted and then wait
	links    []*link
}

// link is one connection of a client, with what the client sent over it.
type link struct {
	client, server net.Conn
	// Guarded by the proxy's watch.
	ops       []int // gateway opcodes in order
	closeCode int   // of the client's close frame, 0 if it sent none
	clientEnd bool  // the client ended it, before the node did
	serverEnd bool
	ended     bool
}

func startProxy(t *testing.T) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, watch: newWatch()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(conn)
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		p.release()
		p.cut()
	})
	return p
}

func (p *proxy) url() string { return "ws://" + p.listener.Addr().String() }

// pointAt sends connections made from now on to another node.
func (p *proxy) pointAt(n *node) { p.update(func() { p.upstream = n.doors["gateway"] }) }

// hold makes new connections wait. They are not refused: a library that is refused may give up its
// session, and what is tried here is a network that comes back.
func (p *proxy) hold()    { p.update(func() { p.held = true }) }
func (p *proxy) release() { p.update(func() { p.held = false }) }

// cut resets every connection on both sides, as a crashed NAT would, and returns how many.
func (p *proxy) cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	count := 0
	for _, l := range p.links {
		if !l.ended {
			reset(l.client)
			reset(l.server)
			count++
		}
	}
	return count
}

// reset closes with RST instead of FIN and drops what has not been sent.
func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// linkCount is how many connections have reached a node so far.
func (p *proxy) linkCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// waitSent waits until the link has carried a command with this opcode.
func (p *proxy) waitSent(t *testing.T, index, op int, what string) {
	t.Helper()
	p.until(t, what, func() bool {
		return index < len(p.links) && slices.Contains(p.links[index].ops, op)
	})
}

// waitEnded waits until the link is gone and returns a copy of what is known of it.
func (p *proxy) waitEnded(t *testing.T, index int, what string) link {
	t.Helper()
	var l link
	p.until(t, what, func() bool {
		if index >= len(p.links) || !p.links[index].ended {
			return false
		}
		l = *p.links[index]
		return true
	})
	return l
}

// opsOf returns the opcodes that the link has carried so far.
func (p *proxy) opsOf(index int) []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.links[index].ops)
}

func (p *proxy) serve(client net.Conn) {
	for {
		p.mu.Lock()
		held, upstream, changed := p.held, p.upstream, p.changed
		p.mu.Unlock()
		if !held {
			p.join(client, upstream)
			return
		}
		<-changed
	}
}

// join carries bytes both ways until both sides have ended, passing on the end of each.
func (p *proxy) join(client net.Conn, upstream string) {
	server, err := net.Dial("tcp", upstream)
	if err != nil {
		reset(client)
		return
	}
	l := &link{client: client, server: server}
	p.update(func() { p.links = append(p.links, l) })
	seen, tap := io.Pipe()
	listened, answered := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(listened)
		p.listen(l, seen)
	}()
	go func() {
		defer close(answered)
		pass(client, server, func(ended bool) {
			// A client that is back already has left this one: the node ends it for that.
			l.serverEnd = ended && !l.clientEnd && p.links[len(p.links)-1] == l
		}, p)
	}()
	pass(server, io.TeeReader(client, tap), func(bool) { l.clientEnd = !l.serverEnd }, p)
	tap.Close()
	<-listened
	<-answered
	client.Close()
	server.Close()
	p.update(func() { l.ended = true })
}

// pass copies until source ends, has note take that down, and only then tells target, which may end
// at once in its turn. note is given false when it was not source that ended: then target is of no
// use any more.
func pass(target net.Conn, source io.Reader, note func(ended bool), p *proxy) {
	_, err := io.Copy(target, source)
	p.update(func() { note(err == nil) })
	if err != nil {
		target.Close()
		return
	}
	_ = target.(*net.TCPConn).CloseWrite()
}

// listen reads along what the client sends: an upgrade request, then masked frames.
func (p *proxy) listen(l *link, seen *io.PipeReader) {
	defer func() { _, _ = io.Copy(io.Discard, seen) }() // the bytes must flow whatever they are
	stream := bufio.NewReader(seen)
	if _, err := http.ReadRequest(stream); err != nil {
		return
	}
	for {
		opcode, payload, err := readFrame(stream)
		if err != nil {
			return
		}
		var command struct{ Op *int }
		switch {
		case opcode == 8 && len(payload) >= 2:
			p.update(func() { l.closeCode = int(binary.BigEndian.Uint16(payload)) })
		case opcode <= 2 && json.Unmarshal(payload, &command) == nil && command.Op != nil:
			p.update(func() { l.ops = append(l.ops, *command.Op) })
		}
	}
}

// readFrame takes one frame of a client, RFC 6455 section 5.2.
func readFrame(stream *bufio.Reader) (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(stream, head[:]); err != nil {
		return 0, nil, err
	}
	length := uint64(head[1] & 0x7f)
	if wide := map[uint64]int{126: 2, 127: 8}[length]; wide > 0 {
		var long [8]byte
		if _, err = io.ReadFull(stream, long[8-wide:]); err != nil {
			return 0, nil, err
		}
		length = binary.BigEndian.Uint64(long[:])
	}
	var mask [4]byte
	if head[1]&0x80 != 0 {
		if _, err = io.ReadFull(stream, mask[:]); err != nil {
			return 0, nil, err
		}
	}
	payload = make([]byte, min(length, 1<<20))
	if _, err = io.ReadFull(stream, payload); err != nil {
		return 0, nil, err
	}
	for i := range payload {
		payload[i] ^= mask[i&3]
	}
	return head[0] & 0x0f, payload, nil
}
