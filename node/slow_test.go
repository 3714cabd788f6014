package node

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"throng/tuning"
	"throng/wire"
)

// slowRig has user 1, who reads, and user 2, whose client and kernel take little before they take
// nothing.
func slowRig(t *testing.T, cfg Config, tweaks ...func(*core)) (r *rig, reader, slow *wsClient) {
	t.Helper()
	cfg.SocketSendBuffer = 4 << 10
	r = startRig(t, cfg, tweaks...)
	r.user(1, true)
	r.user(2, true)
	r.guild(100, 1, 2)
	reader = r.login(1)
	reader.joined(1)
	slow, err := r.tryConnect(2 << 10)
	if err != nil {
		t.Fatal(err)
	}
	slow.upgrade("/")
	slow.wantOp(wire.OpHello)
	slow.identify(2, "")
	slow.joined(1)
	return r, reader, slow
}

// tail reads what is left of a connection that was cut off: whole frames, then the close frame or
// the beginning of another frame, which must be what the server meant it to be.
func (c *wsClient) tail(filler byte) (last *heard) {
	c.t.Helper()
	for {
		h, err := c.read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			c.t.Fatalf("the stream is broken: %v", err)
		case h.opcode == wire.OpcodeClose:
			c.wantEnd()
			return h
		}
		if h.Type == "TEST_EVENT" {
			big, _ := wire.StringField(h.Data, "big")
			if len(bytes.Trim([]byte(big), string(filler))) != 0 {
				c.t.Fatalf("the stream is broken in %.100q", big)
			}
			c.number++
			if n, _ := wire.IntField(h.Data, "n"); n != c.number {
				c.t.Fatalf("event %d, want %d", n, c.number)
			}
		}
	}
}

// TestFrozenReceiverDoesNotDelayOthers freezes one reader under events of several sizes. It is
// closed, and has missed nothing when it comes back. How long that takes is TestLagIsCounted's.
func TestFrozenReceiverDoesNotDelayOthers(t *testing.T) {
	const lag = 500
	for _, size := range []int{200, 1000, 20_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			r, reader, slow := slowRig(t, Config{}, func(c *core) { c.limits.lagMilli = lag })
			count := 400_000 / size
			filler := repeat("x", size)
			for n := range count {
				r.publishEvent(100, namedEvent("TEST_EVENT",
					fmt.Sprintf(`{"n":%d,"big":"%s"}`, n+1, filler)))
				reader.wantNumber(n + 1)
			}
			until(t, "it is closed", func() bool { return r.closes(SlowReader) == 1 })
			if h := slow.tail('x'); h != nil && h.code != wire.CloseUnknown {
				t.Errorf("it was closed with %v", h)
			}
			next := slow.again()
			next.number = slow.number
			for int(next.number) < count {
				h := next.wantEvent("TEST_EVENT")
				next.number++
				if n, _ := wire.IntField(h.Data, "n"); n != next.number {
					t.Fatalf("after the resume: event %d, want %d", n, next.number)
				}
			}
			next.wantEvent("RESUMED")
			r.publish(100, 7)
			next.wantNumber(7)
		})
	}
}

// TestCloseOfAStuckSocketIsNotTakenForItsFrame closes readers that are stuck in the middle of a
// frame, for several reasons: what the server says then must not end up inside that frame.
func TestCloseOfAStuckSocketIsNotTakenForItsFrame(t *testing.T) {
	for _, size := range []int{60, 30_000} {
		for _, code := range []wire.CloseCode{wire.CloseUnknownOpcode, wire.CloseSessionTimedOut,
			wire.CloseUnknown} {
			t.Run(fmt.Sprintf("%d bytes, close %d", size, code), func(t *testing.T) {
				t.Parallel()
				closeMidFrame(t, size, code)
			})
		}
	}
}

func closeMidFrame(t *testing.T, size int, code wire.CloseCode) {
	r, reader, slow := slowRig(t, Config{}, func(c *core) {
		c.limits.lingerMilli, c.limits.lagMilli = 10_000, 3_600_000
	})
	for n, midFrame := 1, false; !midFrame; n++ {
		r.publishEvent(100, namedEvent("TEST_EVENT",
			fmt.Sprintf(`{"n":%d,"big":"%s"}`, n, repeat("y", size+n%97))))
		reader.wantNumber(n)
		betweenFrames := false
		r.eachSocket(func(l *loop, k *socket) {
			if s := k.session; s != nil && k.stuck != 0 {
				midFrame = l.out.Partial(s.slot)
				betweenFrames = !midFrame
			}
		})
		if betweenFrames {
			slow.wantOp(wire.OpDispatch) // The kernel may take a part next time.
		}
	}
	open := 1
	switch code {
	case wire.CloseUnknownOpcode:
		slow.write(frame(wire.OpcodeText, `{"op":77}`))
	case wire.CloseSessionTimedOut:
		if err := r.CloseSession(r.context(), slow.session); err != nil {
			t.Fatal(err)
		}
	default:
		slow.again().wantOp(wire.OpDispatch) // Takes the session away.
		open = 2
	}
	r.until("it is closing", func() bool {
		live := 0
		r.eachSocket(func(_ *loop, k *socket) {
			if k.state == socketLive {
				live++
			}
		})
		return live == open
	})
	told := slow.wholeStream(code)
	if small := size < r.core.limits.controlBytesMax-200; told != small {
		t.Errorf("the client was told: %v, want %v", told, small)
	}
	slow.conn.Close()
}

