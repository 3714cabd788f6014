package conformance

import (
	"strconv"
	"strings"

	"throng/wire"
)

// closes is group 7.
func closes() []Case {
	const goodbye = "Hello World!"
	normal := []wire.CloseCode{wire.CloseNormal}
	end := closeFrame(wire.CloseNormal, "")
	greeting := frame{op: text, payload: goodbye}
	long := frame{op: text, payload: strings.Repeat("BAsd7&jh23", MessageBytesMax/10+1)}
	long.payload = long.payload[:MessageBytesMax]
	outrun := closed("7.1.6", "256 KiB, a text, a close and a ping in a row", normal,
		step(long, greeting, end, frame{op: ping}))
	outrun.Open = true
	all := []Case{
		echoed("7.1.1", "text, then a close", []Reply{{text, goodbye}}, step(greeting)),
		closed("7.1.2", "two closes", normal, step(end, frame{op: closeOp})),
		closed("7.1.3", "ping after the close", normal, step(end, frame{op: ping})),
		closed("7.1.4", "text after the close", normal, step(end, greeting)),
		closed("7.1.5", "close between two fragments", normal,
			step(frame{op: text, more: true, payload: "fragment1"}, end,
				frame{op: continuation, payload: "fragment2"})),
		outrun,
	}
	all = append(all, closeLengths()...)
	for i, code := range []wire.CloseCode{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011,
		3000, 3999, 4000, 4999} {
		n := strconv.Itoa(i + 1)
		all = append(all, closed("7.7."+n, "close with "+code.String(),
			[]wire.CloseCode{wire.CloseNormal, code}, step(closeFrame(code, ""))))
	}
	for i, code := range []wire.CloseCode{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999} {
		n := strconv.Itoa(i + 1)
		all = append(all, badClose("7.9."+n, "close with "+code.String(), closeFrame(code, "")))
	}
	for i, code := range []wire.CloseCode{5000, 65535} {
		n := strconv.Itoa(i + 1)
		c := badClose("7.13."+n, "close with "+code.String(), closeFrame(code, ""))
		c.Open = true
		all = append(all, c)
	}
	return all
}

// closeLengths is 7.3 and 7.5: how much a close frame carries, and that its reason is UTF-8.
func closeLengths() []Case {
	normal := []wire.CloseCode{wire.CloseNormal}
	reason := func(r string) Step { return step(closeFrame(wire.CloseNormal, r)) }
	badText := badClose("7.5.1", "close with a reason that is not UTF-8",
		closeFrame(wire.CloseNormal, greek+surrogate+"edited"))
	badText.Codes = append(badText.Codes, wire.CloseInvalidPayload)
	return []Case{
		closed("7.3.1", "close without payload",
			[]wire.CloseCode{wire.CloseNormal, wire.CloseNoStatus}, step(frame{op: closeOp})),
		badClose("7.3.2", "close with one octet", frame{op: closeOp, payload: "a"}),
		closed("7.3.3", "close with a code", normal, reason("")),
		closed("7.3.4", "close with a reason", normal, reason("Hello World!")),
		closed("7.3.5", "close with the longest reason", normal, reason(strings.Repeat("*", 123))),
		badClose("7.3.6", "close with a reason too long by one",
			closeFrame(wire.CloseNormal, strings.Repeat("*", 124))),
		badText,
	}
}

// badClose is a case in which the client's close frame is itself a fault.
func badClose(id, about string, f frame) Case {
	c := closed(id, about, []wire.CloseCode{wire.CloseProtocolError}, step(f))
	c.Clean = false
	return c
}
