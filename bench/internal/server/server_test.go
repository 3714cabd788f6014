package server

import (
	"slices"
	"testing"
	"time"
)

func TestCollectionsOfTheTrace(t *testing.T) {
	c, ok := parseCollection("gc 7 @12.5s 1%: 0.02+31+0.25 ms clock, 0.04+0.5/30/60+0.02 ms cpu, " +
		"70->72->35 MB, 71 MB goal, 0 MB stacks, 0 MB globals, 2 P (forced)")
	want := Collection{At: 12500 * time.Millisecond, Pause: 250 * time.Microsecond,
		Mark: 31 * time.Millisecond, MarkCPU: 90500 * time.Microsecond, LiveMB: 35, Forced: true}
	if !ok || c != want {
		t.Errorf("got %+v, %v, want %+v", c, ok, want)
	}
	if c, ok := parseCollection("2 @1.5s 1%: 1+2+3 ms clock, 1+2/3/4+5 ms cpu, 4->4->2 MB, 2 P"); !ok ||
		c.Pause != 3*time.Millisecond || c.LiveMB != 2 {
		t.Errorf("a line without its beginning is %+v, %v", c, ok)
	}
	for _, line := range []string{"", "gc forced", `{"msg":"gc 7 @"}`, "scvg: 8 MB released",
		"gc 7 @1s 1%: 0.02 ms clock, 0.04 ms cpu, 4 MB"} {
		if _, ok := parseCollection(line); ok {
			t.Errorf("%q was taken for a collection", line)
		}
	}
}

func TestLogEntriesAmongPiecesOfTheTrace(t *testing.T) {
	for line, want := range map[string]string{
		`{"msg":"a"}`: `{"msg":"a"}`, `gc {"msg":"a"}`: `{"msg":"a"}`, "gc 2 @": "gc 2 @", "": "",
	} {
		if got := string(logEntry(line)); got != want {
			t.Errorf("in %q: got %q, want %q", line, got, want)
		}
	}
}

func TestMetricsAndTheirDifferences(t *testing.T) {
	earlier := parseMetrics("# HELP a b\nthrong_writes_total 5\n" +
		"throng_handle_seconds_sum{type=\"publish\"} 0.5\n" +
		"throng_handle_seconds_count{type=\"publish\"} 10\n")
	later := parseMetrics("throng_writes_total 1.2e+02\n" +
		"throng_handle_seconds_sum{type=\"publish\"} 0.75\n" +
		"throng_handle_seconds_count{type=\"publish\"} 60\nnonsense\n")
	d := later.Since(earlier)
	if got := d["throng_writes_total"]; got != 115 {
		t.Errorf("writes grew by %v, want 115", got)
	}
	if mean, count := d.Handled("publish"); mean != 0.005 || count != 50 {
		t.Errorf("publish took %v on average of %v, want 0.005 of 50", mean, count)
	}
}

func TestHeapBySite(t *testing.T) {
	sites, err := parseHeap("heap profile: 3: 1040 [9: 9000] @ heap/2\n" +
		"2: 1024 [8: 8192] @ 0x4e1f2a 0x4e2d09\n" +
		"#\t0x4e1f29\tthrong/node.(*loop).opened+0x49\t\t/src/node/socket.go:70\n" +
		"#\t0x4e2d08\tthrong/node.(*engine).OnOpen.func1+0x28\t/src/node/engine.go:9\n\n" +
		"1: 16 [1: 16] @ 0x4e1f2a\n#\t0x4e1f29\tmain.main+0x1\t/src/main.go:1\n" +
		"\n# runtime.MemStats\n# Alloc = 5\n# PauseNs = [1 2]\n")
	if err != nil || len(sites) != 2 {
		t.Fatalf("got %+v, %v, want two sites", sites, err)
	}
	s := sites[0]
	if s.Bytes != 1024 || s.Objects != 2 || !slices.Equal(s.Stack,
		[]string{"throng/node.(*loop).opened", "throng/node.(*engine).OnOpen.func1"}) {
		t.Errorf("got %+v", s)
	}
	if _, err := parseHeap("<html>"); err == nil {
		t.Error("what is no profile was taken")
	}
}

func TestRawlimitsLine(t *testing.T) {
	r, err := parseRaw("sockets=9 bytes=300 cpu_us=7.25 wall_us=8.5 writes_per_s=120000\n")
	if want := (Raw{7.25, 8.5, 120000}); err != nil || r != want {
		t.Errorf("got %+v, %v, want %+v", r, err, want)
	}
	if _, err := parseRaw("wall_us=8.5"); err == nil {
		t.Error("a line without cpu_us was taken")
	}
}

func TestIdsOfDifferentThingsDiffer(t *testing.T) {
	if UserID(999_999) >= GuildID(0) || GuildID(999_999) >= ChannelID(0, 0) ||
		ChannelID(0, channelsPerGuildMax-1) >= ChannelID(1, 0) {
		t.Error("ids overlap")
	}
}
