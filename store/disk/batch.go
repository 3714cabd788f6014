package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"throng/store"
)

// Apply does the ops in one transaction. To delete a guild is one step of it however large the
// guild is: 0.3 to 0.4 s for 100,000 members, during which other writers wait and readers do not.
// See BenchmarkDeleteGuild.
func (d *directory) Apply(ops []store.Op) error {
	for i := range ops {
		if err := ops[i].Validate(); err != nil {
			return fmt.Errorf("op %d of %d: %w", i+1, len(ops), err)
		}
	}
	if len(ops) == 0 {
		return d.read(func(*bbolt.Tx) error { return nil })
	}
	return d.write(func(tx *bbolt.Tx) error {
		b := newBatch(tx)
		for i := range ops {
			if err := b.apply(&ops[i]); err != nil {
				return fmt.Errorf("op %d of %d: %w", i+1, len(ops), err)
			}
		}
		return b.flush()
	})
}

// batch holds the writes of one transaction back and hands them to bbolt sorted by key.
//
// bbolt splits a page only when it commits. Keys that come in no order all go into the middle of
// one ever longer page, which moves half of it each time: to load a guild of 100,000 members into
// a new file took 45 s so, and takes 1 s sorted. See BenchmarkLoadGuild. What a batch writes twice
// is also written once this way.
type batch struct {
	buckets [partCount]*bbolt.Bucket

	// By key; nil is a deletion. What is here hides what is in the bucket.
	pending [partCount]map[string][]byte

	// The guild that was last found to be known: members come in runs.
	guildKnown uint64

	// Guilds with pending members: what a cursor over them shows is old.
	pages map[uint64][]span
	loose map[uint64]bool // not in pages alone
}

func newBatch(tx *bbolt.Tx) *batch {
	b := &batch{pages: make(map[uint64][]span), loose: make(map[uint64]bool)}
	for i, name := range buckets {
		b.buckets[i] = tx.Bucket(name)
		b.pending[i] = make(map[string][]byte)
	}
	return b
}

func (b *batch) apply(op *store.Op) error {
	switch op.Kind {
	case store.OpPutUser, store.OpAddUser:
		key := idKey(op.UserRecord.ID)
		if op.Kind == store.OpPutUser || b.get(partUsers, key) == nil {
			b.put(partUsers, key, encodeUser(key, op.UserRecord))
		}
	case store.OpPutToken:
		hash := store.TokenHash(op.Token)
		return b.putToken(hash[:], op.User)
	case store.OpPutTokenHash:
		return b.putToken([]byte(op.Token), op.User)
	case store.OpRevokeTokens:
		return b.revokeTokens(op.User)
	case store.OpPutGuild:
		key := idKey(op.Guild)
		b.put(partGuilds, key, sealed(key, op.Doc))
		return b.putChannels(op.Guild, op.Channels)
	case store.OpDeleteGuild:
		return b.deleteGuild(op.Guild)
	case store.OpPutMember:
		return b.putMember(op.Guild, op.Member.Kept())
	case store.OpDeleteMember:
		b.loose[op.Guild] = true
		b.dropMember(op.Guild, op.User)
	case store.OpPutPage:
		return b.putPage(op.Guild, op.Page)
	case store.OpPutNote:
		if op.Doc == nil {
			b.put(partNotes, []byte(op.Note), nil)
		} else {
			b.put(partNotes, []byte(op.Note), sealed([]byte(op.Note), op.Doc))
		}
	}
	return nil
}

func (b *batch) putToken(hash []byte, user uint64) error {
	if value := b.get(partTokens, hash); value != nil {
		old, err := decodeID(hash, value)
		if err != nil {
			return fmt.Errorf("read token: %w", err)
		}
		b.put(partUserTokens, userTokenKey(old, hash), nil)
	}
	b.put(partTokens, hash, encodeID(hash, user))
	b.put(partUserTokens, userTokenKey(user, hash), []byte{})
	return nil
}

func (b *batch) revokeTokens(user uint64) error {
	keys, err := b.keysUnder(partUserTokens, user)
	if err != nil {
		return err
	}
	for _, key := range keys {
		b.put(partUserTokens, key, nil)
		b.put(partTokens, key[idBytes:], nil)
	}
	return nil
}

