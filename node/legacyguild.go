package node

import (
	"maps"
	"math"
	"slices"

	"throng/fanout"
	"throng/store"
	"throng/tuning"
	"throng/wire"
	"throng/wire/pack"
)

// leave sends all guilds that have something which the directory does not have. It changes nothing
// that matters to a guild that stays after all.
func (s *shard) leave(p *legacyPipe) error {
	var dst []byte
	for _, id := range slices.Sorted(maps.Keys(s.guilds)) {
		g := s.guilds[id].guild
		if !g.HasSessionState() {
			continue
		}
		parts := g.CarryWhole(tuning.TakeoverPartBytes)
		for i, part := range parts {
			dst = pack.AppendFlags(pack.AppendID(dst[:0], id), i == len(parts)-1)
			if err := p.send(legacyGuild, append(dst, part...)); err != nil {
				return err
			}
		}
	}
	return nil
}

// heirloom is a guild that is being taken over, or was.
type heirloom struct {
	place  *place
	take   *fanout.Take
	count  int           // Members that it was read with.
	change fanout.Change // What follows.
	done   bool
}

// inherit takes a part of a guild. REQUIRES: no shard runs.
func (x *inheritance) inherit(r pack.Reader) error {
	id, last := r.ID(), r.Flags(1).Has(0)
	part := r.Rest()
	if r.Failed() {
		return errLegacy
	}
	core := x.node.core
	s := core.shardOf(id)
	h := x.guilds[id]
	if h == nil {
		g, err := core.loadGuild(id)
		if err != nil {
			return err
		}
		if g == nil {
			return errNoGuild
		}
		h = &heirloom{place: &place{guild: s.attuned(g)}, count: g.Info().MemberCount}
		h.take = g.Take(func(there fanout.Handle) (fanout.Handle, bool) {
			loop := int(there.Loop)
			return there, loop < len(core.loops) &&
				core.loops[loop].out.Live(there.Slot, there.Gen)
		})
		x.guilds[id] = h
	}
	if h.done {
		return errLegacy
	}
	err := h.take.Next(part)
	if err != nil || !last {
		return err
	}
	g := h.place.guild
	if h.change, err = h.take.Done(core.wall()); err != nil {
		return err
	}
	h.done = true
	s.guilds[id] = h.place
	s.serves(id)
	core.members.Add(int64(g.Info().MemberCount - h.count))
	s.listChannels(g)
	s.inbox.push(&goOnGuild{guildCall: guildCall{id}, change: &h.change})
	return nil
}

// goOnGuild has a guild that was taken over go on, once loops and shards run.
type goOnGuild struct {
	guildCall
	change *fanout.Change
}

func (m *goOnGuild) kind() messageKind    { return kindMesh }
func (m *goOnGuild) refuse(*shard, error) {}

// apply has the shard look what the guild wants, which it does behind each message.
func (m *goOnGuild) apply(s *shard, g *fanout.Guild) { s.emit(g, m.change) }

// leaveDirectory sends all that a directory in memory has.
func leaveDirectory(p *legacyPipe, from store.Replica) error {
	batch := legacyBatch{pipe: p, kind: legacyUsers}
	err := from.EachUser(func(u *store.User) error {
		batch.dst = pack.AppendID(batch.dst, wire.Snowflake(u.ID))
		batch.dst = pack.AppendText(batch.dst, store.AppendUser(nil, u))
		return batch.cut()
	})
	if err == nil {
		err = batch.end(legacyTokens)
	}
	if err != nil {
		return err
	}
	err = from.EachToken(func(hash [32]byte, user uint64) error {
		batch.dst = pack.AppendID(append(batch.dst, hash[:]...), wire.Snowflake(user))
		return batch.cut()
	})
	if err == nil {
		err = batch.end(legacyDocument)
	}
	if err != nil {
		return err
	}
	return from.EachGuild(func(id uint64) error { return batch.guild(from, id) })
}

// legacyBatch gathers what is small.
type legacyBatch struct {
	pipe *legacyPipe
	kind legacyPart
	head int // of dst: what each part begins with
	dst  []byte
}

func (b *legacyBatch) cut() error {
	if len(b.dst) < tuning.TakeoverPartBytes {
		return nil
	}
	err := b.pipe.send(b.kind, b.dst)
	b.dst = b.dst[:b.head]
	return err
}

