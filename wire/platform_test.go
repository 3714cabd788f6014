package wire

import "testing"

func TestPlatformOfProperties(t *testing.T) {
	for browser, want := range map[string]string{
		"": "web", "Chrome": "web", "disco": "web", "Firefox": "web", "discord.js": "web",
		"Discord Client": "desktop", "discord client": "desktop", "Discord iOS": "mobile",
		"Discord Android": "mobile", "Discord Embedded": "embedded", "Discord VR": "vr",
	} {
		p := Properties{OS: "linux", Browser: browser}
		if got := p.Platform().String(); got != want {
			t.Errorf("%q: got %s, want %s", browser, got, want)
		}
	}
}
