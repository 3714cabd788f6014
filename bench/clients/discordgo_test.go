//go:build !race

package clients

import (
	"fmt"
	"testing"

	"github.com/bwmarrin/discordgo"
)

// TestDiscordgo is the suite with discordgo, and the only test that uses it: the library keeps its
// addresses in package variables.
func TestDiscordgo(t *testing.T) {
	t.Parallel()
	suite(t, library{dial: dialDiscordgo, reconnectCode: 1012})
}

type discordgoClient struct {
	session *discordgo.Session
	rec     *record
}

func dialDiscordgo(t *testing.T, n *node, token string, rec *record) client {
	t.Helper()
	base := n.api() + "/v" + discordgo.APIVersion + "/"
	discordgo.EndpointAPI = base
	discordgo.EndpointGateway = base + "gateway"
	discordgo.EndpointGatewayBot = base + "gateway/bot"
	discordgo.EndpointGuilds = base + "guilds/"
	discordgo.EndpointChannels = base + "channels/"
	discordgo.EndpointUsers = base + "users/"
	log := &tail{}
	log.showOnFailure(t, "discordgo")
	discordgo.Logger = func(level, _ int, format string, a ...any) {
		fmt.Fprintf(log, "[%d] %s\n", level, fmt.Sprintf(format, a...))
	}
	session, err := discordgo.New("Bot " + token)
	if err != nil {
		t.Fatal(err)
	}
	session.LogLevel = discordgo.LogInformational
	session.SyncEvents = true // keep the order in which they came
	session.Identify.Intents = discordgo.IntentsAll
	session.AddHandler(func(_ *discordgo.Session, e *discordgo.Ready) {
		rec.add(event{Kind: "ready", ID: e.User.ID})
	})
	session.AddHandler(func(_ *discordgo.Session, e *discordgo.GuildCreate) {
		rec.add(event{Kind: "guild", ID: e.ID})
	})
	session.AddHandler(func(_ *discordgo.Session, e *discordgo.MessageCreate) {
		rec.add(event{Kind: "message", ID: e.ID, Text: e.Content, Channel: e.ChannelID,
			Author: e.Author.ID})
	})
	session.AddHandler(func(_ *discordgo.Session, e *discordgo.GuildMembersChunk) {
		ids := make([]string, 0, len(e.Members))
		for _, member := range e.Members {
			ids = append(ids, member.User.ID)
		}
		rec.add(event{Kind: "chunk", ID: e.Nonce, IDs: ids, Chunks: e.ChunkCount})
	})
	session.AddHandler(func(_ *discordgo.Session, e *discordgo.VoiceServerUpdate) {
		rec.add(event{Kind: "voice", ID: e.GuildID, Text: e.Endpoint})
	})
	session.AddHandler(func(_ *discordgo.Session, e *discordgo.UserUpdate) {
		rec.add(event{Kind: "user", Text: e.Username})
	})
	session.AddHandler(func(*discordgo.Session, *discordgo.Resumed) {
		rec.add(event{Kind: "resumed"})
	})
	if err := session.Open(); err != nil {
		t.Fatalf("open: %v", err)
	}
	return &discordgoClient{session: session, rec: rec}
}

func (c *discordgoClient) members(t *testing.T, guild string) (ids []string, chunks int) {
	t.Helper()
	if err := c.session.RequestGuildMembers(guild, "", 0, "all-of-them", false); err != nil {
		t.Fatal(err)
	}
	count := c.rec.wait(t, 1, "chunk")[0].Chunks
	for _, chunk := range c.rec.wait(t, count, "chunk") {
		if chunk.ID != "all-of-them" {
			t.Errorf("a chunk has nonce %q", chunk.ID)
		}
		ids = append(ids, chunk.IDs...)
		chunks++
	}
	return ids, chunks
}

func (c *discordgoClient) speak(t *testing.T, guild, channel string) {
	t.Helper()
	if err := c.session.ChannelVoiceJoinManual(guild, channel, false, false); err != nil {
		t.Fatal(err)
	}
}

func (c *discordgoClient) post(t *testing.T, channel, content string) {
	t.Helper()
	message, err := c.session.ChannelMessageSend(channel, content)
	if err != nil {
		t.Fatalf("post: %v", err)
	}
	if message.Content != content || message.Author == nil {
		t.Errorf("post answered %+v", message)
	}
}

func (c *discordgoClient) close() { _ = c.session.Close() }
