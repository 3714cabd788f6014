package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"throng/wire"
)

// Ids that benches use. Users and guilds are numbered from 0.
const (
	userBase    = 100_000_000_000_000_000
	guildBase   = 200_000_000_000_000_000
	channelBase = 300_000_000_000_000_000
	// channelsPerGuildMax keeps the ids of two guilds' channels apart.
	channelsPerGuildMax = 1000
)

// UserID, GuildID and ChannelID are the ids by number.
func UserID(user int) wire.Snowflake   { return wire.Snowflake(userBase + user) }
func GuildID(guild int) wire.Snowflake { return wire.Snowflake(guildBase + guild) }
func ChannelID(guild, channel int) wire.Snowflake {
	return wire.Snowflake(channelBase + guild*channelsPerGuildMax + channel)
}

// Tokens is the pattern of the tokens of a group of users, in package load's notation: {i} counts
// from 0 in each group.
func Tokens(group string) string { return "bench-" + group + ".{i}" }

// Token is the token of one of them.
func Token(group string, number int) string {
	return strings.Replace(Tokens(group), "{i}", strconv.Itoa(number), 1)
}

// ask makes a request at the admin door and gives back the answer's body.
func (t *Throng) ask(ctx context.Context, method, path, kind string, body io.Reader) (
	[]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+t.Admin+path, body)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	if t.Token != "" {
		request.Header.Set("Authorization", "Bearer "+t.Token)
	}
	answer, err := t.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, bytes.TrimSpace(text))
	}
	return text, err
}

// lines sends NDJSON as it is made, so that a million lines are never in memory together, and
// fails when a line was refused.
func (t *Throng) lines(ctx context.Context, path string, make func(w *bufio.Writer)) error {
	out, in := io.Pipe()
	go func() {
		w := bufio.NewWriterSize(in, 64<<10)
		make(w)
		_ = in.CloseWithError(w.Flush())
	}()
	text, err := t.ask(ctx, http.MethodPost, path, "application/x-ndjson", out)
	_ = out.Close()
	if err != nil {
		return err
	}
	var tally struct {
		Count    int `json:"rejected_count"`
		Rejected []struct{ Error string }
	}
	if err := json.Unmarshal(text, &tally); err != nil {
		return fmt.Errorf("POST %s: %w", path, err)
	}
	if tally.Count > 0 {
		return fmt.Errorf("POST %s: %d lines were rejected: %s", path, tally.Count,
			tally.Rejected[0].Error)
	}
	return nil
}

// PutUsers makes people number from to to, with the tokens of a group.
func (t *Throng) PutUsers(ctx context.Context, group string, from, to int) error {
	return t.putUsers(ctx, group, from, to, false)
}

// PutBots makes bots of the same numbers.
func (t *Throng) PutBots(ctx context.Context, group string, from, to int) error {
	return t.putUsers(ctx, group, from, to, true)
}

func (t *Throng) putUsers(ctx context.Context, group string, from, to int, bot bool) error {
	pattern := Tokens(group)
	return t.lines(ctx, "/v1/users", func(w *bufio.Writer) {
		for i := from; i < to; i++ {
			token := strings.ReplaceAll(pattern, "{i}", strconv.Itoa(i-from))
			fmt.Fprintf(w, `{"id":"%d","username":"user%d","bot":%t,"token":"%s"}`+"\n",
				UserID(i), i, bot, token)
		}
	})
}

// PutGuild makes a guild with channels, none of them hidden.
func (t *Throng) PutGuild(ctx context.Context, guild, channels int) error {
	var doc bytes.Buffer
	fmt.Fprintf(&doc, `{"name":"guild %d","owner_id":"%d","channels":[`, guild, UserID(0))
	for c := range channels {
		if c > 0 {
			doc.WriteByte(',')
		}
		fmt.Fprintf(&doc, `{"id":"%d","type":0,"name":"channel-%d","position":%d,`+
			`"topic":"What channel %d of guild %d is about."}`, ChannelID(guild, c), c, c, c, guild)
	}
	doc.WriteString("]}")
	_, err := t.ask(ctx, http.MethodPut, fmt.Sprintf("/v1/guilds/%d", GuildID(guild)),
		"application/json", &doc)
	return err
}

// DeleteGuild deletes a guild.
func (t *Throng) DeleteGuild(ctx context.Context, guild int) error {
	_, err := t.ask(ctx, http.MethodDelete, fmt.Sprintf("/v1/guilds/%d", GuildID(guild)), "", nil)
	return err
}

// PutMembers puts users number from to to into a guild.
func (t *Throng) PutMembers(ctx context.Context, guild, from, to int) error {
	path := fmt.Sprintf("/v1/guilds/%d/members", GuildID(guild))
	return t.lines(ctx, path, func(w *bufio.Writer) {
		for i := from; i < to; i++ {
			fmt.Fprintf(w, `{"user_id":"%d"}`+"\n", UserID(i))
		}
	})
}

