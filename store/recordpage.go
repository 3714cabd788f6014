package store

import (
	"encoding/binary"
	"slices"
)

// Page is a run of a guild's members: of the users from First to Last exactly these are members.
type Page struct {
	First, Last uint64
	Members     []MemberRecord // Ascending; their roles too.
}

func (p *Page) valid() bool {
	for i := range p.Members {
		user := p.Members[i].User
		if user < p.First || user > p.Last || i > 0 && user <= p.Members[i-1].User {
			return false
		}
	}
	return p.First <= p.Last
}

// AppendPage appends a page as bytes:
//
//	first, last less first, earliest join, count of roles, roles (the first, then differences),
//	count of members, and for each of them:
//	user less the one before, flags, join less the earliest, timeout,
//	count of roles, each as its place among the page's, extra
//
// Few roles are many members', and a role is 9 bytes: with the roles listed once a member with two
// of them takes 20 bytes and not 36.
func AppendPage(dst []byte, p *Page) []byte {
	roles, earliest := pageRoles(p.Members)
	dst = binary.AppendUvarint(dst, p.First)
	dst = binary.AppendUvarint(dst, p.Last-p.First)
	dst = binary.AppendVarint(dst, earliest)
	dst = AppendIDs(dst, roles)
	dst = binary.AppendUvarint(dst, uint64(len(p.Members)))
	before := p.First
	for i := range p.Members {
		m := &p.Members[i]
		dst = binary.AppendUvarint(dst, m.User-before)
		dst = binary.AppendUvarint(dst, uint64(m.Flags))
		dst = binary.AppendUvarint(dst, uint64(m.JoinedAt)-uint64(earliest))
		dst = binary.AppendVarint(dst, m.TimeoutAt)
		dst = binary.AppendUvarint(dst, uint64(len(m.Roles)))
		for _, role := range m.Roles {
			place, _ := slices.BinarySearch(roles, role)
			dst = binary.AppendUvarint(dst, uint64(place))
		}
		dst = appendText(dst, m.Extra)
		before = m.User
	}
	return dst
}

// pageRoles returns all roles that the members have, ascending, and when the first of them joined.
func pageRoles(members []MemberRecord) (roles []uint64, earliest int64) {
	for i := range members {
		m := &members[i]
		if i == 0 || m.JoinedAt < earliest {
			earliest = m.JoinedAt
		}
		for _, role := range m.Roles {
			if at, there := slices.BinarySearch(roles, role); !there {
				roles = slices.Insert(roles, at, role)
			}
		}
	}
	return roles, earliest
}

// ParsePage is its inverse. The result shares nothing with the bytes.
func ParsePage(body []byte) (*Page, error) {
	r := recordReader{rest: body}
	p := &Page{First: r.uvarint()}
	p.Last = p.First + r.uvarint()
	earliest := r.varint()
	roles := r.ids()
	count := r.uvarint()
	// Each takes six bytes at least, so a made-up count cannot ask for much memory.
	if r.bad || p.Last < p.First || count > uint64(len(r.rest)) {
		return nil, ErrCorrupt
	}
	p.Members = make([]MemberRecord, 0, count)
	before := p.First
	for i := range count {
		step := r.uvarint()
		flags := r.uvarint()
		m := MemberRecord{Member: Member{
			User: before + step, Flags: uint32(flags),
			JoinedAt: int64(uint64(earliest) + r.uvarint()), TimeoutAt: r.varint(),
		}}
		m.Roles = r.places(roles)
		m.Extra = r.text()
		if r.bad || m.User < before || m.User > p.Last || i > 0 && step == 0 ||
			flags != uint64(m.Flags) {
			return nil, ErrCorrupt
		}
		p.Members = append(p.Members, m)
		before = m.User
	}
	if !r.done() {
		return nil, ErrCorrupt
	}
	return p, nil
}

// places reads roles that are given by their places among these.
func (r *recordReader) places(among []uint64) []uint64 {
	count := r.uvarint()
	if count == 0 {
		return nil
	}
	if count > uint64(len(among)) {
		r.bad = true
		return nil
	}
	roles := make([]uint64, count)
	last := uint64(0)
	for i := range roles {
		place := r.uvarint()
		if place >= uint64(len(among)) || i > 0 && place <= last {
			r.bad = true
			return nil
		}
		roles[i], last = among[place], place
	}
	return roles
}

// ParseIDs reads what AppendIDs has written, and returns what is behind it.
func ParseIDs(body []byte) (ids []uint64, rest []byte, err error) {
	r := recordReader{rest: body}
	ids = r.ids()
	if r.bad {
		return nil, nil, ErrCorrupt
	}
	return ids, r.rest, nil
}
