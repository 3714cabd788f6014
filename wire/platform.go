package wire

import "strings"

// Platform is the kind of device that a session runs on: a member of client_status.
type Platform uint8

const (
	PlatformWeb Platform = iota // A browser, a bot, and whatever is not known.
	PlatformDesktop
	PlatformMobile
	PlatformEmbedded // A console, or a game.
	PlatformVR
	Platforms // Their number.
)

var platformNames = [Platforms]string{"web", "desktop", "mobile", "embedded", "vr"}

// String returns the platform's key in client_status.
func (p Platform) String() string { return platformNames[p] }

// platformBrowsers are what the clients of a platform say for their browser, or the beginning of
// it. Bots that want to be shown as phones say the same.
var platformBrowsers = []struct {
	prefix   string
	platform Platform
}{
	{"discord client", PlatformDesktop},
	{"discord ios", PlatformMobile},
	{"discord android", PlatformMobile},
	{"discord embedded", PlatformEmbedded},
	{"discord vr", PlatformVR},
}

// Platform returns the platform that the properties tell of.
func (p *Properties) Platform() Platform {
	browser := strings.ToLower(p.Browser)
	for _, known := range platformBrowsers {
		if strings.HasPrefix(browser, known.prefix) {
			return known.platform
		}
	}
	return PlatformWeb
}
