package conformance

import (
	"strings"

	"throng/wire"
)

// fragments is group 5: messages in several frames, control frames among them, and broken
// sequences.
func fragments() []Case {
	first := frame{op: text, more: true, payload: "fragment1"}
	last := frame{op: continuation, payload: "fragment2"}
	inner := frame{op: ping, payload: "ping payload"}
	two := []Reply{{text, "fragment1fragment2"}}
	three := []Reply{{pong, "ping payload"}, {text, "fragment1fragment2"}}
	bad := func(id, about string, replies []Reply, s ...Step) Case {
		return failed(id, about, wire.CloseProtocolError, replies, s...)
	}
	all := []Case{
		bad("5.1", "ping in two fragments", nil,
			step(frame{op: ping, more: true, payload: "fragment1"}, last)),
		bad("5.2", "pong in two fragments", nil,
			step(frame{op: pong, more: true, payload: "fragment1"}, last)),
		echoed("5.3", "text in two fragments", two, step(first, last)),
		echoed("5.4", "text in two fragments, frame by frame", two, steps(first, last)...),
		echoed("5.5", "text in two fragments, octet by octet", two, step(first, last).chopped(1)),
		echoed("5.6", "ping between two fragments", three, step(first, inner, last)),
		echoed("5.7", "ping between two fragments, frame by frame", three,
			steps(first, inner, last)...),
		echoed("5.8", "ping between two fragments, octet by octet", three,
			step(first, inner, last).chopped(1)),
	}
	all = append(all, nothingToContinue()...)
	all = append(all,
		bad("5.15", "continuation after a message that has ended", two, step(first, last,
			frame{op: continuation, more: true, payload: "fragment3"},
			frame{op: text, payload: "fragment4"})),
		bad("5.16", "twice: continuation without FIN, then a fragmented text", nil,
			repeatedContinuation(true)),
		bad("5.17", "twice: continuation with FIN, then a fragmented text", nil,
			repeatedContinuation(false)),
		bad("5.18", "second fragment is a text frame", nil,
			step(first, frame{op: text, payload: "fragment2"})))
	return append(all, promptPongs("5.19", false), promptPongs("5.20", true))
}

// nothingToContinue is 5.9 to 5.14: a continuation comes first, with FIN and without, at three
// chops.
func nothingToContinue() (all []Case) {
	ids := [...]string{"5.9", "5.10", "5.11", "5.12", "5.13", "5.14"}
	for i, id := range ids {
		about := "continuation with FIN and nothing to continue"
		stray := frame{op: continuation, payload: "non-continuation payload"}
		if i >= 3 {
			about = "continuation without FIN and nothing to continue"
			stray.more = true
		}
		s := []Step{step(stray, sayHello())}
		switch i % 3 {
		case 1:
			s, about = steps(stray, sayHello()), about+", frame by frame"
		case 2:
			s[0], about = s[0].chopped(1), about+", octet by octet"
		}
		all = append(all, failed(id, about, wire.CloseProtocolError, nil, s...))
	}
	return all
}

func repeatedContinuation(more bool) Step {
	group := []frame{
		{op: continuation, more: more, payload: "fragment1"},
		{op: text, more: true, payload: "fragment2"},
		{op: continuation, payload: "fragment3"},
	}
	return step(append(group, group...)...)
}

// promptPongs is 5.19 and 5.20: pings among five fragments, the first of which must be answered
// before the client goes on.
func promptPongs(id string, framewise bool) Case {
	more := func(op wire.Opcode, payload string) frame {
		return frame{op: op, more: true, payload: payload}
	}
	opening := []frame{
		more(text, "fragment1"), more(continuation, "fragment2"),
		{op: ping, payload: "pongme 1!"},
	}
	rest := []frame{
		more(continuation, "fragment3"), more(continuation, "fragment4"),
		{op: ping, payload: "pongme 2!"}, {op: continuation, payload: "fragment5"},
	}
	about := "pings among five fragments are answered at once"
	s := []Step{step(opening...).await(1), step(rest...)}
	if framewise {
		about += ", frame by frame"
		s = steps(opening...)
		s[len(s)-1].Await = 1
		s = append(s, steps(rest...)...)
	}
	return echoed(id, about, []Reply{
		{pong, "pongme 1!"}, {pong, "pongme 2!"},
		{text, "fragment1fragment2fragment3fragment4fragment5"},
	}, s...)
}

// autoFragment is group 10.
func autoFragment() Case {
	payload := strings.Repeat("*", 65536)
	return echoed("10.1.1", "text of 65536 bytes in fragments of 1300", []Reply{{text, payload}},
		step(fragmented(text, payload, 1300)...))
}
