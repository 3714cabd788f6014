package fanout

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"throng/wire"
)

// VoiceServers is the table of media servers, one per node: which there are, and who is on them by
// way of this node. Guilds take servers from it for their voice channels; whoever runs the media
// servers puts them there, and they report.
//
// All users of a channel are on one server. It is chosen when the first of them comes, and stays
// until the last has left, is lost, or the channel moves to another region.
//
// A server is lost when it is removed or when its report is overdue. Its channels then wait in line
// (Next), and their guilds move them one by one (Guild.MoveVoice). Each gets the server that is
// the least loaded at its turn, and counts there at once: so the channels of a lost server spread
// over the others in proportion to their capacity, and do not follow each other to the one that
// was the least loaded when it happened.
//
// Any goroutine may call it. The guilds' calls are rare, one for each user who comes or goes.
type VoiceServers struct {
	// Static after construction.
	key  []byte // Signs for servers that have no secret of their own.
	ring func() // Says that there is a room in line, or a report to wait for. It must not wait.

	// Guarded by mu.
	mu     sync.Mutex
	byName map[string]*VoiceServer
	list   []*VoiceServer // By name.
	// homeless are the channels in use that found no server.
	homeless map[VoiceRoom]struct{}
	// moves are channels that are to be moved, in their order, each once.
	moves  []VoiceRoom
	moving map[VoiceRoom]struct{}
}

// VoiceRoom names a voice channel that is in use.
type VoiceRoom struct{ Guild, Channel wire.Snowflake }

// VoiceServer is one media server, or one address of a guild's own list.
type VoiceServer struct {
	// Static after construction.
	name, endpoint string
	own            bool // Of a guild's own list: nobody else knows of it.

	// Guarded by the table's mu.
	region   string
	capacity int
	secret   []byte
	up       bool
	expires  int64 // When its report is overdue; 0 is never.
	users    int   // On it by way of this node.
	reported int   // What it said of its load, and what users was then.
	counted  int
	rooms    map[VoiceRoom]struct{}
}

// VoiceServerConfig is what a media server is put into the table with.
type VoiceServerConfig struct {
	Name     string
	Region   string // What channels and guilds call it.
	Endpoint string // What clients are told: host:port.
	Capacity int    // How many users it is for.
	// Secret signs the tokens of its users; empty keeps the one it has, or leaves the node's own.
	Secret []byte
	// Load is how many users it has; negative when it does not say.
	Load int
	// Expires is when its next report is overdue; 0 is never.
	Expires int64
}

// VoiceServerInfo is what an operator may know of a media server. Its secret is not part of it.
type VoiceServerInfo struct {
	Name, Region, Endpoint string
	Capacity               int
	Load                   int // Users, as far as the node knows.
	Users                  int // Of them, by way of this node.
	Rooms                  int // Channels on it.
	Up                     bool
	ExpiresMilli           int64 // Until its report is overdue; 0 is never.
}

// NewVoiceServers returns an empty table. The key is secret and random; ring is called whenever
// Next or Expire may have something new, and must not wait.
func NewVoiceServers(key []byte, ring func()) *VoiceServers {
	return &VoiceServers{
		key: key, ring: ring, byName: make(map[string]*VoiceServer),
		homeless: make(map[VoiceRoom]struct{}), moving: make(map[VoiceRoom]struct{}),
	}
}

// Put adds a server or changes one, and takes it for alive. One with another endpoint is another
// server: who is on the old one is moved.
func (vs *VoiceServers) Put(c VoiceServerConfig, serversMax int) *Error {
	defer vs.ring()
	vs.mu.Lock()
	defer vs.mu.Unlock()
	s := vs.byName[c.Name]
	if s == nil && len(vs.list) >= serversMax {
		return conflict("", fmt.Sprintf("There are %d voice servers, as many as there may be.",
			serversMax))
	}
	if s != nil && s.endpoint != c.Endpoint {
		vs.remove(s)
		s = nil
	}
	if s == nil {
		s = &VoiceServer{
			name: c.Name, endpoint: c.Endpoint, rooms: make(map[VoiceRoom]struct{}),
		}
		vs.byName[c.Name] = s
		at, _ := slices.BinarySearchFunc(vs.list, c.Name, func(s *VoiceServer, name string) int {
			return cmp.Compare(s.name, name)
		})
		vs.list = slices.Insert(vs.list, at, s)
	}
	s.region, s.capacity, s.expires = c.Region, c.Capacity, c.Expires
	if c.Load >= 0 {
		s.reported, s.counted = c.Load, s.users
	}
	if len(c.Secret) > 0 {
		s.secret = slices.Clone(c.Secret)
	}
	vs.raise(s)
	return nil
}