// end sends what is left, and begins another kind.
func (b *legacyBatch) end(next legacyPart) error {
	err := b.pipe.send(b.kind, b.dst)
	b.kind, b.head, b.dst = next, 0, b.dst[:0]
	return err
}

func (b *legacyBatch) guild(from store.Replica, id uint64) error {
	doc, err := from.Guild(id)
	if err != nil {
		return err
	}
	channels, err := from.GuildChannels(id)
	if err != nil {
		return err
	}
	b.dst = pack.AppendID(b.dst[:0], wire.Snowflake(id))
	b.dst = append(store.AppendIDs(b.dst, channels), doc...)
	if err := b.end(legacyMembers); err != nil {
		return err
	}
	b.dst = pack.AppendID(b.dst, wire.Snowflake(id))
	b.head = len(b.dst)
	err = from.GuildMembers(id, func(m store.MemberRecord) error {
		b.dst = pack.AppendID(b.dst, wire.Snowflake(m.User))
		b.dst = pack.AppendText(b.dst, store.AppendMember(nil, m))
		return b.cut()
	})
	if err != nil {
		return err
	}
	return b.end(legacyDocument)
}

// inheritRecords takes what leaveDirectory has sent.
func inheritRecords(to store.Directory, kind legacyPart, r pack.Reader) error {
	var ops []store.Op
	guild := uint64(0)
	switch kind {
	case legacyDocument:
		guild = uint64(r.ID())
		channels, doc, err := store.ParseIDs(r.Rest())
		if err != nil || r.Failed() {
			return errLegacy
		}
		return to.Apply([]store.Op{{Kind: store.OpPutGuild, Guild: guild,
			Doc: slices.Clone(doc), Channels: channels}})
	case legacyMembers:
		guild = uint64(r.ID())
	}
	for !r.Done() && !r.Failed() {
		op := store.Op{Guild: guild}
		var err error
		switch kind {
		case legacyUsers:
			op.Kind = store.OpPutUser
			op.UserRecord, err = store.ParseUser(uint64(r.ID()), r.Text())
		case legacyTokens:
			op.Kind, op.Token = store.OpPutTokenHash, string(r.Bytes(32))
			op.User = uint64(r.ID())
		case legacyMembers:
			op.Kind = store.OpPutMember
			op.Member, err = store.ParseMember(uint64(r.ID()), r.Text())
		}
		if err != nil {
			return err
		}
		ops = append(ops, op)
	}
	if r.Failed() {
		return errLegacy
	}
	return to.Apply(ops)
}

// leaveVoice appends the media servers; see fanout.VoiceServers.
func leaveVoice(dst []byte, vs *fanout.VoiceServers, now int64) []byte {
	dst = pack.AppendText(dst, vs.Key())
	for _, c := range vs.Configs() {
		left := int64(0)
		if c.Expires > 0 {
			left = max(c.Expires-now, 1)
		}
		dst = pack.AppendString(pack.AppendString(dst, c.Name), c.Region)
		dst = pack.AppendText(pack.AppendString(dst, c.Endpoint), c.Secret)
		for _, v := range []int{c.Capacity, c.Load, int(left)} {
			dst = pack.AppendUint(dst, uint64(v))
		}
	}
	return dst
}

// inheritVoice makes the table of media servers what another process had.
func (c *core) inheritVoice(r *pack.Reader) error {
	c.useVoice(slices.Clone(r.Text()))
	for !r.Done() && !r.Failed() {
		v := fanout.VoiceServerConfig{Name: r.String(math.MaxInt), Region: r.String(math.MaxInt),
			Endpoint: r.String(math.MaxInt), Secret: slices.Clone(r.Text()),
			Capacity: int(r.Uint(math.MaxInt32)), Load: int(r.Uint(math.MaxInt32))}
		if left := int64(r.Uint(agoMax)); left > 0 {
			v.Expires = c.clock() + left
		}
		if r.Failed() {
			break
		}
		if err := c.voice.Put(v, c.limits.voiceServersMax); err != nil {
			return err
		}
	}
	if r.Failed() {
		return errLegacy
	}
	return nil
}
