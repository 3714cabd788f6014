package node

import (
	"bytes"
	"errors"
	"math"
	"slices"

	"throng/fanout"
	"throng/wire"
	"throng/wire/pack"
)

// What a session asks of a guild, on its way to the node that has the guild. It is the messages
// that loops give to shards, and these hold nothing but data: whatever a guild answers comes as a
// step of its relay; see fanout.AppendMsg for that way.
//
// A loop makes these messages out of what the protocol's parsers let through, and whoever reads
// them holds them to the same bounds: what one node lets through is what all guilds rely on.

// errAsk is for what another node sent and this one cannot read.
var errAsk = errors.New("what a session of another node asks is malformed")

// askKind says what a session asks.
type askKind uint8

const (
	askJoin askKind = iota
	askLeave
	askVoice
	askPresence
	askMembers
	askInfo
	askSubscribe
	askInvite
)

// appendAsk appends m in binary. It reports false, and appends nothing, when m is nothing that a
// session asks.
func appendAsk(dst []byte, m guildMessage) (out []byte, travels bool) {
	begin := func(kind askKind) []byte {
		return fanout.AppendHandle(pack.AppendID(append(dst, byte(kind)), m.id()), m.from())
	}
	switch m := m.(type) {
	case *joinGuild:
		dst = fanout.AppendReceiver(begin(askJoin), &m.receiver)
		if dst = pack.AppendFlags(dst, m.presence != nil); m.presence != nil {
			dst = appendPresence(dst, m.presence)
		}
	case *leaveGuild:
		dst = pack.AppendFlags(pack.AppendID(begin(askLeave), m.user), m.last)
	case *setVoice:
		c := &m.command
		dst = pack.AppendID(pack.AppendID(begin(askVoice), c.GuildID), c.ChannelID)
		dst = pack.AppendFlags(dst, c.SelfMute, c.SelfDeaf, c.SelfVideo)
	case *setPresence:
		dst = appendPresence(begin(askPresence), &m.presence)
	case *queryMembers:
		dst = appendMembers(appendAsker(begin(askMembers), m.asker), &m.command)
		dst = m.at.append(dst)
	case *askGuild:
		dst = pack.AppendID(appendAsker(begin(askInfo), m.asker), m.command.GuildID)
		dst = appendStrings(dst, m.command.Fields)
	case *subscribeGuild:
		dst = appendSubscription(begin(askSubscribe), &m.wants)
	case *inviteGuild:
		dst = begin(askInvite)
	default:
		return dst, false
	}
	return dst, true
}

// parseAsk reads what appendAsk wrote. The message shares no memory with b.
func parseAsk(b []byte) (m guildMessage, err error) {
	r := pack.NewReader(b)
	kind, guild, handle := askKind(r.Byte()), guildCall{r.ID()}, fanout.ReadHandle(&r)
	switch kind {
	case askJoin:
		join := &joinGuild{guild: guild.guild, receiver: fanout.ReadReceiver(&r)}
		join.receiver.Handle = handle
		if r.Flags(1).Has(0) {
			p := readPresence(&r)
			join.presence = &p
		}
		m = join
	case askLeave:
		m = &leaveGuild{guild.guild, handle, r.ID(), r.Flags(1).Has(0)}
	case askVoice:
		c := wire.VoiceStateCommand{GuildID: r.ID(), ChannelID: r.ID()}
		flags := r.Flags(3)
		c.SelfMute, c.SelfDeaf, c.SelfVideo = flags.Has(0), flags.Has(1), flags.Has(2)
		m = &setVoice{guild, handle, c}
	case askPresence:
		m = &setPresence{guild, handle, readPresence(&r)}
	case askMembers:
		m = &queryMembers{guild, readAsker(&r, handle), readMembers(&r), readChunkPlace(&r)}
	case askInfo:
		m = &askGuild{guild, readAsker(&r, handle),
			wire.ChannelInfoCommand{GuildID: r.ID(), Fields: readStrings(&r)}}
	case askSubscribe:
		m = &subscribeGuild{guild, handle, readSubscription(&r)}
	case askInvite:
		m = &inviteGuild{guild, handle}
	default:
		r.Fail()
	}
	if !r.Done() {
		return nil, errAsk
	}
	return m, nil
}

// appendAsker appends who asks without its handle.
func appendAsker(dst []byte, a asker) []byte {
	return pack.AppendUint(pack.AppendID(dst, a.user), uint64(a.intents))
}

func readAsker(r *pack.Reader, handle fanout.Handle) asker {
	return asker{handle, r.ID(), wire.Intents(r.Uint32())}
}

func appendPresence(dst []byte, p *wire.PresenceCommand) []byte {
	dst = pack.AppendFlags(dst, p.AFK, p.Since != nil)
	if p.Since != nil {
		dst = pack.AppendUint64(dst, uint64(*p.Since))
	}
	return pack.AppendText(pack.AppendString(dst, p.Status), p.Activities)
}

// statuses are what a presence may say.
var statuses = []string{wire.StatusOnline, wire.StatusDND, wire.StatusIdle, wire.StatusInvisible,
	wire.StatusOffline}

func readPresence(r *pack.Reader) (p wire.PresenceCommand) {
	flags := r.Flags(2)
	p.AFK = flags.Has(0)
	if flags.Has(1) {
		since := int64(r.Uint64())
		p.Since = &since
	}
	p.Status = r.String(math.MaxInt)
	p.Activities = bytes.Clone(r.Text())
	if !slices.Contains(statuses, p.Status) ||
		p.Activities != nil && !validActivities(p.Activities) {
		r.Fail()
	}
	return p
}

// activitiesDepthMax is more than the activities have that a parser lets through.
const activitiesDepthMax = 16

// validActivities says whether activities may go to others: they become a part of their frames.
func validActivities(raw []byte) bool {
	return len(raw) <= wire.ActivitiesBytesMax+len("[]") && wire.IsArray(raw) &&
		wire.ValidJSON(raw, activitiesDepthMax)
}

func appendMembers(dst []byte, c *wire.MembersCommand) []byte {
	dst = pack.AppendIDs(pack.AppendID(dst, c.GuildID), c.MoreGuildIDs)
	dst = pack.AppendIDs(dst, c.UserIDs)
	dst = pack.AppendUint(dst, uint64(c.Limit))
	if dst = pack.AppendFlags(dst, c.Presences, c.Query != nil); c.Query != nil {
		dst = pack.AppendString(dst, *c.Query)
	}
	return pack.AppendString(dst, c.Nonce)
}

func readMembers(r *pack.Reader) wire.MembersCommand {
	c := wire.MembersCommand{GuildID: r.ID(), MoreGuildIDs: r.IDs(wire.GuildIDsMax),
		UserIDs: r.IDs(wire.UserIDsMax), Limit: int(r.Uint(math.MaxInt32))}
	flags := r.Flags(2)
	c.Presences = flags.Has(0)
	if flags.Has(1) {
		query := r.String(math.MaxInt)
		c.Query = &query
	}
	c.Nonce = r.String(wire.NonceBytesMax)
	return c
}

func appendStrings(dst []byte, list []string) []byte {
	dst = pack.AppendUint(dst, uint64(len(list)))
	for _, s := range list {
		dst = pack.AppendString(dst, s)
	}
	return dst
}

func readStrings(r *pack.Reader) (list []string) {
	for range r.Uint(wire.ChannelInfoFieldsMax) {
		list = append(list, r.String(math.MaxInt))
	}
	return list
}