// raise makes a server one that may be chosen, and has those moved who found none.
func (vs *VoiceServers) raise(s *VoiceServer) {
	if s.up = true; len(vs.homeless) > 0 {
		vs.line(vs.homeless)
		clear(vs.homeless)
	}
}

// Report is word from a server: how many users it has, and when its next report is overdue, 0 for
// never. It brings back one that was lost. It is false when there is none of that name.
func (vs *VoiceServers) Report(name string, load int, expires int64) bool {
	defer vs.ring()
	vs.mu.Lock()
	defer vs.mu.Unlock()
	s := vs.byName[name]
	if s == nil {
		return false
	}
	s.reported, s.counted, s.expires = load, s.users, expires
	vs.raise(s)
	return true
}

// Key is what signs for servers that have no secret of their own.
func (vs *VoiceServers) Key() []byte { return vs.key }

// Configs are all servers as another process is to put them. One that is lost expires there at
// once.
func (vs *VoiceServers) Configs() (all []VoiceServerConfig) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for _, s := range vs.list {
		c := VoiceServerConfig{Name: s.name, Region: s.region, Endpoint: s.endpoint,
			Capacity: s.capacity, Secret: slices.Clone(s.secret), Expires: s.expires,
			Load: max(s.reported-s.counted, 0)} // Its users here are counted there as they come.
		if !s.up {
			c.Expires = 1
		}
		all = append(all, c)
	}
	return all
}

// Remove takes a server away. It is false when there is none of that name.
func (vs *VoiceServers) Remove(name string) bool {
	defer vs.ring()
	vs.mu.Lock()
	defer vs.mu.Unlock()
	s := vs.byName[name]
	if s == nil {
		return false
	}
	vs.remove(s)
	return true
}

func (vs *VoiceServers) remove(s *VoiceServer) {
	vs.lose(s)
	delete(vs.byName, s.name)
	vs.list = slices.DeleteFunc(vs.list, func(o *VoiceServer) bool { return o == s })
}

// lose has everybody on the server moved.
func (vs *VoiceServers) lose(s *VoiceServer) {
	s.up = false
	vs.line(s.rooms)
}

// line puts rooms at the end of the line, in an order that does not depend on the map's.
func (vs *VoiceServers) line(rooms map[VoiceRoom]struct{}) {
	first := len(vs.moves)
	for room := range rooms {
		if _, there := vs.moving[room]; !there {
			vs.moving[room] = struct{}{}
			vs.moves = append(vs.moves, room)
		}
	}
	slices.SortFunc(vs.moves[first:], func(a, b VoiceRoom) int {
		return cmp.Or(cmp.Compare(a.Guild, b.Guild), cmp.Compare(a.Channel, b.Channel))
	})
}

// Expire loses the servers whose report is overdue and returns their names. It says whether the
// reports of others are awaited.
func (vs *VoiceServers) Expire(now int64) (lost []string, awaited bool) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for _, s := range vs.list {
		switch {
		case !s.up || s.expires == 0:
		case s.expires <= now:
			vs.lose(s)
			lost = append(lost, s.name)
		default:
			awaited = true
		}
	}
	return lost, awaited
}

// Next takes the next room that is to be moved off the line.
func (vs *VoiceServers) Next() (room VoiceRoom, ok bool) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if len(vs.moves) == 0 {
		return room, false
	}
	room = vs.moves[0]
	if vs.moves = vs.moves[1:]; len(vs.moves) == 0 {
		vs.moves = nil
	}
	delete(vs.moving, room)
	return room, true
}

// Waiting is how many rooms are in line.
func (vs *VoiceServers) Waiting() int {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return len(vs.moves)
}

