package wire

import (
	"encoding/binary"
	"slices"
)

// A parcel is a dispatch as the journal keeps it for zstd streams: what AppendStreamed makes a
// frame of, for one connection. It has the dispatch's text behind the number as kept blocks, in
// versions that ask more or less of the stream; the best that the stream can read is taken. The
// last asks for nothing.
//
//	text length | place in the history | which history, 0 none | encoding | number of versions
//	then for each: length | reach into the history | whether it needs the template
//	then the blocks of each
type parcel []byte

const (
	parcelHeaderBytes  = 12
	versionHeaderBytes = 12

	// eventTextMax is the longest text for which there are versions: what is longer, READY or a
	// guild, is for one session, and its own text is dictionary enough.
	eventTextMax = 16 << 10
)

// version is one of a parcel while it is made.
type version struct {
	blocks   []byte
	reach    uint32
	template bool
}

func appendParcel(dst []byte, e Encoding, text int, versions []version) parcel {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(text))
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	dst = append(dst, 0, 0, byte(e), byte(len(versions)))
	dst = appendVersionHeaders(dst, versions)
	for _, v := range versions {
		dst = append(dst, v.blocks...)
	}
	return dst
}

func appendVersionHeaders(dst []byte, versions []version) []byte {
	for _, v := range versions {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(v.blocks)))
		dst = binary.LittleEndian.AppendUint32(dst, v.reach)
		needs := uint32(0)
		if v.template {
			needs = 1
		}
		dst = binary.LittleEndian.AppendUint32(dst, needs)
	}
	return dst
}

// appendDispatchParcel appends a dispatch whose d is head, if there is one, followed by body.
func appendDispatchParcel(dst []byte, e Encoding, name string, head *Shared, body []byte) parcel {
	p := takePacker(e)
	defer packers[e].Put(p)
	if e == EncodingETF {
		body, head = join(head, body), nil
	}
	text := DispatchText(nil, e, name, body)
	if head != nil {
		start := len(text) - len(body) - len(jsonTail)
		blocks, _ := p.appendKept(nil, text[:start], privateDepth, false, nil)
		blocks = append(blocks, head.kept(p)...)
		blocks, _ = p.appendKept(blocks, text[start:], privateDepth, false, nil)
		return appendParcel(dst, e, len(text)+len(head.text), []version{{blocks: blocks}})
	}
	if len(text) > eventTextMax {
		blocks, _ := p.appendKept(nil, text, privateDepth, false, nil)
		return appendParcel(dst, e, len(text), []version{{blocks: blocks}})
	}
	far, _ := p.appendKept(nil, text, eventDepth, true, nil)
	self, _ := p.appendKept(nil, text, privateDepth, false, nil)
	return appendParcel(dst, e, len(text), []version{{blocks: far, template: true}, {blocks: self}})
}

// How many candidates are looked at for a match: of what many get, and of what one gets.
const (
	eventDepth   = 16
	privateDepth = 3
)

// Stream is where the decoder of a zstd connection is, as far as what it is sent depends on that.
// The zero value is a stream that has been taught nothing yet. See AppendStreamed.
type Stream struct {
	// template is how far back it begins, 0 for nowhere in the window, and narrow.
	template uint32
	place    uint32 // in the history: where the next frame has to begin
	// run is how much of the history before that is in the stream just so, in runUnits, and
	// runSpent when the next frame's slack has been used.
	run     uint16
	history uint16 // which history; 0 for none
}

const (
	runUnit  = 16
	runMax   = 1<<15 - 1
	runSpent = 1 << 15

	// narrow is set for streams whose frame nobody here began. See Narrow.
	narrow = 1 << 31
)

// Mode is what a frame was packed against.
type Mode uint8

const (
	ModeNone     Mode = iota // itself
	ModeTemplate             // the template
	ModeHistory              // what the stream was sent just before, and the template
	ModeCount
)

func (m Mode) String() string { return [...]string{"none", "template", "history"}[m] }

// Packed says how a frame was packed.
type Packed struct {
	Mode Mode
	Text int // what the client decodes it to
}

// The part of a dispatch that is a session's own goes as it is: everything up to its number.
const (
	streamHead = `{"s":`
	// streamDigits is the width of a number. Blanks fill it, so that two sessions have the same
	// distance between two texts.
	streamDigits     = 8
	streamSeqMax     = 1e8 - 1
	streamPrefixJSON = len(streamHead) + streamDigits
	// streamSlack is a heartbeat's answer. A dispatch of a history has so many blanks behind its
	// number, in a block of four bytes, and none if the stream was told so much of its own just
	// before: then all that follows is where the history has it, as if nothing had come between.
	streamSlack     = len(controlHead + "11" + controlBody + "null" + controlTail)
	historyStart    = streamPrefixJSON + streamSlack
	streamPrefixETF = 6 + 6 + 1 + HoleBytesETF
)

