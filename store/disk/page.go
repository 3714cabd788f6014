package disk

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"throng/store"
)

// span is a range of users.
type span struct{ first, last uint64 }

// putPage makes the page's members all that there are in its range. Of most pages nearly all
// members are as they were; those are not written.
func (b *batch) putPage(guild uint64, page *store.Page) error {
	if err := b.seePage(guild, span{page.First, page.Last}); err != nil {
		return err
	}
	b.put(partPages, pairKey(guild, page.First), []byte{})
	end := pairKey(guild, page.Last)
	cursor := b.buckets[partMembers].Cursor()
	key, value := cursor.Seek(pairKey(guild, page.First))
	for i := range page.Members {
		record := page.Members[i].Kept()
		wanted := pairKey(guild, record.User)
		for ; key != nil && bytes.Compare(key, wanted) < 0; key, value = cursor.Next() {
			if err := b.dropKey(key); err != nil {
				return err
			}
		}
		now := encodeMember(wanted, record)
		if !bytes.Equal(key, wanted) {
			b.put(partMembers, wanted, now)
			b.put(partUserGuilds, pairKey(record.User, guild), []byte{})
			continue
		}
		if !bytes.Equal(value, now) {
			b.put(partMembers, wanted, now)
		}
		key, value = cursor.Next()
	}
	for ; key != nil && bytes.Compare(key, end) <= 0; key, _ = cursor.Next() {
		if err := b.dropKey(key); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) dropKey(key []byte) error {
	if len(key) != pairBytes {
		return fmt.Errorf("put a page, key %x: %w", key, store.ErrCorrupt)
	}
	b.dropMember(binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[idBytes:]))
	return nil
}

// seePage has a cursor show all of the members in the range. What is pending is flushed for that
// only if it may be in the range: a flush for each page would write the keys unsorted; see batch.
func (b *batch) seePage(guild uint64, s span) error {
	spans := b.pages[guild]
	at, _ := slices.BinarySearchFunc(spans, s.first, func(s span, first uint64) int {
		return cmp.Compare(s.last, first)
	})
	if b.loose[guild] || at < len(spans) && spans[at].first <= s.last {
		if err := b.flush(); err != nil {
			return err
		}
		spans, at = nil, 0
	}
	b.pages[guild] = slices.Insert(spans, at, s)
	return nil
}
