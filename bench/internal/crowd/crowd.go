// Package crowd is the clients of a bench, in phases: they connect, wait, are published to, and are
// looked at, while the bench decides what happens when.
//
// The clients themselves are package load's, in this process: an epoll loop and some hundred bytes
// a connection, so that the clients' side is far cheaper than the server's. This package adds what
// benches do with them again and again: to make the users they are, to publish and wait until
// everybody has everything, and to fail at once when somebody was disconnected, since a figure
// from which receivers are missing is no figure. Start reading at Join and Deliver.
package crowd

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"throng/bench/internal/server"
	"throng/bench/internal/trial"
	"throng/bench/load"
	"throng/wire"
)

// deliverTimeout is how long an event may be on its way to everybody.
const deliverTimeout = 90 * time.Second

// Crowd is fleets of connections that count as one.
type Crowd struct {
	fleets []*load.Fleet
}

// Group is users of a node who connect together.
type Group struct {
	Name        string // Tells the tokens of groups apart.
	First       int    // The number of its first user.
	Connections int
	Bots        bool
	// Clients says how they are; who and where they are is filled in. Without Intents these are
	// IntentsQuiet.
	Clients load.Config
}

// IntentsQuiet is what hears of guilds and messages but not of everybody's coming and going: with
// presences, 9,000 sessions that arrive are 40 million events.
const IntentsQuiet = wire.IntentGuilds | wire.IntentGuildMessages | wire.IntentMessageContent

// Provision makes the users of a group and puts them into a guild.
func (g Group) Provision(ctx context.Context, node *server.Throng, guild int) error {
	put := node.PutUsers
	if g.Bots {
		put = node.PutBots
	}
	if err := put(ctx, g.Name, g.First, g.First+g.Connections); err != nil {
		return err
	}
	return node.PutMembers(ctx, guild, g.First, g.First+g.Connections)
}

// Join connects a group and waits until each of its sessions has its guilds.
func (c *Crowd) Join(ctx context.Context, node *server.Throng, g Group) error {
	config := g.Clients
	config.URL, config.Token = "ws://"+node.Gateway+"/", server.Tokens(g.Name)
	config.Connections = g.Connections
	if config.Intents == 0 {
		config.Intents = IntentsQuiet
	}
	return c.Start(ctx, config)
}

// Start connects any fleet.
func (c *Crowd) Start(ctx context.Context, config load.Config) error {
	f, err := load.Start(ctx, config)
	if err != nil {
		return fmt.Errorf("connect %d clients: %w", config.Connections, err)
	}
	c.fleets = append(c.fleets, f)
	return nil
}

// Add makes another's connections count here too.
func (c *Crowd) Add(other *Crowd) { c.fleets = append(c.fleets, other.fleets...) }

// Stop closes all connections.
func (c *Crowd) Stop() {
	for _, f := range c.fleets {
		f.Stop()
	}
	c.fleets = nil
}

// Received is how many events all connections have got.
func (c *Crowd) Received() (sum uint64) {
	for _, f := range c.fleets {
		sum += f.Received()
	}
	return sum
}

// Live is how many connections are up and have what they wait for.
func (c *Crowd) Live() (sum int) {
	for _, f := range c.fleets {
		sum += f.Live()
	}
	return sum
}

// Dispatched is how many dispatches all connections have got, events of other kinds among them.
func (c *Crowd) Dispatched() (sum uint64) {
	for _, f := range c.fleets {
		sum += f.Dispatched()
	}
	return sum
}

// Take is what everybody saw since it was last asked.
func (c *Crowd) Take() load.Phase { return load.Take("", c.fleets...) }

// Command has each of the connections number from to to send a command, which text makes by the
// number. It fails when one of them cannot.
func (c *Crowd) Command(from, to int, text func(connection int) string) error {
	first, sent := 0, 0
	for _, f := range c.fleets {
		sent += f.Command(from-first, to-first, func(i int) string { return text(first + i) })
		first += f.Connections()
	}
	if sent < to-from {
		return fmt.Errorf("%d of %d connections are not ready", to-from-sent, to-from)
	}
	return nil
}

