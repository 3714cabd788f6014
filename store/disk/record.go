package disk

import (
	"encoding/binary"
	"hash/crc32"

	"throng/store"
)

// Every value that is not empty is sealed: a CRC-32C over key and body, then the body. bbolt
// checks its own header pages only, so without it a flipped bit would come back as a role that
// nobody gave. The key is covered so that a record cannot pass for another's. What bodies of
// members and users look like is package store's.
const sealBytes = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// newValue returns room for a value whose body will be about this long, the seal's bytes taken.
func newValue(bodyBytes int) []byte {
	return make([]byte, sealBytes, sealBytes+bodyBytes)
}

// seal fills in the checksum of a value made with newValue.
func seal(key, value []byte) []byte {
	binary.LittleEndian.PutUint32(value, checksum(key, value[sealBytes:]))
	return value
}

// unseal returns the body, which shares the value's memory.
func unseal(key, value []byte) ([]byte, error) {
	if len(value) < sealBytes {
		return nil, store.ErrCorrupt
	}
	body := value[sealBytes:]
	if binary.LittleEndian.Uint32(value) != checksum(key, body) {
		return nil, store.ErrCorrupt
	}
	return body, nil
}

func checksum(key, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body)
}

// sealed returns the value for a body that needs no encoding.
func sealed(key, body []byte) []byte {
	return seal(key, append(newValue(len(body)), body...))
}

func encodeID(key []byte, id uint64) []byte {
	return seal(key, binary.BigEndian.AppendUint64(newValue(idBytes), id))
}

func decodeID(key, value []byte) (uint64, error) {
	body, err := unseal(key, value)
	if err != nil || len(body) != idBytes {
		return 0, store.ErrCorrupt
	}
	return binary.BigEndian.Uint64(body), nil
}

func encodeMember(key []byte, record store.MemberRecord) []byte {
	value := newValue(32 + 8*len(record.Roles) + len(record.Extra))
	return seal(key, store.AppendMember(value, record))
}

func decodeMember(key, value []byte) (store.MemberRecord, error) {
	body, err := unseal(key, value)
	if err != nil || len(key) != pairBytes {
		return store.MemberRecord{}, store.ErrCorrupt
	}
	return store.ParseMember(binary.BigEndian.Uint64(key[idBytes:]), body)
}

func encodeUser(key []byte, user *store.User) []byte {
	value := newValue(32 + len(user.Name) + len(user.GlobalName) + len(user.Doc))
	return seal(key, store.AppendUser(value, user))
}

func decodeUser(key, value []byte) (*store.User, error) {
	body, err := unseal(key, value)
	if err != nil || len(key) != idBytes {
		return nil, store.ErrCorrupt
	}
	return store.ParseUser(binary.BigEndian.Uint64(key), body)
}
