package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
)

// Directory is what is kept: users, tokens, guilds, members, and which guilds a user is in.
// NewMemory and disk.Open implement it and pass the same tests. All methods may be called from
// any goroutine; they may wait for a disk, so neither an event loop nor a guild shard calls them.
type Directory interface {
	// User returns the user, or nil when unknown.
	User(id uint64) (*User, error)
	// TokenUser returns whose token it is, or 0 when unknown or revoked.
	TokenUser(token string) (uint64, error)
	// GuildsOf returns the guilds that the user is a member of, ascending.
	GuildsOf(user uint64) ([]uint64, error)
	// Guild returns the guild's document, or nil when unknown. The caller may keep it.
	Guild(id uint64) (doc []byte, err error)
	// GuildMembers calls f for each member of the guild, ascending by user, as of one moment. It
	// stops at f's first error and returns it. f must not call the directory: a writer that must
	// enlarge the file waits for readers, and a reader behind it waits for the writer.
	GuildMembers(id uint64, f func(MemberRecord) error) error
	// ChannelGuild returns the guild that a channel or thread is of, or 0 when unknown.
	ChannelGuild(channel uint64) (guild uint64, err error)
	// EachGuild calls f with each guild's id, ascending, as of one moment. It stops at f's first
	// error and returns it. f may call the directory.
	EachGuild(f func(id uint64) error) error
	// Apply does all of the ops in order, or none of them when it returns an error. When it
	// returns nil all of them outlive the process, in an implementation that outlives it at all.
	// It costs one flush of the disk, so whoever writes much gathers ops. The ops' contents may
	// be kept and must not be changed afterwards.
	Apply(ops []Op) error
	// Close waits for calls in flight and frees what is held. Later calls return ErrClosed.
	Close() error
}

// Replica is a Directory that follows a log of changes, and can tell where it is in that log:
// what Apply has done and how far it has come is one batch.
type Replica interface {
	Directory
	// MembersBetween is GuildMembers of the users from first to last.
	MembersBetween(guild, first, last uint64, f func(MemberRecord) error) error
	// PageOf returns the bounds of the page that the user falls in. Pages begin where OpPutPage has
	// let one begin, and end where the next begins; a guild without is one page.
	PageOf(guild, user uint64) (first, last uint64, err error)
	// GuildChannels returns the channels and threads that the guild was last put with.
	GuildChannels(guild uint64) ([]uint64, error)
	// Note returns what was noted under the key, or nil.
	Note(key string) ([]byte, error)
	// EachUser and EachToken call f with each that there is, as GuildMembers does.
	EachUser(f func(*User) error) error
	EachToken(f func(hash [sha256.Size]byte, user uint64) error) error
}

// Errors that a caller may ask for with errors.Is.
var (
	ErrClosed       = errors.New("the store is closed")
	ErrUnknownGuild = errors.New("the guild is unknown")
	ErrCorrupt      = errors.New("the data is corrupt")
)

// OpKind says what an Op does and which of its fields count.
type OpKind uint8

const (
	OpPutUser      OpKind = iota + 1 // UserRecord: add or replace it.
	OpAddUser                        // UserRecord: add it unless there is one with its id.
	OpPutToken                       // Token becomes User's, whosever it was.
	OpRevokeTokens                   // All tokens of User.
	OpPutGuild                       // Guild's document becomes Doc, its channels Channels.
	OpDeleteGuild                    // Guild with all of its members; nothing when unknown.
	OpPutMember                      // Member of Guild, which must be known: add or replace.
	OpDeleteMember                   // User of Guild; nothing when no member.

	// What a Replica is given. A page may come before its guild's document.
	OpPutTokenHash // The token with the hash in Token becomes User's.
	OpPutPage      // Of Guild, in the range of Page, exactly its members are.
	OpPutNote      // Note becomes Doc; nil removes it.
)

// Op is one change to a directory.
type Op struct {
	Kind       OpKind
	Guild      uint64
	User       uint64 // Of OpPutMember it may be zero; Member.User counts.
	Doc        []byte
	Channels   []uint64 // Of OpPutGuild: all its channels and threads, ascending.
	Token      string
	Note       string
	Member     MemberRecord
	Page       *Page
	UserRecord *User
}

// Validate returns an error when the op cannot be meant, whatever the directory holds. Apply
// calls it; a batch with such an op is refused whole.
func (op *Op) Validate() error {
	switch op.Kind {
	case OpPutUser, OpAddUser:
		if op.UserRecord == nil || op.UserRecord.ID == 0 {
			return errors.New("put user: no user or no id")
		}
	case OpPutToken:
		if op.User == 0 || op.Token == "" {
			return errors.New("put token: no user or no token")
		}
	case OpRevokeTokens:
		if op.User == 0 {
			return errors.New("revoke tokens: no user")
		}
	case OpPutGuild:
		if op.Guild == 0 || len(op.Doc) == 0 {
			return errors.New("put guild: no id or no document")
		}
	case OpDeleteGuild:
		if op.Guild == 0 {
			return errors.New("delete guild: no id")
		}
	case OpPutMember:
		if op.Guild == 0 || op.Member.User == 0 {
			return errors.New("put member: no guild or no user")
		}
	case OpDeleteMember:
		if op.Guild == 0 || op.User == 0 {
			return errors.New("delete member: no guild or no user")
		}
	case OpPutTokenHash:
		if op.User == 0 || len(op.Token) != sha256.Size {
			return errors.New("put token hash: no user or no hash")
		}
	case OpPutPage:
		if op.Guild == 0 || op.Page == nil || !op.Page.valid() {
			return errors.New("put page: no guild, or members out of order or of the range")
		}
	case OpPutNote:
		if op.Note == "" {
			return errors.New("put note: no key")
		}
	default:
		return fmt.Errorf("op of unknown kind %d", op.Kind)
	}
	return nil
}

// TokenHash is how a token is kept. Tokens are long and random, so a plain hash is enough: there
// is no small set of them to try.
func TokenHash(token string) [sha256.Size]byte {
	return sha256.Sum256([]byte(token))
}

// Kept returns the record as a directory keeps it: its roles ascending and its RoleSet zero. The
// result shares nothing with the argument that a caller may change.
func (r MemberRecord) Kept() MemberRecord {
	r.RoleSet = 0
	r.Roles = sortedRoles(r.Roles)
	return r
}
