package wire

import "bytes"

// History is what the sessions that listen to one guild have been sent last: the texts of its
// events in their order, at the distances that they have in each stream where nothing came between.
// A stream of which that is true for the last so many bytes can be sent an event with matches that
// far back, and the offsets are the same for all of them.
//
// What a stream knows of it is in Stream: where in the history its last frame ended, and how far
// back the two agree. A frame of anything else ends the agreement, and so does an event that a
// session does not get; the next one begins it anew. So nothing is kept per event or per relay,
// and nobody has to say which sessions agree.
//
// A heartbeat's answer comes every 41 seconds, which in a guild with an event a second would end
// the agreement before it is worth anything: such a session got 111 bytes an event, and in a slower
// guild 124. So each dispatch has room for one: blanks, in a block of four bytes, that are left out
// when an answer went before it. With that it is 86 at any pace, of which the blanks are the four
// (bench/compression, "between").
//
// A per-session list of where each event stands was rejected: it is 4 bytes per event and session,
// and a search per match and receiver, to read across what came between.
//
// It belongs to one goroutine.
type History struct {
	id     uint16
	place  uint32 // where the next frame begins
	source source
	last   *Dispatch // what frame is of
	frame  Frame
	torn   bool // a frame was begun and not finished
}

const (
	// historyBytesMax of text are kept, half of which goes when it is full. An event of
	// bench/corpus takes 86 bytes with it, 91 with half as much, 83 with twice.
	historyBytesMax = 128 << 10
	// historyNear is how far matches go back for streams that agree for a short time only.
	historyNear = 8 << 10
	// historyApart is far from any place that a frame of the same history may have.
	historyApart = 1 << 30
	// historyRich of text have the shapes of a guild's events many times.
	historyRich = 32 << 10
)

// HistoryBytes is what a history takes, for budgets.
const HistoryBytes = historyBytesMax + 4*historyBytesMax + 4<<hashBitsMax

// NewHistory makes the history with a number, which is not 0 and no other's in a long time, that
// begins at some place.
func NewHistory(id uint16, place uint32) *History {
	h := &History{}
	h.source.reset(make([]byte, historyBytesMax))
	h.Begin(id, place)
	return h
}

// Begin forgets everything and begins as NewHistory does.
func (h *History) Begin(id uint16, place uint32) {
	h.id, h.place, h.last, h.frame, h.torn = id, place, nil, Frame{}, false
	h.source.text = h.source.text[:0]
	h.source.clear()
}

// Frame is the frame of the next event for JSON streams; the same event again is the same frame.
func (h *History) Frame(d *Dispatch) Frame {
	if h.last == d {
		return h.frame
	}
	if h.torn {
		h.Begin(h.id, h.place+historyApart) // A panic was recovered from.
	}
	f := d.Frame(VariantOf(EncodingJSON, CompressionZstd))
	h.last, h.frame = d, f
	text := DispatchText(nil, EncodingJSON, d.name, d.body)
	// In the history 0xff stands where each stream has a number of its own. No JSON has it.
	if d.head != nil || len(text) > eventTextMax || bytes.IndexByte(text, 0xff) >= 0 {
		return f // Who gets it begins anew with the next.
	}
	h.torn = true
	h.append(bytes.Repeat([]byte{0xff}, historyStart))
	packer := takePacker(EncodingJSON)
	var versions []version
	for _, most := range []int{historyBytesMax, historyNear} {
		packer.finder.reachMax = most
		// With so much to copy from, the template is not missed: a stream that it has left goes on.
		// It saves 2 bytes in a hundred at most.
		template := len(h.source.text) < historyRich
		blocks, reach := packer.appendKept(nil, text, eventDepth, template, &h.source)
		if reach > 0 {
			versions = append(versions, version{blocks, uint32(reach), template})
		}
		if reach <= historyNear {
			break // The nearer one would be the same.
		}
	}
	packers[EncodingJSON].Put(packer)
	h.frame.Bytes = appendHistoryParcel(nil, f.Bytes, h.id, h.place, versions)
	h.place += uint32(historyStart + len(text))
	h.append(text)
	h.torn = false
	return h.frame
}

// append adds text, and makes room for it first: the older half goes.
func (h *History) append(text []byte) {
	kept := h.source.text
	if len(kept)+len(text) > historyBytesMax {
		kept = kept[:copy(kept, kept[len(kept)-historyBytesMax/2:])]
		h.source.clear()
		h.source.text = kept
		h.source.add(0, len(kept))
	}
	from := max(len(kept)-hashBytes+1, 0)
	h.source.text = append(kept, text...)
	h.source.add(from, len(h.source.text))
}
