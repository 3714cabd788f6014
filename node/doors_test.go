package node

import (
	"errors"
	"strings"
	"testing"

	"throng/node/api"
	"throng/wire"
)

// TestUnknownUser has each route of a user's refuse one that is not there, without a trace.
func TestUnknownUser(t *testing.T) {
	const nobody = wire.Snowflake(9)
	r := startRig(t, Config{})
	if err := r.PutToken(r.context(), nobody, "a.b.c"); !errors.Is(err, api.UnknownUser) {
		t.Errorf("a token: %v", err)
	}
	if err := r.RevokeTokens(r.context(), nobody); !errors.Is(err, api.UnknownUser) {
		t.Errorf("no tokens: %v", err)
	}
	events := []api.EventInput{namedEvent("USER_UPDATE", `{"id":"9"}`)}
	if _, _, err := r.PublishUser(r.context(), nobody, events); !errors.Is(err, api.UnknownUser) {
		t.Errorf("an event: %v", err)
	}
	_, text, err := r.get("admin", "/metrics")
	if err != nil || strings.Contains(text, `throng_events_total{type="USER_UPDATE"}`) {
		t.Errorf("metrics: %v; the event counts as published", err)
	}
	r.user(nobody, false)
	if _, _, err := r.PublishUser(r.context(), nobody, events); err != nil {
		t.Errorf("an event for a user without a session: %v", err)
	}
	if err := r.RevokeTokens(r.context(), nobody); err != nil {
		t.Errorf("no tokens of a user: %v", err)
	}
	_, text, err = r.get("admin", "/metrics")
	if err != nil || !strings.Contains(text, `throng_events_total{type="USER_UPDATE"} 1`) {
		t.Errorf("metrics: %v; the event does not count", err)
	}
}
