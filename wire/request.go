package wire

import "math"

const (
	// UserIDsMax is how many user ids one op 8 may name.
	UserIDsMax = 100
	// GuildIDsMax is how many guilds one command may name.
	GuildIDsMax = 100
	// NonceBytesMax is the longest nonce that comes back; a longer one is dropped.
	NonceBytesMax = 32

	// ChannelInfoFieldsMax is how many fields op 43 may name. There are two.
	ChannelInfoFieldsMax = 16
)

// VoiceStateCommand is op 4.
type VoiceStateCommand struct {
	GuildID   Snowflake // 0: no guild, as user clients say after READY.
	ChannelID Snowflake // 0: leave.
	SelfMute  bool
	SelfDeaf  bool
	SelfVideo bool
}

// ParseVoiceState reads op 4.
func ParseVoiceState(d []byte) (VoiceStateCommand, *CloseError) {
	r := readPayload(OpVoiceStateUpdate, d)
	v := VoiceStateCommand{
		GuildID:   r.id("guild_id"),
		ChannelID: r.id("channel_id"),
		SelfMute:  r.flag("self_mute"),
		SelfDeaf:  r.flag("self_deaf"),
		SelfVideo: r.flag("self_video"),
	}
	if r.err != nil {
		return VoiceStateCommand{}, r.err
	}
	return v, nil
}

// MembersCommand is op 8.
type MembersCommand struct {
	GuildID      Snowflake
	MoreGuildIDs []Snowflake // What user clients may name besides.
	Query        *string     // Prefix of a name; nil when absent. UserIDs go before it.
	UserIDs      []Snowflake // nil when absent.
	Limit        int         // 0: no limit.
	Presences    bool
	Nonce        string
}

// ParseMembers reads op 8. Guild_id is a string, or an array with that string as two libraries
// send it; user_ids is one id or an array.
func ParseMembers(d []byte) (MembersCommand, *CloseError) {
	r := readPayload(OpRequestGuildMembers, d)
	m := MembersCommand{
		UserIDs:   r.ids("user_ids", UserIDsMax),
		Presences: r.flag("presences"),
	}
	guilds := r.ids("guild_id", GuildIDsMax)
	if len(guilds) == 0 {
		r.refuse(CloseDecode, "guild_id", "an id")
	} else {
		m.GuildID, m.MoreGuildIDs = guilds[0], guilds[1:]
	}
	if query, present := r.text("query"); present {
		m.Query = &query
	}
	limit, _ := r.number("limit")
	if limit < 0 {
		r.refuse(CloseDecode, "limit", "a whole number that is not negative")
	}
	m.Limit = int(min(limit, math.MaxInt32))
	if nonce, _ := r.text("nonce"); len(nonce) <= NonceBytesMax {
		m.Nonce = nonce
	}
	if r.err != nil {
		return MembersCommand{}, r.err
	}
	return m, nil
}

// SoundboardCommand is op 31.
type SoundboardCommand struct {
	GuildIDs []Snowflake
}

// ParseSoundboard reads op 31.
func ParseSoundboard(d []byte) (SoundboardCommand, *CloseError) {
	r := readPayload(OpRequestSoundboardSounds, d)
	s := SoundboardCommand{GuildIDs: r.ids("guild_ids", GuildIDsMax)}
	if r.value("guild_ids") == nil {
		r.refuse(CloseDecode, "guild_ids", "an array of ids")
	}
	if r.err != nil {
		return SoundboardCommand{}, r.err
	}
	return s, nil
}

// ChannelInfoCommand is op 43.
type ChannelInfoCommand struct {
	GuildID Snowflake
	Fields  []string
}

// ParseChannelInfo reads op 43.
func ParseChannelInfo(d []byte) (ChannelInfoCommand, *CloseError) {
	r := readPayload(OpRequestChannelInfo, d)
	c := ChannelInfoCommand{GuildID: r.id("guild_id")}
	if c.GuildID == 0 {
		r.refuse(CloseDecode, "guild_id", "an id")
	}
	fields := r.value("fields")
	if !IsArray(fields) {
		r.refuse(CloseDecode, "fields", "an array of strings")
	}
	EachElement(fields, func(raw []byte) bool {
		field, ok := DecodeString(raw)
		if !ok || len(c.Fields) == ChannelInfoFieldsMax {
			r.refuse(CloseDecode, "fields", "an array of strings")
			return false
		}
		c.Fields = append(c.Fields, field)
		return true
	})
	if r.err != nil {
		return ChannelInfoCommand{}, r.err
	}
	return c, nil
}
