package store

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
)

// memory is a directory that lives as long as the process.
type memory struct {
	// Guarded by mu.
	mu         sync.RWMutex
	closed     bool
	users      map[uint64]*User
	tokens     map[tokenHash]uint64
	userTokens map[uint64]map[tokenHash]struct{}
	guilds     map[uint64]*memoryGuild
	userGuilds map[uint64]map[uint64]struct{}
	channels   map[uint64]uint64
	notes      map[string][]byte
}

type tokenHash = [sha256.Size]byte

type memoryGuild struct {
	doc      []byte // Nil while there are pages only: then the guild is unknown.
	channels []uint64
	members  recordList
	pages    []uint64 // Where each begins, ascending.
}

// NewMemory returns an empty directory that forgets everything when the process ends.
func NewMemory() Replica {
	return &memory{
		users:      make(map[uint64]*User),
		tokens:     make(map[tokenHash]uint64),
		userTokens: make(map[uint64]map[tokenHash]struct{}),
		guilds:     make(map[uint64]*memoryGuild),
		userGuilds: make(map[uint64]map[uint64]struct{}),
		channels:   make(map[uint64]uint64),
		notes:      make(map[string][]byte),
	}
}

func (m *memory) User(id uint64) (*User, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	return m.users[id], nil
}

func (m *memory) TokenUser(token string) (uint64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return 0, ErrClosed
	}
	return m.tokens[TokenHash(token)], nil
}

func (m *memory) GuildsOf(user uint64) ([]uint64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	return slices.Sorted(maps.Keys(m.userGuilds[user])), nil
}

func (m *memory) Guild(id uint64) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	g := m.guilds[id]
	if g == nil {
		return nil, nil
	}
	return bytes.Clone(g.doc), nil
}

func (m *memory) GuildMembers(id uint64, f func(MemberRecord) error) error {
	return m.MembersBetween(id, 0, math.MaxUint64, f)
}

func (m *memory) MembersBetween(id, first, last uint64, f func(MemberRecord) error) error {
	records, err := m.membersBetween(id, first, last)
	if err != nil {
		return err
	}
	for _, record := range records {
		if err := f(record); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) membersBetween(id, first, last uint64) ([]MemberRecord, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	g := m.guilds[id]
	if g == nil {
		return nil, nil
	}
	return g.members.between(first, last), nil
}

func (m *memory) ChannelGuild(channel uint64) (uint64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return 0, ErrClosed
	}
	return m.channels[channel], nil
}

// putChannels makes channels all that the guild has. A channel that another guild has taken since
// stays that guild's.
func (m *memory) putChannels(g *memoryGuild, guild uint64, channels []uint64) {
	for _, c := range g.channels {
		if m.channels[c] == guild {
			delete(m.channels, c)
		}
	}
	for _, c := range channels {
		m.channels[c] = guild
	}
	g.channels = channels
}

