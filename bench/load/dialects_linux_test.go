package load

import (
	"strings"
	"testing"
	"time"

	"throng/wire"
)

// The talk of each target, word by word.

func TestWS(t *testing.T) {
	p := newProbe(t, Config{Target: TargetWS, Send: []string{`{"join":"{room}","me":{i}}`, "b"},
		Beat: "beat {i}", Heartbeat: time.Minute, Count: `"msg"`})
	p.wantHeard(`{"join":"room-0","me":0}`, "b")
	p.wantState(stateReady)
	p.say(`{"msg":1,"ts":1790000000123456789}`, `{"msg":2}`, `{"ts":1790000000123456789}`)
	if s := p.l.stats; s.Messages != 3 || s.Dispatches != 2 || s.Delivered != 1 || s.Ready != 1 {
		t.Errorf("got %+v", s.Counts)
	}
	p.due(taskBeat)
	p.due(taskBeat)
	p.wantHeard("beat 0", "beat 0")
}

func TestWSWaitsForTheServer(t *testing.T) {
	p := newProbe(t, Config{Target: TargetWS, Send: []string{"a"}, SendAfter: true})
	p.wantHeard()
	p.say("welcome")
	p.wantHeard("a")
	p.wantState(stateReady)
}

func TestNATS(t *testing.T) {
	p := newProbe(t, Config{Target: TargetNATS, Guilds: 2, Room: "chat.{g}"})
	p.wantHeard()
	hello := strings.Replace(natsConnect, "\r\n", "", 1)
	// One stream, whatever frames it comes in.
	stream := "INFO {\"a\":1}\r\n" + "PING\r\nPONG\r\n" +
		"MSG chat.0 1 29\r\n{\"ts\":1790000000123456789,\r\n}\r\n" +
		"MSG chat.1 2 reply 27\r\n{\"ts\":1790000000123456789} \r\n" + "MSG chat.0 1 0\r\n\r\n"
	for _, size := range []int{len(stream), 1, 5, 40} {
		p.l.drop(p.c)
		p.connect()
		p.feed(p.reply())
		p.l.stats = &stats{}
		for begin := 0; begin < len(stream); begin += size {
			p.feed(wire.AppendFrame(nil, wire.OpcodeBinary,
				[]byte(stream[begin:min(begin+size, len(stream))])))
		}
		p.wantHeard(hello+"\r\nSUB chat.0 1\r\nSUB chat.1 2\r\nPING\r\n", "PONG\r\n")
		p.wantState(stateReady)
		if s := p.l.stats; s.Dispatches != 3 || s.Delivered != 2 || s.Ready != 1 {
			t.Errorf("frames of %d: %+v", size, s.Counts)
		}
	}
	p.feed(wire.AppendFrame(nil, wire.OpcodeBinary, []byte("-ERR 'Slow Consumer'\r\n")))
	p.wantState(stateClosed)
	if p.l.stats.Closes["-ERR 'Slow Consumer'"] != 1 {
		t.Errorf("closes %v", p.l.stats.Closes)
	}
}

func TestCentrifuge(t *testing.T) {
	p := newProbe(t, Config{Target: TargetCentrifuge, Guilds: 2, Token: "t{i}"})
	p.wantHeard(`{"id":1,"connect":{"token":"t0"}}`)
	p.say(`{"id":1,"connect":{"client":"x","ping":25,"pong":true}}`)
	p.wantHeard(`{"id":2,"subscribe":{"channel":"room-0"}}` + "\n" +
		`{"id":3,"subscribe":{"channel":"room-1"}}`)
	p.say(`{"id":2,"subscribe":{}}`)
	p.wantState(stateOpen)
	p.say(`{"id":3,"subscribe":{}}` + "\n" + `{}`)
	p.wantState(stateReady)
	p.wantHeard(`{}`)
	p.say(`{"push":{"channel":"room-0","pub":{"data":{"ts":1790000000123456789}}}}`+"\n"+
		`{"push":{"channel":"room-1","pub":{"data":{"ts":1790000000123456789}}}}`,
		`{"push":{"channel":"room-0","join":{}}}`, ``)
	if s := p.l.stats; s.Dispatches != 2 || s.Delivered != 2 || s.Ready != 1 {
		t.Errorf("got %+v", s.Counts)
	}
}

