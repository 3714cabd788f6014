package store

import "github.com/puzpuzpuz/xsync/v3"

// User is what the node knows of one user. It is immutable: a change is a Put of another one.
type User struct {
	ID         uint64
	Flags      uint64
	Name       string
	GlobalName string
	Doc        string // The whole public user object as JSON, id included.
	Bot        bool
}

// Users is the table of known users, one per node. Unlike the tables of a guild it may be written
// by anyone, because a user belongs to many guilds and so to many shards.
type Users struct {
	byID *xsync.MapOf[uint64, *User]
}

// NewUsers returns an empty table.
func NewUsers() *Users {
	return &Users{byID: xsync.NewMapOfWithHasher[uint64, *User](hashID)}
}

// Get returns the user, or nil when unknown. It takes no lock and does not allocate.
func (u *Users) Get(id uint64) *User {
	user, _ := u.byID.Load(id)
	return user
}

// Put adds the user or replaces the one with its id. The table keeps the pointer.
func (u *Users) Put(user *User) {
	u.byID.Store(user.ID, user)
}

// Add adds the user unless there is one with its id by now, and returns the one that is there: what
// was read from a disk must not replace what was put meanwhile.
func (u *Users) Add(user *User) *User {
	there, _ := u.byID.LoadOrStore(user.ID, user)
	return there
}

// Len returns the number of users.
func (u *Users) Len() int {
	return u.byID.Size()
}

// hashID mixes an id for the concurrent tables. Snowflakes differ in their high bits (time) and
// barely in their low ones, and tables take bucket, part and tag from different bits, so all bits
// must reach all bits: this is the finaliser of MurmurHash3. The tables' default would do too, but
// it reaches into the runtime by name for what four lines can say.
func hashID(id, seed uint64) uint64 {
	h := id ^ seed
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return h
}
