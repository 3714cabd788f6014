package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"throng/wire"
)

// nats speaks the NATS client protocol over nats-server's WebSocket door: binary frames that are
// pieces of one stream of lines, INFO, CONNECT, SUB, PING and MSG.
type nats struct {
	// Static after construction.
	rooms *rooms
}

const natsConnect = `CONNECT {"verbose":false,"pedantic":false,"echo":false,"lang":"go",` +
	`"version":"1","protocol":1,"headers":false}` + "\r\n"

var (
	natsMessage = []byte("MSG ")
	natsPing    = []byte("PING")
	natsPong    = []byte("PONG")
	natsInfo    = []byte("INFO ")
	natsError   = []byte("-ERR")
	natsEnd     = []byte("\r\n")
)

// natsLineMax is the longest line; INFO names a cluster's addresses.
const natsLineMax = 64 << 10

func (n *nats) path(given string) string { return given }

func (n *nats) opened(*loop, *conn) {} // The server speaks first.

func (n *nats) message(l *loop, c *conn, payload []byte) {
	b, kept := payload, false
	if c.extra != nil && len(c.extra.message) > 0 {
		c.extra.message = append(c.extra.message, payload...)
		b, kept = c.extra.message, true
	}
	generation, used := c.generation, 0
	for c.generation == generation && used < len(b) {
		size := n.step(l, c, b[used:])
		if size == 0 {
			break
		}
		used += size
	}
	switch {
	case c.generation != generation:
	case used < len(b):
		c.extra = c.more()
		if !kept {
			c.extra.message = c.extra.message[:0]
		}
		c.extra.message = append(c.extra.message[:0], b[used:]...)
	case kept:
		c.extra.message = nil
	}
}

// step takes one command and returns its size, 0 when it is not all there.
func (n *nats) step(l *loop, c *conn, b []byte) int {
	end := bytes.Index(b, natsEnd)
	if end < 0 {
		if len(b) > natsLineMax {
			l.lost(c, "line too long")
		}
		return 0
	}
	line, size := b[:end], end+len(natsEnd)
	switch {
	case bytes.HasPrefix(line, natsMessage):
		length, _ := digits(line, bytes.LastIndexByte(line, ' ')+1)
		if uint64(len(b)) < uint64(size)+uint64(length)+uint64(len(natsEnd)) {
			return 0
		}
		body := b[size : size+int(length)]
		l.stats.Dispatches++
		if mark := l.mark.find(body); mark != 0 {
			l.delivered(c, mark)
		}
		return size + int(length) + len(natsEnd)
	case bytes.Equal(line, natsPing):
		l.send(c, wire.OpcodeBinary, []byte("PONG\r\n"))
	case bytes.Equal(line, natsPong) && c.state == stateOpen:
		l.stats.Ready++
		l.stats.record(measureIdentify, l.now-c.askedNano)
		l.ready(c)
	case bytes.HasPrefix(line, natsInfo) && !c.has(flagGreeted):
		c.flags |= flagGreeted
		c.askedNano = l.now
		l.send(c, wire.OpcodeBinary, n.hello(l.id(c)))
	case bytes.HasPrefix(line, natsError):
		l.lost(c, string(line))
	}
	return size
}

// hello is what a client says after INFO. The PONG to its PING says that the subscriptions are in.
func (n *nats) hello(id int) []byte {
	b := []byte(natsConnect)
	for i, name := range n.rooms.names(id) {
		b = fmt.Appendf(b, "SUB %s %d\r\n", name, i+1)
	}
	return append(b, "PING\r\n"...)
}

func (n *nats) beat(*loop, *conn) {}

func (n *nats) door(r *run) (door, error) {
	s, err := dialSocket(r, func(payload []byte) ([]byte, int, error) {
		if i := bytes.Index(payload, natsError); i >= 0 {
			return nil, 0, errors.New("nats: " + string(bytes.TrimSpace(payload[i:])))
		}
		var answer []byte
		for range bytes.Count(payload, append(natsPing, natsEnd...)) {
			answer = append(answer, "PONG\r\n"...)
		}
		return answer, bytes.Count(payload, natsPong), nil
	})
	if err != nil {
		return nil, err
	}
	return &natsDoor{rooms: n.rooms, socket: s}, s.send(wire.OpcodeBinary, []byte(natsConnect))
}

// natsDoor publishes and then waits for the PONG that says it was read.
type natsDoor struct {
	*socket
	rooms *rooms
}

func (d *natsDoor) publish(ctx context.Context, guild int, events [][]byte) (answer, error) {
	var b []byte
	for _, event := range events {
		b = append(b, "PUB "...)
		b = append(b, d.rooms.name(guild)...)
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(len(event)), 10)
		b = append(b, natsEnd...)
		b = append(b, event...)
		b = append(b, natsEnd...)
	}
	if err := d.send(wire.OpcodeBinary, append(b, "PING\r\n"...)); err != nil {
		return answer{}, err
	}
	if err := d.await(ctx, 1); err != nil {
		return answer{}, err
	}
	return answer{accepted: len(events)}, nil
}
