package load

import (
	"encoding/binary"
	"math/rand/v2"

	"throng/wire"
)

// What the run does to a loop's connections, from outside of the loop's goroutine.

// cut ends connections at once, without a word, and has them come back.
func (l *loop) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock()
	for i := range l.conns {
		c := &l.conns[i]
		if c.state != stateReady || c.has(flagImpaired) || rand.Float64() >= l.run.config.Cut {
			continue
		}
		l.drop(c)
		if l.run.config.CutIdentify {
			c.session, c.seq = "", 0
		}
		c.cutNano = now
		c.flags |= flagAway
		l.away++
		l.stats.Cuts++
		l.again = append(l.again, c.slot)
	}
}

// impair makes some of the connections frozen and some slow. REQUIRES: mu is held.
func (l *loop) impair() (frozen, slow int) {
	for i := range l.conns {
		c := &l.conns[i]
		share := fraction(l.id(c), saltImpair)
		if c.state != stateReady || share >= l.run.config.Frozen+l.run.config.Slow {
			continue
		}
		c.flags |= flagImpaired
		if err := l.poll.change(c, interestNone); err != nil {
			l.lost(c, errorName(err))
			continue
		}
		if share < l.run.config.Frozen {
			c.flags |= flagFrozen
			frozen++
			continue
		}
		slow++
		l.later(c, sipEvery, taskSip)
	}
	return frozen, slow
}

// farewell sends every connection a close frame.
func (l *loop) farewell() {
	l.mu.Lock()
	defer l.mu.Unlock()
	payload := binary.BigEndian.AppendUint16(nil, uint16(wire.CloseNormal))
	for i := range l.conns {
		c := &l.conns[i]
		if c.state < stateOpen || c.has(flagImpaired) {
			l.drop(c)
			continue
		}
		generation := c.generation
		l.send(c, wire.OpcodeClose, payload)
		if c.generation == generation {
			if c.state == stateReady {
				l.live--
			} else {
				l.opening--
			}
			c.state = stateEnding
		}
	}
}

// empty reports whether all connections are closed.
func (l *loop) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.conns {
		if l.conns[i].state != stateClosed {
			return false
		}
	}
	return true
}

// command sends a command on the connections from to to that are ready, and says on how many: text
// makes it for each, by its number. A loop of another protocol than Discord's sends nothing.
func (l *loop) command(from, to int, text func(connection int) string) (sent int) {
	d, speaks := l.dialect.(*discord)
	if !speaks {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.conns {
		c := &l.conns[i]
		if id := l.id(c); id < from || id >= to || c.state != stateReady {
			continue
		}
		d.command(l, c, []byte(text(l.id(c))))
		sent++
	}
	return sent
}
