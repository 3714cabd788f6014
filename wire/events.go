package wire

// SelfRule says how a dispatch that speaks of a user treats that same user.
type SelfRule uint8

const (
	SelfNone       SelfRule = iota // Like everyone else.
	SelfNever                      // The user does not get it.
	SelfAlways                     // The user gets it whatever its intents.
	SelfOnlyGuilds                 // With GUILDS but without GUILD_MEMBERS, only about oneself.
	SelfOnly                       // The user gets it and nobody else.
)

// Keys of d that name the channel of a dispatch.
const (
	channelKeyChannel = "channel_id"
	channelKeyID      = "id"        // d is the channel, or is named by it.
	channelKeyParent  = "parent_id" // d is a thread, which has the rights of its parent.
)

// EventInfo says who may get a dispatch.
type EventInfo struct {
	Name string

	// Any one of these intents lets it through, in a guild and in a direct message. Both zero:
	// it is always delivered.
	Guild, Direct Intents

	// Gate is needed on the channel when Channel is set, else on the guild. 0 is no gate. All
	// of the bits are needed, or any one when GateAny is set.
	Gate    Permissions
	GateAny bool

	// Channel puts the gate on the channel that d names. When d names none, or null, as a
	// scheduled event outside any channel does, there is nothing to see and no gate.
	Channel bool

	// ChannelKey is the key of d that names the channel, "" when there is none. A dispatch may
	// name a channel and yet have no gate on it: CHANNEL_UPDATE goes also to those who have
	// just lost the channel, since it is how they learn that.
	ChannelKey string

	Self SelfRule

	// Structure marks what clients keep a picture of, as roles, channels and threads: a session
	// that does not listen to the guild gets it all the same, or its picture would be wrong.
	Structure bool
}

// Passes reports whether the dispatch goes to sessions that do not listen to the guild: structure,
// and what no intent holds back, names that the protocol does not know among them.
func (e EventInfo) Passes() bool { return e.Structure || e.Guild == 0 }

// EventNameBytesMax bounds a name, which is part of every frame of the event.
const EventNameBytesMax = 64

// ValidEventName reports whether name may be a dispatch's t: [A-Z0-9_]{1,64}. It needs no
// escaping then, in no encoding.
func ValidEventName(name string) bool {
	if len(name) == 0 || len(name) > EventNameBytesMax {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// LookupEvent finds a dispatch of the protocol. One it does not know has no rule at all.
func LookupEvent(name string) (EventInfo, bool) {
	info, ok := eventsByName[name]
	return info, ok
}

// Allows reports whether held passes the gate of e.
func (e EventInfo) Allows(held Permissions) bool {
	if e.GateAny {
		return held&e.Gate != 0
	}
	return held.Has(e.Gate)
}
