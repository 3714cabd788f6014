package node

import (
	"errors"
	"fmt"
	"slices"

	"throng/store"
	"throng/wire"
)

// identity is what an IDENTIFY asks for and what the directory says of its token.
type identity struct {
	command wire.Identify
	user    *store.User
	guilds  []wire.Snowflake // of this shard
	joins   uint64           // core.joins before guilds was read
	err     error            // the directory failed
}

// identify checks an IDENTIFY and has its token looked up on a worker; identified goes on.
func (l *loop) identify(k *socket, d []byte) {
	c, fault := wire.ParseIdentify(d)
	if fault != nil {
		l.core.identifies.wrong.Add(1)
		l.fail(k, fault)
		return
	}
	if l.core.draining.Load() {
		l.core.identifies.refused.Add(1)
		l.closeSocket(k, NodeDraining, "The node is shutting down.")
		return
	}
	index, gen, o := k.index, k.gen, k.opening
	ok := l.core.submitLookup(func() {
		if o.gone.Load() {
			l.core.abandoned.Add(1)
			return
		}
		a := &identified{index, gen, &identity{err: errInternal}}
		defer func() {
			if a.identity.nobody() && l.core.newest != nil {
				l.lookLate(a, o)
				return
			}
			l.calls.push(a)
		}()
		a.identity = l.core.lookUp(c)
	})
	if !ok {
		l.core.identifies.refused.Add(1)
		l.refuseSession(k)
		return
	}
	k.state = socketIdentifying
}

// submitLookup has a worker look something up for a session, unless too many wait for that.
func (c *core) submitLookup(job func()) bool {
	permit, ok := c.lookups.acquire(c.clock())
	if !ok {
		return false
	}
	if c.submit(kindJobLookup, func() {
		defer c.lookups.release(permit)
		job()
	}) {
		return true
	}
	c.lookups.release(permit)
	return false
}

// lookUp finds the token's user and the guilds of the shard. It runs on a worker.
func (c *core) lookUp(cmd wire.Identify) *identity {
	id := &identity{command: cmd}
	user, err := c.authenticate(cmd.Token)
	if err != nil || user == 0 {
		id.err = err
		return id
	}
	if id.user, id.err = c.user(user); id.err != nil || id.user == nil {
		return id
	}
	id.joins = c.joins.Load()
	id.guilds, id.err = c.guildsOf(user, cmd)
	return id
}

// guildsOf reads the guilds of a user that belong to the shard of an IDENTIFY.
func (c *core) guildsOf(user wire.Snowflake, cmd wire.Identify) (of []wire.Snowflake, err error) {
	guilds, err := c.dir.GuildsOf(uint64(user))
	for _, g := range guilds {
		g := wire.Snowflake(g)
		if !cmd.HasShard || g.Shard(cmd.Shard[1]) == cmd.Shard[0] {
			of = append(of, g)
		}
	}
	return of, err
}

// lookAgain reads the guilds of a session anew that became live while somebody joined a guild: it
// may have been this user, too late for the first reading and too early to be told.
func (l *loop) lookAgain(s *session, id *identity) {
	h := s.handle(l)
	user := s.user
	ok := l.core.submitLookup(func() {
		if !slices.Contains(l.core.sessionsOf(user), h) {
			l.core.abandoned.Add(1)
			return
		}
		guilds, err := l.core.guildsOf(user, id.command)
		if err != nil {
			l.core.log.Error("identify: the directory failed", "error", err)
		}
		for _, g := range guilds {
			l.inbox.push(invite(h, g))
		}
	})
	if !ok {
		l.endSession(s, NodeBusy)
	}
}

// user finds a user in the table or, failing that, in the directory. It may wait for a disk.
func (c *core) user(id wire.Snowflake) (*store.User, error) {
	if u := c.users.Get(uint64(id)); u != nil {
		return u, nil
	}
	puts := c.userPuts.Load()
	u, err := c.dir.User(uint64(id))
	if err == nil && u != nil {
		u = c.users.Add(u)
	}
	if err == nil && puts != c.userPuts.Load() {
		// Another node may have put the user between the two lines.
		if u, err = c.dir.User(uint64(id)); err == nil && u != nil {
			c.usersReplaced([]*store.User{u})
		}
	}
	return u, err
}

// identified brings the answer of lookUp back to the socket.
type identified struct {
	index, gen uint32
	identity   *identity
}

func (m *identified) kind() messageKind { return kindIdentified }

func (m *identified) do(l *loop) {
	if l.gens[m.index] != m.gen {
		return
	}
	k := l.sockets[m.index]
	if k.state != socketIdentifying {
		return
	}
	if r, sentence := l.judge(m.identity); sentence != "" {
		l.core.identifies.wrong.Add(1)
		l.closeSocket(k, r, sentence)
		return
	}
	l.admit(k, m.identity)
}

