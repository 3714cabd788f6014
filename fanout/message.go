package fanout

import (
	"encoding/hex"

	"throng/store"
	"throng/wire"
)

// Handle names a session on a loop. Gen guards against a slot that has been reused since.
type Handle struct {
	Loop uint16
	Slot uint32
	Gen  uint32
}

// SessionID is a session's id as bytes; on the wire it is 32 hex digits. Voice states carry it.
type SessionID [16]byte

func (id SessionID) String() string { return hex.EncodeToString(id[:]) }

// Receiver is what a guild must know of a session that listens to it.
type Receiver struct {
	Handle
	User    wire.Snowflake
	Intents wire.Intents
	// Variant is the session's encoding; the stripped bit is set when it lacks MESSAGE_CONTENT.
	Variant        wire.Variant
	LargeThreshold int
	SessionID      SessionID
	Bot            bool
	Platform       wire.Platform
	// Updates is what the session wants to be told while it is passive.
	Updates UpdateMode
}

// MsgKind says what a Msg asks of a loop.
type MsgKind uint8

const (
	// MsgPublish delivers Event to the receivers of the guild on the loop.
	MsgPublish MsgKind = iota
	// MsgAdmit adds Receiver in Class to the relay, and sends it Dispatches before anything else.
	MsgAdmit
	// MsgPrivate sends Dispatches to the session To alone, in its place in the stream.
	MsgPrivate
	// MsgReclass moves the session To to Class.
	MsgReclass
	// MsgExpel sends Dispatches to the session To and takes it out of the relay.
	MsgExpel
	// MsgRefuse sends Dispatches to the session To, which asked to join and may not.
	MsgRefuse
	// MsgInvite says that the user of the session To has become a member, so that it is to join. It
	// comes behind what took the session out of the guild before.
	MsgInvite
	// MsgGone drops the relay and all its receivers: the guild was deleted.
	MsgGone
	// MsgAdrift drops the relay and all its receivers: the guild has another owner, or none, and
	// each is to join anew.
	MsgAdrift
	// MsgRetry says that the session To, which asked to join, is to ask again.
	MsgRetry
	// MsgDirect delivers Event to the session To alone. The guild has judged that it may have it.
	MsgDirect
	// MsgActivate makes the session To listen, with Receiver's Intents, and sends it Dispatches.
	MsgActivate
	// MsgDeactivate makes the session To passive; it knows the guild's news up to Version.
	MsgDeactivate
	// MsgShare sends the same Dispatches to each of Several, who are in the relay.
	MsgShare
	msgKindCount
)

// MsgKinds is how many kinds of Msg there are.
const MsgKinds = int(msgKindCount)

var msgKindNames = [...]string{"publish", "admit", "private", "reclass", "expel", "refuse",
	"invite", "gone", "adrift", "retry", "direct", "activate", "deactivate", "share"}

func (k MsgKind) String() string {
	if int(k) < len(msgKindNames) {
		return msgKindNames[k]
	}
	return "unknown"
}

// AllLoops addresses a Msg to each loop that has receivers of the guild (Guild.Loops).
const AllLoops = -1

// ActiveLoops and PassiveLoops address a Msg to each loop that has receivers of that sort. A loop
// whose receivers are all passive is not even told of what they do not get.
const (
	ActiveLoops  = -2
	PassiveLoops = -3
)

// Msg is one step for one loop's relay of one guild.
type Msg struct {
	Kind       MsgKind
	Class      uint32 // MsgAdmit, MsgReclass.
	Version    uint32 // MsgAdmit of a passive receiver, MsgDeactivate.
	Passive    bool   // MsgAdmit.
	Loop       int    // A loop's index, or AllLoops, ActiveLoops, PassiveLoops.
	Guild      wire.Snowflake
	To         Handle           // All but MsgPublish, MsgGone, MsgAdrift and MsgShare.
	Several    []Handle         // MsgShare.
	Event      *Event           // MsgPublish, MsgDirect.
	Receiver   Receiver         // MsgAdmit, MsgActivate, MsgDeactivate.
	Dispatches []*wire.Dispatch // What sends any; may be empty.
}

// Change is everything that follows from one call to a Guild.
type Change struct {
	// Msgs go to the loops' inboxes in this order.
	Msgs []Msg
	// Ops are to be kept before the caller is told that its request was accepted.
	Ops []store.Op
	// Index is the guild's event index after the change.
	Index uint64
	// Joined are users who became members: their live sessions, if any, are to Join now.
	Joined []wire.Snowflake
	// Pushes are for members who have no session to read the change in; see Guild.WantPushes.
	Pushes []Push
}

// ErrorKind sorts refusals by what the caller can do about them.
type ErrorKind uint8

const (
	Invalid   ErrorKind = iota // The request is malformed: 400.
	NotFound                   // It names something the guild does not have: 404.
	Forbidden                  // The requester may not do it: 403, or silence on the gateway.
	Conflict                   // It contradicts the present state: 409.
)

// Error is a refusal. Nothing has been changed when it is returned.
type Error struct {
	Kind   ErrorKind
	Field  string // Path of the field at fault, as "channels[3].type"; empty when it is none.
	Reason string // One sentence.
}

func (e *Error) Error() string {
	if e.Field == "" {
		return e.Reason
	}
	return e.Field + ": " + e.Reason
}
