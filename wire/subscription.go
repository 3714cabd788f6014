package wire

import "strconv"

// Capabilities of a user client, as bits of Identify.Capabilities, that the node knows.
const (
	// CapabilityPassiveUpdate asks for PASSIVE_UPDATE_V1 in place of CHANNEL_UNREAD_UPDATE.
	CapabilityPassiveUpdate = 1 << 11
	// CapabilityPassiveUpdateV2 asks for PASSIVE_UPDATE_V2 in place of both.
	CapabilityPassiveUpdateV2 = 1 << 14
)

// What one guild subscription may name. Clients send at most five channels with three ranges each;
// the rest is bounded by the largest message, which has room for some 700 ids.
const (
	SubscriptionGuildsMax   = 200
	SubscriptionMembersMax  = 1000
	SubscriptionThreadsMax  = 100
	SubscriptionChannelsMax = 10
	SubscriptionRangesMax   = 5

	// ListRangeWidthMax is how many rows of a member list a range may have; a longer one is cut.
	ListRangeWidthMax = 100
	// ListRowMax is beyond the end of every member list.
	ListRowMax = 1 << 30
)

// ListRange is rows of a member list, both ends included. Invariant: 0 <= First <= Last.
type ListRange struct{ First, Last int }

// ListRanges is what a session wants of the member list of one channel.
type ListRanges struct {
	Channel Snowflake
	Ranges  []ListRange
}

// Subscription is what op 14 and op 37 say of one guild. A key that was not there is nil and leaves
// what was said before as it is.
type Subscription struct {
	Typing        *bool // The switch: whether the session listens to the guild at all.
	Threads       *bool
	Activities    *bool
	MemberUpdates *bool
	Members       []Snowflake
	Channels      []ListRanges
	ThreadLists   []Snowflake
}

// GuildSubscription is a Subscription with its guild.
type GuildSubscription struct {
	GuildID Snowflake
	Subscription
}

// Overlay puts what next says in the place of what s says.
func (s *Subscription) Overlay(next Subscription) {
	for _, flag := range []struct{ to, from **bool }{
		{&s.Typing, &next.Typing}, {&s.Threads, &next.Threads},
		{&s.Activities, &next.Activities}, {&s.MemberUpdates, &next.MemberUpdates},
	} {
		if *flag.from != nil {
			*flag.to = *flag.from
		}
	}
	if next.Members != nil {
		s.Members = next.Members
	}
	if next.Channels != nil {
		s.Channels = next.Channels
	}
	if next.ThreadLists != nil {
		s.ThreadLists = next.ThreadLists
	}
}

// ParseSubscription reads op 14.
func ParseSubscription(d []byte) (GuildSubscription, *CloseError) {
	r := readPayload(OpGuildSubscriptions, d)
	s := GuildSubscription{Subscription: r.subscription()}
	if guilds := r.ids("guild_id", 1); len(guilds) == 1 {
		s.GuildID = guilds[0]
	} else {
		r.refuse(CloseDecode, "guild_id", "an id")
	}
	if r.err != nil {
		return GuildSubscription{}, r.err
	}
	return s, nil
}

// ParseSubscriptions reads op 37, which says the same of several guilds.
func ParseSubscriptions(d []byte) ([]GuildSubscription, *CloseError) {
	r := readPayload(OpGuildSubscriptionsBulk, d)
	raw := r.value("subscriptions")
	if !IsObject(raw) {
		r.refuse(CloseDecode, "subscriptions", "an object")
	}
	var all []GuildSubscription
	EachField(raw, func(key string, value []byte) bool {
		id, err := ParseSnowflake(key)
		if err != nil || len(all) == SubscriptionGuildsMax {
			r.refuse(CloseDecode, "subscriptions", "made of at most "+
				strconv.Itoa(SubscriptionGuildsMax)+" ids and what is wanted of them")
			return false
		}
		if IsNull(value) {
			return true
		}
		guild := readPayload(OpGuildSubscriptionsBulk, value)
		all = append(all, GuildSubscription{GuildID: id, Subscription: guild.subscription()})
		r.err = guild.err
		return r.err == nil
	})
	if r.err != nil {
		return nil, r.err
	}
	return all, nil
}

func (r *payloadReader) subscription() Subscription {
	return Subscription{
		Typing:        r.flagOrNil("typing"),
		Threads:       r.flagOrNil("threads"),
		Activities:    r.flagOrNil("activities"),
		MemberUpdates: r.flagOrNil("member_updates"),
		Members:       r.idsOrNil("members", SubscriptionMembersMax),
		Channels:      r.lists(),
		ThreadLists:   r.idsOrNil("thread_member_lists", SubscriptionThreadsMax),
	}
}

func (r *payloadReader) flagOrNil(key string) *bool {
	if r.value(key) == nil {
		return nil
	}
	value := r.flag(key)
	return &value
}

// idsOrNil is not nil when the key is there, be it with an empty array.
func (r *payloadReader) idsOrNil(key string, countMax int) []Snowflake {
	if r.value(key) == nil {
		return nil
	}
	if ids := r.ids(key, countMax); ids != nil {
		return ids
	}
	return []Snowflake{}
}

// lists reads channels: {channel: [[first, last], …]}.
func (r *payloadReader) lists() []ListRanges {
	raw := r.value("channels")
	if raw == nil {
		return nil
	}
	const want = "an object of channels with few ranges, each two numbers"
	if !IsObject(raw) {
		r.refuse(CloseDecode, "channels", want)
		return nil
	}
	lists := []ListRanges{}
	EachField(raw, func(key string, value []byte) bool {
		id, err := ParseSnowflake(key)
		if err != nil || len(lists) == SubscriptionChannelsMax {
			r.refuse(CloseDecode, "channels", want)
			return false
		}
		ranges, ok := parseRanges(value)
		if !ok {
			r.refuse(CloseDecode, "channels", want)
		} else if len(ranges) > 0 {
			lists = append(lists, ListRanges{id, ranges})
		}
		return ok
	})
	return lists
}

// parseRanges reads the ranges of one channel. One range that stands alone, without the array
// around it, is taken too; no ranges at all are none.
func parseRanges(raw []byte) (ranges []ListRange, ok bool) {
	if IsNull(raw) {
		return nil, true
	}
	if one, ok := parseRange(raw); ok {
		return []ListRange{one}, true
	}
	if !IsArray(raw) {
		return nil, false
	}
	ok = true
	EachElement(raw, func(raw []byte) bool {
		one, fits := parseRange(raw)
		if ok = fits && len(ranges) < SubscriptionRangesMax; ok {
			ranges = append(ranges, one)
		}
		return ok
	})
	return ranges, ok
}

func parseRange(raw []byte) (one ListRange, ok bool) {
	var ends [2]int64
	count := 0
	EachElement(raw, func(raw []byte) bool {
		n, whole := DecodeInt(raw)
		if !whole || n < 0 || n > ListRowMax || count == len(ends) {
			count = -1
			return false
		}
		ends[count] = n
		count++
		return true
	})
	if count != len(ends) || ends[0] > ends[1] {
		return one, false
	}
	first, last := int(ends[0]), int(ends[1])
	return ListRange{first, min(last, first+ListRangeWidthMax-1)}, true
}