// Publish gives events of a guild to the node, one JSON object a line. The body has no content
// type of NDJSON on purpose: such a body is a stream, each of whose events leaves when its line is
// there, while this one is read to its end first, so that all its events are pending together.
func (t *Throng) Publish(ctx context.Context, guild int, events []byte) error {
	return t.publish(ctx, fmt.Sprintf("/v1/guilds/%d/events", GuildID(guild)), events)
}

// PublishUser gives events to all sessions of a user.
func (t *Throng) PublishUser(ctx context.Context, user int, events []byte) error {
	return t.publish(ctx, fmt.Sprintf("/v1/users/%d/events", UserID(user)), events)
}

func (t *Throng) publish(ctx context.Context, path string, events []byte) error {
	text, err := t.ask(ctx, http.MethodPost, path, "", bytes.NewReader(events))
	if err == nil && bytes.Contains(text, []byte(`"line"`)) {
		err = fmt.Errorf("POST %s: %s", path, bytes.TrimSpace(text))
	}
	return err
}

// Metrics reads /metrics: the value of each sample by its name and labels, as they are written.
func (t *Throng) Metrics(ctx context.Context) (Metrics, error) {
	text, err := t.ask(ctx, http.MethodGet, "/metrics", "", nil)
	return parseMetrics(string(text)), err
}

// GuildCounts are how many listen to a guild, and how many are passive there.
type GuildCounts struct {
	Members int `json:"member_count"`
	Active  int `json:"active_count"`
	Passive int `json:"passive_count"`
}

// Counts asks for a guild's counts.
func (t *Throng) Counts(ctx context.Context, guild int) (c GuildCounts, err error) {
	text, err := t.ask(ctx, http.MethodGet, fmt.Sprintf("/v1/guilds/%d", GuildID(guild)), "", nil)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

// CollectGarbage makes the node run its collector, so that what is in its heap is in use.
func (t *Throng) CollectGarbage(ctx context.Context) error {
	_, err := t.ask(ctx, http.MethodGet, "/debug/pprof/heap?gc=1", "", nil)
	return err
}

// Memory is what a node says that it holds, and what its collector found alive the last time.
type Memory struct {
	Bytes   float64 `json:"bytes"`
	Error   float64 `json:"error_bytes"`
	Process struct {
		Marked float64 `json:"marked"`
	} `json:"process"`
	Missing []string `json:"missing"`
}

// Memory asks the node for what it holds.
func (t *Throng) Memory(ctx context.Context) (m Memory, err error) {
	text, err := t.ask(ctx, http.MethodGet, "/v1/memory", "", nil)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	return m, err
}

// Check asks the node for its invariants over live state.
func (t *Throng) Check(ctx context.Context) error {
	_, err := t.ask(ctx, http.MethodGet, "/debug/check", "", nil)
	return err
}

// Metrics are samples by name and labels: throng_handle_seconds_sum{type="publish"}.
type Metrics map[string]float64

func parseMetrics(text string) Metrics {
	m := Metrics{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			m[line[:at]] = v
		}
	}
	return m
}

// Since is how much each sample has grown since an earlier reading.
func (m Metrics) Since(earlier Metrics) Metrics {
	d := Metrics{}
	for name, v := range m {
		d[name] = v - earlier[name]
	}
	return d
}

// Handled is the mean time of handling one message of a kind, in seconds, and their number.
func (m Metrics) Handled(kind string) (mean, count float64) {
	label := `{type="` + kind + `"}`
	count = m["throng_handle_seconds_count"+label]
	return m["throng_handle_seconds_sum"+label] / count, count
}

// PutDocument makes a guild of a document, or replaces it.
func (t *Throng) PutDocument(ctx context.Context, guild int, doc []byte) error {
	_, err := t.ask(ctx, http.MethodPut, fmt.Sprintf("/v1/guilds/%d", GuildID(guild)),
		"application/json", bytes.NewReader(doc))
	return err
}

// PutMemberLines puts members into a guild as write writes them, one object a line.
func (t *Throng) PutMemberLines(ctx context.Context, guild int, write func(w *bufio.Writer)) error {
	return t.lines(ctx, fmt.Sprintf("/v1/guilds/%d/members", GuildID(guild)), write)
}

// ExportMembers reads all members of a guild and says how many lines those were.
func (t *Throng) ExportMembers(ctx context.Context, guild int) (lines int, err error) {
	path := fmt.Sprintf("/v1/guilds/%d/members", GuildID(guild))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.Admin+path, nil)
	if err != nil {
		return 0, err
	}
	answer, err := t.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("GET %s: %s", path, answer.Status)
	}
	body := bufio.NewReaderSize(answer.Body, 64<<10)
	for {
		_, err := body.ReadSlice('\n')
		switch err {
		case nil:
			lines++
		case bufio.ErrBufferFull:
		case io.EOF:
			return lines, nil
		default:
			return lines, err
		}
	}
}