// AppendStreamed appends the frame of a parcel for a session's number on a connection whose window
// has so many bytes, and moves the stream on. What it appends depends on nothing else, so a frame
// that was written in part is made again from the same stream.
func AppendStreamed(dst []byte, p []byte, seq uint32, s *Stream, window uint32) ([]byte, Packed) {
	text := binary.LittleEndian.Uint32(p)
	e := Encoding(p[10])
	window = s.within(window)
	dst, start := openFrame(dst)
	dst, prefix := appendStreamPrefix(dst, e, seq)
	told := parcel(p).told(prefix)
	if told && s.run&runSpent == 0 {
		dst = appendBlanks(dst, streamSlack)
		prefix += streamSlack
	}
	size := uint32(prefix) + text
	blocks, mode := s.choose(p, uint32(prefix), window, told)
	l := lessonOf(e)
	back := s.back() + uint32(prefix)
	for len(blocks) > 0 {
		var n uint32
		dst, blocks, n = l.AppendRelocated(dst, blocks, back, 0)
		back += n
	}
	dst, _ = closeFrame(dst, start, OpcodeBinary)
	s.moveOn(p, size, window, told)
	return dst, Packed{mode, int(size)}
}

// told says whether a parcel's frame is what a history has of it, with a number before it that
// takes so many bytes: what lies before one that is wider is at other distances.
func (p parcel) told(prefix int) bool {
	return binary.LittleEndian.Uint16(p[8:]) != 0 && prefix == streamPrefixJSON
}

func appendStreamPrefix(dst []byte, e Encoding, seq uint32) (out []byte, prefix int) {
	start := len(dst)
	dst = append(dst, 0, 0, 0)
	if e == EncodingETF {
		dst = append(dst, etfVersion, etfMap, 0, 0, 0, 4)
		dst = append(etfBinaryText(dst, "s"), etfInteger)
		dst = binary.BigEndian.AppendUint32(dst, seq)
	} else {
		dst = append(append(dst, streamHead...), jsonHole...)
		digits := dst[len(dst)-HoleBytesJSON:]
		width := HoleBytesJSON
		if seq <= streamSeqMax {
			width = streamDigits
		}
		for i := width - 1; ; i-- {
			digits[i] = byte('0' + seq%10)
			if seq /= 10; seq == 0 {
				break
			}
		}
		dst = dst[:len(dst)-HoleBytesJSON+width]
	}
	prefix = len(dst) - start - zstdBlockHeader
	putBlockHeader(dst[start:], prefix, blockRaw)
	return dst, prefix
}

// choose takes the first version that the stream can read.
func (s *Stream) choose(p parcel, prefix, window uint32, told bool) (blocks []byte, mode Mode) {
	text := binary.LittleEndian.Uint32(p)
	template := s.back() != 0 && s.back()+prefix+text <= window
	var run uint32
	if told && s.goesOn(p) {
		run = uint32(s.run&^runSpent)*runUnit + uint32(historyStart)
	}
	// A match at the text's end reaches further back by the text: that has to be in the window.
	run = min(run, window-min(window, text))
	count := int(p[11])
	blocks = p[parcelHeaderBytes+count*versionHeaderBytes:]
	for i := range count {
		v := p[parcelHeaderBytes+i*versionHeaderBytes:]
		length := binary.LittleEndian.Uint32(v)
		reach := binary.LittleEndian.Uint32(v[4:])
		if reach <= run && (v[8] == 0 || template) {
			if v[8] != 0 {
				mode = ModeTemplate
			}
			if reach > 0 {
				mode = ModeHistory
			}
			return blocks[:length], mode
		}
		blocks = blocks[length:]
	}
	panic("wire: a parcel without a version for everybody")
}

// goesOn says whether a parcel is what comes next in the history of which the stream has the end.
func (s *Stream) goesOn(p parcel) bool {
	return binary.LittleEndian.Uint16(p[8:]) == s.history &&
		binary.LittleEndian.Uint32(p[4:]) == s.place
}

