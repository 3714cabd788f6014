package fanout

import (
	"bytes"
	"errors"

	"throng/wire"
	"throng/wire/pack"
)

// A step on its way to another node. A guild's receivers may be on other nodes; to the guild such a
// node is one more loop, which gets one step for each event whatever the number of its receivers,
// and hands it to its own loops. What is sent is what the guild decided, the audience as a bitset
// over classes among it, so that the other node needs nothing of the guild's state. Frames are not
// sent but made there, by whoever needs them: a dispatch travels as its body.
//
// The head of GUILD_CREATE is most of its bytes and nearly the same for all who join. Both ends
// remember the last head of the guild, and what is sent is how the next one differs: nothing while
// nothing happens, and when there was a message, which is told in the head, the id of that. In the
// same way the body without what MESSAGE_CONTENT opens goes as what it has of the other body. See
// BenchmarkMsgCode.
//
// The other node runs the same program, so its texts are taken for the JSON that it says they are.
// All else is checked.

// errMsg is for what another node sent and this one cannot read.
var errMsg = errors.New("a step of another node is malformed")

// What the head of a dispatch is.
const (
	headNone = iota
	headSame // The last one that went this way.
	headNew  // As it differs from the last one.
)

// heads is what both ends remember of the way.
type heads struct {
	last  *wire.Shared // nil before the first
	fresh bool         // Whether the step has brought a new one, which it may do once.
}

// text is the text of the last head.
func (h *heads) text() []byte {
	if h.last == nil {
		return nil
	}
	return h.last.Text()
}

// msgReader reads a step.
type msgReader struct {
	pack.Reader
	heads heads
}

// kindParts are what a step of some kind has beside kind, loop and guild.
type kindParts struct{ to, several, receiver, passive, version, class, event, dispatches bool }

// msgParts is what a step of each kind has; see the fields of Msg.
var msgParts = [msgKindCount]kindParts{
	MsgPublish: {event: true},
	MsgAdmit: {to: true, receiver: true, passive: true, version: true, class: true,
		dispatches: true},
	MsgPrivate:    {to: true, dispatches: true},
	MsgReclass:    {to: true, class: true},
	MsgExpel:      {to: true, dispatches: true},
	MsgRefuse:     {to: true, dispatches: true},
	MsgInvite:     {to: true},
	MsgGone:       {},
	MsgAdrift:     {},
	MsgRetry:      {to: true},
	MsgDirect:     {to: true, event: true},
	MsgActivate:   {to: true, receiver: true, dispatches: true},
	MsgDeactivate: {to: true, receiver: true, version: true},
	MsgShare:      {several: true, dispatches: true},
}

// The least that an element of each list takes.
const (
	handleBytesMin   = 3
	dispatchBytesMin = 6
)

// AppendMsg appends m in binary. What is for the node's loop here is for all of its own loops
// there, or for that of the session To. last is the last head that went to the same node for the
// same guild, or nil; the result's is the one to pass next time. What MsgPublish becomes does not
// depend on it, and is the same for all nodes.
func AppendMsg(dst []byte, m *Msg, last *wire.Shared) (out []byte, head *wire.Shared) {
	h := heads{last: last}
	parts := msgParts[m.Kind]
	dst = append(dst, byte(m.Kind), byte(-min(m.Loop, AllLoops)))
	dst = pack.AppendID(dst, m.Guild)
	if parts.to {
		dst = AppendHandle(dst, m.To)
	}
	if parts.several {
		dst = pack.AppendUint(dst, uint64(len(m.Several)))
		for _, h := range m.Several {
			dst = AppendHandle(dst, h)
		}
	}
	if parts.receiver {
		dst = AppendReceiver(dst, &m.Receiver)
	}
	if parts.passive {
		dst = pack.AppendFlags(dst, m.Passive)
	}
	if parts.version {
		dst = pack.AppendUint(dst, uint64(m.Version))
	}
	if parts.class {
		dst = pack.AppendUint(dst, uint64(m.Class))
	}
	if parts.event {
		dst = m.Event.append(dst, &h)
	}
	if parts.dispatches {
		dst = pack.AppendUint(dst, uint64(len(m.Dispatches)))
		for _, d := range m.Dispatches {
			dst = h.append(dst, d)
		}
	}
	return dst, h.last
}

// ParseMsg reads what AppendMsg wrote; last and head are as there. The Msg holds on to b. When it
// cannot be read, whoever reads cannot go on either: what comes next may build on it.
func ParseMsg(b []byte, last *wire.Shared) (m Msg, head *wire.Shared, err error) {
	r := msgReader{Reader: pack.NewReader(b), heads: heads{last: last}}
	m.Kind, m.Loop = MsgKind(r.Byte()), -int(r.Byte())
	if m.Kind >= msgKindCount || m.Loop > AllLoops || m.Loop < PassiveLoops {
		return Msg{}, last, errMsg
	}
	parts := msgParts[m.Kind]
	m.Guild = r.ID()
	if parts.to {
		m.To = ReadHandle(&r.Reader)
		m.Loop = int(m.To.Loop)
	}
	if parts.several {
		m.Several = make([]Handle, r.Count(handleBytesMin))
		for i := range m.Several {
			m.Several[i] = ReadHandle(&r.Reader)
		}
	}
	if parts.receiver {
		m.Receiver = ReadReceiver(&r.Reader)
		m.Receiver.Handle = m.To
	}
	if parts.passive {
		m.Passive = r.Flags(1).Has(0)
	}
	if parts.version {
		m.Version = r.Uint32()
	}
	if parts.class {
		m.Class = r.Uint32()
	}
	if parts.event {
		m.Event = r.event(m.Guild)
	}
	if parts.dispatches {
		m.Dispatches = r.dispatches()
	}
	if !r.Done() || m.Kind == MsgDirect && m.Event.Update != nil {
		return Msg{}, last, errMsg
	}
	return m, r.heads.last, nil
}

