package store

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"math"
	"slices"
)

// What only a Replica is asked.

func (m *memory) PageOf(guild, user uint64) (first, last uint64, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return 0, 0, ErrClosed
	}
	last = math.MaxUint64
	g := m.guilds[guild]
	if g == nil {
		return 0, last, nil
	}
	at, there := slices.BinarySearch(g.pages, user)
	if there {
		at++
	}
	if at > 0 {
		first = g.pages[at-1]
	}
	if at < len(g.pages) {
		last = g.pages[at] - 1
	}
	return first, last, nil
}

func (m *memory) GuildChannels(guild uint64) ([]uint64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	g := m.guilds[guild]
	if g == nil {
		return nil, nil
	}
	return slices.Clone(g.channels), nil
}

func (m *memory) Note(key string) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	return bytes.Clone(m.notes[key]), nil
}

func (m *memory) EachUser(f func(*User) error) error {
	m.mu.RLock()
	closed, users := m.closed, maps.Clone(m.users)
	m.mu.RUnlock()
	if closed {
		return ErrClosed
	}
	for _, id := range slices.Sorted(maps.Keys(users)) {
		if err := f(users[id]); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) EachToken(f func(hash [sha256.Size]byte, user uint64) error) error {
	m.mu.RLock()
	closed, tokens := m.closed, maps.Clone(m.tokens)
	m.mu.RUnlock()
	if closed {
		return ErrClosed
	}
	for hash, user := range tokens {
		if err := f(hash, user); err != nil {
			return err
		}
	}
	return nil
}
