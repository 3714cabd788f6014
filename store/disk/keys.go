package disk

import (
	"crypto/sha256"
	"encoding/binary"
)

// The parts of the file. Ids are big-endian in keys, so that order by key is order by id.
//
//	users       user               -> record of a user
//	tokens      SHA-256 of a token -> user
//	user-tokens user, SHA-256      -> nothing
//	guilds      guild              -> document
//	members     guild, user        -> record of a member
//	user-guilds user, guild        -> nothing
//	channels    channel            -> guild
//	guild-channels guild           -> its channels, ascending
//	pages       guild, first user  -> nothing
//	notes       text               -> anything
var (
	bucketUsers      = []byte("users")
	bucketTokens     = []byte("tokens")
	bucketUserTokens = []byte("user-tokens")
	bucketGuilds     = []byte("guilds")
	bucketMembers    = []byte("members")
	bucketUserGuilds = []byte("user-guilds")
	bucketChannels   = []byte("channels")
	bucketLists      = []byte("guild-channels")
	bucketPages      = []byte("pages")
	bucketNotes      = []byte("notes")

	buckets = [partCount][]byte{
		partUsers:      bucketUsers,
		partTokens:     bucketTokens,
		partUserTokens: bucketUserTokens,
		partGuilds:     bucketGuilds,
		partMembers:    bucketMembers,
		partUserGuilds: bucketUserGuilds,
		partChannels:   bucketChannels,
		partLists:      bucketLists,
		partPages:      bucketPages,
		partNotes:      bucketNotes,
	}

	// The meta part names the format of all others. It is written last in a new file's first
	// transaction and never again.
	bucketMeta = []byte("meta")
	keyFormat  = []byte("format")
	formatNow  = []byte{1}
)

// part numbers the buckets for a batch.
type part int

const (
	partUsers part = iota
	partTokens
	partUserTokens
	partGuilds
	partMembers
	partUserGuilds
	partChannels
	partLists
	partPages
	partNotes
	partCount

	// Files made by a node that knew no other nodes have the parts before this one only.
	partsOfReplica = partPages
)

const (
	idBytes   = 8
	pairBytes = 2 * idBytes
)

func idKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 0, idBytes), id)
}

func pairKey(first, second uint64) []byte {
	key := binary.BigEndian.AppendUint64(make([]byte, 0, pairBytes), first)
	return binary.BigEndian.AppendUint64(key, second)
}

func userTokenKey(user uint64, hash []byte) []byte {
	key := binary.BigEndian.AppendUint64(make([]byte, 0, idBytes+sha256.Size), user)
	return append(key, hash...)
}
