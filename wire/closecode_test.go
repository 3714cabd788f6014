package wire

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCloseCodesSayWhatClientsDo(t *testing.T) {
	tests := []struct {
		code                    CloseCode
		fatal, resumable, ended bool
	}{
		{CloseNormal, false, false, true},
		{CloseGoingAway, false, true, true},
		{CloseProtocolError, false, true, false},
		{CloseInternalError, false, true, false},
		{CloseServiceRestart, false, true, false},
		{CloseUnknown, false, true, false},
		{CloseUnknownOpcode, false, true, false},
		{CloseDecode, false, true, false},
		{CloseNotAuthenticated, false, false, false},
		{CloseAuthenticationFailed, true, false, false},
		{CloseAlreadyAuthenticated, false, true, false},
		{CloseInvalidSeq, false, false, false},
		{CloseRateLimited, false, true, false},
		{CloseSessionTimedOut, false, false, false},
		{CloseInvalidShard, true, false, false},
		{CloseShardingRequired, true, false, false},
		{CloseInvalidVersion, true, false, false},
		{CloseInvalidIntents, true, false, false},
		{CloseDisallowedIntents, true, false, false},
		{4200, false, true, false},
		{4901, false, true, false},
	}
	for _, test := range tests {
		if got := test.code.Fatal(); got != test.fatal {
			t.Errorf("%v.Fatal(): got %v, want %v", test.code, got, test.fatal)
		}
		if got := test.code.Resumable(); got != test.resumable {
			t.Errorf("%v.Resumable(): got %v, want %v", test.code, got, test.resumable)
		}
		if got := test.code.EndsSession(); got != test.ended {
			t.Errorf("%v.EndsSession(): got %v, want %v", test.code, got, test.ended)
		}
	}
}

func TestCloseReasonFitsAControlFrame(t *testing.T) {
	for size := range 300 {
		e := NewCloseError(CloseDecode, "x"+strings.Repeat("é", size))
		if len(e.Reason) > reasonBytesMax || !utf8.ValidString(e.Reason) {
			t.Fatalf("reason of %d runes: got %d bytes: %q", size, len(e.Reason), e.Reason)
		}
	}
	e := NewCloseError(CloseDecode, "the token is missing")
	if got, want := e.Error(), "close 4002: the token is missing"; got != want {
		t.Errorf("Error(): got %q, want %q", got, want)
	}
}
