package fanout

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"throng/store"
	"throng/wire"
)

// listGuild is a guild with sessions of users, each of which plays its part of the lists.
type listGuild struct {
	*world
	r       *rand.Rand
	clients map[Handle]*listClient
	members []wire.Snowflake
	next    wire.Snowflake

	building *ListBuild // A worker has it.
}

const listGuildDoc = `{"name":"g","owner_id":"100",
 "roles":[{"id":"2000000000000000001","permissions":"1024"},
  {"id":"5","hoist":true,"position":2,"permissions":"0"},
  {"id":"6","hoist":true,"position":1,"permissions":"0"},{"id":"7","permissions":"0"}],
 "channels":[{"id":10,"name":"all"},{"id":13,"name":"all too"},{"id":"11","name":"staff",
  "permission_overwrites":[{"id":"2000000000000000001","type":0,"allow":"0","deny":"1024"},
   {"id":"5","type":0,"allow":1024,"deny":"0"},{"id":"101","type":1,"allow":1024,"deny":"0"}]}],
 "threads":[{"id":"12","parent_id":"11","type":11,"name":"t","owner_id":"100"}]}`

// TestGuildMemberLists changes a guild by events as a backend sends them, and by what its sessions
// do, and compares what subscribers have with who is there.
func TestGuildMemberLists(t *testing.T) {
	for seed := *listFirst; seed < *listFirst+*listSeeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			lg := &listGuild{
				world: newWorld(t, listGuildDoc), r: rand.New(rand.NewPCG(seed, 11)),
				clients: make(map[Handle]*listClient), next: 100,
			}
			limits := DefaultLimits
			limits.ListSliceMicro = 1 << lg.r.IntN(11)
			lg.g.SetLimits(limits)
			for range 120 {
				lg.user(lg.next, fmt.Sprintf("User%d", lg.r.IntN(1000)))
				lg.member(lg.next, lg.roles())
				lg.members = append(lg.members, lg.next)
				lg.next++
			}
			for range 200 {
				lg.step()
				lg.now += int64(lg.r.IntN(60))
				if lg.r.IntN(2) == 0 {
					lg.build()
				}
				if lg.r.IntN(4) == 0 {
					lg.settle()
					lg.compare()
				}
			}
		})
	}
}

// settle lets time pass until the lists have told everything.
func (lg *listGuild) settle() {
	for range 100_000 {
		lg.build()
		due := lg.g.NextTick()
		if due == 0 && lg.building == nil {
			return
		}
		lg.now = max(lg.now, due)
		lg.play(lg.g.Tick(lg.now))
	}
	lg.t.Fatal("the guild wants ticks for ever")
}

// build begins a build if one is due, or does what a worker does with the one there is.
func (lg *listGuild) build() {
	switch b := lg.building; {
	case b == nil:
		lg.building = lg.g.ListBuild(lg.now)
	case lg.r.IntN(8) == 0:
		lg.play(lg.g.Listed(b, false, lg.now))
		lg.building = nil
	case b.scan != nil:
		b.Run(noPause)
	default:
		lg.play(lg.g.Listed(b, true, lg.now))
		lg.building = nil
	}
}

func (lg *listGuild) roles() string {
	var roles []string
	for _, role := range []string{`"5"`, `"6"`, `"7"`} {
		if lg.r.IntN(4) == 0 && lg.g.roleByID[wire.Snowflake(role[1]-'0')] != nil {
			roles = append(roles, role)
		}
	}
	return `"roles":[` + strings.Join(roles, ",") + `]`
}

func (lg *listGuild) step() {
	r := lg.r
	user := lg.members[r.IntN(len(lg.members))]
	status := []string{"online", "idle", "offline"}[r.IntN(3)]
	switch k := r.IntN(20); {
	case k < 2:
		lg.publish("GUILD_MEMBER_ADD", fmt.Sprintf(`{"user":{"id":"%d","username":"new%d"},%s}`,
			lg.next, r.IntN(100), lg.roles()))
		lg.members = append(lg.members, lg.next)
		lg.next++
	case k < 3: // Quietly, and perhaps someone new.
		if user = lg.members[r.IntN(len(lg.members))]; r.IntN(2) == 0 {
			user = lg.next
			lg.members = append(lg.members, lg.next)
			lg.next++
		}
		lg.member(user, lg.roles())
	case k < 4 && user != 100:
		lg.publish("GUILD_MEMBER_REMOVE", fmt.Sprintf(`{"user":{"id":"%d"}}`, user))
		lg.members = slices.DeleteFunc(lg.members, func(u wire.Snowflake) bool { return u == user })
	case k < 6:
		lg.publish("GUILD_MEMBER_UPDATE", fmt.Sprintf(`{"user":{"id":"%d"},%s}`, user, lg.roles()))
	case k < 8:
		lg.publish("GUILD_MEMBER_UPDATE",
			fmt.Sprintf(`{"user":{"id":"%d"},"nick":"Nick%d"}`, user, r.IntN(1000)))
	case k < 9:
		lg.user(user, fmt.Sprintf("Renamed%d", r.IntN(1000)))
		lg.play(lg.g.UserChanged(user, lg.now))
	case k < 12:
		lg.publish("PRESENCE_UPDATE",
			fmt.Sprintf(`{"user":{"id":"%d"},"status":"%s"}`, user, status))
	case k < 13:
		lg.changeRoles()
	case k < 14:
		lg.publish("CHANNEL_UPDATE", fmt.Sprintf(`{"id":"11","permission_overwrites":[
			{"id":"2000000000000000001","type":0,"allow":"0","deny":"1024"},
			{"id":"%d","type":0,"allow":"1024","deny":"0"}]}`, 5+r.IntN(3)))
	case k < 15:
		lg.publish("GUILD_UPDATE", fmt.Sprintf(`{"owner_id":"%d"}`, user))
	default:
		lg.session(user, status)
	}
}