// judge says what is wrong with an identity, if anything is.
func (l *loop) judge(id *identity) (r CloseReason, sentence string) {
	switch {
	case errors.Is(id.err, errBehindLog):
		return NodeBusy, "The token cannot be checked now."
	case id.err != nil:
		l.core.log.Error("identify: the directory failed", "error", id.err)
		return NodeBusy, "The token cannot be checked now."
	case id.user == nil:
		return WrongToken, "Authentication failed."
	}
	// Sessions outlive their sockets, so a limit of connections is none of what one token can hold.
	if most := l.core.limits.userSessionsMax; most > 0 &&
		len(l.core.sessionsOf(wire.Snowflake(id.user.ID))) >= most {
		return NodeBusy, "The user has as many sessions as it may."
	}
	c := &id.command
	if c.HasIntents {
		if !wire.ValidIntents(c.Intents, id.user.Bot) {
			return WrongIntents, "The intents have bits that mean nothing."
		}
		granted := wire.GrantedIntents(applicationFlags(id.user))
		if id.user.Bot && c.Intents&wire.IntentsPrivileged&^granted != 0 {
			return DeniedIntents, "A privileged intent is not enabled for the application."
		}
	} else if id.user.Bot {
		return WrongIntents, "A bot has to say its intents."
	} else {
		c.Intents = wire.IntentsUser
	}
	if most := l.core.limits.shardGuildsMax; len(id.guilds) > most {
		return TooManyGuilds, fmt.Sprintf(
			"%d guilds on one shard, and %d are allowed: use more shards.", len(id.guilds), most)
	}
	return 0, ""
}

// admit begins the session as soon as its identify bucket is free. Waiting is kinder than
// refusing: a library that is refused waits its five seconds and asks again, all its shards at
// once.
func (l *loop) admit(k *socket, id *identity) {
	n := l.core.limits.identifyBuckets
	if n == 0 {
		l.begin(k, id)
		return
	}
	b := identifyBucket{wire.Snowflake(id.user.ID), id.command.Shard[0] % n}
	now := l.core.clock()
	wait, ok := l.core.buckets.reserve(b, now, l.core.limits.identifyGapMilli,
		l.core.limits.identifyWaitMilli)
	switch {
	case !ok:
		l.core.identifies.late.Add(1)
		k.state = socketHello
		l.due(k, l.time+l.core.limits.identifyMilli)
		l.refuseSession(k)
	case wait == 0:
		l.begin(k, id)
	default:
		k.state, k.opening.identity = socketWaiting, id
		l.due(k, l.time+now-l.ticked+wait) // The loop's clock stands still between two ticks.
	}
}

// refuseSession says Invalid Session. discordgo locks up when that is the first thing it reads
// after an IDENTIFY or RESUME, so a heartbeat request, which every client answers, goes first.
func (l *loop) refuseSession(k *socket) {
	k.say(wire.AppendHeartbeatRequest)
	k.say(sayInvalidSession)
	l.write(k)
}

// begin makes the session: READY with number 1, then its guilds, each with its GUILD_CREATE
// before anything else of it.
func (l *loop) begin(k *socket, id *identity) {
	if l.parted {
		l.closeSocket(k, NodeDraining, "Another process has taken over: connect again.")
		return
	}
	c := &id.command
	k.teachStranger()
	s := &session{
		token: tokenHash(c.Token), user: wire.Snowflake(id.user.ID), intents: c.Intents,
		variant: k.variant, compression: k.compression, version: k.version, bot: id.user.Bot,
		sharded: c.HasShard, shard: [2]int32{0, 1}, large: uint16(c.LargeThreshold),
		began: l.core.clock(), guilds: id.guilds, socket: k,
		updates: updateModeOf(c.Capabilities), platform: c.Properties.Platform(),
	}
	if c.HasShard {
		s.shard = [2]int32{int32(c.Shard[0]), int32(c.Shard[1])}
	}
	// "compress" in IDENTIFY is void once the transport is compressed.
	s.payload = c.Compress && k.compression == wire.CompressionNone
	if p := c.Presence; p != nil && (p.Status != wire.StatusOnline || len(p.Activities) > 2) {
		s.presence = p
	}
	s.slot, s.gen = l.out.Open()
	l.newID(&s.id, s.slot)
	for int(s.slot) >= len(l.sessions) {
		l.sessions = append(l.sessions, nil)
	}
	l.sessions[s.slot] = s
	l.hosted.Store(true)
	k.session, k.state = s, socketLive
	l.due(k, l.time+l.core.limits.deadMilli)
	l.stats.live++
	l.core.identifies.ok.Add(1)
	l.core.addLive(s.user, s.handle(l))

	// The user as of now: from here on the session is told of changes, and what lookUp read may be
	// older.
	user := l.core.users.Get(id.user.ID)
	if user == nil {
		user = id.user
	}
	body := appendReady(nil, readyFacts{
		version: int(s.version), user: user, guilds: s.guilds, session: s.id.String(),
		resumeURL: l.resumeURL(k), shard: s.shardPair(), sharded: s.sharded,
		trace: l.core.limits.trace,
	})
	k.opening = nil
	l.sendPrivate(s.handle(l), []*wire.Dispatch{wire.NewDispatch("READY", body, nil)})
	l.joinMore(s)
	if l.core.joins.Load() != id.joins {
		l.lookAgain(s, id)
	}
}

func (l *loop) newID(id *sessionID, slot uint32) {
	l.core.random(id[:8])
	tag := l.core.mesh.tag
	id[8], id[9] = byte(tag>>8), byte(tag)
	id[10], id[11] = byte(l.index>>8), byte(l.index)
	id[12], id[13], id[14], id[15] = byte(slot>>24), byte(slot>>16), byte(slot>>8), byte(slot)
}

func (l *loop) resumeURL(k *socket) string {
	if l.core.limits.publicURL != "" {
		return l.core.limits.publicURL
	}
	return l.core.limits.scheme + k.opening.host
}

func sayInvalidSession(dst []byte, v wire.Variant) []byte {
	return wire.AppendInvalidSession(dst, v, false)
}
