package node

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"throng/tuning"
)

// legacyFormat is the form of what one process leaves to the next. It grows with every change of
// what is written here, of fanout's forms of a guild and of a relay, and of store's of an outbox:
// a process that has another one is not taken over from.
const legacyFormat = 2

// legacyPart is what a part of it is.
type legacyPart uint8

const (
	legacyShape     legacyPart = iota // what both must have alike
	legacyNode                        // clocks, and media servers
	legacyJournal                     // one of a loop's
	legacySlots                       // slots of a loop's outbox
	legacySessions                    // sessions of a loop
	legacyRelay                       // a guild's receivers on a loop
	legacyUsers                       // of a directory in memory, as the next three
	legacyTokens                      //
	legacyDocument                    // of a guild
	legacyMembers                     // of a guild
	legacyDirectory                   // the directory is whoever reads this one's
	legacyGuild                       // a part of a guild, see fanout.Carry
	legacyEnd                         // there is no more
	legacyServe                       // whoever reads this serves from now on

	// What the new process says.
	legacyPrepared // it waits for what it is left
	legacyTaken    // it has everything

	// What the old one may still say when the other serves.
	legacyDrain // it was told to end

	legacyParts
)

// legacyPipe is the connection between the two processes.
type legacyPipe struct {
	conn net.Conn
	in   *bufio.Reader
	out  *bufio.Writer
	part []byte // scratch
}

func newLegacyPipe(conn net.Conn) *legacyPipe {
	return &legacyPipe{conn: conn, in: bufio.NewReaderSize(conn, tuning.TakeoverPartBytes),
		out: bufio.NewWriterSize(conn, tuning.TakeoverPartBytes)}
}

const legacyHeadBytes = 9

// send sends a part. It may stay in the buffer until say is called.
func (p *legacyPipe) send(kind legacyPart, part []byte) error {
	var head [legacyHeadBytes]byte
	head[0] = byte(kind)
	binary.LittleEndian.PutUint64(head[1:], uint64(len(part)))
	if _, err := p.out.Write(head[:]); err != nil {
		return err
	}
	_, err := p.out.Write(part)
	return err
}

// say sends a part now.
func (p *legacyPipe) say(kind legacyPart, part []byte) error {
	if err := p.send(kind, part); err != nil {
		return err
	}
	return p.out.Flush()
}

var errLegacy = errors.New("what the other process says is malformed")

// next receives a part, which is good until the next one.
func (p *legacyPipe) next() (kind legacyPart, part []byte, err error) {
	var head [legacyHeadBytes]byte
	if _, err := io.ReadFull(p.in, head[:]); err != nil {
		return 0, nil, err
	}
	kind, size := legacyPart(head[0]), binary.LittleEndian.Uint64(head[1:])
	if kind >= legacyParts || size > tuning.TakeoverPartBytesMax {
		return 0, nil, errLegacy
	}
	if uint64(cap(p.part)) < size {
		p.part = make([]byte, size)
	}
	p.part = p.part[:size]
	_, err = io.ReadFull(p.in, p.part)
	return kind, p.part, err
}

// await receives a part that has to be this one.
func (p *legacyPipe) await(want legacyPart, patience time.Duration) ([]byte, error) {
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	kind, part, err := p.next()
	if err == nil && kind != want {
		err = fmt.Errorf("%w: part %d in place of %d", errLegacy, kind, want)
	}
	return part, err
}
