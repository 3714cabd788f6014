package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"throng/wire"
)

// socket is a WebSocket of a publisher: one that waits, with a goroutine that reads. There are as
// few of them as there are publishers.
type socket struct {
	// Static after construction.
	conn   net.Conn
	in     *bufio.Reader
	handle func(payload []byte) (answer []byte, acks int, err error)

	acks   chan int
	failed chan error // Holds one, the first.

	mu  sync.Mutex
	out []byte // Guarded by mu.
}

// socketTimeout is for a server that stopped reading or answering.
const socketTimeout = 30 * time.Second

// dialSocket connects. Handle sees every message and says what is to be answered, and how many
// acknowledgements are in it.
func dialSocket(r *run, handle func([]byte) ([]byte, int, error)) (*socket, error) {
	dialer := net.Dialer{Timeout: socketTimeout}
	conn, err := dialer.DialContext(r.ctx, "tcp", r.targets[0].String())
	if err != nil {
		return nil, fmt.Errorf("publisher: %w", err)
	}
	s := &socket{conn: conn, in: bufio.NewReader(conn), handle: handle,
		acks: make(chan int, 1024), failed: make(chan error, 1)}
	_ = conn.SetDeadline(time.Now().Add(socketTimeout))
	if _, err = conn.Write(r.request); err == nil {
		err = s.upgraded(r.accept)
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("publisher: upgrade: %w", err)
	}
	_ = conn.SetDeadline(time.Time{})
	go s.read()
	return s, nil
}

func (s *socket) upgraded(accept []byte) error {
	var head []byte
	for !bytes.HasSuffix(head, headEnd) {
		line, err := s.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if head = append(head, line...); len(head) > headBytesMax {
			return errors.New("head too long")
		}
	}
	if !bytes.HasPrefix(head, headSwitched) || !bytes.Contains(head, accept) {
		return fmt.Errorf("refused: %.80q", head)
	}
	return nil
}

// read is the socket's goroutine. It ends with the connection.
func (s *socket) read() {
	var message []byte
	for {
		opcode, final, payload, err := s.frame()
		switch {
		case err != nil:
		case opcode == wire.OpcodePing:
			err = s.send(wire.OpcodePong, payload)
		case opcode == wire.OpcodeClose:
			err = fmt.Errorf("closed by the server: %q", payload)
		case !opcode.Control():
			if message = append(message, payload...); !final {
				break
			}
			err = s.take(message)
			message = message[:0]
		}
		if err != nil {
			s.failed <- err
			close(s.acks)
			return
		}
	}
}

func (s *socket) take(message []byte) error {
	reply, acks, err := s.handle(message)
	if err == nil && len(reply) > 0 {
		// NATS wants binary frames and takes text, the others want text.
		err = s.send(wire.OpcodeText, reply)
	}
	if acks > 0 {
		s.acks <- acks
	}
	return err
}

func (s *socket) frame() (opcode wire.Opcode, final bool, payload []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(s.in, head[:]); err != nil {
		return 0, false, nil, err
	}
	size := uint64(head[1] & 0x7f)
	if size >= 126 {
		width := 2 << (2 * (size - 126)) // 2 or 8.
		var long [8]byte
		if _, err = io.ReadFull(s.in, long[8-width:]); err != nil {
			return 0, false, nil, err
		}
		size = binary.BigEndian.Uint64(long[:])
	}
	if size > readBytesMax || head[1]&0x80 != 0 {
		return 0, false, nil, errors.New("not a server's frame")
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(s.in, payload)
	return wire.Opcode(head[0] & 0x0f), head[0]&0x80 != 0, payload, err
}

// send writes one frame.
func (s *socket) send(opcode wire.Opcode, payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var key [4]byte
	binary.LittleEndian.PutUint32(key[:], rand.Uint32())
	s.out = wire.AppendMaskedFrame(s.out[:0], opcode, payload, key)
	_ = s.conn.SetWriteDeadline(time.Now().Add(socketTimeout))
	_, err := s.conn.Write(s.out)
	return err
}

// await waits for acknowledgements.
func (s *socket) await(ctx context.Context, count int) error {
	timeout := time.NewTimer(socketTimeout)
	defer timeout.Stop()
	for count > 0 {
		select {
		case n, ok := <-s.acks:
			if !ok {
				return s.fault()
			}
			count -= n
		case <-timeout.C:
			return errors.New("publisher: no answer")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// fault is why reading has ended.
func (s *socket) fault() error {
	select {
	case err := <-s.failed:
		s.failed <- err
		return fmt.Errorf("publisher: %w", err)
	default:
		return errors.New("publisher: connection lost")
	}
}

func (s *socket) close() { _ = s.conn.Close() }