func TestCentrifugeRefused(t *testing.T) {
	p := newProbe(t, Config{Target: TargetCentrifuge})
	p.wantHeard(`{"id":1,"connect":{}}`)
	p.say(`{"id":1,"error":{"code":101,"message":"unauthorized"}}`)
	p.wantState(stateClosed)
	if p.l.stats.Closes["refused"] != 1 {
		t.Errorf("closes %v", p.l.stats.Closes)
	}
}

// TestCompressedIsCounted reads a stream up to READY and counts messages from then on.
func TestCompressedIsCounted(t *testing.T) {
	for _, e := range []wire.Encoding{wire.EncodingJSON, wire.EncodingETF} {
		for _, c := range []wire.Compression{wire.CompressionZlib, wire.CompressionZstd} {
			t.Run(e.String()+" "+c.String(), func(t *testing.T) { testCompressed(t, e, c) })
		}
	}
}

func testCompressed(t *testing.T, e wire.Encoding, compression wire.Compression) {
	v := wire.VariantOf(e, compression)
	seq := uint32(0)
	var at wire.Stream
	const window = 1 << 20
	dispatch := func(name, body string) []byte {
		b, hole := wire.AppendDispatch(nil, v, name, []byte(body))
		seq++
		if compression == wire.CompressionZstd {
			b, _ = wire.AppendStreamed(nil, b, seq, &at, window)
			return b
		}
		wire.PutSeq(b, hole, v, seq)
		return b
	}
	for _, sampled := range []bool{true, false} {
		p := newProbe(t, Config{Encoding: e, Compress: compression, Connections: 2, Token: "x"})
		if !sampled { // The first one always is.
			p.l.drop(p.c)
			p.c = &p.l.conns[1]
			p.l.run.config.Sample = 1e-9
			p.connect()
			p.feed(p.reply())
			p.l.stats = &stats{}
		}
		seq = 0
		p.feed(wire.AppendHello(nil, v, 41250, "x", window))
		if got := p.heard(); len(got) != 1 || !strings.Contains(got[0], "token") {
			t.Fatalf("the client said %q", got)
		}
		p.feed(dispatch("READY", `{"session_id":"abc","guilds":[{"id":"1"}]}`))
		p.feed(dispatch("GUILD_CREATE", `{"id":"1"}`))
		p.wantState(stateReady)
		padding := strings.Repeat(`,"x":"0123456789"`, 9)
		p.feed(dispatch("FOO", `{"ts":1790000000123456789`+padding+`}`))
		p.feed(dispatch("FOO", `{"ts":1790000000123456790`+padding+`}`))
		p.due(taskBeat)
		p.feed(wire.AppendHeartbeatAck(nil, v))
		if p.c.beatNano != 0 || p.c.seq != 4 || p.c.has(flagCounting) == sampled {
			t.Errorf("sampled %v: seq %d, flags %b", sampled, p.c.seq, p.c.flags)
		}
		s := p.l.stats
		times := s.quantiles(measureEvent).Count
		if s.Delivered != 2 || s.Dispatches != 4 || (times == 2) != sampled || s.SequenceGaps != 0 {
			t.Errorf("sampled %v: %d times taken of %+v", sampled, times, s.Counts)
		}
		// A resume brings a new stream.
		p.l.drop(p.c)
		p.connect()
		p.feed(p.reply())
		p.heard()
		p.feed(wire.AppendHello(nil, v, 41250, "x", window))
		if got := p.heard(); len(got) != 1 || !strings.Contains(got[0], "abc") {
			t.Fatalf("the client said %q", got)
		}
		p.feed(dispatch("RESUMED", `{}`))
		p.wantState(stateReady)
		if p.c.seq != 5 || p.c.has(flagCounting) == sampled {
			t.Errorf("sampled %v: seq %d, flags %b", sampled, p.c.seq, p.c.flags)
		}
	}
}
