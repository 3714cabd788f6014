package fanout

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"throng/wire"
)

// listWorld is a guild as the lists ask it, and the naive model of its lists: filtered, sorted and
// cut anew for each question.
type listWorld struct {
	members  map[wire.Snowflake]*listMember
	roles    map[wire.Snowflake]*listRole
	channels map[wire.Snowflake]*listPlace
	extra    int // Members that only totals knows, to be past the cut-off with a few.
	// Some members do not view what is not for all, whatever their roles; who, may change while all
	// lists keep their ids.
	blind wire.Snowflake
}

type listMember struct {
	name    string
	roles   []wire.Snowflake // Ascending.
	online  bool
	version int // Of what is shown.
}

type listRole struct {
	position int
	hoist    bool
}

// listPlace is a channel: for all, or for the members with one of the roles.
type listPlace struct{ only []wire.Snowflake }

func (w *listWorld) hoisted() (roles []wire.Snowflake) {
	for id, role := range w.roles {
		if role.hoist {
			roles = append(roles, id)
		}
	}
	slices.SortFunc(roles, func(a, b wire.Snowflake) int {
		return cmp.Or(cmp.Compare(w.roles[b].position, w.roles[a].position), cmp.Compare(a, b))
	})
	return roles
}

func (w *listWorld) listing(user wire.Snowflake) (listing, bool) {
	m := w.members[user]
	if m == nil {
		return listing{}, false
	}
	l := listing{name: appendFolded(nil, m.name), online: m.online}
	for _, role := range w.hoisted() {
		if slices.Contains(m.roles, role) {
			l.role = role
			break
		}
	}
	return l, true
}

func (w *listWorld) views(user, channel wire.Snowflake) bool {
	m, c := w.members[user], w.channels[channel]
	if m == nil || c == nil {
		return false
	}
	if len(c.only) == 0 {
		return true
	}
	has := func(role wire.Snowflake) bool { return slices.Contains(m.roles, role) }
	return user%7 != w.blind && slices.ContainsFunc(c.only, has)
}

func (w *listWorld) listID(channel wire.Snowflake) string {
	c := w.channels[channel]
	switch {
	case c == nil:
		return ""
	case len(c.only) == 0:
		return wire.MemberListEveryone
	}
	return fmt.Sprint(c.only)
}

func (w *listWorld) totals() (members, online int) {
	for _, m := range w.members {
		if m.online {
			online++
		}
	}
	return len(w.members) + w.extra, online
}

func (w *listWorld) users() []wire.Snowflake { return slices.Sorted(maps.Keys(w.members)) }

func (w *listWorld) sight() string { return fmt.Sprint(w.blind) }

// listWorldScan is the world as it was; names and presences are those of later, as in a guild.
type listWorldScan struct {
	listWorld
	now *listWorld
	at  wire.Snowflake
}

func (w *listWorld) scan([]wire.Snowflake) listScan {
	s := &listWorldScan{now: w, listWorld: listWorld{members: maps.Clone(w.members),
		roles: make(map[wire.Snowflake]*listRole), channels: make(map[wire.Snowflake]*listPlace),
		blind: w.blind}}
	for user, m := range s.members {
		was := *m
		s.members[user] = &was
	}
	for id, role := range w.roles {
		was := *role
		s.roles[id] = &was
	}
	for id, c := range w.channels {
		was := *c
		s.channels[id] = &was
	}
	return s
}

func (s *listWorldScan) each(onlineOnly bool, f func(user wire.Snowflake, l listing)) {
	for _, user := range s.users() {
		m := s.members[user]
		if now := s.now.members[user]; now != nil {
			m.name, m.online = now.name, now.online
		}
		if l, _ := s.listing(user); l.online || !onlineOnly {
			s.at = user
			f(user, l)
		}
	}
}

func (s *listWorldScan) views(channel wire.Snowflake) bool {
	return s.listWorld.views(s.at, channel)
}

func (w *listWorld) appendMember(dst []byte, user wire.Snowflake) []byte {
	m := w.members[user]
	if m == nil {
		m = &listMember{} // It has left, and the lists will know of it.
	}
	return fmt.Appendf(dst, `{"user":{"id":"%d"},"nick":%q,"version":%d}`, user, m.name, m.version)
}

// rows is the list as it should be: "group ID" and "USER VERSION".
func (w *listWorld) rows(channel wire.Snowflake) (rows []string, groups string) {
	hidden := len(w.members)+w.extra+len(w.hoisted())+2 >= 1000
	byGroup := make(map[string][]wire.Snowflake)
	for user, m := range w.members {
		if !w.views(user, channel) {
			continue
		}
		group := "offline"
		if m.online {
			group = "online"
			if l, _ := w.listing(user); l.role != 0 {
				group = l.role.String()
			}
		}
		byGroup[group] = append(byGroup[group], user)
	}
	var order []string
	for _, role := range w.hoisted() {
		order = append(order, role.String())
	}
	order = append(order, "online")
	if !hidden {
		order = append(order, "offline")
	}
	var counts []string
	for _, group := range order {
		users := byGroup[group]
		if len(users) == 0 {
			continue
		}
		slices.SortFunc(users, func(a, b wire.Snowflake) int {
			return cmp.Or(strings.Compare(string(appendFolded(nil, w.members[a].name)),
				string(appendFolded(nil, w.members[b].name))), cmp.Compare(a, b))
		})
		rows = append(rows, "group "+group)
		counts = append(counts, fmt.Sprintf("%s:%d", group, len(users)))
		for _, user := range users {
			rows = append(rows, fmt.Sprintf("%d %d", user, w.members[user].version))
		}
	}
	return rows, strings.Join(counts, " ")
}

// randomName is one of few when there are many members: names in common are what the order by id
// and the comparison beyond the first eight bytes are for.
func (w *listWorld) randomName(r *rand.Rand) string {
	switch r.IntN(4) {
	case 0:
		return fmt.Sprintf("Common Beginning %d", r.IntN(50))
	case 1:
		return []string{"Σίγμας", "ΣΊΓΜΑΣ", "ann", "Ann", "ANN", "", "Zoë"}[r.IntN(7)]
	}
	b := make([]byte, 1+r.IntN(10))
	for i := range b {
		b[i] = "abcXYZ "[r.IntN(7)]
	}
	return string(b)
}

func (w *listWorld) randomRoles(r *rand.Rand) (roles []wire.Snowflake) {
	for role := range wire.Snowflake(5) {
		if w.roles[role+1] != nil && r.IntN(4) == 0 {
			roles = append(roles, role+1)
		}
	}
	return roles
}

func (w *listWorld) randomMember(r *rand.Rand) *listMember {
	return &listMember{name: w.randomName(r), roles: w.randomRoles(r), online: r.IntN(3) > 0}
}