// AppendHandle appends a handle in binary.
func AppendHandle(dst []byte, h Handle) []byte {
	dst = pack.AppendUint(dst, uint64(h.Loop))
	dst = pack.AppendUint(dst, uint64(h.Slot))
	return pack.AppendUint(dst, uint64(h.Gen))
}

// ReadHandle reads what AppendHandle wrote.
func ReadHandle(r *pack.Reader) Handle {
	return Handle{Loop: uint16(r.Uint(1<<16 - 1)), Slot: r.Uint32(), Gen: r.Uint32()}
}

// AppendReceiver appends a receiver in binary, without its handle.
func AppendReceiver(dst []byte, v *Receiver) []byte {
	dst = pack.AppendID(dst, v.User)
	dst = pack.AppendUint(dst, uint64(v.Intents))
	dst = append(dst, byte(v.Variant), byte(v.Platform), byte(v.Updates))
	dst = pack.AppendFlags(dst, v.Bot)
	dst = pack.AppendUint(dst, uint64(v.LargeThreshold))
	return append(dst, v.SessionID[:]...)
}

// largeThresholdMax is far above what a session may say.
const largeThresholdMax = 1 << 30

// ReadReceiver reads what AppendReceiver wrote.
func ReadReceiver(r *pack.Reader) (v Receiver) {
	v.User = r.ID()
	v.Intents = wire.Intents(r.Uint32())
	v.Variant, v.Platform = wire.Variant(r.Byte()), wire.Platform(r.Byte())
	v.Updates = UpdateMode(r.Byte())
	if int(v.Variant) >= wire.VariantCount || v.Platform >= wire.Platforms ||
		v.Updates >= updateModes {
		r.Fail()
	}
	v.Bot = r.Flags(1).Has(0)
	v.LargeThreshold = int(r.Uint(largeThresholdMax))
	copy(v.SessionID[:], r.Bytes(len(v.SessionID)))
	return v
}

// append appends a dispatch as what it was made of. NB: a step cannot have two new heads, so that
// what one asks the other node to copy is bounded; a second one goes as a part of its body.
func (h *heads) append(dst []byte, d *wire.Dispatch) []byte {
	head, body, stripped := d.Parts()
	dst = pack.AppendString(dst, d.Name())
	switch {
	case head == nil:
		dst = append(dst, headNone)
	case head == h.last:
		dst = append(dst, headSame)
	case h.fresh:
		dst, body = append(dst, headNone), d.Body()
	default:
		dst = pack.AppendAlike(append(dst, headNew), head.Text(), h.text())
		h.last, h.fresh = head, true
	}
	dst = pack.AppendText(dst, body)
	if dst = pack.AppendFlags(dst, stripped != nil); stripped != nil {
		dst = pack.AppendAlike(dst, stripped, body)
	}
	return dst
}

func (r *msgReader) dispatches() []*wire.Dispatch {
	n := r.Count(dispatchBytesMin)
	if n == 0 {
		return nil
	}
	all := make([]*wire.Dispatch, 0, n)
	for len(all) < n && !r.Failed() {
		all = append(all, r.dispatch())
	}
	return all
}

func (r *msgReader) dispatch() *wire.Dispatch {
	name := r.String(wire.EventNameBytesMax)
	head := r.head()
	body := r.Text()
	if !wire.ValidEventName(name) || len(body) == 0 {
		r.Fail()
	}
	var stripped []byte
	if r.Flags(1).Has(0) {
		stripped = r.Alike(body)
		if len(stripped) == 0 || head != nil {
			r.Fail()
		}
	}
	switch {
	case r.Failed():
		return nil
	case head != nil:
		return wire.NewDispatchAfter(name, head, body)
	}
	return wire.NewDispatch(name, body, stripped)
}

// head reads the head of a dispatch, nil when it has none. It is remembered for as long as the way
// lasts, so it must not keep b: Alike makes a text of its own.
func (r *msgReader) head() *wire.Shared {
	h := &r.heads
	switch r.Byte() {
	case headNone:
		return nil
	case headSame:
		if h.last != nil {
			return h.last
		}
	case headNew:
		if text := r.Alike(h.text()); !h.fresh && bytes.HasPrefix(text, []byte("{")) {
			h.last, h.fresh = wire.NewShared(text), true
			return h.last
		}
	}
	r.Fail()
	return nil
}