func (m *memory) guildIDs() (ids []uint64, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	for id, g := range m.guilds {
		if g.doc != nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

func (m *memory) EachGuild(f func(id uint64) error) error {
	ids, err := m.guildIDs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := f(id); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

func (m *memory) Apply(ops []Op) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	// Nothing can be taken back from the maps, so all refusals come first.
	if err := m.check(ops); err != nil {
		return err
	}
	for i := range ops {
		m.apply(&ops[i])
	}
	return nil
}

// check refuses a batch that apply could not do whole.
func (m *memory) check(ops []Op) error {
	known := make(map[uint64]bool) // Guilds that the batch itself has put or deleted so far.
	for i := range ops {
		op := &ops[i]
		if err := op.Validate(); err != nil {
			return fmt.Errorf("op %d of %d: %w", i+1, len(ops), err)
		}
		switch op.Kind {
		case OpPutGuild:
			known[op.Guild] = true
		case OpDeleteGuild:
			known[op.Guild] = false
		case OpPutMember:
			is, mentioned := known[op.Guild]
			if !mentioned {
				g := m.guilds[op.Guild]
				is = g != nil && g.doc != nil
			}
			if !is {
				return fmt.Errorf("op %d of %d: put member %d of guild %d: %w",
					i+1, len(ops), op.Member.User, op.Guild, ErrUnknownGuild)
			}
		}
	}
	return nil
}

func (m *memory) apply(op *Op) {
	switch op.Kind {
	case OpPutUser:
		m.users[op.UserRecord.ID] = op.UserRecord
	case OpAddUser:
		if m.users[op.UserRecord.ID] == nil {
			m.users[op.UserRecord.ID] = op.UserRecord
		}
	case OpPutToken:
		m.putToken(TokenHash(op.Token), op.User)
	case OpRevokeTokens:
		for hash := range m.userTokens[op.User] {
			delete(m.tokens, hash)
		}
		delete(m.userTokens, op.User)
	case OpPutTokenHash:
		m.putToken(tokenHash([]byte(op.Token)), op.User)
	case OpPutGuild:
		g := m.guild(op.Guild)
		g.doc = op.Doc
		m.putChannels(g, op.Guild, op.Channels)
	case OpDeleteGuild:
		if g := m.guilds[op.Guild]; g != nil {
			for _, member := range g.members.between(0, math.MaxUint64) {
				dropFrom(m.userGuilds, member.User, op.Guild)
			}
			m.putChannels(g, op.Guild, nil)
			delete(m.guilds, op.Guild)
		}
	case OpPutMember:
		m.putMember(m.guilds[op.Guild], op.Guild, op.Member.Kept())
	case OpDeleteMember:
		if g := m.guilds[op.Guild]; g != nil && g.members.delete(op.User) {
			dropFrom(m.userGuilds, op.User, op.Guild)
		}
	case OpPutPage:
		m.putPage(op.Guild, op.Page)
	case OpPutNote:
		if op.Doc == nil {
			delete(m.notes, op.Note)
		} else {
			m.notes[op.Note] = op.Doc
		}
	}
}

// guild returns the guild, made when there is none.
func (m *memory) guild(id uint64) *memoryGuild {
	g := m.guilds[id]
	if g == nil {
		g = &memoryGuild{}
		m.guilds[id] = g
	}
	return g
}

func (m *memory) putMember(g *memoryGuild, guild uint64, record MemberRecord) {
	if g.members.put(record) {
		addTo(m.userGuilds, record.User, guild)
	}
}

func (m *memory) putPage(guild uint64, page *Page) {
	g := m.guild(guild)
	if at, there := slices.BinarySearch(g.pages, page.First); !there {
		g.pages = slices.Insert(g.pages, at, page.First)
	}
	next := 0
	for _, old := range g.members.between(page.First, page.Last) {
		for next < len(page.Members) && page.Members[next].User < old.User {
			next++
		}
		if next == len(page.Members) || page.Members[next].User != old.User {
			g.members.delete(old.User)
			dropFrom(m.userGuilds, old.User, guild)
		}
	}
	for i := range page.Members {
		m.putMember(g, guild, page.Members[i].Kept())
	}
}

func (m *memory) putToken(hash tokenHash, user uint64) {
	if old, ok := m.tokens[hash]; ok {
		dropFrom(m.userTokens, old, hash)
	}
	m.tokens[hash] = user
	addTo(m.userTokens, user, hash)
}

// addTo and dropFrom keep an index from a user to a set; a user without any takes no room.
func addTo[T comparable](index map[uint64]map[T]struct{}, user uint64, item T) {
	set := index[user]
	if set == nil {
		set = make(map[T]struct{})
		index[user] = set
	}
	set[item] = struct{}{}
}

func dropFrom[T comparable](index map[uint64]map[T]struct{}, user uint64, item T) {
	set := index[user]
	delete(set, item)
	if len(set) == 0 {
		delete(index, user)
	}
}
