package load

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"throng/wire"
)

// probe is a loop that nobody runs, with one connection that is one end of a pair of sockets: the
// test is the server, and says when what happens.
type probe struct {
	t    *testing.T
	l    *loop
	c    *conn
	peer int
	in   []byte
}

// newProbe has its connection past the upgrade.
func newProbe(t *testing.T, c Config) *probe {
	t.Helper()
	c.URL, c.Connections, c.Loops = "ws://127.0.0.1:1/", max(c.Connections, 1), 1
	r, err := newRun(t.Context(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &probe{t: t, l: r.loops[0]}
	p.c = &p.l.conns[0]
	t.Cleanup(func() { p.l.drop(p.c); p.l.poll.close() })
	p.connect()
	p.feed(p.reply())
	return p
}

// connect opens the connection up to the request.
func (p *probe) connect() {
	p.t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = unix.Close(pair[1]) })
	p.peer, p.in = pair[1], nil
	p.c.fd, p.c.state = int32(pair[0]), stateConnecting
	p.l.opening++
	if err := p.l.poll.add(p.c, interestWrite); err != nil {
		p.t.Fatal(err)
	}
	p.l.connected(p.c)
}

// reply is the server's answer to the upgrade that is waiting.
func (p *probe) reply() []byte {
	p.t.Helper()
	p.read()
	l := wire.Limits{HeaderBytes: 4096, Headers: 50, MessageBytes: 1 << 20, Fragments: 100}
	h, n, err := wire.ParseHandshake(p.in, l)
	if err != nil || n == 0 {
		p.t.Fatalf("the request is %q: %v", p.in, err)
	}
	p.in = p.in[n:]
	return wire.AppendHandshakeReply(nil, h.Key)
}

// feed lets the connection read.
func (p *probe) feed(b []byte) {
	p.t.Helper()
	if _, err := unix.Write(p.peer, b); err != nil {
		p.t.Fatal(err)
	}
	p.l.readable(p.c, len(p.l.buf))
}

// say feeds text messages.
func (p *probe) say(messages ...string) {
	p.t.Helper()
	var b []byte
	for _, m := range messages {
		b = wire.AppendFrame(b, wire.OpcodeText, []byte(m))
	}
	p.feed(b)
}

func (p *probe) read() {
	var b [16 << 10]byte
	for {
		n, err := unix.Read(p.peer, b[:])
		if n <= 0 || err != nil {
			return
		}
		p.in = append(p.in, b[:n]...)
	}
}

// heard is what the client has sent since the last time, close frames as "close".
func (p *probe) heard() []string {
	p.t.Helper()
	p.read()
	var all []string
	var parser wire.Parser
	l := wire.Limits{HeaderBytes: 4096, Headers: 50, MessageBytes: 1 << 20, Fragments: 100}
	for {
		m, n, err := parser.Next(p.in, l)
		if err != nil {
			p.t.Fatalf("the client sent %q: %v", p.in, err)
		}
		if n == 0 {
			return all
		}
		switch m.Opcode {
		case wire.OpcodeClose:
			all = append(all, "close")
		case wire.OpcodePong:
			all = append(all, "pong "+string(m.Payload))
		default:
			all = append(all, string(m.Payload))
		}
		p.in = p.in[n:]
	}
}

func (p *probe) wantHeard(want ...string) {
	p.t.Helper()
	if got := p.heard(); !slices.Equal(got, want) {
		p.t.Errorf("the client said\n%q, want\n%q", got, want)
	}
}

func (p *probe) wantState(want state) {
	p.t.Helper()
	if p.c.state != want {
		p.t.Errorf("state %d, want %d; closes %v", p.c.state, want, p.l.stats.Closes)
	}
}

// due runs the first timer of that task and returns how long it would have taken.
func (p *probe) due(what task) time.Duration {
	p.t.Helper()
	for i, timer := range p.l.timers {
		if timer.task == what && timer.generation == p.c.generation {
			p.l.timers = slices.Delete(p.l.timers, i, i+1)
			p.l.fire(p.c, what)
			return time.Duration(timer.at)
		}
	}
	p.t.Fatalf("no timer for %d", what)
	return 0
}

const (
	testHello = `{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250}}`
	testReady = `{"t":"READY","s":1,"op":0,"d":{"session_id":"abc","guilds":[{"id":"1"},` +
		`{"id":"2"}]}}`
	testAck = `{"op":11,"d":null}`
)

func testEvent(seq string) string {
	return `{"t":"MESSAGE_CREATE","s":` + seq + `,"op":0,"d":{"ts":1790000000123456789}}`
}

