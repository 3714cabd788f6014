package store

import "encoding/binary"

// Members and users as bytes, for whoever keeps them. There is no checksum; a made-up text may
// give a record that nobody wrote, and nothing worse. They are varints, and texts with their
// length before them:
//
//	member  flags, joined, timeout, count of roles, roles (the first, then differences), extra
//	user    flags, bot, name, global name, document

// AppendMember appends a member as bytes. Its user is left out, and its roles must be ascending.
func AppendMember(dst []byte, record MemberRecord) []byte {
	dst = binary.AppendUvarint(dst, uint64(record.Flags))
	dst = binary.AppendVarint(dst, record.JoinedAt)
	dst = binary.AppendVarint(dst, record.TimeoutAt)
	return appendText(AppendIDs(dst, record.Roles), record.Extra)
}

// ParseMember is its inverse. The result shares nothing with the bytes.
func ParseMember(user uint64, body []byte) (MemberRecord, error) {
	r := recordReader{rest: body}
	flags := r.uvarint()
	record := MemberRecord{Member: Member{
		User:      user,
		Flags:     uint32(flags),
		JoinedAt:  r.varint(),
		TimeoutAt: r.varint(),
	}}
	record.Roles = r.ids()
	record.Extra = r.text()
	if !r.done() || flags != uint64(record.Flags) {
		return MemberRecord{}, ErrCorrupt
	}
	return record, nil
}

// AppendUser appends a user as bytes, less the id.
func AppendUser(dst []byte, user *User) []byte {
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

// ParseUser is its inverse. The result shares nothing with the bytes.
func ParseUser(id uint64, body []byte) (*User, error) {
	r := recordReader{rest: body}
	flags, bot := r.uvarint(), r.uvarint()
	user := &User{ID: id, Flags: flags, Bot: bot == 1}
	user.Name = r.text()
	user.GlobalName = r.text()
	user.Doc = r.text()
	if !r.done() || bot > 1 {
		return nil, ErrCorrupt
	}
	return user, nil
}

// AppendIDs appends ids, which must be ascending, as bytes.
func AppendIDs(dst []byte, ids []uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(ids)))
	last := uint64(0)
	for _, id := range ids {
		dst = binary.AppendUvarint(dst, id-last)
		last = id
	}
	return dst
}

func appendText(dst []byte, text string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

// recordReader takes a body apart. After the first thing that cannot be it is bad, and whatever it
// still returns means nothing; the caller asks done once at the end.
type recordReader struct {
	rest []byte
	bad  bool
}

func (r *recordReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	return r.took(n, v)
}

func (r *recordReader) varint() int64 {
	v, n := binary.Varint(r.rest)
	return int64(r.took(n, uint64(v)))
}

// took moves past n bytes; n is not positive when there was no number.
func (r *recordReader) took(n int, v uint64) uint64 {
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// text returns a copy, since what a transaction shows is gone with it.
func (r *recordReader) text() string {
	length := r.uvarint()
	if length > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return ""
	}
	text := string(r.rest[:length])
	r.rest = r.rest[length:]
	return text
}

func (r *recordReader) ids() []uint64 {
	count := r.uvarint()
	// Each takes a byte at least, so a made-up count cannot ask for much memory.
	if count > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	if count == 0 {
		return nil
	}
	ids := make([]uint64, 0, count)
	last := uint64(0)
	for i := range count {
		id := last + r.uvarint()
		if i > 0 && id <= last {
			r.bad, r.rest = true, nil
			return nil
		}
		ids = append(ids, id)
		last = id
	}
	return ids
}

// done says whether the body was read to its end and made sense.
func (r *recordReader) done() bool {
	return !r.bad && len(r.rest) == 0
}
