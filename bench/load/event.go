package load

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"throng/wire"
)

// kind is one sort of event in the mix.
type kind struct {
	name string
	end  float64 // Of its share of the numbers from 0 up to 1.
	seen bool    // The connections' intents let it through.
}

// parseMix reads NAME=weight,NAME=weight; a weight left out is 1.
func parseMix(text string, intents wire.Intents) ([]kind, error) {
	var kinds []kind
	sum := 0.0
	for part := range strings.SplitSeq(text, ",") {
		name, weight, given := strings.Cut(strings.TrimSpace(part), "=")
		share := 1.0
		if given {
			var err error
			if share, err = strconv.ParseFloat(weight, 64); err != nil || share < 0 {
				return nil, fmt.Errorf("-mix: %q: want NAME=weight", part)
			}
		}
		if !wire.ValidEventName(name) {
			return nil, fmt.Errorf("-mix: %q is no event's name", name)
		}
		info, known := wire.LookupEvent(name)
		seen := !known || info.Guild == 0 || info.Guild&intents != 0
		sum += share
		kinds = append(kinds, kind{name, sum, seen})
	}
	if !(sum > 0) {
		return nil, fmt.Errorf("-mix: %q: all weights are 0", text)
	}
	for i := range kinds {
		kinds[i].end /= sum
	}
	return kinds, nil
}

// author makes one publisher's events.
type author struct {
	// Static after construction.
	config *Config
	shape  *shape
	mix    []kind
	picker picker
	index  int
	pad    string

	// Owned by the publisher's goroutine.
	random   *rand.Rand
	sequence int
}

func newAuthor(r *run, index int) *author {
	return &author{
		config: &r.config, shape: r.shape, mix: r.mix, index: index,
		picker: newPicker(r.shape, r.config.Weight), pad: strings.Repeat("x", r.config.Body),
		random: rand.New(rand.NewPCG(uint64(index), 1)),
	}
}

// choose picks the next event's guild and kind.
func (a *author) choose() (guild int, k *kind) {
	guild = a.picker.pick(a.random.Float64())
	share := a.random.Float64()
	for i := range a.mix {
		if share < a.mix[i].end {
			return guild, &a.mix[i]
		}
	}
	return guild, &a.mix[len(a.mix)-1]
}

// gateway makes an event for a gateway's backend door, with the mark.
func (a *author) gateway(guild int, k *kind, mark int64) []byte {
	b := make([]byte, 0, a.config.Body+256)
	b = append(b, `{"t":"`...)
	b = append(b, k.name...)
	b = append(b, `","d":`...)
	start := len(b)
	b = append(b, `{"ts":`...)
	b = strconv.AppendInt(b, mark, 10)
	b = append(b, `,"channel_id":"`...)
	b = a.shape.id(kindChannel, guild).Append(b)
	user := a.shape.dealt(a.shape.begin(guild))
	a.sequence++
	switch k.name {
	case "TYPING_START":
		b = append(b, `","user_id":"`...)
		b = a.shape.id(kindUser, user).Append(b)
		b = append(b, `","timestamp":`...)
		b = strconv.AppendInt(b, mark/1e9, 10)
	case "MESSAGE_CREATE", "MESSAGE_UPDATE":
		b = append(b, `","id":"`...)
		b = wire.SnowflakeAt(mark/1e6, a.index%1024, a.sequence%4096).Append(b)
		b = append(b, `","author":{"id":"`...)
		b = a.shape.id(kindUser, user).Append(b)
		b = append(b, `","username":"`...)
		b = append(b, userName(user)...)
		b = append(b, `","discriminator":"0","avatar":null}`...)
	default:
		b = append(b, '"')
	}
	b = a.fill(append(b, `,"content":"`...), start)
	return append(b, '}')
}

// plain makes an event for a room.
func (a *author) plain(guild int, _ *kind, mark int64) []byte {
	b := append(make([]byte, 0, a.config.Body+64), `{"ts":`...)
	b = strconv.AppendInt(b, mark, 10)
	b = append(b, `,"g":`...)
	b = strconv.AppendInt(b, int64(guild), 10)
	return a.fill(append(b, `,"pad":"`...), 0)
}

// fill ends the object that began at start so that it has the wanted size.
func (a *author) fill(b []byte, start int) []byte {
	missing := a.config.Body - (len(b) - start) - len(`"}`)
	b = append(b, a.pad[:min(max(missing, 0), len(a.pad))]...)
	return append(b, '"', '}')
}

func userName(user int) string { return "load-" + strconv.Itoa(user) }

func fillToken(pattern string, user int) string {
	return strings.ReplaceAll(pattern, "{i}", strconv.Itoa(user))
}
