package load

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"throng/wire"
)

// The shapes and weights that flags name.
const (
	shapeOne      = "one"
	shapeSmall    = "small"
	shapeZipf     = "zipf"
	weightUniform = "uniform"
	weightMembers = "members"
)

// shape says which guilds there are and who is in them. It is the same for the same flags, so that
// one process can provision and others connect.
type shape struct {
	users int
	salt  uint64
	// ends[g] is the number of memberships of guilds 0 to g: guild g takes those before it, from
	// the end of the guild before.
	ends []int
}

// newShape reads a shape's name. REQUIRES: withDefaults was applied.
func newShape(c *Config) (*shape, error) {
	s := &shape{users: c.Users, salt: saltOf(c)}
	kind, argument, _ := strings.Cut(c.Shape, ":")
	switch kind {
	case shapeOne:
		for g := range max(1, c.Guilds) {
			s.ends = append(s.ends, (g+1)*c.Users)
		}
	case shapeSmall:
		size, err := strconv.Atoi(argument)
		if err != nil || size < 1 {
			return nil, fmt.Errorf("-shape: %q: want small:K with K members", c.Shape)
		}
		size = min(size, c.Users)
		guilds := c.Guilds
		if guilds == 0 {
			guilds = (c.Users*c.PerUser + size - 1) / size
		}
		for g := range guilds {
			s.ends = append(s.ends, (g+1)*size)
		}
	case shapeZipf:
		exponent, err := strconv.ParseFloat(argument, 64)
		if err != nil || exponent < 0 || exponent > 10 {
			return nil, fmt.Errorf("-shape: %q: want zipf:S with S from 0 to 10", c.Shape)
		}
		s.zipf(c, exponent)
	default:
		return nil, fmt.Errorf("-shape: %q is none of one, small:K, zipf:S", c.Shape)
	}
	return s, nil
}

// zipf makes the n-th guild's size a share of 1/n^exponent of all memberships, at least one
// member and at most all users.
func (s *shape) zipf(c *Config, exponent float64) {
	guilds := c.Guilds
	if guilds == 0 {
		guilds = 100
	}
	sum := 0.0
	for g := range guilds {
		sum += math.Pow(float64(g+1), -exponent)
	}
	end := 0
	for g := range guilds {
		share := math.Pow(float64(g+1), -exponent) / sum
		end += min(max(int(share*float64(c.Users*c.PerUser)), 1), c.Users)
		s.ends = append(s.ends, end)
	}
}

func (s *shape) guilds() int { return len(s.ends) }

// begin is the first membership of a guild.
func (s *shape) begin(guild int) int {
	if guild == 0 {
		return 0
	}
	return s.ends[guild-1]
}

// members are a guild's users in ascending order. Memberships are dealt to users in rounds, each
// in another order, so that a user's guilds have different people in them.
func (s *shape) members(guild int) []int {
	members := make([]int, 0, s.ends[guild]-s.begin(guild))
	for p := s.begin(guild); p < s.ends[guild]; p++ {
		members = append(members, s.dealt(p))
	}
	slices.Sort(members)
	return slices.Compact(members)
}

// dealt is the user that gets a membership.
func (s *shape) dealt(membership int) int {
	round, place := membership/s.users, membership%s.users
	if round == 0 {
		return place
	}
	return int(uint64(place) * uint64(s.stride(round)) % uint64(s.users))
}

// stride is a step that visits all users, another one for each round: one that has no divisor in
// common with their number.
func (s *shape) stride(round int) int {
	stride := (round*7919+1)%s.users + 1
	for ; ; stride++ {
		a, b := stride, s.users
		for b != 0 {
			a, b = b, a%b
		}
		if a == 1 {
			return stride
		}
	}
}

// guildsOf lists each user's guilds.
func (s *shape) guildsOf() [][]int32 {
	of := make([][]int32, s.users)
	for g := range s.ends {
		for _, user := range s.members(g) {
			of[user] = append(of[user], int32(g))
		}
	}
	return of
}

// Ids are snowflakes: the time in their upper bits, on which sharding works too. Another shape has
// other ids and other tokens, so that a node may be used for one after the other: a user who was in
// a guild of the last one would get its events still.
const (
	idEpochMilli = 1 << 36
	saltBits     = 12
	saltShift    = 26 // Beyond the largest index.
)

// saltOf is the number of a shape.
func saltOf(c *Config) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d %d %s", c.Users, c.Guilds, c.PerUser, c.Shape)
	return h.Sum64() >> (64 - saltBits)
}

// Kinds of id, which are told apart by the lowest bits.
const (
	kindUser = iota
	kindGuild
	kindChannel
)

func (s *shape) id(kind, index int) wire.Snowflake {
	return wire.Snowflake((idEpochMilli+s.salt<<saltShift+uint64(index))<<22 | uint64(kind))
}

// picker chooses guilds by weight.
type picker struct {
	guilds int
	ends   []int // nil: all alike.
}

func newPicker(s *shape, weight string) picker {
	if weight == weightMembers {
		return picker{s.guilds(), s.ends}
	}
	return picker{s.guilds(), nil}
}

// pick turns a number from 0 up to 1 into a guild.
func (p picker) pick(share float64) int {
	if p.ends == nil {
		return int(share * float64(p.guilds))
	}
	membership := int(share * float64(p.ends[len(p.ends)-1]))
	return sort.SearchInts(p.ends, membership+1)
}

// Salts keep choices apart: who is cut says nothing about who is frozen.
const (
	saltSample = iota + 1
	saltImpair
	saltBeat
)

// fraction is a number from 0 up to 1 that looks random and is always the same for an id.
func fraction(id int, salt uint64) float64 {
	x := uint64(id)*0x9e3779b97f4a7c15 + salt*0xbf58476d1ce4e5b9
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11) / (1 << 53)
}
