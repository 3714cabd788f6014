package disk

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"throng/store"
)

var sampleMembers = []store.MemberRecord{
	{Member: store.Member{User: 1}},
	{Member: store.Member{User: 1, JoinedAt: 1_700_000_000_000, TimeoutAt: -1,
		Flags: 1<<32 - 1, Extra: `"nick":"x"`}, Roles: []uint64{0, 1, 300, 1<<64 - 1}},
	{Member: store.Member{User: 1, Extra: strings.Repeat("e", 200)}, Roles: []uint64{7}},
}

func TestSealTellsEveryFlippedBit(t *testing.T) {
	key := pairKey(5, 1)
	for _, member := range sampleMembers {
		value := encodeMember(key, member)
		if got, err := decodeMember(key, value); err != nil || !reflect.DeepEqual(got, member) {
			t.Fatalf("got %+v, %v, want %+v", got, err, member)
		}
		for bit := range 8 * len(value) {
			bad := slices.Clone(value)
			bad[bit/8] ^= 1 << (bit % 8)
			if _, err := decodeMember(key, bad); !errors.Is(err, store.ErrCorrupt) {
				t.Fatalf("bit %d flipped: got %v, want %v", bit, err, store.ErrCorrupt)
			}
		}
		for length := range value {
			if _, err := decodeMember(key, value[:length]); !errors.Is(err, store.ErrCorrupt) {
				t.Fatalf("cut to %d: got %v, want %v", length, err, store.ErrCorrupt)
			}
		}
		if _, err := decodeMember(pairKey(5, 2), value); !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("under another key: got %v, want %v", err, store.ErrCorrupt)
		}
	}
}