// wholeStream reads to the end and says whether the last frame was a close frame of that code. All
// before it, a frame that was begun and not ended too, must be the JSON that the server meant.
func (c *wsClient) wholeStream(code wire.CloseCode) (told bool) {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		var begun bytes.Buffer
		h, err := readServerFrame(bufio.NewReaderSize(io.TeeReader(oneByOne{c.in}, &begun), 16))
		if err != nil {
			b := begun.Bytes()
			if i := bytes.IndexFunc(b[min(len(b), 4):], notASCII); i >= 0 {
				c.t.Errorf("inside a frame of text is %x", b[4+i:])
			}
			return false
		}
		if h.opcode == wire.OpcodeClose {
			if h.code != code {
				c.t.Errorf("got %v, want %d", h, code)
			}
			return true
		}
		if bytes.ContainsFunc(h.raw, notASCII) || !json.Valid(h.raw) {
			c.t.Errorf("a frame is %q", h.raw)
		}
	}
}

func notASCII(r rune) bool { return r < ' ' || r > '~' }

// TestReaderThatFallsTooFarBehind is closed before the journal has come round, while it can still
// resume.
func TestReaderThatFallsTooFarBehind(t *testing.T) {
	t.Parallel()
	r, reader, slow := slowRig(t, Config{Journal: 1 << 20})
	n := 0
	for r.closes(SlowReader) == 0 {
		n++
		r.publishEvent(100, namedEvent("TEST_EVENT",
			fmt.Sprintf(`{"n":%d,"big":"%s"}`, n, repeat("z", 10_000))))
		reader.wantNumber(n)
		if n > 1000 {
			t.Fatal("the journal has come round often, and the reader is still there")
		}
	}
	slow.tail('z')
	next := slow.again()
	for next.number = slow.number; int(next.number) < n; {
		h := next.wantEvent("TEST_EVENT")
		next.number++
		if got, _ := wire.IntField(h.Data, "n"); got != next.number {
			t.Fatalf("event %d, want %d", got, next.number)
		}
	}
	next.wantEvent("RESUMED")
}

// narrowSink takes so many bytes, and more when the test says so.
type narrowSink struct {
	sink
	room, took int
}

func (s *narrowSink) Write(b []byte) (int, error) {
	n := min(len(b), s.room)
	s.room, s.took = s.room-n, s.took+n
	return n, nil
}

// TestNarrowReaderIsWaitedFor is row 3 of the matrix with time as the test's own: of one who takes
// 1 KB a second nine seconds' worth may wait. If it falls behind for good, not the time tells that
// but the journal, however much longer than LagTimeout it takes: it does take something.
func TestNarrowReaderIsWaitedFor(t *testing.T) {
	// One large frame alone takes longer than LagTimeout.
	const rate, burst, small, large = 1000, 40, 220, 40_000
	h := newHandLoop(t, func(s *settings) { s.journalBytes, s.deadMilli = 16<<20, 1e9 })
	io := &narrowSink{room: 1 << 20}
	k := h.opened(io)
	h.say(k, []byte(upgradeRequest("/")))
	h.say(k, frame(wire.OpcodeText, `{"op":2,"d":{"token":"t","intents":1}}`))
	if k.state != socketLive || h.core.limits.lagMilli != tuning.LagTimeout.Milliseconds() {
		t.Fatalf("state %d, and %d ms of patience", k.state, h.core.limits.lagMilli)
	}
	s := k.session
	send := func(size int) {
		h.sendPrivate(s.handle(h.loop), []*wire.Dispatch{
			wire.NewDispatch("TEST", []byte(`{"big":"`+repeat("n", size)+`"}`), nil)})
		h.pass()
	}
	second := func() {
		for range 4 {
			io.room = rate / 4
			h.elapse(250)
		}
	}
	io.room, io.took = 0, 0
	for range burst {
		send(small)
	}
	seconds := 0
	for ; k.state == socketLive && h.out.Unsent(s.slot) > 0; seconds++ {
		second()
	}
	if closed := h.core.closes[SlowReader].Load(); closed > 0 || seconds < 9 || io.took < 9*rate {
		t.Fatalf("%d closed after %d s, in which it took %d bytes; want none, for a backlog of "+
			"nine seconds", closed, seconds, io.took)
	}
	lag, end := 0, 0
	for seconds = 0; k.state == socketLive && seconds < 1000; seconds++ {
		lag, end = h.out.Lag(s.slot)
		send(large)
		second()
	}
	if got := h.core.closes[SlowReader].Load(); got != 1 || seconds < 31 ||
		lag < end/4*3-2*large || h.out.Lost(s.slot) {
		t.Errorf("%d closed after %d s, %d bytes behind of %d; its session is lost: %t", got,
			seconds, lag, end, h.out.Lost(s.slot))
	}
}

// TestAnswersToOneWhoDoesNotReadAreBounded: each heartbeat costs an acknowledgement, which waits
// for a client that reads none of them.
func TestAnswersToOneWhoDoesNotReadAreBounded(t *testing.T) {
	r, reader, slow := slowRig(t, Config{}, func(c *core) { c.limits.commandsMax = 60_000 })
	most := 0
	beats := bytes.Repeat(slow.command(1, "null"), 50)
	for r.closes(SlowReader) == 0 {
		if slow.tryWrite(beats) != nil {
			break
		}
		r.eachSocket(func(_ *loop, k *socket) { most = max(most, len(k.control)) })
	}
	r.until("it is closed", func() bool { return r.closes(SlowReader) == 1 })
	// Beyond the limit there may be what one read of the loop brings.
	if limit := r.core.limits.controlBytesMax + 64<<10; most > limit {
		t.Errorf("%d bytes of answers waited, at most %d may", most, limit)
	}
	r.publish(100, 1)
	reader.wantNumber(1)
	slow.conn.Close()
	next := slow.again()
	next.wantNumber(1)
	next.wantEvent("RESUMED")
}
