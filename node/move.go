package node

import (
	"context"
	"errors"
	"net"
	"os"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// Moving a socket to another loop, for a RESUME; see resume.go.
//
// The descriptor is duplicated at once, while it is certainly ours, and gnet closes the original. A
// moving connection is counted like any other, and holds one descriptor like any other: who would
// send the node RESUMEs for other loops' sessions could otherwise have it open more than it may,
// and the accept that then fails ends all loops. Enrolling takes two more for a moment, so only
// tuning.MoversMax do that at a time.

// move is a connection between two loops.
type move struct {
	fd     int
	conn   net.Conn // In its place, if it has been one of Go's.
	to     *driver
	socket *movedSocket
}

// Move duplicates the descriptor and lines it up for the other loop.
func (x *connection) Move(to *loop, m *movedSocket) {
	e := x.driver.engine
	fd, err := x.conn.Dup()
	x.moved = true
	e.core.connections.Add(1) // The original is counted until it is closed.
	if err != nil {
		e.core.log.Warn("resume: the descriptor cannot be duplicated", "error", err)
		e.strand(m)
		return
	}
	moving := move{fd: fd, to: e.drivers[to.index], socket: m}
	if len(m.far) > 0 {
		go e.away(moving)
		return
	}
	e.lineUp(moving)
}

// lineUp has a connection enrolled, unless too many wait for that.
func (e *engine) lineUp(m move) {
	select {
	case e.moves <- m:
	default:
		if m.conn != nil {
			_ = m.conn.Close()
		} else {
			_ = unix.Close(m.fd)
		}
		e.strand(m.socket)
	}
}

// away has a connection carried to the node of the session that it wants, or gives it to the loop
// when that is not to be.
func (e *engine) away(m move) {
	conn, err := m.take()
	if err != nil {
		e.core.tunnels.release()
		e.strand(m.socket)
		return
	}
	m.conn = conn
	if e.core.tunnels.carry(conn, m.socket) {
		e.core.connections.Add(-1)
		return
	}
	e.lineUp(m)
}

// take makes the descriptor a connection of Go's.
func (m *move) take() (net.Conn, error) {
	if m.conn != nil {
		return m.conn, nil
	}
	f := os.NewFile(uintptr(m.fd), "moved")
	defer f.Close()
	return net.FileConn(f)
}

// move enrols one connection after the other.
func (e *engine) move(ended <-chan struct{}) {
	for {
		select {
		case m := <-e.moves:
			if err := e.enrol(m, ended); err != nil {
				e.core.log.Debug("resume: the connection cannot change its loop", "error", err)
				e.strand(m.socket)
			}
		case <-ended:
			return
		}
	}
}

// strand gives up a connection that has not arrived. Its descriptor is closed.
func (e *engine) strand(m *movedSocket) {
	e.core.connections.Add(-1)
	e.core.closes[ConnectionLost].Add(1)
	e.core.dropStream(m.stream)
}

var (
	errPeerGone   = errors.New("the peer has gone")
	errNoSockets  = errors.New("the loop has no sockets yet")
	errNotArrived = errors.New("the loop did not take it")
)

// enrol gives a connection to its new loop and waits until it is there.
func (e *engine) enrol(m move, ended <-chan struct{}) error {
	conn, err := m.take()
	if err != nil {
		return err
	}
	l := m.to.events.Load()
	switch {
	case conn.RemoteAddr() == nil:
		// NB: gnet would ask a peer that has reset for its address, panic, and keep the descriptor.
		err = errPeerGone
	case l == nil:
		err = errNoSockets
	}
	if err != nil {
		_ = conn.Close()
		return err
	}
	ctx := gnet.NewContext(context.Background(), m.socket)
	arrived, err := (*l).Enroll(ctx, conn)
	if err != nil {
		_ = conn.Close()
		return err
	}
	select {
	case r := <-arrived:
		if r.Err == nil && !m.socket.arrived {
			r.Err = errNotArrived
		}
		return r.Err
	case <-ended:
		return nil
	}
}
