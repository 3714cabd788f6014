package cluster

import (
	"encoding/binary"
	"sync"

	"throng/tuning"
)

// outbox is what waits to be sent to one peer, laid out as the batches that it will be sent in.
//
// Items are copied once, to where they leave from: with a list of items instead, whoever sends
// would copy them under the lock, or make the collector follow a pointer for each. A batch that
// nobody has taken yet grows, so that batches are as large as the sender is behind, and one item
// that comes alone leaves alone.
type outbox struct {
	// Static after construction.
	room     int        // Bytes at the start of each batch, for its header.
	bytesMax int        // Of everything that waits.
	buffers  *sync.Pool // Of *[]byte, the buffers of batches.

	// Guarded by the peer's mu.
	batches []*[]byte // The last one may grow.
	bytes   int
}

const batchBytesFirst = 4 << 10

// push copies an item; it reports false when there is no room for it.
func (o *outbox) push(item []byte) bool {
	if o.bytes+len(item)+binary.MaxVarintLen64 > o.bytesMax {
		return false
	}
	if last := len(o.batches) - 1; last >= 0 {
		b := o.batches[last]
		if len(*b)+binary.MaxVarintLen64+len(item) <= tuning.BusBatchBytesMax {
			o.add(b, item, false)
			return true
		}
	}
	for {
		b := o.buffer()
		o.batches = append(o.batches, b)
		fits := tuning.BusBatchBytesMax - len(*b) - binary.MaxVarintLen64
		if len(item) <= fits {
			o.add(b, item, false)
			return true
		}
		o.add(b, item[:fits], true)
		item = item[fits:]
	}
}

func (o *outbox) add(b *[]byte, item []byte, more bool) {
	before := len(*b)
	v := uint64(len(item)) << 1
	if more {
		v |= 1
	}
	*b = append(binary.AppendUvarint(*b, v), item...)
	o.bytes += len(*b) - before
}

func (o *outbox) buffer() *[]byte {
	b, ok := o.buffers.Get().(*[]byte)
	if !ok {
		first := make([]byte, 0, batchBytesFirst)
		b = &first
	}
	*b = (*b)[:o.room]
	return b
}

// pop takes the first batch out, nil when there is none. Whoever has it gives it back.
func (o *outbox) pop() *[]byte {
	if len(o.batches) == 0 {
		return nil
	}
	b := o.batches[0]
	o.batches[0] = nil
	o.batches = o.batches[1:]
	if len(o.batches) == 0 {
		o.batches = nil
	}
	o.bytes -= len(*b) - o.room
	return b
}

// giveBack ends the use of a batch.
func (o *outbox) giveBack(b *[]byte) { o.buffers.Put(b) }

// clear drops everything.
func (o *outbox) clear() {
	for _, b := range o.batches {
		o.giveBack(b)
	}
	o.batches, o.bytes = nil, 0
}
