package fanout

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"throng/wire"
)

// A voice token is a JSON Web Token, signed with HMAC-SHA256 (HS256) by the secret that the media
// server was put into the table with. Any JWT library checks one; the claims are
//
//	aud         the server's name; of a server of the guild's own list, its address
//	sub         the user's id
//	sid         the id of the gateway session, as in READY and in the voice state
//	guild_id    the guild
//	channel_id  the channel
//	iat, exp    when it was made and when it ends, in Unix seconds
//
// A media server lets in who shows a token with its own name in aud, that has not ended, together
// with the same user, session and guild, and puts them into the token's channel. A user who is
// moved gets a new token, so whoever has an older one for another channel has been somewhere else
// since: the token with the latest iat counts.
//
// Rejected: a random token that the media server asks the node about. That is a table of tokens to
// keep on the node, and no voice while the node restarts.
type voiceClaims struct {
	server         string
	user           wire.Snowflake
	session        string
	guild, channel wire.Snowflake
	now            int64 // Unix milliseconds.
}

// voiceTokenSeconds is how long a token is good for: a client whose connection to the media server
// breaks shows the same token again, hours later.
const voiceTokenSeconds = 24 * 60 * 60

// voiceTokenHead is {"alg":"HS256","typ":"JWT"} and a dot.
const voiceTokenHead = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."

// appendVoiceToken appends the signed token.
func appendVoiceToken(dst, secret []byte, c *voiceClaims) []byte {
	var buf [512]byte
	claims := wire.AppendString(append(buf[:0], `{"aud":`...), c.server)
	claims = c.user.AppendJSON(wire.AppendKey(claims, "sub"))
	claims = wire.AppendString(wire.AppendKey(claims, "sid"), c.session)
	claims = c.guild.AppendJSON(wire.AppendKey(claims, "guild_id"))
	claims = c.channel.AppendJSON(wire.AppendKey(claims, "channel_id"))
	claims = wire.AppendInt(wire.AppendKey(claims, "iat"), c.now/1000)
	claims = wire.AppendInt(wire.AppendKey(claims, "exp"), c.now/1000+voiceTokenSeconds)
	claims = append(claims, '}')
	from := len(dst)
	dst = append(dst, voiceTokenHead...)
	dst = base64.RawURLEncoding.AppendEncode(dst, claims)
	mac := hmac.New(sha256.New, secret)
	mac.Write(dst[from:])
	return base64.RawURLEncoding.AppendEncode(append(dst, '.'), mac.Sum(nil))
}