// login goes as far as READY and the two guilds.
func (p *probe) login() {
	p.t.Helper()
	p.say(testHello)
	p.heard()
	p.say(testReady, `{"t":"GUILD_CREATE","s":2,"op":0,"d":{}}`)
	p.wantState(stateOpen)
	p.say(`{"t":"GUILD_DELETE","s":3,"op":0,"d":{"unavailable":true}}`)
	p.wantState(stateReady)
}

func TestIdentify(t *testing.T) {
	p := newProbe(t, Config{Token: "t.{i}", Intents: wire.IntentGuilds, Shards: 2, Status: "idle"})
	p.wantHeard() // HELLO comes first.
	p.say(testHello)
	p.wantHeard(`{"op":2,"d":{"token":"t.0","intents":1,"shard":[0,2],"large_threshold":50,` +
		`"properties":{"os":"linux","browser":"throng load","device":"throng load"},` +
		`"presence":{"since":null,"activities":[],"afk":false,"status":"idle"}}}`)
}

func TestIdentifySaysCapabilities(t *testing.T) {
	p := newProbe(t, Config{Token: "t.{i}", Intents: wire.IntentGuilds, Capabilities: 1 << 14})
	p.say(testHello)
	p.wantHeard(`{"op":2,"d":{"token":"t.0","intents":1,"large_threshold":50,` +
		`"properties":{"os":"linux","browser":"throng load","device":"throng load"},` +
		`"capabilities":16384}}`)
}

func TestCommandGoesToThoseWhoAreReady(t *testing.T) {
	p := newProbe(t, Config{Connections: 4})
	say := func(i int) string { return fmt.Sprintf(`{"op":14,"d":%d}`, i) }
	if sent := p.l.command(0, 4, say); sent != 0 {
		t.Errorf("%d commands were sent before anybody was ready", sent)
	}
	p.login()
	p.heard()
	if sent := p.l.command(0, 4, say); sent != 1 {
		t.Errorf("%d commands were sent, want that of the one who is ready", sent)
	}
	p.wantHeard(`{"op":14,"d":0}`)
	if sent := p.l.command(1, 4, say); sent != 0 {
		t.Errorf("%d commands were sent on connections that are not ready", sent)
	}
	p.wantHeard()
}

func TestLogin(t *testing.T) {
	p := newProbe(t, Config{})
	p.login()
	p.wantHeard()
	s := p.l.stats
	if s.Ready != 1 || s.GuildCreates != 1 || s.Dispatches != 3 || s.Messages != 4 ||
		s.Connects != 1 || p.c.session != "abc" || p.l.live != 1 || p.l.opening != 0 {
		t.Errorf("got %+v, session %q, %d live", s.Counts, p.c.session, p.l.live)
	}
	if s.quantiles(measureAvailable).Count != 1 || s.quantiles(measureIdentify).Count != 1 {
		t.Error("not every time was taken")
	}
}

func TestHeartbeats(t *testing.T) {
	p := newProbe(t, Config{})
	p.login()
	if first := p.due(taskBeat); first < 0 || first > 41250*time.Millisecond+time.Minute {
		t.Errorf("the first is after %v", first)
	}
	p.wantHeard(`{"op":1,"d":3}`)
	p.say(testAck, `{"op":1,"d":null}`)
	p.wantHeard(`{"op":1,"d":3}`)
	p.say(testAck)
	if got := p.l.stats.quantiles(measureHeartbeat).Count; got != 2 {
		t.Errorf("%d acknowledgements timed, want 2", got)
	}
	// One that the server asked for may have no answer yet when the next is due.
	p.due(taskBeat)
	p.due(taskBeat)
	p.wantState(stateReady)
	// Without an answer for an interval the next one ends the connection.
	p.c.beatNano -= int64(time.Minute)
	p.due(taskBeat)
	p.wantState(stateClosed)
	if p.l.stats.Closes["no heartbeat ack"] != 1 {
		t.Errorf("closes %v", p.l.stats.Closes)
	}
}

func TestSequence(t *testing.T) {
	p := newProbe(t, Config{})
	p.login()
	p.say(testEvent("         4"), testEvent("5"), testEvent("8"), testEvent("8"), testEvent("6"),
		testEvent("9"))
	s := p.l.stats
	if s.SequenceGaps != 1 || s.SequenceMissing != 2 || s.Duplicates != 2 || p.c.seq != 9 {
		t.Errorf("%d gaps of %d, %d duplicates, at %d; want 1 of 2, 2, 9", s.SequenceGaps,
			s.SequenceMissing, s.Duplicates, p.c.seq)
	}
	if s.Delivered != 6 || s.quantiles(measureEvent).Count != 6 || p.l.deliveries.Load() != 6 {
		t.Errorf("%d delivered, want 6", s.Delivered)
	}
}

