package wire

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// MemberListEveryone is the id of the member list of channels that nobody is kept out of.
const MemberListEveryone = "everyone"

// MemberListID returns the id of the member list that a channel has, given its overwrites and what
// @everyone may do in the guild. Channels that the same people may view have one list, and that is
// the saving: clients work out the same id from the overwrites and find the list by it.
//
// The rule is the protocol's, imprecise as it is: an overwrite that denies VIEW_CHANNEL to a role
// that nobody has makes another list of the same people. A thread has its parent's list.
func MemberListID(everyone Permissions, overwrites []Overwrite) string {
	denied := false
	var parts []string
	for _, o := range overwrites {
		// An overwrite that does both allows, as it does for those whom it is for.
		switch {
		case o.Allow.Has(PermissionViewChannel):
			parts = append(parts, "allow:"+o.ID.String())
		case o.Deny.Has(PermissionViewChannel):
			parts = append(parts, "deny:"+o.ID.String())
		}
		denied = denied || o.Deny.Has(PermissionViewChannel)
	}
	if !denied && everyone.Has(PermissionViewChannel) {
		return MemberListEveryone
	}
	slices.Sort(parts)
	hash := murmur3([]byte(strings.Join(parts, ",")))
	return strconv.FormatUint(uint64(hash), 10)
}

// murmur3 is MurmurHash3_x86_32 with seed 0.
func murmur3(data []byte) uint32 {
	const c1, c2 = 0xcc9e2d51, 0x1b873593
	var h uint32
	size := uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		h ^= bits.RotateLeft32(binary.LittleEndian.Uint32(data)*c1, 15) * c2
		h = bits.RotateLeft32(h, 13)*5 + 0xe6546b64
	}
	var tail uint32
	for i, c := range data {
		tail |= uint32(c) << (8 * i)
	}
	h ^= bits.RotateLeft32(tail*c1, 15) * c2
	h ^= size
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	return h ^ h>>16
}