func (lg *listGuild) changeRoles() {
	role := 5 + lg.r.IntN(3)
	switch exists := lg.g.roleByID[wire.Snowflake(role)] != nil; {
	case !exists:
		lg.publish("GUILD_ROLE_CREATE", fmt.Sprintf(`{"role":{"id":"%d","permissions":"0"}}`, role))
	case lg.r.IntN(4) == 0:
		lg.publish("GUILD_ROLE_DELETE", fmt.Sprintf(`{"role_id":"%d"}`, role))
	default:
		lg.publish("GUILD_ROLE_UPDATE", fmt.Sprintf(
			`{"role":{"id":"%d","hoist":%v,"position":%d,"permissions":"%d"}}`, role,
			lg.r.IntN(2) == 0, lg.r.IntN(4), []int{0, 1024, 8}[lg.r.IntN(3)]))
	}
}

// session is something that a session does, or that happens to it.
func (lg *listGuild) session(user wire.Snowflake, status string) {
	if len(lg.clients) < 6 {
		s := lg.joinUser(user, UpdateV2)
		lg.clients[s.Handle] = &listClient{
			t: lg.t, handle: s.Handle, user: user, strict: true, lists: make(map[string]*clientList),
		}
	}
	all := lg.ordered()
	s := all[lg.r.IntN(len(all))]
	if !s.in {
		delete(lg.clients, s.Handle)
		delete(lg.sessions, s.Handle)
		return
	}
	switch k := lg.r.IntN(8); k {
	case 0:
		s.in = false
		lg.play(lg.g.Leave(s.Handle, lg.now))
		delete(lg.clients, s.Handle)
	case 1:
		lg.play(lg.g.SetPresence(s.Handle, wire.PresenceCommand{Status: status}, lg.now))
	case 2:
		listens := lg.r.IntN(2) == 0
		lg.play(lg.g.Subscribe(s.Handle, wire.Subscription{Typing: &listens}, lg.now))
	default:
		lists := []wire.ListRanges{}
		for channel := range wire.Snowflake(4) {
			if lg.r.IntN(3) == 0 {
				lists = append(lists, wire.ListRanges{Channel: 10 + channel,
					Ranges: []wire.ListRange{{First: 0, Last: 99}, {First: 100, Last: 199}}[:1+k%2]})
			}
		}
		lg.play(lg.g.Subscribe(s.Handle, wire.Subscription{Channels: lists}, lg.now))
	}
}

// compare lets each client read what it has heard, and compares it with the guild.
func (lg *listGuild) compare() {
	for h, c := range lg.clients {
		s := lg.sessions[h]
		for _, e := range s.events {
			if e.name == memberListUpdate {
				c.hear(wire.NewDispatch(e.name, e.body, nil))
			}
		}
		s.events = nil
		r := lg.g.receivers.get(h)
		if r == nil {
			continue
		}
		blocks := make(map[string][]uint32)
		channels := make(map[string]*channel)
		if r.wants != nil && !r.passive {
			for _, want := range r.wants.lists {
				ch := lg.g.listChannel(want.Channel)
				if lg.sees(r.User, ch) {
					everyone := lg.g.roleByID[guildID].permissions
					id := wire.MemberListID(everyone, ch.overwrites)
					blocks[id] = append(blocks[id], listBlocks(want.Ranges)...)
					channels[id] = ch
				}
			}
		}
		for id := range c.lists {
			if blocks[id] == nil {
				c.check(id, nil, nil)
			}
		}
		for id, want := range blocks {
			c.check(id, want, lg.rows(channels[id]))
		}
	}
}

func (lg *listGuild) sees(user wire.Snowflake, c *channel) bool {
	m, ok := lg.g.members.Get(uint64(user))
	if !ok {
		return false
	}
	subject := lg.g.subjectOf(lg.g.keyOf(m, lg.now))
	subject.User = user
	base := lg.g.basePermissions(subject)
	held := wire.ChannelPermissions(base, guildID, subject, c.overwrites)
	return held.Has(wire.PermissionViewChannel)
}

func (lg *listGuild) rows(c *channel) (rows []string) {
	type entry struct {
		group int // Minus the position; then online, offline.
		role  wire.Snowflake
		name  string
		user  wire.Snowflake
	}
	var entries []entry
	lg.g.members.Range(func(m store.Member) bool {
		user := wire.Snowflake(m.User)
		if !lg.sees(user, c) {
			return true
		}
		e := entry{1 << 20, 0, strings.ToLower(displayName(lg.users, m)), user}
		if lg.g.presences.get(user) == nil {
			e.group++
		} else {
			for _, id := range lg.g.roleSets.Roles(m.RoleSet) {
				r := lg.g.roleByID[wire.Snowflake(id)]
				if r != nil && r.hoist && -int(r.position) < e.group {
					e.group, e.role = -int(r.position), r.id
				}
			}
		}
		entries = append(entries, e)
		return true
	})
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.role, b.role),
			strings.Compare(a.name, b.name), cmp.Compare(a.user, b.user))
	})
	for i, e := range entries {
		if i == 0 || entries[i-1].group != e.group || entries[i-1].role != e.role {
			id := e.role.String()
			switch e.group {
			case 1 << 20:
				id = "online"
			case 1<<20 + 1:
				id = "offline"
			}
			rows = append(rows, "group "+id)
		}
		rows = append(rows, fmt.Sprintf("%d 0", e.user))
	}
	return rows
}
