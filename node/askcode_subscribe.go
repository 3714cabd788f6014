package node

import (
	"throng/wire"
	"throng/wire/pack"
)

// appendSubscription appends what a session wants. A key that was not there stays so.
func appendSubscription(dst []byte, s *wire.Subscription) []byte {
	flags := []*bool{s.Typing, s.Threads, s.Activities, s.MemberUpdates}
	var there, set [4]bool
	for i, f := range flags {
		there[i], set[i] = f != nil, f != nil && *f
	}
	dst = pack.AppendFlags(pack.AppendFlags(dst, there[:]...), set[:]...)
	dst = pack.AppendIDs(pack.AppendIDs(dst, s.Members), s.ThreadLists)
	if dst = pack.AppendFlags(dst, s.Channels != nil); s.Channels == nil {
		return dst
	}
	dst = pack.AppendUint(dst, uint64(len(s.Channels)))
	for _, list := range s.Channels {
		dst = pack.AppendUint(pack.AppendID(dst, list.Channel), uint64(len(list.Ranges)))
		for _, rows := range list.Ranges {
			dst = pack.AppendUint(dst, uint64(rows.First))
			dst = pack.AppendUint(dst, uint64(rows.Last-rows.First))
		}
	}
	return dst
}

func readSubscription(r *pack.Reader) (s wire.Subscription) {
	there, set := r.Flags(4), r.Flags(4)
	for i, f := range []**bool{&s.Typing, &s.Threads, &s.Activities, &s.MemberUpdates} {
		if there.Has(i) {
			value := set.Has(i)
			*f = &value
		}
	}
	s.Members = r.IDs(wire.SubscriptionMembersMax)
	s.ThreadLists = r.IDs(wire.SubscriptionThreadsMax)
	if !r.Flags(1).Has(0) {
		return s
	}
	s.Channels = []wire.ListRanges{}
	for range r.Uint(wire.SubscriptionChannelsMax) {
		list := wire.ListRanges{Channel: r.ID()}
		for range r.Uint(wire.SubscriptionRangesMax) {
			rows := wire.ListRange{First: int(r.Uint(wire.ListRowMax))}
			rows.Last = rows.First + int(r.Uint(wire.ListRangeWidthMax-1))
			list.Ranges = append(list.Ranges, rows)
		}
		s.Channels = append(s.Channels, list)
	}
	return s
}
