package fanout

import (
	"bytes"
	"maps"
	"slices"
	"sync"

	"throng/wire"
)

// presence is what others see of someone's activity. It is immutable.
type presence struct {
	status     string
	activities []byte // A JSON array.
	client     []byte // The client_status object.
}

// presences are the members who are not offline. One writer, the shard; a Query reads while it
// runs elsewhere.
type presences struct {
	// Guarded by mu, which is held for one look-up at a time. A concurrent table would cost 2 KB
	// for each guild or 100 bytes for each entry, and most guilds have two people online.
	mu     sync.RWMutex
	byUser map[wire.Snowflake]*presence

	// Owned by the shard.
	online int
	lowest lowestUsers // of those who are online
}

func (ps *presences) get(user wire.Snowflake) *presence {
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	return ps.byUser[user]
}

// set makes p the user's presence; nil is offline. It says whether anything changed.
func (ps *presences) set(user wire.Snowflake, p *presence) bool {
	old := ps.get(user)
	switch {
	case p == nil:
		return ps.remove(user)
	case old == nil:
		ps.online++
		ps.lowest.come(user, ps.online)
	case old.equal(p):
		return false
	}
	ps.mu.Lock()
	if ps.byUser == nil {
		ps.byUser = make(map[wire.Snowflake]*presence)
	}
	ps.byUser[user] = p
	ps.mu.Unlock()
	return true
}

func (ps *presences) remove(user wire.Snowflake) bool {
	_, was := ps.byUser[user]
	if was {
		ps.online--
		ps.lowest.leave(user, ps.online)
		ps.mu.Lock()
		delete(ps.byUser, user)
		ps.mu.Unlock()
	}
	return was
}

// first returns the first of those who are not offline, ascending: all of them, or at least
// createMembersMax. It is valid until the next change.
func (ps *presences) first() []wire.Snowflake {
	return ps.lowest.get(maps.Keys(ps.byUser))
}

// equal reports whether both look the same; nil is offline.
func (p *presence) equal(q *presence) bool {
	if p == nil || q == nil || p == q {
		return p == q
	}
	return p.status == q.status && bytes.Equal(p.activities, q.activities) &&
		bytes.Equal(p.client, q.client)
}

// offline is the presence of whoever has none.
var offline = &presence{
	status: wire.StatusOffline, activities: []byte("[]"), client: []byte("{}"),
}

// append appends the presence of the user, with the guild's id when guild is not 0. nil is offline.
func (p *presence) append(dst []byte, user, guild wire.Snowflake) []byte {
	if p == nil {
		p = offline
	}
	dst = user.AppendJSON(append(dst, `{"user":{"id":`...))
	dst = append(dst, '}')
	if guild != 0 {
		dst = guild.AppendJSON(wire.AppendKey(dst, "guild_id"))
	}
	dst = wire.AppendString(wire.AppendKey(dst, "status"), p.status)
	dst = append(wire.AppendKey(dst, "activities"), p.activities...)
	dst = append(wire.AppendKey(dst, "client_status"), p.client...)
	return append(dst, '}')
}

// newPresence is that of somebody with one session.
func newPresence(status string, activities []byte, on wire.Platform) *presence {
	p := &presence{status: status, activities: activities}
	if len(activities) == 0 {
		p.activities = offline.activities
	}
	p.client = wire.AppendKey([]byte{'{'}, on.String())
	p.client = append(wire.AppendString(p.client, status), '}')
	return p
}

// statuses are what others may see of somebody with a session, and of several sessions the first
// in this order counts: who wants to be left alone on one device is left alone, and who sits at
// one is there.
var statuses = []string{wire.StatusDND, wire.StatusOnline, wire.StatusIdle}

// idlePresences are those of people who do nothing that they tell of, which is nearly everybody:
// they share one value per status and platform.
var idlePresences = func() (idle [wire.Platforms]map[string]*presence) {
	for on := range idle {
		idle[on] = map[string]*presence{}
		for _, status := range statuses {
			idle[on][status] = newPresence(status, nil, wire.Platform(on))
		}
	}
	return idle
}()

// presenceOf makes a presence of what a session said of itself; nil when it is offline to others.
func presenceOf(cmd wire.PresenceCommand, on wire.Platform) *presence {
	if cmd.Status == wire.StatusOffline || cmd.Status == wire.StatusInvisible {
		return nil
	}
	status := cmd.Status
	if status == "" {
		status = wire.StatusOnline
	}
	if len(cmd.Activities) == 0 || string(cmd.Activities) == "[]" {
		if p := idlePresences[on][status]; p != nil {
			return p
		}
	}
	return newPresence(status, cmd.Activities, on)
}

// together is the presence of a user with these sessions, newest first: on each platform, and
// altogether, the status that comes first in statuses; and all that is being done, once each, as
// far as activitiesBytesMax goes.
func together(said []sessionPresence) *presence {
	switch len(said) {
	case 0:
		return nil
	case 1:
		return said[0].presence
	}
	var best [wire.Platforms]int // Index into statuses, plus one.
	overall := len(statuses)
	for _, s := range said {
		rank := slices.Index(statuses, s.presence.status)
		overall = min(overall, rank)
		if at := &best[s.on]; *at == 0 || rank+1 < *at {
			*at = rank + 1
		}
	}
	client := []byte{'{'}
	for on, rank := range best {
		if rank > 0 {
			client = wire.AppendKey(client, wire.Platform(on).String())
			client = wire.AppendString(client, statuses[rank-1])
		}
	}
	return &presence{status: statuses[overall], activities: allActivities(said),
		client: append(client, '}')}
}

// sessionPresence is what one of a user's sessions said, and where it runs.
type sessionPresence struct {
	presence *presence
	on       wire.Platform
}

func allActivities(said []sessionPresence) []byte {
	all := []byte{'['}
	var seen [][]byte
	for _, s := range said {
		wire.EachElement(s.presence.activities, func(raw []byte) bool {
			known := slices.ContainsFunc(seen, func(o []byte) bool { return bytes.Equal(o, raw) })
			if !known && len(all)+len(raw) < wire.ActivitiesBytesMax {
				seen = append(seen, raw)
				all = append(wire.AppendComma(all), raw...)
			}
			return true
		})
	}
	return append(all, ']')
}
