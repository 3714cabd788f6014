package store

import (
	"slices"
	"strings"
)

const (
	// memberPageRows is how many members a page holds at most. A write after a snapshot copies a
	// page and a new member moves half of one, here of 3 KB; the first write after a snapshot
	// copies the directory, here of 8,000 to 16,000 entries for a million members. Half and twice
	// as many are no faster.
	memberPageRows = 128

	// memberPageExtraBytes: a page with longer texts is split before it is full, as a write of a
	// text copies all of its page.
	memberPageExtraBytes = 32 << 10

	// memberPageRowsMin: a page with fewer looks for a neighbour to become one with.
	memberPageRowsMin = memberPageRows / 4
)

// memberPage is a run of members, ascending by user. The texts of all lie in one string, so that
// the collector follows a pointer or two per page and none per member.
type memberPage struct {
	// epoch is the writer's at the time the page was made. The page may be changed for as long as
	// that is the writer's epoch, and is immutable ever after.
	epoch uint64

	rows     []memberRow
	timeouts []int64  // By row; nil while nobody has any.
	ends     []uint32 // Where each row's text ends in extra; nil while nobody has any.
	extra    string
}

// memberRow is a Member less what nearly nobody has.
type memberRow struct {
	user     uint64
	joinedAt int64
	roleSet  uint32
	flags    uint32
}

// newMemberPage makes a page of these members, all of different users and ascending. It returns nil
// when they are not, or when their texts are too long for one page.
func newMemberPage(members []Member, epoch uint64) *memberPage {
	p := &memberPage{epoch: epoch, rows: make([]memberRow, len(members))}
	textBytes := 0
	for i := range members {
		if i > 0 && members[i].User <= members[i-1].User {
			return nil
		}
		textBytes += len(members[i].Extra)
	}
	if textBytes > memberPageExtraBytes {
		return nil
	}
	var text strings.Builder
	text.Grow(textBytes)
	for i := range members {
		m := &members[i]
		p.rows[i] = memberRow{m.User, m.JoinedAt, m.RoleSet, m.Flags}
		if m.TimeoutAt != 0 && p.timeouts == nil {
			p.timeouts = make([]int64, len(members))
		}
		if p.timeouts != nil {
			p.timeouts[i] = m.TimeoutAt
		}
		text.WriteString(m.Extra)
		if textBytes > 0 {
			p.ends = append(p.ends, uint32(text.Len()))
		}
	}
	p.extra = text.String()
	return p
}

// member returns the member in row at.
func (p *memberPage) member(at int) Member {
	row := &p.rows[at]
	m := Member{
		User: row.user, JoinedAt: row.joinedAt, RoleSet: row.roleSet, Flags: row.flags,
	}
	if p.timeouts != nil {
		m.TimeoutAt = p.timeouts[at]
	}
	if p.ends != nil {
		start, end := p.text(at)
		m.Extra = p.extra[start:end]
	}
	return m
}

// text returns where row at has its text. REQUIRES: there are texts.
func (p *memberPage) text(at int) (start, end uint32) {
	if at > 0 {
		start = p.ends[at-1]
	}
	return start, p.ends[at]
}

// search returns where the user is or would be.
func (p *memberPage) search(user uint64) (at int, found bool) {
	low, high := 0, len(p.rows)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if p.rows[middle].user < user {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, low < len(p.rows) && p.rows[low].user == user
}

// set puts the member into row at, which is its user's.
func (p *memberPage) set(at int, m *Member) {
	p.rows[at] = memberRow{m.User, m.JoinedAt, m.RoleSet, m.Flags}
	if p.timeouts == nil && m.TimeoutAt != 0 {
		p.timeouts = make([]int64, len(p.rows), cap(p.rows))
	}
	if p.timeouts != nil {
		p.timeouts[at] = m.TimeoutAt
	}
	if p.ends == nil && m.Extra != "" {
		p.ends = make([]uint32, len(p.rows), cap(p.rows))
	}
	if p.ends == nil {
		return
	}
	start, end := p.text(at)
	if p.extra[start:end] == m.Extra {
		return
	}
	p.extra = p.extra[:start] + m.Extra + p.extra[end:]
	// The difference may be negative; it wraps around and back.
	longer := uint32(len(m.Extra)) - (end - start)
	for i := at; i < len(p.ends); i++ {
		p.ends[i] += longer
	}
}

// insert makes room at row at and puts the member there.
func (p *memberPage) insert(at int, m *Member) {
	p.rows = slices.Insert(p.room(), at, memberRow{})
	if p.timeouts != nil {
		p.timeouts = slices.Insert(p.timeouts, at, 0)
	}
	if p.ends != nil {
		start := uint32(0)
		if at > 0 {
			start = p.ends[at-1]
		}
		p.ends = slices.Insert(p.ends, at, start)
	}
	p.set(at, m)
}

// room returns the rows with room for one more. It grows them by an eighth: by half, as append
// does, a table of a million would be a fifth larger.
func (p *memberPage) room() []memberRow {
	if len(p.rows) < cap(p.rows) {
		return p.rows
	}
	rows := make([]memberRow, len(p.rows), len(p.rows)+len(p.rows)/8+1)
	copy(rows, p.rows)
	return rows
}

// remove takes row at out.
func (p *memberPage) remove(at int) {
	if p.ends != nil {
		start, end := p.text(at)
		p.extra = p.extra[:start] + p.extra[end:]
		p.ends = slices.Delete(p.ends, at, at+1)
		for i := at; i < len(p.ends); i++ {
			p.ends[i] -= end - start
		}
	}
	if p.timeouts != nil {
		p.timeouts = slices.Delete(p.timeouts, at, at+1)
	}
	p.rows = slices.Delete(p.rows, at, at+1)
}

// part returns a page of its own with the rows from one to another.
func (p *memberPage) part(from, to int, epoch uint64) *memberPage {
	q := &memberPage{epoch: epoch, rows: slices.Clone(p.rows[from:to])}
	if p.timeouts != nil {
		q.timeouts = slices.Clone(p.timeouts[from:to])
	}
	if p.ends == nil || from == to {
		return q
	}
	start, _ := p.text(from)
	end := p.ends[to-1]
	if start == end {
		return q
	}
	// The whole text is shared and the part of one copied: a page must not hold on to more.
	q.extra = p.extra
	if start != 0 || int(end) != len(p.extra) {
		q.extra = string([]byte(p.extra[start:end]))
	}
	q.ends = slices.Clone(p.ends[from:to])
	for i := range q.ends {
		q.ends[i] -= start
	}
	return q
}

// crowded says whether the page is to be split before it takes another member.
func (p *memberPage) crowded() bool { return len(p.rows) >= memberPageRows || p.wordy() }

// wordy says whether the page is to be split because of its texts.
func (p *memberPage) wordy() bool {
	return len(p.extra) > memberPageExtraBytes && len(p.rows) > 1
}

// appendPage appends the rows of another page, all of which come behind.
func (p *memberPage) appendPage(q *memberPage) {
	for at := range q.rows {
		m := q.member(at)
		p.insert(len(p.rows), &m)
	}
}
