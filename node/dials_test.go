package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"throng/node/api"
	"throng/tuning"
)

// patch asks the admin door to change settings.
func (r *rig) patch(body string) (status int, answer string) {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.context(), "PATCH",
		"http://"+r.doors["admin"]+"/v1/tuning", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// TestDialsReachTheirOwners turns every dial while events flow, and looks where it is read.
func TestDialsReachTheirOwners(t *testing.T) {
	t.Parallel()
	r := startRig(t, Config{})
	r.user(1, true)
	r.guild(100, 1)
	c := r.login(1)
	c.joined(1)
	published := make(chan struct{})
	go func() {
		defer close(published)
		for n := range 200 {
			_, _, _ = r.Publish(r.context(), 100, []api.EventInput{event(n)})
		}
	}()
	// What is the process's, and not the node's, stays for the other tests.
	const process = "gc_percent memory_limit"
	parts := []string{}
	for _, s := range tuning.Settings() {
		if !strings.Contains(process, s.Name) {
			parts = append(parts, fmt.Sprintf("%q:%d", s.Name, s.Least+1))
		}
	}
	status, answer := r.patch("{" + strings.Join(parts, ",") + "}")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}
	least := func(name string) int64 {
		for _, s := range tuning.Settings() {
			if s.Name == name {
				return s.Least + 1
			}
		}
		t.Fatalf("no %s", name)
		return 0
	}
	<-published
	for i := range r.core.loops {
		r.onLoop(i, func(l *loop) {
			for name, at := range l.dials.named() {
				if !strings.Contains(process, name) && *at != least(name) {
					t.Errorf("loop %d has %s %d, want %d", i, name, *at, least(name))
				}
			}
		})
	}
	for i, s := range r.core.shards {
		done := make(chan struct{})
		s.stats.ask(func() {
			defer close(done)
			if s.dials.guildBehind != least("guild_behind_max") {
				t.Errorf("shard %d has %+v", i, s.dials)
			}
		})
		<-done
		s.inbox.mu.Lock()
		if got := int64(s.inbox.limit); got != least("shard_inbox_max") {
			t.Errorf("shard %d takes %d messages", i, got)
		}
		s.inbox.mu.Unlock()
	}
	if got := r.core.starts.perSecond.Load(); got != least("identify_rate") {
		t.Errorf("%d IDENTIFYs a second", got)
	}
	if got := r.core.stalls.limit.Load(); got != least("stall_limit")*1e6 {
		t.Errorf("the stall limit is %d ns", got)
	}
	// All that is changed is shown, and goes back.
	info, err := r.Info(r.context())
	if err != nil || len(info.Tuned) != len(parts) || info.Limits["relay_pass_max"] !=
		least("relay_pass_max") {
		t.Errorf("%d of %d changes are in %+v, %v", len(info.Tuned), len(parts), info, err)
	}
	back := map[string]any{}
	for name := range info.Tuned {
		back[name] = nil
	}
	text, _ := json.Marshal(back)
	if status, answer := r.patch(string(text)); status != http.StatusOK || len(r.tuned()) != 0 {
		t.Errorf("back: %d %s, still %v", status, answer, r.tuned())
	}
}

// TestDialsBound: what is wrong is named, and nothing of the same request is done.
func TestDialsBound(t *testing.T) {
	t.Parallel()
	r := startRig(t, Config{})
	value := func(n int64) *int64 { return &n }
	for _, s := range tuning.Settings() {
		for _, wrong := range []int64{s.Least - 1, s.Most + 1} {
			changes := map[string]*int64{"trace_share": value(1), "relay_pass_max": value(500)}
			changes[s.Name] = &wrong
			err := r.Tune(r.context(), changes)
			var refused *api.Error
			if !errors.As(err, &refused) || refused.Status != 400 || refused.Field != s.Name {
				t.Errorf("%s: %d: %v", s.Name, wrong, err)
			}
		}
	}
	err := r.Tune(r.context(), map[string]*int64{"presence_period": value(5000)})
	var refused *api.Error
	if !errors.As(err, &refused) || refused.Field != "presence_period_max" {
		t.Errorf("a period above the longest: %v", err)
	}
	if err := r.Tune(r.context(), map[string]*int64{"warp": nil}); err == nil {
		t.Error("there is a setting named warp")
	}
	if got := r.tuned(); len(got) != 0 {
		t.Errorf("%v have changed", got)
	}
	for _, s := range r.Tuning() {
		// Nobody sets these in a rig.
		process := s.Name == "gc_percent" || s.Name == "memory_limit"
		out := s.Value < s.Least || s.Value > s.Most
		if s.Meaning == "" || s.Unit == "" || out && !process {
			t.Errorf("%+v begins outside of its bounds, or says nothing", s)
		}
	}
}

// TestNewGuildsHearTheDials: a guild that comes after a change keeps to it, and so do those before.
func TestNewGuildsHearTheDials(t *testing.T) {
	t.Parallel()
	r := startRig(t, Config{Loops: 1})
	r.user(1, true)
	r.guild(100, 1)
	if status, answer := r.patch(`{"presence_period":7,"presence_period_max":8}`); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	r.guild(200, 1)
	s, done := r.core.shards[0], make(chan struct{})
	s.stats.ask(func() {
		defer close(done)
		for id, p := range s.guilds {
			if milli, most := p.guild.PresencePeriod(); milli != 7 || most != 8 {
				t.Errorf("guild %d: %d to %d ms", id, milli, most)
			}
		}
		if len(s.guilds) != 2 {
			t.Errorf("%d guilds", len(s.guilds))
		}
	})
	<-done
}
