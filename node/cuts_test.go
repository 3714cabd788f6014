package node

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"throng/wire"
)

// TestThousandCuts ends connections in every way at random moments while events are published, and
// holds that each session gets every event exactly once, in order, with numbers without gaps. The
// simulation is the long form: it cuts connections of as many nodes as it has seeds.
func TestThousandCuts(t *testing.T) {
	computes(t)
	const clients, cuts = 8, 125
	r := startRig(t, Config{Loops: 3})
	var members []wire.Snowflake
	for user := range wire.Snowflake(clients) {
		r.user(user+1, true)
		members = append(members, user+1)
	}
	r.guild(100, members...)

	var all sync.WaitGroup
	var seen [clients]atomic.Int64
	faults := make(chan error, clients)
	cutters := make([]*cutter, clients)
	for i := range clients {
		c := r.login(members[i])
		c.joined(1)
		cutters[i] = &cutter{random: rand.New(rand.NewPCG(uint64(i), 20)), seen: &seen[i], c: c}
	}

	// The publisher stays at most so many events ahead of the slowest reader.
	const ahead = 200
	var over atomic.Bool
	published := make(chan int)
	go func() {
		n := 0
		for ; !over.Load(); n++ {
			for i := range seen {
				for seen[i].Load() < int64(n-ahead) && !over.Load() {
					runtime.Gosched()
				}
			}
			r.publish(100, n+1)
		}
		published <- n
	}()
	for i := range clients {
		all.Go(func() {
			for range cuts {
				if err := cutters[i].round(); err != nil {
					faults <- fmt.Errorf("client %d: %w", i, err)
					break
				}
			}
			seen[i].Store(1 << 40) // Nobody waits for it any more.
		})
	}
	all.Wait()
	over.Store(true)
	total := <-published
	close(faults)
	for err := range faults {
		t.Error(err)
	}
	if t.Failed() {
		return
	}
	wantAll(t, cutters, total)
	if got := r.core.resumes.ok.Load(); got < clients*cuts {
		t.Errorf("%d resumes, want %d", got, clients*cuts)
	}
}

// wantAll has each of the cutters read on to the last event, and holds that it has looked at every
// one, and that all of them were not few: a round reads some 20 things, most of them events.
func wantAll(t *testing.T, cutters []*cutter, events int) {
	t.Helper()
	const checkedMin = 10_000
	checked := 0
	for i, u := range cutters {
		for u.c.number < int64(events) {
			err := u.readSome(1, "")
			if err == errSuperseded {
				err = u.resume()
			}
			if err != nil {
				t.Fatalf("client %d: %v", i, err)
			}
		}
		if u.checked != events {
			t.Errorf("client %d has looked at %d events, want %d", i, u.checked, events)
		}
		checked += u.checked
	}
	t.Logf("%d events, %d deliveries checked", events, checked)
	if checked < checkedMin {
		t.Errorf("%d deliveries were checked, want %d at least", checked, checkedMin)
	}
}

var errSuperseded = errors.New("the session was resumed by an earlier RESUME")

// cutter is one session that is cut and resumed.
type cutter struct {
	random  *rand.Rand
	seen    *atomic.Int64
	c       *wsClient
	checked int // events whose number was the next
}

// round reads for a while, loses the connection in some way and resumes.
func (u *cutter) round() error {
	if err := u.readSome(u.random.IntN(40), ""); err != nil && err != errSuperseded {
		return err
	}
	if u.random.IntN(3) == 0 { // Acknowledge, so that the ring is pruned at times.
		_ = u.c.tryWrite(u.c.command(1, fmt.Sprint(u.c.seq)))
	}
	old := u.c
	steal := false
	switch u.random.IntN(7) {
	case 0: // With a reset, and what was read by nobody is lost.
		_ = old.conn.(*net.TCPConn).SetLinger(0)
	case 1: // In the middle of a frame of the client.
		_ = old.tryWrite(old.command(1, "null")[:u.random.IntN(8)])
	case 2:
		_ = old.tryWrite(closeFrame([]int{4000, 4200, 4901, 1012}[u.random.IntN(4)]))
	case 3: // In the middle of a frame of the server.
		_, _ = old.in.Discard(u.random.IntN(64))
	case 4:
		steal = true
	case 5: // After the server has closed.
		_ = old.tryWrite(frame(wire.OpcodeText, `{"op":77}`))
	}
	if !steal {
		old.conn.Close()
	}
	defer old.conn.Close()
	return u.resume()
}

// resume connects until a RESUME is answered.
func (u *cutter) resume() error {
	for {
		next, err := u.again()
		if err != nil {
			return err
		}
		if u.random.IntN(8) == 0 { // Gone again before the answer.
			next.conn.Close()
			continue
		}
		u.c = next
		// A RESUME of before that was on its way between two loops may arrive after this one. Its
		// client is gone, but it was the last.
		if err := u.readSome(1<<30, "RESUMED"); err != errSuperseded {
			return err
		}
		next.conn.Close()
	}
}

// again connects and sends RESUME, at times with a heartbeat behind it.
func (u *cutter) again() (*wsClient, error) {
	next, err := u.c.rig.tryConnect(0)
	if err != nil {
		return nil, err
	}
	if err := next.tryUpgrade("/"); err != nil {
		return nil, err
	}
	c := u.c
	next.user, next.session, next.seq, next.number = c.user, c.session, c.seq, c.number
	b := next.command(6, next.resumeBody())
	if u.random.IntN(2) == 0 {
		b = append(b, next.command(1, fmt.Sprint(next.seq))...)
	}
	return next, next.tryWrite(b)
}

// readSome reads so many things, or until an event of that name.
func (u *cutter) readSome(most int, until string) error {
	for range most {
		h, err := u.c.read()
		if err != nil {
			return err
		}
		switch {
		case h.opcode == wire.OpcodeClose && strings.Contains(h.reason, "on another connection"):
			return errSuperseded
		case h.opcode == wire.OpcodeClose:
			return fmt.Errorf("got %v", h)
		case h.Op == int(wire.OpInvalidSession):
			return fmt.Errorf("the session is gone at %d", u.c.seq)
		case h.Type == "TEST_EVENT":
			n, _ := wire.IntField(h.Data, "n")
			if n != u.c.number+1 {
				return fmt.Errorf("event %d came after %d", n, u.c.number)
			}
			u.c.number = n
			u.checked++
			u.seen.Store(n)
		case h.Type == until && until != "":
			return nil
		}
	}
	return nil
}
