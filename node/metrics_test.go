package node

import (
	"fmt"
	"testing"
)

// TestMetrics reads what others rely on, by name and label, after two sessions of which one has
// lost its connection have been given three events.
func TestMetrics(t *testing.T) {
	r := startRig(t, Config{})
	r.user(1, true)
	r.user(2, true)
	r.guild(100, 1, 2)
	r.guild(200, 2)
	one, two := r.login(1), r.login(2)
	one.joined(1)
	two.joined(2)
	two.conn.Close()
	detached := `throng_sessions{state="detached"}`
	r.until("one is detached", func() bool { return r.metric(detached) == "1" })
	r.publish(100, 1, 2, 3)
	for i := range 3 {
		one.wantNumber(i + 1)
	}
	again := two.again()
	again.wantEvent("RESUMED")
	// READY twice, three GUILD_CREATE, three events for two, RESUMED.
	r.until("all is counted", func() bool { return r.metric("throng_deliveries_total") == "12" })
	again.conn.Close()
	r.until("it is detached again", func() bool {
		return r.metric(detached) == "1" && r.metric("throng_connections") == "1"
	})

	for name, want := range map[string]string{
		"throng_connections":                                       "1",
		`throng_sessions{state="live"}`:                            "1",
		"throng_guilds":                                            "2",
		"throng_members":                                           "3",
		`throng_events_total{type="OTHER"}`:                        "3",
		`throng_closes_total{reason="connection_lost"}`:            "2",
		`throng_closes_total{reason="slow_reader"}`:                "0",
		`throng_drops_total{reason="presence_flood"}`:              "0",
		`throng_inbox_depth{owner="loop1"}`:                        "0",
		`throng_inbox_depth{owner="shard0"}`:                       "0",
		`throng_handle_seconds_count{type="publish"}`:              ">0",
		`throng_handle_seconds_sum{type="publish"}`:                ">0",
		`throng_handle_seconds_max{type="publish"}`:                ">0",
		`throng_handle_seconds_count{type="relay_publish"}`:        ">0",
		`throng_resumes_total{result="resumed"}`:                   "1",
		`throng_identifies_total{result="ready"}`:                  "2",
		"throng_panics_total":                                      "0",
		"throng_writes_total":                                      ">0",
		"throng_sent_bytes_total":                                  ">0",
		fmt.Sprintf(`throng_journal_bytes{loop="%d"}`, one.home()): ">0",
	} {
		got := r.metric(name)
		if got != want && (want != ">0" || got == "" || got == "0") {
			t.Errorf("%s is %q, want %s", name, got, want)
		}
	}
}
