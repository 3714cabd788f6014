// Package pack is the binary form in which nodes tell each other things: numbers as varints, ids
// as eight bytes, lists and texts with their length before them.
//
// Appenders append to the slice they are given. A Reader takes such a form apart; what comes from
// another node is not trusted to be whole, so nothing here panics, and no length that was read asks
// for more memory than the bytes that are there can be worth. What a text or a number means is for
// the caller to check.
//
// Its callers are fanout, for what a guild tells the sessions of other nodes, and node, for what
// these ask of it. The form is that of one version of the program: nothing names its fields.
//
// Start reading at Reader.
package pack

import (
	"bytes"
	"encoding/binary"

	"throng/wire"
)

// AppendUint appends a number that is mostly small.
func AppendUint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

// AppendUint64 appends a number that may as well be large.
func AppendUint64(dst []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(dst, v) }

// AppendID appends an id.
func AppendID(dst []byte, id wire.Snowflake) []byte { return AppendUint64(dst, uint64(id)) }

// AppendIDs appends ids. Nil and an empty list are kept apart.
func AppendIDs(dst []byte, ids []wire.Snowflake) []byte {
	if ids == nil {
		return append(dst, 0)
	}
	dst = AppendUint(dst, uint64(len(ids))+1)
	for _, id := range ids {
		dst = AppendID(dst, id)
	}
	return dst
}

// AppendText appends a text. Nil and an empty text are kept apart.
func AppendText(dst, text []byte) []byte {
	if text == nil {
		return append(dst, 0)
	}
	return append(AppendUint(dst, uint64(len(text))+1), text...)
}

// AppendString appends a text that cannot be nil.
func AppendString(dst []byte, text string) []byte {
	return append(AppendUint(dst, uint64(len(text))), text...)
}

// AppendFlags appends up to eight flags as one byte.
func AppendFlags(dst []byte, flags ...bool) []byte {
	var b byte
	for i, f := range flags {
		if f {
			b |= 1 << i
		}
	}
	return append(dst, b)
}

// AppendAlike appends a text that is not nil and mostly the same as base, which the reader has: as
// how many bytes of the base it begins with, how many it ends with, and what is between.
func AppendAlike(dst, text, base []byte) []byte {
	head := commonHead(text, base)
	tail := commonTail(text[head:], base[head:])
	dst = AppendUint(AppendUint(dst, uint64(head)), uint64(tail))
	middle := text[head : len(text)-tail]
	return append(AppendUint(dst, uint64(len(middle))), middle...)
}

// alikeBytes are compared in one go, which is ten times as fast as one by one.
const alikeBytes = 128

func commonHead(a, b []byte) (n int) {
	most := min(len(a), len(b))
	for n+alikeBytes <= most && bytes.Equal(a[n:n+alikeBytes], b[n:n+alikeBytes]) {
		n += alikeBytes
	}
	for n < most && a[n] == b[n] {
		n++
	}
	return n
}

func commonTail(a, b []byte) (n int) {
	most := min(len(a), len(b))
	for n+alikeBytes <= most && bytes.Equal(a[len(a)-n-alikeBytes:len(a)-n],
		b[len(b)-n-alikeBytes:len(b)-n]) {
		n += alikeBytes
	}
	for n < most && a[len(a)-n-1] == b[len(b)-n-1] {
		n++
	}
	return n
}
