package wire

import (
	"strconv"
	"unicode/utf8"
)

// CloseCode is the status code of a WebSocket close frame: RFC 6455 7.4.1 below 4000, the
// gateway's own from 4000 on.
type CloseCode uint16

// Close codes. The gateway sends 4006 and 4015 upwards never: client libraries do not agree on
// what they mean.
const (
	CloseNormal             CloseCode = 1000
	CloseGoingAway          CloseCode = 1001
	CloseProtocolError      CloseCode = 1002
	CloseUnsupportedData    CloseCode = 1003
	CloseNoStatus           CloseCode = 1005 // Never on the wire: a close frame had no code.
	CloseAbnormal           CloseCode = 1006 // Never on the wire: the socket broke.
	CloseInvalidPayload     CloseCode = 1007
	ClosePolicyViolation    CloseCode = 1008
	CloseMessageTooBig      CloseCode = 1009
	CloseMandatoryExtension CloseCode = 1010
	CloseInternalError      CloseCode = 1011
	CloseServiceRestart     CloseCode = 1012
	CloseTryAgainLater      CloseCode = 1013

	CloseUnknown              CloseCode = 4000
	CloseUnknownOpcode        CloseCode = 4001
	CloseDecode               CloseCode = 4002
	CloseNotAuthenticated     CloseCode = 4003
	CloseAuthenticationFailed CloseCode = 4004
	CloseAlreadyAuthenticated CloseCode = 4005
	CloseInvalidSeq           CloseCode = 4007
	CloseRateLimited          CloseCode = 4008
	CloseSessionTimedOut      CloseCode = 4009
	CloseInvalidShard         CloseCode = 4010
	CloseShardingRequired     CloseCode = 4011
	CloseInvalidVersion       CloseCode = 4012
	CloseInvalidIntents       CloseCode = 4013
	CloseDisallowedIntents    CloseCode = 4014
)

// reasonBytesMax keeps a close frame inside the 125 bytes of a control frame (RFC 6455 5.5)
// with room for the code.
const reasonBytesMax = 120

// Fatal reports whether client libraries give up for good when the server closes with c, so
// that a person has to look: a bad token, shard, version or intents.
func (c CloseCode) Fatal() bool {
	return c == CloseAuthenticationFailed ||
		c >= CloseInvalidShard && c <= CloseDisallowedIntents
}

// Resumable reports whether a session is worth keeping after the server closed its socket with
// c, because clients come back with a RESUME. Codes no table lists count as a lost connection.
func (c CloseCode) Resumable() bool {
	switch c {
	case CloseNormal, CloseNotAuthenticated, CloseInvalidSeq, CloseSessionTimedOut:
		return false
	}
	return !c.Fatal()
}

// EndsSession reports whether c, sent by a client that was not itself being closed, ends the
// session at once. With any other code, or none, it stays for a resume.
func (c CloseCode) EndsSession() bool {
	return c == CloseNormal || c == CloseGoingAway
}

func (c CloseCode) String() string {
	return strconv.Itoa(int(c))
}

// CloseError is a fault of the peer that ends its connection. It carries what the close frame
// is to say, so that whoever finds the fault decides the code and nobody has to translate.
type CloseError struct {
	Code   CloseCode
	Reason string // One sentence. Invariant: len(Reason) <= reasonBytesMax.
}

// NewCloseError makes a CloseError. A reason that is too long is cut at a rune.
func NewCloseError(code CloseCode, reason string) *CloseError {
	if len(reason) > reasonBytesMax {
		cut := reasonBytesMax
		for cut > 0 && !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = reason[:cut]
	}
	return &CloseError{Code: code, Reason: reason}
}

func (e *CloseError) Error() string {
	return "close " + e.Code.String() + ": " + e.Reason
}
