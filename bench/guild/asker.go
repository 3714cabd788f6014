package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"throng/wire"
)

// asker is a session that asks for members: one connection, JSON, without compression.
type asker struct {
	conn    net.Conn
	in      *bufio.Reader
	message []byte
}

const (
	askerTimeout = 5 * time.Minute
	askerIntents = 1<<0 | 1<<1 // GUILDS, GUILD_MEMBERS
)

// identify connects and starts a session.
func identify(ctx context.Context, gateway, token string) (*asker, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", gateway)
	if err != nil {
		return nil, err
	}
	a := &asker{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	_ = conn.SetDeadline(time.Now().Add(askerTimeout))
	fmt.Fprintf(conn, "GET /?v=10&encoding=json HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", gateway)
	answer, err := http.ReadResponse(a.in, nil)
	if err == nil && answer.StatusCode != http.StatusSwitchingProtocols {
		err = errors.New(answer.Status)
	}
	if err == nil {
		a.send(fmt.Sprintf(`{"op":2,"d":{"token":"Bot %s","intents":%d,"properties":{}}}`, token,
			askerIntents))
		_, err = a.await("READY")
	}
	if err != nil {
		a.close()
		return nil, fmt.Errorf("identify: %w", err)
	}
	return a, nil
}

func (a *asker) close() { _ = a.conn.Close() }

// askForAll asks for all members of a guild and says how many came.
func (a *asker) askForAll(guild wire.Snowflake) (members int, err error) {
	if _, err := a.await("GUILD_CREATE"); err != nil {
		return 0, err
	}
	a.send(fmt.Sprintf(`{"op":8,"d":{"guild_id":"%d","query":"","limit":0}}`, guild))
	for {
		d, err := a.await("GUILD_MEMBERS_CHUNK")
		if err != nil {
			return members, err
		}
		list, _ := wire.Field(d, "members")
		wire.EachElement(list, func([]byte) bool { members++; return true })
		index, _ := wire.IntField(d, "chunk_index")
		if count, _ := wire.IntField(d, "chunk_count"); index == count-1 {
			return members, nil
		}
	}
}

// await reads up to the next dispatch of a name and returns its d.
func (a *asker) await(name string) ([]byte, error) {
	for {
		message, err := a.read()
		if err != nil {
			return nil, err
		}
		t, _ := wire.StringField(message, "t")
		if t == name {
			d, _ := wire.Field(message, "d")
			return d, nil
		}
		if op, _ := wire.IntField(message, "op"); op == 0 {
			// What has been seen is acknowledged, as all clients do.
			if seq, _ := wire.IntField(message, "s"); seq%100 == 0 {
				a.send(fmt.Sprintf(`{"op":1,"d":%d}`, seq))
			}
		}
	}
}

// read reads one message; the server's are never in fragments.
func (a *asker) read() ([]byte, error) {
	head, err := a.in.Peek(2)
	if err != nil {
		return nil, err
	}
	opcode, length, bytesRead := head[0]&15, uint64(head[1]&127), 2
	if wide := map[uint64]int{126: 2, 127: 8}[length]; wide > 0 {
		if head, err = a.in.Peek(2 + wide); err != nil {
			return nil, err
		}
		length = binary.BigEndian.Uint64(append(make([]byte, 8-wide), head[2:]...))
		bytesRead += wide
	}
	_, _ = a.in.Discard(bytesRead)
	a.message = append(a.message[:0], make([]byte, length)...)
	if _, err := io.ReadFull(a.in, a.message); err != nil {
		return nil, err
	}
	if opcode == 8 {
		return nil, fmt.Errorf("closed: %q", bytes.TrimSpace(a.message))
	}
	return a.message, nil
}

// send writes one text message, masked with zeros.
func (a *asker) send(text string) {
	if !json.Valid([]byte(text)) {
		panic(text)
	}
	frame := []byte{0x81, 0x80 | byte(len(text))}
	if len(text) > 125 {
		frame = []byte{0x81, 0x80 | 126, byte(len(text) >> 8), byte(len(text))}
	}
	_, _ = a.conn.Write(append(append(frame, 0, 0, 0, 0), text...))
}
