package disk

import (
	"encoding/binary"
	"hash/crc32"

	"throng/store"
)

// Every value that is not empty is sealed: a CRC-32C over key and body, then the body. bbolt
// checks its own header pages only, so without it a flipped bit would come back as a role that
// nobody gave. The key is covered so that a record cannot pass for another's.
//
// Bodies are varints and texts with their length before them:
//
//	member  flags, joined, timeout, count of roles, roles (the first, then differences), extra
//	user    flags, bot, name, global name, document
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
	return seal(key, appendMember(value, record))
}

func decodeMember(key, value []byte) (store.MemberRecord, error) {
	body, err := unseal(key, value)
	if err != nil || len(key) != pairBytes {
		return store.MemberRecord{}, store.ErrCorrupt
	}
	return parseMember(binary.BigEndian.Uint64(key[idBytes:]), body)
}

// appendMember appends the body. The user is in the key, and the roles must be ascending.
func appendMember(dst []byte, record store.MemberRecord) []byte {
	dst = binary.AppendUvarint(dst, uint64(record.Flags))
	dst = binary.AppendVarint(dst, record.JoinedAt)
	dst = binary.AppendVarint(dst, record.TimeoutAt)
	dst = binary.AppendUvarint(dst, uint64(len(record.Roles)))
	last := uint64(0)
	for _, role := range record.Roles {
		dst = binary.AppendUvarint(dst, role-last)
		last = role
	}
	return appendText(dst, record.Extra)
}

func parseMember(user uint64, body []byte) (store.MemberRecord, error) {
	r := reader{rest: body}
	flags := r.uvarint()
	record := store.MemberRecord{Member: store.Member{
		User:      user,
		Flags:     uint32(flags),
		JoinedAt:  r.varint(),
		TimeoutAt: r.varint(),
	}}
	record.Roles = r.roles()
	record.Extra = r.text()
	if !r.done() || flags != uint64(record.Flags) {
		return store.MemberRecord{}, store.ErrCorrupt
	}
	return record, nil
}

func encodeUser(key []byte, user *store.User) []byte {
	value := newValue(32 + len(user.Name) + len(user.GlobalName) + len(user.Doc))
	return seal(key, appendUser(value, user))
}

func decodeUser(key, value []byte) (*store.User, error) {
	body, err := unseal(key, value)
	if err != nil || len(key) != idBytes {
		return nil, store.ErrCorrupt
	}
	return parseUser(binary.BigEndian.Uint64(key), body)
}

func appendUser(dst []byte, user *store.User) []byte {
	bot := uint64(0)
	if user.Bot {
		bot = 1
	}
	dst = binary.AppendUvarint(dst, user.Flags)
	dst = binary.AppendUvarint(dst, bot)
	dst = appendText(dst, user.Name)
	dst = appendText(dst, user.GlobalName)
	return appendText(dst, user.Doc)
}

func parseUser(id uint64, body []byte) (*store.User, error) {
	r := reader{rest: body}
	flags, bot := r.uvarint(), r.uvarint()
	user := &store.User{ID: id, Flags: flags, Bot: bot == 1}
	user.Name = r.text()
	user.GlobalName = r.text()
	user.Doc = r.text()
	if !r.done() || bot > 1 {
		return nil, store.ErrCorrupt
	}
	return user, nil
}

func appendText(dst []byte, text string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

// reader takes a body apart. After the first thing that cannot be it is bad, and whatever it
// still returns means nothing; the caller asks done once at the end.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	return r.took(n, v)
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	return int64(r.took(n, uint64(v)))
}

// took moves past n bytes; n is not positive when there was no number.
func (r *reader) took(n int, v uint64) uint64 {
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// text returns a copy, since what a transaction shows is gone with it.
func (r *reader) text() string {
	length := r.uvarint()
	if length > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return ""
	}
	text := string(r.rest[:length])
	r.rest = r.rest[length:]
	return text
}

func (r *reader) roles() []uint64 {
	count := r.uvarint()
	// Each takes a byte at least, so a made-up count cannot ask for much memory.
	if count > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	if count == 0 {
		return nil
	}
	roles := make([]uint64, 0, count)
	last := uint64(0)
	for i := range count {
		role := last + r.uvarint()
		if i > 0 && role <= last {
			r.bad, r.rest = true, nil
			return nil
		}
		roles = append(roles, role)
		last = role
	}
	return roles
}

// done says whether the body was read to its end and made sense.
func (r *reader) done() bool {
	return !r.bad && len(r.rest) == 0
}
