package store

// Bits of Member.Flags. The flags that Discord itself numbers sit above MemberFlagsShift.
const (
	MemberDeaf uint32 = 1 << iota
	MemberMute
	MemberPending

	MemberFlagsShift = 8
)

// Member is one member of one guild. It is a value and is never changed in place: a change is a
// Put of a new value.
//
// Extra is the only pointer, and it is empty for nearly everyone, so that the garbage collector
// has little to follow in a guild of a million.
type Member struct {
	User      uint64
	JoinedAt  int64  // Unix milliseconds.
	TimeoutAt int64  // End of the timeout in Unix milliseconds; 0 is none.
	RoleSet   uint32 // Id in the guild's RoleSets; 0 is no roles.
	Flags     uint32
	Extra     string // JSON members that are not at their default, comma-joined, no braces.
}

// MemberRecord is a Member as the directory keeps it, with the roles spelled out: the ids of
// RoleSets are handed out anew by every process, so RoleSet is ignored on the way in and zero on
// the way out.
type MemberRecord struct {
	Member
	Roles []uint64 // Ascending on the way out. Shared: not to be changed.
}
