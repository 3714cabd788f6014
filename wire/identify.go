package wire

import (
	"math"
	"strings"
)

// Limits of large_threshold: how many members a guild may have before its offline ones are
// left out of GUILD_CREATE. User accounts have other limits than bots.
const (
	largeThresholdMin     = 50
	largeThresholdMinUser = 25
	largeThresholdMax     = 250
)

// tokenPrefix is what most bot libraries put before their token and some do not.
const tokenPrefix = "Bot "

// Properties is what a client says of itself.
type Properties struct {
	OS, Browser, Device string
}

// Identify is op 2.
type Identify struct {
	Token          string // Without its prefix.
	HadPrefix      bool
	Properties     Properties
	Compress       bool
	LargeThreshold int
	Shard          [2]int // Which one of how many. Invariant when HasShard: 0 <= [0] < [1].
	HasShard       bool
	Intents        Intents
	HasIntents     bool // User accounts send none and get everything.
	Presence       *PresenceCommand
	Capabilities   uint32
}

// ParseIdentify reads op 2 as every library sends it: keys of properties with and without the
// dollar sign, a token with and without its prefix, presences of any age. A presence that
// cannot be used is dropped and not a reason to refuse a session.
//
// Whether the account is a bot is not known here. LargeThreshold is brought into the limits of
// a user account when there are no intents, else into those of a bot; and bits of intents pass
// that only users may set, which ValidIntents tells later.
func ParseIdentify(d []byte) (Identify, *CloseError) {
	r := readPayload(OpIdentify, d)
	var id Identify
	id.Token, id.HadPrefix = strings.CutPrefix(r.textRequired("token"), tokenPrefix)
	id.Properties = r.properties()
	id.Compress = r.flag("compress")
	id.Shard, id.HasShard = r.shard()
	id.Intents, id.HasIntents = r.intents()
	id.LargeThreshold = r.largeThreshold(id.HasIntents)
	capabilities, _ := r.number("capabilities")
	id.Capabilities = uint32(capabilities)
	if raw := r.value("presence"); raw != nil {
		if presence, err := ParsePresence(raw); err == nil {
			id.Presence = &presence
		}
	}
	if r.err != nil {
		return Identify{}, r.err
	}
	return id, nil
}

// properties are for statistics, so what is odd in them is passed over.
func (r *payloadReader) properties() Properties {
	raw := r.value("properties")
	if raw == nil {
		return Properties{}
	}
	if !IsObject(raw) {
		r.refuse(CloseDecode, "properties", "an object")
		return Properties{}
	}
	property := func(key string) string {
		if text, ok := StringField(raw, key); ok {
			return text
		}
		text, _ := StringField(raw, "$"+key)
		return text
	}
	return Properties{
		OS: property("os"), Browser: property("browser"), Device: property("device"),
	}
}

func (r *payloadReader) shard() (shard [2]int, present bool) {
	raw := r.value("shard")
	if raw == nil {
		return shard, false
	}
	count := 0
	EachElement(raw, func(raw []byte) bool {
		n, ok := DecodeInt(raw)
		if !ok || n < 0 || n > math.MaxInt32 || count == len(shard) {
			count = -1
			return false
		}
		shard[count] = int(n)
		count++
		return true
	})
	if count != len(shard) {
		r.refuse(CloseInvalidShard, "shard", "an array of a shard and the number of shards")
		return shard, false
	}
	if shard[0] >= shard[1] {
		r.refuse(CloseInvalidShard, "shard", "less than the number of shards")
		return shard, false
	}
	return shard, true
}

func (r *payloadReader) intents() (intents Intents, present bool) {
	raw := r.value("intents")
	if raw == nil {
		return 0, false
	}
	n, ok := DecodeInt(raw)
	if !ok || n < 0 {
		r.refuse(CloseInvalidIntents, "intents", "a whole number that is not negative")
		return 0, false
	}
	if n&^int64(IntentsUser) != 0 {
		r.refuse(CloseInvalidIntents, "intents", "made of bits that exist")
		return 0, false
	}
	return Intents(n), true
}

func (r *payloadReader) largeThreshold(hasIntents bool) int {
	lowest, byDefault := largeThresholdMin, largeThresholdMin
	if !hasIntents {
		lowest, byDefault = largeThresholdMinUser, largeThresholdMax
	}
	n, present := r.number("large_threshold")
	if !present {
		return byDefault
	}
	return int(min(max(n, int64(lowest)), largeThresholdMax))
}

// Resume is op 6.
type Resume struct {
	Token     string // Without its prefix.
	SessionID string
	Seq       uint32 // The last the client has got; 0 is none.
}

// ParseResume reads op 6. A sequence number that no session can have reached is 4007, upon
// which clients begin a new session.
func ParseResume(d []byte) (Resume, *CloseError) {
	r := readPayload(OpResume, d)
	var resume Resume
	resume.Token = strings.TrimPrefix(r.textRequired("token"), tokenPrefix)
	resume.SessionID = r.textRequired("session_id")
	seq, _ := r.number("seq")
	if seq < 0 || seq > math.MaxUint32 {
		r.refuse(CloseInvalidSeq, "seq", "a sequence number of the session")
	}
	resume.Seq = uint32(seq)
	if r.err != nil {
		return Resume{}, r.err
	}
	return resume, nil
}

// ParseHeartbeat reads op 1: the last sequence number the client has got. Nothing, null and 0
// all say that it has none yet. It is not ok when d is anything else than a number.
func ParseHeartbeat(d []byte) (seq uint32, ok bool) {
	if d == nil || IsNull(d) {
		return 0, true
	}
	n, ok := DecodeInt(d)
	if !ok || n < 0 || n > math.MaxUint32 {
		return 0, false
	}
	return uint32(n), true
}

// ParseQoSHeartbeat reads op 40, by which user clients replace op 1.
func ParseQoSHeartbeat(d []byte) (seq uint32, ok bool) {
	if d == nil || IsNull(d) {
		return 0, true
	}
	if !IsObject(d) {
		return 0, false
	}
	raw, _ := Field(d, "seq")
	return ParseHeartbeat(raw)
}
