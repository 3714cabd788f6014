//go:build !race

package clients

import (
	"context"
	"log/slog"
	"testing"

	"github.com/disgoorg/disgo"
	"github.com/disgoorg/disgo/bot"
	"github.com/disgoorg/disgo/discord"
	"github.com/disgoorg/disgo/events"
	"github.com/disgoorg/disgo/gateway"
	"github.com/disgoorg/disgo/rest"
	"github.com/disgoorg/snowflake/v2"
)

// disgoCompression is the transport that disgo asks for by default.
const disgoCompression = gateway.CompressionZstdStream

func TestDisgo(t *testing.T) {
	t.Parallel()
	suite(t, library{dial: dialDisgo, reconnectCode: 1012})
}

type disgoClient struct {
	bot *bot.Client
	rec *record
}

func dialDisgo(t *testing.T, n *node, token string, rec *record) client {
	t.Helper()
	log := &tail{}
	log.showOnFailure(t, "disgo")
	built, err := disgo.New(token,
		bot.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{
			Level: slog.LevelDebug}))),
		bot.WithRestClientConfigOpts(rest.WithURL(n.api()+"/v10")),
		bot.WithGatewayConfigOpts(
			gateway.WithIntents(gateway.IntentsAll),
			gateway.WithCompression(disgoCompression),
			gateway.WithEnableRawEvents(true)),
		bot.WithEventListenerFunc(func(e *events.Ready) {
			rec.add(event{Kind: "ready", ID: e.User.ID.String()})
		}),
		bot.WithEventListenerFunc(func(e *events.GuildReady) {
			rec.add(event{Kind: "guild", ID: e.GuildID.String()})
		}),
		bot.WithEventListenerFunc(func(e *events.GuildMessageCreate) {
			rec.add(event{Kind: "message", ID: e.MessageID.String(), Text: e.Message.Content,
				Channel: e.ChannelID.String(), Author: e.Message.Author.ID.String()})
		}),
		bot.WithEventListenerFunc(func(e *events.VoiceServerUpdate) {
			heard := event{Kind: "voice", ID: e.GuildID.String()}
			if e.Endpoint != nil {
				heard.Text = *e.Endpoint
			}
			rec.add(heard)
		}),
		bot.WithEventListenerFunc(func(e *events.SelfUpdate) {
			rec.add(event{Kind: "user", Text: e.SelfUser.Username})
		}),
		bot.WithEventListenerFunc(func(*events.Resumed) { rec.add(event{Kind: "resumed"}) }),
		bot.WithEventListenerFunc(func(e *events.Raw) {
			if e.EventType == gateway.EventTypeGuildMembersChunk {
				rec.add(event{Kind: "chunk"})
			}
		}))
	if err != nil {
		t.Fatalf("build the client: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := built.OpenGateway(ctx); err != nil {
		t.Fatalf("open the gateway: %v", err)
	}
	return &disgoClient{bot: built, rec: rec}
}

func (c *disgoClient) members(t *testing.T, guild string) (ids []string, chunks int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	members, err := c.bot.MemberChunkingManager.RequestAllMembers(ctx, snowflake.MustParse(guild))
	if err != nil {
		t.Fatalf("request members: %v", err)
	}
	for _, member := range members {
		ids = append(ids, member.User.ID.String())
	}
	return ids, len(c.rec.wait(t, 1, "chunk"))
}

func (c *disgoClient) speak(t *testing.T, guild, channel string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	to := snowflake.MustParse(channel)
	err := c.bot.UpdateVoiceState(ctx, snowflake.MustParse(guild), &to, false, false)
	if err != nil {
		t.Fatal(err)
	}
}

func (c *disgoClient) post(t *testing.T, channel, content string) {
	t.Helper()
	message, err := c.bot.Rest.CreateMessage(snowflake.MustParse(channel),
		discord.MessageCreate{Content: content})
	if err != nil {
		t.Fatalf("post: %v", err)
	}
	if message.Content != content {
		t.Errorf("post answered %+v", message)
	}
}

func (c *disgoClient) close() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c.bot.Close(ctx)
}