// List returns all servers, by name.
func (vs *VoiceServers) List(now int64) []VoiceServerInfo {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	all := make([]VoiceServerInfo, 0, len(vs.list))
	for _, s := range vs.list {
		i := VoiceServerInfo{
			Name: s.name, Region: s.region, Endpoint: s.endpoint, Capacity: s.capacity,
			Load: s.load(), Users: s.users, Rooms: len(s.rooms), Up: s.up,
		}
		if s.expires > 0 {
			i.ExpiresMilli = max(s.expires-now, 0)
		}
		all = append(all, i)
	}
	return all
}

// load is how many users the server has: what it has reported, and who has come and gone by way of
// this node since; or those of this node, when that is more.
func (s *VoiceServer) load() int { return max(s.users, s.reported+s.users-s.counted) }

// place chooses a server for a room of so many users, and counts them there; nil when there is
// none, and then the room is moved as soon as there is one.
func (vs *VoiceServers) place(room VoiceRoom, region string, users int) *VoiceServer {
	if vs == nil {
		return nil
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	var best voiceOffer
	for _, s := range vs.list {
		if o := s.offer(region, users); s.up && (best.server == nil || o.better(&best)) {
			best = o
		}
	}
	if best.server == nil {
		vs.homeless[room] = struct{}{}
		return nil
	}
	best.server.rooms[room] = struct{}{}
	best.server.users += users
	return best.server
}

// voiceOffer is how well a server would do.
type voiceOffer struct {
	server         *VoiceServer
	full, away     bool
	used, capacity int64
}

// offer is the server with so many users more who want to be in the region, "" being any.
func (s *VoiceServer) offer(region string, users int) voiceOffer {
	used := s.load() + users
	return voiceOffer{
		server: s, full: used > s.capacity, away: region != "" && region != s.region,
		used: int64(used), capacity: int64(s.capacity),
	}
}

// better says whether users are better off with o than with p: where there is room for them, in
// their region, with the smaller part of the capacity in use. A server that is far away is better
// than one that is overloaded, and that one is better than none.
func (o *voiceOffer) better(p *voiceOffer) bool {
	switch {
	case o.full != p.full:
		return p.full
	case o.away != p.away:
		return p.away
	}
	return o.used*p.capacity < p.used*o.capacity
}

// count follows users who come to a room that has its place, or leave it.
func (vs *VoiceServers) count(s *VoiceServer, users int) {
	if vs == nil || s == nil || s.own {
		return
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	s.users += users
}

// vacate ends a room's stay on a server, nil for none.
func (vs *VoiceServers) vacate(room VoiceRoom, s *VoiceServer, users int) {
	if vs == nil {
		return
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	delete(vs.homeless, room)
	if s != nil && !s.own {
		delete(s.rooms, room)
		s.users -= users
	}
}

// move puts a room into the line.
func (vs *VoiceServers) move(room VoiceRoom) {
	if vs == nil {
		return
	}
	defer vs.ring()
	vs.mu.Lock()
	defer vs.mu.Unlock()
	vs.line(map[VoiceRoom]struct{}{room: {}})
}

// alive says whether users may be sent to the server.
func (vs *VoiceServers) alive(s *VoiceServer) bool {
	if s == nil || s.own {
		return s != nil
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return s.up
}

// secretOf is what the server's tokens are signed with.
func (vs *VoiceServers) secretOf(s *VoiceServer) []byte {
	if vs == nil {
		return nil
	}
	if s == nil || s.own {
		return vs.key
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if len(s.secret) > 0 {
		return s.secret
	}
	return vs.key
}

// Check returns the first invariant that does not hold between the counts.
func (vs *VoiceServers) Check() error {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for _, s := range vs.list {
		if s.users < 0 || (s.users > 0) != (len(s.rooms) > 0) {
			return fmt.Errorf("voice server %s: %d users in %d rooms", s.name, s.users,
				len(s.rooms))
		}
	}
	if len(vs.moves) != len(vs.moving) {
		return fmt.Errorf("voice: %d rooms are in line, and %d are known to be", len(vs.moves),
			len(vs.moving))
	}
	return nil
}