func (b *batch) putMember(guild uint64, record store.MemberRecord) error {
	if guild != b.guildKnown {
		if b.get(partGuilds, idKey(guild)) == nil {
			return fmt.Errorf("put member %d of guild %d: %w",
				record.User, guild, store.ErrUnknownGuild)
		}
		b.guildKnown = guild
		b.loose[guild] = true
	}
	key := pairKey(guild, record.User)
	// A change of a member is more frequent than a new one, and needs no page of the index. The
	// index has an entry exactly when there is a member.
	if b.get(partMembers, key) == nil {
		b.put(partUserGuilds, pairKey(record.User, guild), []byte{})
	}
	b.put(partMembers, key, encodeMember(key, record))
	return nil
}

func (b *batch) dropMember(guild, user uint64) {
	b.put(partMembers, pairKey(guild, user), nil)
	b.put(partUserGuilds, pairKey(user, guild), nil)
}

// putChannels makes channels all that the guild has. Most puts of a guild leave its channels as
// they are, and write nothing here.
func (b *batch) putChannels(guild uint64, channels []uint64) error {
	key := idKey(guild)
	var old []byte
	if value := b.get(partLists, key); value != nil {
		var err error
		if old, err = unseal(key, value); err != nil {
			return fmt.Errorf("read the channels of guild %d: %w", guild, err)
		}
	}
	list := make([]byte, 0, idBytes*len(channels))
	for _, c := range channels {
		list = binary.BigEndian.AppendUint64(list, c)
	}
	if bytes.Equal(old, list) {
		return nil
	}
	for c := range slices.Chunk(old, idBytes) {
		value := b.get(partChannels, c)
		if value == nil {
			continue
		}
		owner, err := decodeID(c, value)
		if err != nil {
			return fmt.Errorf("read channel %x: %w", c, err)
		}
		if owner == guild {
			b.put(partChannels, bytes.Clone(c), nil)
		}
	}
	for c := range slices.Chunk(list, idBytes) {
		b.put(partChannels, c, encodeID(c, guild))
	}
	if len(list) == 0 {
		b.put(partLists, key, nil)
	} else {
		b.put(partLists, key, sealed(key, list))
	}
	return nil
}

func (b *batch) deleteGuild(guild uint64) error {
	if err := b.putChannels(guild, nil); err != nil {
		return err
	}
	keys, err := b.keysUnder(partMembers, guild)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if len(key) != pairBytes {
			return fmt.Errorf("delete guild %d, key %x: %w", guild, key, store.ErrCorrupt)
		}
		b.dropMember(guild, binary.BigEndian.Uint64(key[idBytes:]))
	}
	if keys, err = b.keysUnder(partPages, guild); err != nil {
		return err
	}
	for _, key := range keys {
		b.put(partPages, key, nil)
	}
	b.put(partGuilds, idKey(guild), nil)
	b.guildKnown = 0
	return nil
}

// get returns the value as the batch has left it, nil when there is none.
func (b *batch) get(p part, key []byte) []byte {
	if value, ok := b.pending[p][string(key)]; ok {
		return value
	}
	return b.buckets[p].Get(key)
}

func (b *batch) put(p part, key, value []byte) {
	b.pending[p][string(key)] = value
}

// keysUnder returns the keys of a part that begin with the id. It flushes first, so that the
// bucket alone tells; and it returns copies, since a bucket must not change under its cursor.
func (b *batch) keysUnder(p part, id uint64) (keys [][]byte, err error) {
	if err := b.flush(); err != nil {
		return nil, err
	}
	prefix := idKey(id)
	cursor := b.buckets[p].Cursor()
	for key, _ := cursor.Seek(prefix); bytes.HasPrefix(key, prefix); key, _ = cursor.Next() {
		keys = append(keys, bytes.Clone(key))
	}
	return keys, nil
}

// flush hands what is pending to bbolt, which still commits or drops it with the transaction.
func (b *batch) flush() error {
	for p, pending := range b.pending {
		for _, key := range slices.Sorted(maps.Keys(pending)) {
			var err error
			if value := pending[key]; value != nil {
				err = b.buckets[p].Put([]byte(key), value)
			} else {
				err = b.buckets[p].Delete([]byte(key))
			}
			if err != nil {
				return fmt.Errorf("write %s: %w", buckets[p], err)
			}
		}
		clear(pending)
	}
	clear(b.pages)
	clear(b.loose)
	b.guildKnown = 0
	return nil
}