func TestCutAndResume(t *testing.T) {
	p := newProbe(t, Config{Cut: 1, Token: "x"})
	p.login()
	p.l.cut()
	p.wantState(stateClosed)
	if !slices.Equal(p.l.again, []uint32{0}) || p.l.away != 1 {
		t.Fatalf("again %v, away %d", p.l.again, p.l.away)
	}
	p.connect()
	p.feed(p.reply())
	p.say(testHello)
	p.wantHeard(`{"op":6,"d":{"token":"x","session_id":"abc","seq":3}}`)
	p.say(testEvent("4"), `{"t":"RESUMED","s":5,"op":0,"d":{}}`, testEvent("6"))
	p.wantState(stateReady)
	s := p.l.stats
	if s.SequenceGaps+s.Duplicates != 0 || s.Resumes["asked"] != 1 || s.Resumes["resumed"] != 1 ||
		s.Cuts != 1 || p.l.away != 0 || len(s.Closes) != 0 {
		t.Errorf("got %+v, %d away", s.Counts, p.l.away)
	}
	for m, want := range map[measure]uint64{measureReplayed: 1, measureEvent: 1, measureResume: 1,
		measureBack: 1} {
		if got := s.quantiles(m).Count; got != want {
			t.Errorf("measure %d: %d, want %d", m, got, want)
		}
	}
}

func TestInvalidSession(t *testing.T) {
	for _, resumable := range []string{"false", "true"} {
		p := newProbe(t, Config{Token: "x"})
		p.login()
		p.l.drop(p.c)
		p.connect()
		p.feed(p.reply())
		p.say(testHello)
		p.heard()
		start := time.Duration(p.l.clock())
		p.say(`{"op":9,"d":` + resumable + `}`)
		p.wantHeard() // It waits.
		// The clock has gone on a little since the start was read.
		if wait := p.due(taskLogin) - start; wait < time.Second {
			t.Errorf("it waits for %v", wait)
		}
		got := p.heard()
		want := map[string]string{"false": `{"op":2`, "true": `{"op":6`}[resumable]
		if len(got) != 1 || got[0][:7] != want {
			t.Errorf("resumable %s: %q", resumable, got)
		}
		if p.l.stats.Resumes["invalid"] != 1 {
			t.Errorf("resumes %v", p.l.stats.Resumes)
		}
	}
}

func TestReconnectIsObeyed(t *testing.T) {
	p := newProbe(t, Config{})
	p.login()
	p.say(`{"op":7,"d":null}`)
	p.wantState(stateClosed)
	if !slices.Equal(p.l.again, []uint32{0}) || p.c.session != "abc" ||
		p.l.stats.Closes["op 7"] != 1 {
		t.Errorf("again %v, session %q, closes %v", p.l.again, p.c.session, p.l.stats.Closes)
	}
}

func TestCloses(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		frame        []byte
		gone, keeps  bool
	}{
		{"resumable", "4000", wire.AppendClose(nil, 4000, "x"), false, true},
		{"the session is over", "4009", wire.AppendClose(nil, 4009, ""), false, false},
		{"for good", "4004", wire.AppendClose(nil, 4004, ""), true, false},
		{"no code", "1005", wire.AppendFrame(nil, wire.OpcodeClose, nil), false, true},
		{"masked", "protocol", []byte{0x81, 0x80, 0, 0, 0, 0}, false, true},
		{"reserved bits", "protocol", []byte{0xc1, 0}, false, true},
		{"reserved opcode", "protocol", []byte{0x83, 0}, false, true},
		{"too long", "frame too long", []byte{0x81, 127, 1, 0, 0, 0, 0, 0, 0, 0}, false, true},
		{"not a payload", "not a gateway payload", []byte{0x81, 2, '[', ']'}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProbe(t, Config{})
			p.login()
			p.feed(c.frame)
			p.wantState(stateClosed)
			if p.l.stats.Closes[c.reason] != 1 || p.c.has(flagGone) != c.gone ||
				(p.c.session != "") != c.keeps || p.l.live != 0 {
				t.Errorf("closes %v, flags %b, session %q, %d live", p.l.stats.Closes, p.c.flags,
					p.c.session, p.l.live)
			}
			if c.gone != (p.l.gone == 1) {
				t.Errorf("%d gone", p.l.gone)
			}
		})
	}
}

// TestPieces holds that it does not matter how a stream of frames is cut.
func TestPieces(t *testing.T) {
	for _, c := range []struct{ size, guild int }{
		{1, 10}, {2, 500}, {3, 500}, {7, 500}, {1000, 70_000}, {65_537, 70_000}, {1 << 20, 70_000},
	} {
		stream := testStream(c.guild)
		p := newProbe(t, Config{})
		for piece := range slices.Chunk(stream, c.size) {
			p.feed(piece)
		}
		p.wantState(stateReady)
		s := p.l.stats
		if s.Dispatches != 5 || s.Delivered != 2 || s.SequenceGaps != 0 || len(p.c.rest) != 0 {
			t.Errorf("pieces of %d: %+v, %d bytes kept", c.size, s.Counts, len(p.c.rest))
		}
		got := p.heard()
		if len(got) != 3 || got[1] != "pong p" || got[2] != "pong " {
			t.Errorf("pieces of %d: the client said %q", c.size, got)
		}
	}
}

