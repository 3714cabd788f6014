// Package corpus makes events as a busy guild of a chat produces them, to measure compression on
// something whose redundancy is like the real thing's.
//
// A corpus is a function of its seed alone, so every mode, every run and every commit gets the same
// bytes. The mix, by number of events, is in Mix: half messages, a fifth typing, a fifth presence
// and a tenth changes of members, which is about what public guilds show in the evening: most
// sessions only listen, and whoever writes types first. Text is drawn from a small vocabulary with
// the frequencies of Zipf's law, names repeat, and ids and times are as incompressible as they are.
// Authors are members of the guild who are not connected, so that no rule about a session's own
// user lets one receiver out. Nothing is sent from here. Start reading at Make.
package corpus

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"throng/wire"
)

// Share is a kind of event and how many of a hundred it is.
type Share struct {
	Name    string
	Percent int
}

// Mix is what a corpus consists of.
var Mix = []Share{{"MESSAGE_CREATE", 50}, {"TYPING_START", 20}, {"PRESENCE_UPDATE", 20},
	{"GUILD_MEMBER_UPDATE", 10}}

// String is the mix in words.
func (s Share) String() string { return strconv.Itoa(s.Percent) + " % " + s.Name }

// Event is one event of the guild.
type Event struct {
	Name string
	Line []byte // {"t":…,"d":…}, as the backend sends it
}

// Place is where the events happen.
type Place struct {
	Guild    wire.Snowflake
	Channels []wire.Snowflake
	Authors  []wire.Snowflake // Members who are not connected.
	Roles    []wire.Snowflake
}

// epoch is when the corpus begins; it is fixed, so that a corpus is too.
const epoch = 1_767_225_600_000 // 2026-01-01T00:00:00Z

// maker writes one corpus.
type maker struct {
	place    Place
	random   *rand.Rand
	zipf     *rand.Zipf
	now      int64 // unix milliseconds
	sequence int

	presences int
}

// Make writes count events. Whatever the count, each hundred of them has the mix.
func Make(seed uint64, count int, place Place) []Event {
	random := rand.New(rand.NewPCG(seed, 1))
	m := &maker{place: place, random: random, now: epoch,
		zipf: rand.NewZipf(random, 1.2, 4, uint64(len(words)-1))}
	var events []Event
	for len(events) < count {
		var hundred []string
		for _, share := range Mix {
			for range share.Percent {
				hundred = append(hundred, share.Name)
			}
		}
		random.Shuffle(len(hundred), func(i, j int) {
			hundred[i], hundred[j] = hundred[j], hundred[i]
		})
		for _, name := range hundred[:min(len(hundred), count-len(events))] {
			events = append(events, m.event(name))
		}
	}
	return events
}

type object = map[string]any

func (m *maker) event(name string) Event {
	m.now += m.random.Int64N(900)
	var d object
	switch name {
	case "MESSAGE_CREATE":
		d = m.message()
	case "TYPING_START":
		d = object{"channel_id": m.channel(), "user_id": m.author(), "timestamp": m.now / 1000}
	case "PRESENCE_UPDATE":
		d = m.presence()
	case "GUILD_MEMBER_UPDATE":
		d = m.member()
	}
	line, err := json.Marshal(struct {
		T string `json:"t"`
		D object `json:"d"`
	}{name, d})
	if err != nil {
		panic("corpus: " + err.Error())
	}
	return Event{Name: name, Line: line}
}

func (m *maker) message() object {
	d := object{
		"id": m.snowflake(), "channel_id": m.channel(), "author": m.user(m.author()),
		"content": m.sentence(2 + m.random.IntN(24)), "timestamp": m.time(m.now), "type": 0,
		"nonce": m.snowflake().String(),
	}
	switch m.random.IntN(10) {
	case 0:
		url := "https://example.com/" + m.sentence(1) + "/" + m.snowflake().String()
		d["embeds"] = []object{{"type": "article", "url": url, "title": m.sentence(6),
			"description": m.sentence(30), "color": m.random.IntN(1 << 24)}}
	case 1:
		d["attachments"] = []object{{"id": m.snowflake(), "filename": m.sentence(1) + ".png",
			"size": m.random.IntN(1 << 22), "content_type": "image/png", "width": 1280,
			"height": 720, "url": "https://cdn.example.com/attachments/" + m.snowflake().String(),
			"proxy_url": "https://media.example.com/attachments/" + m.snowflake().String()}}
	case 2, 3:
		d["type"] = 19
		d["message_reference"] = object{"message_id": m.snowflake(), "channel_id": d["channel_id"],
			"guild_id": m.place.Guild}
	}
	return d
}

func (m *maker) presence() object {
	status := []string{"online", "idle", "dnd", "offline"}[m.random.IntN(4)]
	// One after the other: of two changes of the same user a node may tell only the later.
	user := m.place.Authors[m.presences%len(m.place.Authors)]
	m.presences++
	d := object{"user": object{"id": user}, "status": status, "activities": []object{},
		"client_status": object{}}
	if status == "offline" {
		return d
	}
	d["client_status"] = object{[]string{"desktop", "mobile", "web"}[m.random.IntN(3)]: status}
	if m.random.IntN(2) == 0 {
		d["activities"] = []object{{"type": 0, "name": m.sentence(2), "state": m.sentence(3),
			"details": m.sentence(4), "created_at": m.now, "application_id": m.snowflake(),
			"timestamps": object{"start": m.now - 60_000}}}
	}
	return d
}

func (m *maker) member() object {
	id := m.author()
	d := object{"user": m.user(id), "roles": []wire.Snowflake{}, "nick": m.sentence(1),
		"joined_at": m.time(epoch - 1_000*int64(id%1_000_000)), "avatar": nil, "flags": 0,
		"pending": false, "mute": false, "deaf": false, "premium_since": nil}
	if n := len(m.place.Roles); n > 0 {
		d["roles"] = m.place.Roles[:m.random.IntN(n+1)]
	}
	return d
}

// user is the public object of a user, the same each time.
func (m *maker) user(id wire.Snowflake) object {
	r := rand.New(rand.NewPCG(uint64(id), 2))
	name := words[r.IntN(len(words))] + "_" + words[r.IntN(len(words))]
	return object{"id": id, "username": name, "global_name": strings.ToUpper(name[:1]) + name[1:],
		"avatar": fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()), "discriminator": "0",
		"public_flags": 0, "bot": false}
}

func (m *maker) author() wire.Snowflake {
	// Few write much: the square of a uniform number favours the first.
	u := m.random.Float64()
	return m.place.Authors[int(u*u*float64(len(m.place.Authors)))]
}

func (m *maker) channel() wire.Snowflake {
	u := m.random.Float64()
	return m.place.Channels[int(u*u*float64(len(m.place.Channels)))]
}

func (m *maker) snowflake() wire.Snowflake {
	m.sequence++
	return wire.SnowflakeAt(m.now, m.random.IntN(1024), m.sequence%4096)
}

func (m *maker) time(milli int64) string {
	return time.UnixMilli(milli).UTC().Format("2006-01-02T15:04:05.000000+00:00")
}

func (m *maker) sentence(count int) string {
	var b strings.Builder
	for i := range count {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(words[m.zipf.Uint64()])
	}
	return b.String()
}
