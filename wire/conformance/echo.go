package conformance

import "throng/wire"

// Echo is the server that the cases speak of: it echoes messages, answers pings and closes as it
// is closed. It is the smallest complete use of wire.Parser. One Echo serves one connection after
// its handshake.
type Echo struct {
	Limits wire.Limits

	parser wire.Parser
	unread []byte
	done   bool
}

// Feed takes what the client sent and appends to dst what to answer. After open was false, the
// answer is the last one, and the connection is to be closed behind it.
func (e *Echo) Feed(dst, in []byte) (out []byte, open bool) {
	e.unread = append(e.unread, in...)
	at := 0
	for !e.done {
		m, n, err := e.parser.Next(e.unread[at:], e.Limits)
		if err != nil {
			dst, e.done = wire.AppendClose(dst, err.Code, err.Reason), true
			break
		}
		if n == 0 {
			break
		}
		at += n
		dst = e.answer(dst, m)
	}
	if at > 0 {
		e.unread = append(e.unread[:0], e.unread[at:]...)
	}
	return dst, !e.done
}

func (e *Echo) answer(dst []byte, m wire.Message) []byte {
	switch m.Opcode {
	case wire.OpcodeText, wire.OpcodeBinary:
		return wire.AppendFrame(dst, m.Opcode, m.Payload)
	case wire.OpcodePing:
		return wire.AppendFrame(dst, wire.OpcodePong, m.Payload)
	case wire.OpcodeClose:
		e.done = true
		// The parser has judged the payload, so the code can be echoed as it came. RFC 6455 5.5.1.
		code, _, _ := wire.ParseClose(m.Payload)
		return wire.AppendClose(dst, code, "")
	}
	return dst
}