// testStream is a login with a guild of some bytes, an event, a ping, and an event in two fragments
// with a ping between them.
func testStream(guildBytes int) []byte {
	var stream []byte
	guild := `{"t":"GUILD_CREATE","s":3,"op":0,"d":{"x":"` + strings.Repeat("y", guildBytes) + `"}}`
	for _, m := range []string{testHello, testReady, `{"t":"GUILD_CREATE","s":2,"op":0,"d":{}}`,
		guild, testEvent("4")} {
		stream = wire.AppendFrame(stream, wire.OpcodeText, []byte(m))
	}
	stream = wire.AppendFrame(stream, wire.OpcodePing, []byte("p"))
	event := testEvent("5")
	stream = append(stream, 0x01, 10)
	stream = append(append(stream, event[:10]...), 0x89, 0, 0x80, byte(len(event)-10))
	return append(stream, event[10:]...)
}

// TestLongFrame holds that a frame longer than a read is read.
func TestLongFrame(t *testing.T) {
	p := newProbe(t, Config{})
	p.login()
	body := slices.Repeat([]byte("z"), 3*readBytes)
	frame := wire.AppendFrame(nil, wire.OpcodeText,
		[]byte(`{"t":"GUILD_UPDATE","s":4,"op":0,"d":{"z":"`+string(body)+`"}}`))
	for piece := range slices.Chunk(frame, 60_000) {
		p.feed(piece)
	}
	if p.c.seq != 4 || len(p.c.rest) != 0 {
		t.Errorf("seq %d, %d bytes kept, closes %v", p.c.seq, len(p.c.rest), p.l.stats.Closes)
	}
}

func TestRefusedUpgrades(t *testing.T) {
	for _, c := range []struct{ name, reply, reason string }{
		{"full", "HTTP/1.1 503 Service Unavailable\r\n\r\n", "http 503"},
		{"another key", "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n",
			"http 101 without our key"},
		{"not HTTP", "SSH\r\n\r\n", "http "},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProbe(t, Config{})
			p.l.drop(p.c)
			p.connect()
			p.feed([]byte(c.reply))
			p.wantState(stateClosed)
			if p.l.stats.Closes[c.reason] != 1 || p.l.stats.ConnectFailures != 1 {
				t.Errorf("got %+v, want %q", p.l.stats.Counts, c.reason)
			}
			p.due(taskDial)
			if !slices.Equal(p.l.again, []uint32{0}) {
				t.Error("it does not try again")
			}
		})
	}
}

// TestGivesUp holds that a connection which never becomes ready is given up after some attempts.
func TestGivesUp(t *testing.T) {
	p := newProbe(t, Config{})
	for range attemptsMax {
		p.l.lost(p.c, "x")
		p.due(taskDial)
		p.connect()
	}
	p.l.lost(p.c, "x")
	if p.l.gone != 1 || !p.c.has(flagGone) || p.l.opening != 0 {
		t.Errorf("%d gone, %d opening", p.l.gone, p.l.opening)
	}
}

// TestImpaired holds that what frozen and slow readers get is not taken as delivered.
func TestImpaired(t *testing.T) {
	for _, c := range []Config{{Frozen: 1}, {Slow: 1, SlowRate: 50}} {
		p := newProbe(t, c)
		p.login()
		frozen, slow := p.l.impair()
		if frozen+slow != 1 || frozen != int(c.Frozen) {
			t.Fatalf("%d frozen, %d slow", frozen, slow)
		}
		if slow == 0 {
			continue
		}
		event := wire.AppendFrame(nil, wire.OpcodeText, []byte(testEvent("4")))
		if _, err := unix.Write(p.peer, event); err != nil {
			t.Fatal(err)
		}
		sips := 0
		for ; p.c.seq < 4 && sips < 1000; sips++ {
			p.due(taskSip)
		}
		if want := (len(event) + 4) / 5; sips != want {
			t.Errorf("%d sips of 5 bytes, want %d", sips, want)
		}
		if p.l.stats.Delivered != 0 || p.l.stats.Dispatches != 4 {
			t.Errorf("got %+v", p.l.stats.Counts)
		}
	}
}

// TestMemory holds the size of a connection: a million have to fit beside the server.
func TestMemory(t *testing.T) {
	var c conn
	if got := unsafe.Sizeof(c); got > 128 {
		t.Errorf("a connection is %d bytes", got)
	}
}