// Cut closes all connections at once, from the clients' side.
func (c *Crowd) Cut() {
	for _, f := range c.fleets {
		f.Cut()
	}
}

// Freeze makes those connections frozen or slow that are to be, and says how many that are.
func (c *Crowd) Freeze() (impaired int) {
	for _, f := range c.fleets {
		impaired += f.Freeze()
	}
	return impaired
}

// Return brings back those that were cut.
func (c *Crowd) Return() {
	for _, f := range c.fleets {
		f.Return()
	}
}

// Deliver publishes and waits until count more events with a mark have been received by all
// together. It says how long that took. It fails when a connection is lost meanwhile.
func (c *Crowd) Deliver(ctx context.Context, count uint64, publish func() error) (
	time.Duration, error) {
	return c.deliver(ctx, count, c.Received, publish)
}

// DeliverAny is the same for dispatches of any kind.
func (c *Crowd) DeliverAny(ctx context.Context, count uint64, publish func() error) (
	time.Duration, error) {
	return c.deliver(ctx, count, c.Dispatched, publish)
}

func (c *Crowd) deliver(ctx context.Context, count uint64, received func() uint64,
	publish func() error) (time.Duration, error) {
	want, live, began := received()+count, c.Live(), time.Now()
	if err := publish(); err != nil {
		return 0, err
	}
	err := trial.Until(ctx, deliverTimeout, "delivery to everybody", func() (bool, error) {
		if now := c.Live(); now < live {
			return false, fmt.Errorf("%d of %d connections were lost", live-now, live)
		}
		return received() >= want, nil
	})
	took := time.Since(began)
	if err != nil {
		return took, fmt.Errorf("%w; %d of %d events have not come", err,
			want-min(want, received()), count)
	}
	return took, nil
}

// Event is an event of no known type whose WebSocket frame has exactly frameBytes bytes, with the
// time at which it was made for the clients to take. The result ends in a newline.
func Event(guild, frameBytes int, now time.Time) []byte {
	const name = "BENCH_EVENT"
	body := append([]byte(`{"guild_id":"`), server.GuildID(guild).String()...)
	body = append(append(body, `","ts":`...), strconv.FormatInt(now.UnixNano(), 10)...)
	body = append(body, `,"fill":""}`...)
	bare, _ := wire.AppendDispatch(nil, 0, name, body)
	// A header grows by two bytes when the payload passes 125.
	payload := frameBytes - wire.FrameHeaderBytes(frameBytes-4)
	fill := payload - (len(bare) - wire.FrameHeaderBytes(len(bare)-4))
	body = append(body[:len(body)-2], bytes.Repeat([]byte("x"), max(fill, 0))...)
	return append(append([]byte(`{"t":"`+name+`","d":`), body...), "\"}}\n"...)
}

// Events are count of them, all made now.
func Events(guild, frameBytes, count int) (body []byte) {
	now := time.Now()
	for range count {
		body = append(body, Event(guild, frameBytes, now)...)
	}
	return body
}

// Message is MESSAGE_CREATE, with the time at which it was made for the clients to take; sequence
// tells apart those of one moment. mentioned is a user who is mentioned, or -1. The result ends in
// a newline.
func Message(guild, channel, author, mentioned, sequence int, now time.Time) []byte {
	mentions := ""
	if mentioned >= 0 {
		mentions = fmt.Sprintf(`{"id":"%d","username":"user%d"}`, server.UserID(mentioned),
			mentioned)
	}
	return fmt.Appendf(nil, `{"t":"MESSAGE_CREATE","d":{"ts":%d,"channel_id":"%d","id":"%d",`+
		`"author":{"id":"%d","username":"user%d"},"content":"%s","mentions":[%s]}}`+"\n",
		now.UnixNano(), server.ChannelID(guild, channel),
		wire.SnowflakeAt(now.UnixMilli(), 0, sequence%4096), server.UserID(author), author,
		messageText, mentions)
}

var messageText = strings.Repeat("what somebody says ", 5)
