package conformance

import (
	"encoding/binary"

	"throng/wire"
)

// frame is a client frame with any header that the RFC forbids, too.
type frame struct {
	op      wire.Opcode
	more    bool // FIN clear.
	rsv     byte
	payload string
}

const (
	continuation = wire.OpcodeContinuation
	text         = wire.OpcodeText
	binaryOp     = wire.OpcodeBinary
	closeOp      = wire.OpcodeClose
	ping         = wire.OpcodePing
	pong         = wire.OpcodePong
)

// append encodes the frame. Keys differ from frame to frame, and their octets from each other, so
// that a key applied to the wrong octet shows.
func (f frame) append(dst []byte) []byte {
	n := uint32(len(dst)+len(f.payload)) + 1
	var key [4]byte
	binary.BigEndian.PutUint32(key[:], n*2654435761|0x01020408)
	at := len(dst)
	dst = wire.AppendMaskedFrame(dst, f.op, []byte(f.payload), key)
	dst[at] |= f.rsv << 4
	if f.more {
		dst[at] &^= 0x80
	}
	return dst
}

// step encodes frames that go out in one go.
func step(frames ...frame) Step {
	var s Step
	for _, f := range frames {
		s.Bytes = f.append(s.Bytes)
	}
	return s
}

// steps encodes each frame as a step, so that it goes out in a write of its own.
func steps(frames ...frame) []Step {
	var all []Step
	for _, f := range frames {
		all = append(all, step(f))
	}
	return all
}

func (s Step) chopped(size int) Step {
	s.Chop = size
	return s
}

func (s Step) await(replies int) Step {
	s.Await = replies
	return s
}

// closeFrame is a close frame with a code and a reason.
func closeFrame(code wire.CloseCode, reason string) frame {
	payload := binary.BigEndian.AppendUint16(nil, uint16(code))
	return frame{op: closeOp, payload: string(payload) + reason}
}

// fragmented cuts a message into frames of size octets.
func fragmented(op wire.Opcode, payload string, size int) (frames []frame) {
	for len(payload) > size {
		frames = append(frames, frame{op: op, more: true, payload: payload[:size]})
		op, payload = continuation, payload[size:]
	}
	return append(frames, frame{op: op, payload: payload})
}

// cut cuts a frame's octets behind the given numbers of payload octets.
func cut(f frame, at ...int) (all []Step) {
	b := f.append(nil)
	header := len(b) - len(f.payload)
	from := 0
	for _, n := range at {
		all = append(all, Step{Bytes: b[from : header+n]})
		from = header + n
	}
	return append(all, Step{Bytes: b[from:]})
}

// echoed is a case in which the server answers all and the client closes.
func echoed(id, about string, replies []Reply, s ...Step) Case {
	return Case{ID: id, About: about, Steps: s, Replies: replies, Clean: true,
		Codes: []wire.CloseCode{wire.CloseNormal}}
}

// failed is a case in which the server has to fail the connection with a code.
func failed(id, about string, code wire.CloseCode, replies []Reply, s ...Step) Case {
	return Case{ID: id, About: about, Steps: s, Replies: replies, Lossy: len(replies) > 0,
		Closing: ClosingByServer, Codes: []wire.CloseCode{code}}
}

// closed is a case in which the steps close the connection.
func closed(id, about string, codes []wire.CloseCode, s ...Step) Case {
	return Case{ID: id, About: about, Steps: s, Closing: ClosingInSteps, Codes: codes, Clean: true}
}
