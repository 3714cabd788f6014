package disk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"

	"go.etcd.io/bbolt"

	"throng/store"
)

// reading is a walk over a part of the file, from one key to another.
type reading[T any] struct {
	part     []byte
	from, to []byte // Both included.
	decode   func(key, value []byte) (T, error)
}

// each calls f with everything, as of one moment. One transaction is over all chunks, but f runs
// outside of the guard, so that a panic of its own is not taken for a damaged file.
func (r reading[T]) each(d *directory, f func(T) error) error {
	tx, err := d.begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	chunk := make([]T, 0, readChunkCount)
	for {
		if chunk, err = r.chunk(d, tx, chunk[:0]); err != nil {
			return err
		}
		for _, one := range chunk {
			if err := f(one); err != nil {
				return err
			}
		}
		if len(chunk) < readChunkCount {
			return nil
		}
	}
}

// chunk appends what is next until the chunk is full, and moves on behind it.
func (r *reading[T]) chunk(d *directory, tx *bbolt.Tx, chunk []T) ([]T, error) {
	err := d.guard(func() error {
		cursor := tx.Bucket(r.part).Cursor()
		key, value := cursor.Seek(r.from)
		for ; key != nil && bytes.Compare(key, r.to) <= 0; key, value = cursor.Next() {
			if len(chunk) == cap(chunk) {
				r.from = bytes.Clone(key)
				return nil
			}
			one, err := r.decode(key, value)
			if err != nil {
				return fmt.Errorf("read %s, key %x: %w", r.part, key, err)
			}
			chunk = append(chunk, one)
		}
		return nil
	})
	return chunk, err
}

func (d *directory) GuildMembers(id uint64, f func(store.MemberRecord) error) error {
	return d.MembersBetween(id, 0, math.MaxUint64, f)
}

func (d *directory) MembersBetween(
	guild, first, last uint64, f func(store.MemberRecord) error,
) error {
	return reading[store.MemberRecord]{
		bucketMembers, pairKey(guild, first), pairKey(guild, last), decodeMember,
	}.each(d, f)
}

func (d *directory) EachUser(f func(*store.User) error) error {
	return reading[*store.User]{
		bucketUsers, idKey(0), idKey(math.MaxUint64), decodeUser,
	}.each(d, f)
}

func (d *directory) EachToken(f func(hash [sha256.Size]byte, user uint64) error) error {
	type token struct {
		hash [sha256.Size]byte
		user uint64
	}
	return reading[token]{
		bucketTokens, nil, bytes.Repeat([]byte{0xff}, sha256.Size),
		func(key, value []byte) (t token, err error) {
			if len(key) != len(t.hash) {
				return t, store.ErrCorrupt
			}
			t.hash = [sha256.Size]byte(key)
			t.user, err = decodeID(key, value)
			return t, err
		},
	}.each(d, func(t token) error { return f(t.hash, t.user) })
}

func (d *directory) PageOf(guild, user uint64) (first, last uint64, err error) {
	last = math.MaxUint64
	err = d.read(func(tx *bbolt.Tx) error {
		cursor, prefix := tx.Bucket(bucketPages).Cursor(), idKey(guild)
		key, _ := cursor.Seek(pairKey(guild, user))
		if bytes.Equal(key, pairKey(guild, user)) {
			first = user
			key, _ = cursor.Next()
			last = pageLast(key, prefix)
			return nil
		}
		last = pageLast(key, prefix)
		if key == nil {
			key, _ = cursor.Last()
		} else {
			key, _ = cursor.Prev()
		}
		if bytes.HasPrefix(key, prefix) && len(key) == pairBytes {
			first = binary.BigEndian.Uint64(key[idBytes:])
		}
		return nil
	})
	return first, last, err
}

// pageLast is the last user of a page whose follower has this key.
func pageLast(key, prefix []byte) uint64 {
	if !bytes.HasPrefix(key, prefix) || len(key) != pairBytes {
		return math.MaxUint64
	}
	return binary.BigEndian.Uint64(key[idBytes:]) - 1
}

func (d *directory) GuildChannels(guild uint64) (channels []uint64, err error) {
	err = d.read(func(tx *bbolt.Tx) error {
		key := idKey(guild)
		value := tx.Bucket(bucketLists).Get(key)
		if value == nil {
			return nil
		}
		list, err := unseal(key, value)
		if err != nil || len(list)%idBytes != 0 {
			return fmt.Errorf("read the channels of guild %d: %w", guild, store.ErrCorrupt)
		}
		for ; len(list) > 0; list = list[idBytes:] {
			channels = append(channels, binary.BigEndian.Uint64(list))
		}
		return nil
	})
	return channels, err
}

func (d *directory) Note(key string) (note []byte, err error) {
	err = d.read(func(tx *bbolt.Tx) error {
		value := tx.Bucket(bucketNotes).Get([]byte(key))
		if value == nil {
			return nil
		}
		body, err := unseal([]byte(key), value)
		if err != nil {
			return fmt.Errorf("read note %q: %w", key, err)
		}
		note = append([]byte{}, body...)
		return nil
	})
	return note, err
}
