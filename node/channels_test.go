package node

import (
	"errors"
	"net/http"
	"testing"

	"throng/node/api"
)

// TestChannelIsOneGuildsOnly tries to give a second guild a channel that another has, loaded or not.
func TestChannelIsOneGuildsOnly(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	r := newRig(t, Config{Data: folder})
	r.user(10, true)
	r.guild(100, 10)
	refused := func(r *rig, what string, err error) {
		t.Helper()
		var e *api.Error
		if !errors.As(err, &e) || e.Status != http.StatusConflict {
			t.Errorf("%s: got %v, want a conflict", what, err)
		}
	}
	doc := []byte(`{"channels":[{"id":"300","type":0,"name":"a"},{"id":"101","type":0,"name":"b"}]}`)
	refused(r, "PUT guild", r.PutGuild(r.context(), 200, doc))
	if err := r.PutGuild(r.context(), 200, []byte(`{"name":"other"}`)); err != nil {
		t.Fatal(err)
	}
	_, rejected, err := r.Publish(r.context(), 200, []api.EventInput{
		{Type: "CHANNEL_CREATE", Data: []byte(`{"id":"101","type":0,"name":"b"}`)},
		{Type: "CHANNEL_CREATE", Data: []byte(`{"id":"301","type":0,"name":"c"}`)},
	})
	if err != nil || rejected[1] != nil {
		t.Fatalf("a channel of nobody's: %v, %v", err, rejected)
	}
	refused(r, "CHANNEL_CREATE", rejected[0])
	r.stop()

	again := newRig(t, Config{Data: folder})
	refused(again, "PUT guild after a restart", again.PutGuild(again.context(), 200, doc))
	if err := again.DeleteGuild(again.context(), 100); err != nil {
		t.Fatal(err)
	}
	if err := again.PutGuild(again.context(), 200, doc); err != nil {
		t.Errorf("after its guild was deleted: %v", err)
	}
}
