package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"throng/bench/corpus"
	"throng/wire"
)

// values are strings with the colon that makes them keys, and numbers.
var values = regexp.MustCompile(`"(?:[^"\\]|\\.)*":?|-?[0-9][0-9.eE+-]*`)

// constants are texts that the protocol has, and no user.
var constants = map[string]bool{
	"online": true, "idle": true, "dnd": true, "offline": true, "image/png": true,
	"article": true, "rich": true, "0": true,
}

// shape is a body of which the keys and constants are left: text is empty, and ids, hashes, times
// and numbers are zeros of the same length, so that what is around them keeps its distance.
func shape(body []byte) string {
	return values.ReplaceAllStringFunc(string(body), func(v string) string {
		text := strings.Trim(v, `"`)
		switch {
		case strings.HasSuffix(v, ":"):
			return v
		case v[0] != '"':
			if len(v) <= 2 {
				return v
			}
			return "1" + strings.Repeat("0", len(v)-1)
		case constants[text]:
			return v
		case isTime(text):
			return `"2026-01-01T00:00:00.000000+00:00"`
		case isHex(text, 17, 20), isHex(text, 32, 32):
			return `"` + strings.Repeat("0", len(text)) + `"`
		}
		return `""`
	})
}

func isTime(text string) bool { return len(text) == 32 && text[10] == 'T' }

func isHex(text string, least, most int) bool {
	return len(text) >= least && len(text) <= most && strings.Trim(text, "0123456789abcdef") == ""
}

// template is the shapes, the most frequent last, as many as have room.
func template(e wire.Encoding, heard []dispatch) []byte {
	const bytesMax = 12 << 10
	type kind struct{ name, shape string }
	counts := map[kind]int{}
	for _, d := range heard {
		counts[kind{d.name, shape(d.body)}]++
	}
	kinds := slices.SortedFunc(maps.Keys(counts), func(a, b kind) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(a.name, b.name),
			cmp.Compare(a.shape, b.shape))
	})
	seen, size := map[string]int{}, 0
	var texts [][]byte
	for _, k := range kinds {
		if seen[k.name]++; seen[k.name] > shapesOf[k.name]+1 {
			continue
		}
		text := wire.DispatchText(nil, e, k.name, []byte(k.shape))
		if e == wire.EncodingJSON {
			text = append([]byte(`{"s":       1`), text...)
		}
		if size += len(text) + 1; size <= bytesMax {
			texts = append([][]byte{text}, texts...)
		}
	}
	if e == wire.EncodingJSON {
		return bytes.Join(texts, []byte(","))
	}
	// It stands in a binary, which many take for text: no byte may be beyond ASCII.
	return bytes.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return 0
		}
		return r
	}, bytes.Join(texts, nil))
}

// shapesOf is how many shapes of an event are kept beyond one.
var shapesOf = map[string]int{"MESSAGE_CREATE": 7, "PRESENCE_UPDATE": 7, "TYPING_START": 1,
	"GUILD_MEMBER_UPDATE": 1}

// others are further common events of a guild, once each.
func others(p corpus.Place) (lines []string) {
	guild, channel, user := p.Guild, p.Channels[0], p.Authors[0]
	message := wire.Snowflake(1456074444886048769)
	in := fmt.Sprintf(`"channel_id":"%d","guild_id":"%d"`, channel, guild)
	for _, e := range []struct{ name, d string }{
		{"MESSAGE_UPDATE", fmt.Sprintf(`{"id":"%d",%s,"content":"x","author":{"id":"%d"},`+
			`"edited_timestamp":"2026-01-01T00:00:00.000000+00:00","timestamp":`+
			`"2026-01-01T00:00:00.000000+00:00","type":0}`, message, in, user)},
		{"MESSAGE_DELETE", fmt.Sprintf(`{"id":"%d",%s}`, message, in)},
		{"MESSAGE_REACTION_ADD", fmt.Sprintf(`{"user_id":"%d","message_id":"%d",%s,"emoji":`+
			`{"id":null,"name":"x"},"burst":false,"type":0}`, user, message, in)},
		{"MESSAGE_REACTION_REMOVE", fmt.Sprintf(`{"user_id":"%d","message_id":"%d",%s,"emoji":`+
			`{"id":null,"name":"x"},"burst":false,"type":0}`, user, message, in)},
		{"GUILD_MEMBER_REMOVE", fmt.Sprintf(`{"user":{"id":"%d"},"guild_id":"%d"}`,
			p.Authors[len(p.Authors)-1], guild)},
	} {
		lines = append(lines, fmt.Sprintf(`{"t":%q,"d":%s}`, e.name, e.d))
	}
	return lines
}
