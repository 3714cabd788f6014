package conformance

import (
	"strconv"
	"strings"

	"throng/wire"
)

// Cases returns the table, in the order of the case numbers.
func Cases() []Case {
	var all []Case
	all = append(all, framing("1.1.", text, "*")...)
	all = append(all, framing("1.2.", binaryOp, "\xFE")...)
	all = append(all, pings()...)
	all = append(all, reservedBits()...)
	all = append(all, reservedOpcodes()...)
	all = append(all, fragments()...)
	all = append(all, texts()...)
	all = append(all, closes()...)
	return append(all, autoFragment())
}

const hello = "Hello, world!"

// octets is a payload that is no text.
const octets = "\x00\xFF\xFE\xFD\xFC\xFB\x00\xFF"

func sayHello() frame { return frame{op: text, payload: hello} }

// framing is group 1: messages on both sides of the bounds between the forms of the length.
func framing(group string, op wire.Opcode, fill string) (all []Case) {
	for i, size := range []int{0, 125, 126, 127, 128, 65535, 65536, 65536} {
		payload := strings.Repeat(fill, size)
		s := step(frame{op: op, payload: payload})
		about := op.String() + " message of " + strconv.Itoa(size) + " bytes"
		if i == 7 {
			s, about = s.chopped(997), about+" in pieces of 997"
		}
		id := group + strconv.Itoa(i+1)
		all = append(all, echoed(id, about, []Reply{{op, payload}}, s))
	}
	return all
}

// pings is group 2.
func pings() []Case {
	pinged := func(id, about, payload string, chop int) Case {
		s := step(frame{op: ping, payload: payload}).chopped(chop)
		return echoed(id, about, []Reply{{pong, payload}}, s)
	}
	unsolicited := frame{op: pong, payload: "unsolicited pong payload"}
	full := strings.Repeat("\xFE", wire.ControlBytesMax)
	normal := []wire.CloseCode{wire.CloseNormal}
	all := []Case{
		pinged("2.1", "ping without payload", "", 0),
		pinged("2.2", "ping with text", hello, 0),
		pinged("2.3", "ping with octets that are no text", octets, 0),
		pinged("2.4", "ping with 125 bytes", full, 0),
		failed("2.5", "ping with 126 bytes", wire.CloseProtocolError, nil,
			step(frame{op: ping, payload: full + "\xFE"})),
		pinged("2.6", "ping with 125 bytes, octet by octet", full, 1),
		closed("2.7", "unsolicited pong without payload is not answered", normal,
			step(frame{op: pong}), step(closeFrame(wire.CloseNormal, ""))),
		closed("2.8", "unsolicited pong with payload is not answered", normal,
			step(unsolicited), step(closeFrame(wire.CloseNormal, ""))),
		echoed("2.9", "unsolicited pong, then a ping", []Reply{{pong, "ping payload"}},
			step(unsolicited, frame{op: ping, payload: "ping payload"})),
	}
	var ten []frame
	var pongs []Reply
	for i := range 10 {
		payload := "payload-" + strconv.Itoa(i)
		ten = append(ten, frame{op: ping, payload: payload})
		pongs = append(pongs, Reply{pong, payload})
	}
	return append(all,
		echoed("2.10", "ten pings, ten pongs", pongs, step(ten...)),
		echoed("2.11", "ten pings, octet by octet", pongs, step(ten...).chopped(1)))
}

// refused is a case in which a hello is to be echoed before a bad frame fails the connection; the
// ping after it must not be answered.
func refused(id, about string, bad frame, chop int) Case {
	return failed(id, about, wire.CloseProtocolError, []Reply{{text, hello}},
		step(sayHello(), bad, frame{op: ping}).chopped(chop))
}

// reservedBits is group 3.
func reservedBits() []Case {
	bad := func(rsv byte) frame { return frame{op: text, payload: hello, rsv: rsv} }
	alone := func(id, about string, f frame) Case {
		return failed(id, about, wire.CloseProtocolError, nil, step(f))
	}
	framewise := refused("3.3", "text with RSV 3 after a good one, frame by frame", bad(3), 0)
	framewise.Steps = steps(sayHello(), bad(3), frame{op: ping})
	return []Case{
		alone("3.1", "text with RSV 1", bad(1)),
		refused("3.2", "text with RSV 2 after a good one", bad(2), 0),
		framewise,
		refused("3.4", "text with RSV 4 after a good one, octet by octet", bad(4), 1),
		alone("3.5", "binary with RSV 5", frame{op: binaryOp, payload: octets, rsv: 5}),
		alone("3.6", "ping with RSV 6", frame{op: ping, payload: hello, rsv: 6}),
		alone("3.7", "close with RSV 7", frame{op: closeOp, rsv: 7}),
	}
}

// reservedOpcodes is group 4.
func reservedOpcodes() (all []Case) {
	for g, first := range []wire.Opcode{3, 11} {
		for i := range 5 {
			bad := frame{op: first + wire.Opcode(i)}
			about := "frame with reserved opcode " + strconv.Itoa(int(bad.op))
			if i%2 == 1 || i == 4 {
				bad.payload = "reserved opcode payload"
				about += " and a payload"
			}
			id := "4." + strconv.Itoa(g+1) + "." + strconv.Itoa(i+1)
			switch i {
			case 0, 1:
				c := failed(id, about, wire.CloseProtocolError, nil, step(bad))
				all = append(all, c)
			case 4:
				all = append(all, refused(id, about+", octet by octet", bad, 1))
			default:
				all = append(all, refused(id, about+" after a good one", bad, 0))
			}
		}
	}
	return all
}