// moveOn notes that a parcel's frame has been sent.
func (s *Stream) moveOn(p parcel, size, window uint32, told bool) {
	s.age(size, window)
	if !told {
		s.run, s.history = 0, 0
		return
	}
	whole := uint32(historyStart) + binary.LittleEndian.Uint32(p)
	if s.goesOn(p) {
		s.run = uint16(min(uint32(s.run&^runSpent)+whole/runUnit, runMax))
	} else {
		s.run, s.history = uint16(min(size/runUnit, runMax)), binary.LittleEndian.Uint16(p[8:])
		s.place = binary.LittleEndian.Uint32(p[4:])
	}
	s.place += whole
}

// age moves the template away, and forgets it when it has left the window.
func (s *Stream) age(size, window uint32) {
	if s.back() == 0 {
		return
	}
	if s.template += size; s.back() > window {
		s.teach(0)
	}
}

// back is how far back the template begins, 0 for nowhere in the window.
func (s *Stream) back() uint32 { return s.template &^ narrow }

// teach puts the template at a distance.
func (s *Stream) teach(back uint32) { s.template = s.template&narrow | back }

// within is how much of a window the stream has for certain.
func (s *Stream) within(window uint32) uint32 {
	if s.template&narrow != 0 {
		return WindowBytesMin
	}
	return window
}

// Wants says that the template has to be sent again, before it leaves the window or since it has.
func (s *Stream) Wants(window uint32) bool {
	return s.back() == 0 || s.back() > s.within(window)/2
}

// Narrow makes the stream one that another node has begun, or a compressor of its own, so that its
// window may be the smallest. What its decoder was taught is forgotten.
func (s *Stream) Narrow() { *s = Stream{template: narrow} }

// Narrowed says that Narrow was called.
func (s *Stream) Narrowed() bool { return s.template&narrow != 0 }

// Said is what frames for one connection alone add to its stream. See Stream.Say.
type Said struct {
	Text   uint16 // decoded bytes; saidMax is that many or more
	Taught uint16 // how many of these begin with the template; 0 for none
}

// saidMax is more than a few frames are. Beyond it nobody counts: such a stream has lost its
// template, and is taught again.
const saidMax = 1<<16 - 1

// Say moves the stream on by what was said.
func (s *Stream) Say(d Said, window uint32) {
	if d.Text == 0 {
		return
	}
	if s.history != 0 && int(d.Text) == streamSlack && d.Taught == 0 && s.run&runSpent == 0 {
		s.run |= runSpent
	} else {
		s.run, s.history = 0, 0
	}
	switch {
	case d.Text == saidMax:
		s.teach(0)
	case d.Taught > 0:
		s.teach(uint32(d.Taught))
	default:
		s.age(uint32(d.Text), s.within(window))
	}
}

// Add adds a whole frame of a zstd stream that is no dispatch.
func (d *Said) Add(frame []byte, e Encoding) {
	op, payload, _ := splitFrame(frame)
	if op.Control() {
		return
	}
	if len(payload) > len(zstdMagic) && string(payload[:len(zstdMagic)]) == zstdMagic {
		payload = payload[zstdFrameHeaderBytes:]
	}
	said, taught := int(d.Text), int(d.Taught)
	for compressed := 0; len(payload) > 0; {
		head := int(payload[0]) | int(payload[1])<<8 | int(payload[2])<<16
		size := head >> 3
		text := size
		if head>>1&3 == blockCompressed {
			// Of these there are two: see appendTeaching.
			text = len(teachingText)
			if compressed++; compressed == 2 {
				text = len(lessonOf(e).text)
				taught = 0
			}
		}
		said += text
		if taught > 0 || compressed == 2 {
			taught += text
		}
		payload = payload[zstdBlockHeader+size:]
	}
	if said = min(said, saidMax); said == saidMax {
		taught = 0
	}
	d.Text, d.Taught = uint16(said), uint16(taught)
}

// ParcelText is the length of what a parcel decodes to, without the part with the number.
func ParcelText(p []byte) int { return int(binary.LittleEndian.Uint32(p)) }

// appendHistoryParcel appends a parcel at its place in a history, with versions before its own.
func appendHistoryParcel(dst []byte, p parcel, id uint16, place uint32, more []version) parcel {
	count := int(p[11])
	start := len(dst)
	dst = append(dst, p[:parcelHeaderBytes]...)
	binary.LittleEndian.PutUint32(dst[start+4:], place)
	binary.LittleEndian.PutUint16(dst[start+8:], id)
	dst[start+11] += byte(len(more))
	dst = appendVersionHeaders(dst, more)
	dst = append(dst, p[parcelHeaderBytes:parcelHeaderBytes+count*versionHeaderBytes]...)
	for _, v := range more {
		dst = append(dst, v.blocks...)
	}
	return slices.Concat(dst, p[parcelHeaderBytes+count*versionHeaderBytes:])
}
