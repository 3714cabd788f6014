package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"throng/store"
)

// A message begins with a byte: the format, and in its lowest bit whether more of the same batch
// follows. Then:
//
//	user        as store.AppendUser has it
//	token       user
//	revocation  nothing
//	document    incarnation, count of parts (zero: the guild is deleted), checksum of all, and
//	            part 0; the parts together are the channels (store.AppendIDs) and the document
//	part        the bytes; none when the document is shorter now
//	page        incarnation, and the page as store.AppendPage has it; none of both when it is
//	            no more than what is left of a deleted guild
//	node        incarnation, and 1 when it is sealed
//	sync        nothing
//	import      1 when it is done, and the node
//
// Numbers are varints.
const (
	formatNow  = 1 << 1
	flagMore   = 1
	formatMask = 0xff &^ flagMore
)

var (
	errFormat  = errors.New("the message has a format that this version does not know")
	errMessage = errors.New("the message makes no sense")
	errSubject = errors.New("the subject is none that this version knows")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// open returns what is behind the first byte.
func open(data []byte) ([]byte, error) {
	if len(data) == 0 || data[0]&formatMask != formatNow {
		return nil, errFormat
	}
	return data[1:], nil
}

// more says whether more of the message's batch follows.
func more(data []byte) bool { return len(data) > 0 && data[0]&flagMore != 0 }

func empty() []byte { return []byte{formatNow} }

func encodeUser(u *store.User) []byte { return store.AppendUser(empty(), u) }

func encodeToken(user uint64) []byte { return binary.AppendUvarint(empty(), user) }

func decodeToken(body []byte) (user uint64, err error) {
	user, rest, err := uvarint(body)
	if err != nil || len(rest) > 0 || user == 0 {
		return 0, errMessage
	}
	return user, nil
}

func encodePage(incarnation uint64, p *store.Page) []byte {
	room := make([]byte, 1, 64+24*len(p.Members))
	room[0] = formatNow
	return store.AppendPage(binary.AppendUvarint(room, incarnation), p)
}

// decodePage returns nil for what is left of a deleted guild.
func decodePage(body []byte) (incarnation uint64, p *store.Page, err error) {
	if len(body) == 0 {
		return 0, nil, nil
	}
	if incarnation, body, err = uvarint(body); err != nil || incarnation == 0 {
		return 0, nil, errMessage
	}
	p, err = store.ParsePage(body)
	return incarnation, p, err
}

// document is what a guild's subject tells.
type document struct {
	incarnation uint64
	parts       int // Zero: deleted.
	sum         uint32
	first       []byte // Part 0.
}

func encodeDeletion(incarnation uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(empty(), incarnation), 0)
}

// documentHeadBytesMax is what a document's message has beside part 0.
const documentHeadBytesMax = 1 + 2*binary.MaxVarintLen64 + 4

// encodeDocument returns the parts from 1 on, and the message with part 0 and the rest.
func encodeDocument(incarnation uint64, doc []byte, channels []uint64, partBytesMax int) (
	parts [][]byte, last []byte) {
	all := documentBytes(doc, channels)
	count := partCount(len(all), partBytesMax)
	for i := 1; i < count; i++ {
		part := all[i*partBytesMax : min((i+1)*partBytesMax, len(all))]
		parts = append(parts, append(empty(), part...))
	}
	last = binary.AppendUvarint(empty(), incarnation)
	last = binary.AppendUvarint(last, uint64(count))
	last = binary.LittleEndian.AppendUint32(last, crc32.Checksum(all, castagnoli))
	return parts, append(last, all[:min(partBytesMax, len(all))]...)
}

func documentBytes(doc []byte, channels []uint64) []byte {
	return append(store.AppendIDs(make([]byte, 0, 16+9*len(channels)+len(doc)), channels), doc...)
}

func partCount(bytes, partBytesMax int) int { return (bytes + partBytesMax - 1) / partBytesMax }

func decodeDocument(body []byte) (d document, err error) {
	if d.incarnation, body, err = uvarint(body); err != nil || d.incarnation == 0 {
		return d, errMessage
	}
	count, body, err := uvarint(body)
	if err != nil || count > documentPartsMax || count == 0 && len(body) > 0 {
		return d, errMessage
	}
	if d.parts = int(count); count == 0 {
		return d, nil
	}
	if len(body) < 4 {
		return d, errMessage
	}
	d.sum, d.first = binary.LittleEndian.Uint32(body), body[4:]
	return d, nil
}

// join returns the document that has these parts beside its first. It is false when those are
// not its: then a newer one is on its way.
func (d *document) join(parts map[uint64][]byte) (doc []byte, channels []uint64, ok bool) {
	all := bytes.Clone(d.first)
	for i := 1; i < d.parts; i++ {
		all = append(all, parts[uint64(i)]...)
	}
	if crc32.Checksum(all, castagnoli) != d.sum {
		return nil, nil, false
	}
	channels, doc, err := store.ParseIDs(all)
	return doc, channels, err == nil && len(doc) > 0
}

// fence says until when a node may write.
type fence struct {
	Seq         uint64 // Of the node's last message.
	Incarnation uint64
	Sealed      bool
}

func encodeNode(incarnation uint64, sealed bool) []byte {
	data := binary.AppendUvarint(empty(), incarnation)
	if sealed {
		return append(data, 1)
	}
	return append(data, 0)
}

func decodeNode(body []byte) (f fence, err error) {
	f.Incarnation, body, err = uvarint(body)
	if err != nil || len(body) != 1 || body[0] > 1 {
		return fence{}, errMessage
	}
	f.Sealed = body[0] == 1
	return f, nil
}

// encodeFences is how a store notes the fences of all nodes.
func encodeFences(fences map[string]fence) []byte {
	data := []byte{formatNow}
	for node, f := range fences {
		data = binary.AppendUvarint(data, uint64(len(node)))
		data = append(data, node...)
		data = binary.AppendUvarint(data, f.Seq)
		data = binary.AppendUvarint(data, f.Incarnation)
		sealed := byte(0)
		if f.Sealed {
			sealed = 1
		}
		data = append(data, sealed)
	}
	return data
}

func decodeFences(data []byte) (map[string]fence, error) {
	fences := map[string]fence{}
	if len(data) == 0 {
		return fences, nil
	}
	body, err := open(data)
	if err != nil {
		return nil, err
	}
	for len(body) > 0 {
		var length uint64
		var f fence
		if length, body, err = uvarint(body); err != nil || length > uint64(len(body)) {
			return nil, errMessage
		}
		node := string(body[:length])
		if f.Seq, body, err = uvarint(body[length:]); err != nil {
			return nil, err
		}
		if f.Incarnation, body, err = uvarint(body); err != nil || len(body) == 0 {
			return nil, errMessage
		}
		f.Sealed = body[0] == 1
		fences[node], body = f, body[1:]
	}
	return fences, nil
}

func uvarint(body []byte) (v uint64, rest []byte, err error) {
	v, n := binary.Uvarint(body)
	if n <= 0 {
		return 0, nil, fmt.Errorf("%w: no number", errMessage)
	}
	return v, body[n:], nil
}
