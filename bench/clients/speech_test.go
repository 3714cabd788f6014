package clients

import (
	"testing"
)

// speaker is a client whose library does voice: it asks for a channel, and records each voice
// server that it is told of ("voice", Text being the endpoint) and each new name ("user").
type speaker interface {
	speak(t *testing.T, guild, channel string)
}

const voiceChannelID = "9000000000000000001"

// speaks has the client join a voice channel. It is told of a media server, and when that one is
// removed of its loss and of the next.
func (l *life) speaks(t *testing.T) {
	s, ok := l.client.(speaker)
	if !ok {
		t.Log("not tried: the harness does not know how this library joins voice")
		return
	}
	put := func(name string) {
		l.node.call(t, "PUT", "/v1/voice/servers/"+name, map[string]any{
			"region": "here", "endpoint": name + ".voice.test:443", "capacity": 100})
	}
	put("first")
	s.speak(t, largeGuild, voiceChannelID)
	l.wantVoice(t, "first.voice.test:443")
	put("second")
	l.node.call(t, "DELETE", "/v1/voice/servers/first", nil)
	l.wantVoice(t, "first.voice.test:443", "", "second.voice.test:443")
}

func (l *life) wantVoice(t *testing.T, endpoints ...string) {
	t.Helper()
	for i, e := range l.rec.wait(t, len(endpoints), "voice") {
		if e.Text != endpoints[i] || e.ID != largeGuild {
			t.Fatalf("voice server %d is %+v, want %q", i, e, endpoints[i])
		}
	}
}

// isRenamed gives the client's own user a new name.
func (l *life) isRenamed(t *testing.T) {
	if _, ok := l.client.(speaker); !ok {
		t.Log("not tried: the harness does not know how this library tells of it")
		return
	}
	l.node.call(t, "PUT", "/v1/users/"+botID, map[string]any{"username": "renamed", "bot": true})
	if got := l.rec.wait(t, 1, "user")[0].Text; got != "renamed" {
		t.Errorf("the client takes itself for %q", got)
	}
}
