// Package client is a session of one connection, driven step by step: for what a bench does with a
// few sessions, or with many one after the other. What has to be cheap by the thousand, and what
// resumes, is package load's.
//
// It speaks JSON without compression, beats only when it has read much, and never comes back. A
// session lasts for five minutes at most; its errors say what was being done. Start reading at
// Identify.
package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
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

// Session is one session. Not for concurrent use, but for Cut.
type Session struct {
	conn    net.Conn
	in      *bufio.Reader
	message []byte
}

// timeout is how long a session may last.
const timeout = 5 * time.Minute

// closeTimeout is how long the server may take to close.
const closeTimeout = 10 * time.Second

// readBytes are buffered of a connection.
const readBytes = 4 << 10

// Identify connects, starts a session, and returns when READY has come. Without intents it is that
// of a person, who gets everything.
func Identify(ctx context.Context, gateway, token string, intents wire.Intents) (
	*Session, error) {
	return IdentifyBy(ctx, gateway, nil, token, intents)
}

// IdentifyBy is Identify with TLS, unless secure is nil.
func IdentifyBy(ctx context.Context, gateway string, secure *tls.Config, token string,
	intents wire.Intents) (*Session, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", gateway)
	if err != nil {
		return nil, err
	}
	if secure != nil {
		conn = tls.Client(conn, secure)
	}
	s := &Session{conn: conn, in: bufio.NewReaderSize(conn, readBytes)}
	_ = conn.SetDeadline(time.Now().Add(timeout))
	_, _ = io.WriteString(conn, Request(gateway))
	answer, err := http.ReadResponse(s.in, nil)
	if err == nil && answer.StatusCode != http.StatusSwitchingProtocols {
		err = errors.New(answer.Status)
	}
	if err == nil {
		identify := fmt.Sprintf(`{"op":2,"d":{"token":"Bot %s","properties":{}`, token)
		if intents != 0 {
			identify += fmt.Sprintf(`,"intents":%d`, intents)
		}
		if err = s.send(identify + "}}"); err == nil {
			_, err = s.Await("READY")
		}
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("identify: %w", err)
	}
	return s, nil
}

// Abandon lets the connection go, whatever is under way.
func (s *Session) Abandon() { s.close() }

func (s *Session) close() { _ = s.conn.Close() }

// Cut ends the connection and leaves the session behind, while another goroutine may wait in Next.
func (s *Session) Cut() { s.close() }

// Close ends the session as a client does that will not come back, and waits until the server has
// closed: with bytes unread it would be a reset, and the server might never see the close frame.
func (s *Session) Close() {
	_ = s.conn.SetDeadline(time.Now().Add(closeTimeout))
	_, _ = s.conn.Write([]byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8}) // A close frame, 1000.
	_, _ = io.Copy(io.Discard, s.in)
	s.close()
}

// Beat sends a heartbeat and does not wait for its answer.
func (s *Session) Beat() error { return s.send(`{"op":1,"d":null}`) }

// AskForAll waits until it has the guild, asks for all members of a guild and says how many came.
func (s *Session) AskForAll(guild wire.Snowflake) (members int, err error) {
	if _, err := s.Await("GUILD_CREATE"); err != nil {
		return 0, err
	}
	_ = s.send(fmt.Sprintf(`{"op":8,"d":{"guild_id":"%d","query":"","limit":0}}`, guild))
	for {
		d, err := s.Await("GUILD_MEMBERS_CHUNK")
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

// Await reads up to the next dispatch of a name and returns its d.
func (s *Session) Await(name string) ([]byte, error) {
	for {
		message, err := s.read()
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
				_ = s.send(fmt.Sprintf(`{"op":1,"d":%d}`, seq))
			}
		}
	}
}

// Next reads the next dispatch, for as long as wait. A request to reconnect is an error.
func (s *Session) Next(wait time.Duration) (name string, d []byte, err error) {
	for {
		_ = s.conn.SetDeadline(time.Now().Add(wait))
		message, err := s.read()
		if err != nil {
			return "", nil, err
		}
		switch op, _ := wire.IntField(message, "op"); op {
		case 0:
			if seq, _ := wire.IntField(message, "s"); seq%100 == 0 {
				_ = s.send(fmt.Sprintf(`{"op":1,"d":%d}`, seq))
			}
			name, _ = wire.StringField(message, "t")
			d, _ = wire.Field(message, "d")
			return name, d, nil
		case 7, 9:
			return "", nil, fmt.Errorf("sent away: %s", message)
		}
	}
}

// read reads one message; the server's are never in fragments.
func (s *Session) read() ([]byte, error) {
	head, err := s.in.Peek(2)
	if err != nil {
		return nil, err
	}
	opcode, length, bytesRead := head[0]&15, uint64(head[1]&127), 2
	if wide := map[uint64]int{126: 2, 127: 8}[length]; wide > 0 {
		if head, err = s.in.Peek(2 + wide); err != nil {
			return nil, err
		}
		length = binary.BigEndian.Uint64(append(make([]byte, 8-wide), head[2:]...))
		bytesRead += wide
	}
	_, _ = s.in.Discard(bytesRead)
	s.message = append(s.message[:0], make([]byte, length)...)
	if _, err := io.ReadFull(s.in, s.message); err != nil {
		return nil, err
	}
	if opcode == 8 {
		return nil, fmt.Errorf("closed: %q", bytes.TrimSpace(s.message))
	}
	return s.message, nil
}

// send writes one text message, masked with zeros.
func (s *Session) send(text string) error {
	if !json.Valid([]byte(text)) {
		panic(text)
	}
	frame := []byte{0x81, 0x80 | byte(len(text))}
	if len(text) > 125 {
		frame = []byte{0x81, 0x80 | 126, byte(len(text) >> 8), byte(len(text))}
	}
	_, err := s.conn.Write(append(append(frame, 0, 0, 0, 0), text...))
	return err
}
