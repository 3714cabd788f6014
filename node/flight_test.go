package node

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"throng/tuning"
)

// traceMark is how an execution trace begins.
const traceMark = "go 1."

// TestStallIsRecorded: the flight recorder is written to a folder for a stall, and is there to
// be fetched; so is what it has now. NB: the process has one recorder, and this test uses it.
func TestStallIsRecorded(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "recordings")
	r := startRig(t, Config{StallLimit: tuning.StallLimitMin, Flight: 1 << 20,
		FlightFolder: folder})
	r.user(1, true)
	r.guild(100, 1)
	release := make(chan struct{})
	r.core.shardOf(100).inbox.push(&guildLook{guildCall{100}, callerOf(r.context()),
		holdUntil(release), make(chan error, 1)})
	defer close(release)
	r.until("a recording is there", func() bool { return len(r.Flights().Recordings) > 0 })
	list := r.Flights()
	one := list.Recordings[len(list.Recordings)-1]
	file, err := os.ReadFile(one.File)
	if err != nil || !list.On || one.Number != 1 || one.Bytes != len(file) {
		t.Fatalf("it is %+v of %+v, in a file of %d bytes: %v", one, list, len(file), err)
	}
	for path, want := range map[string]int{"/debug/flights/1": len(file), "/debug/flight": 0} {
		status, body, err := r.get("admin", path)
		if err != nil || status != 200 || !strings.HasPrefix(body, traceMark) ||
			want > 0 && len(body) != want {
			t.Errorf("%s: %d, %d bytes, want %d: %v", path, status, len(body), want, err)
		}
	}
	if status, body, _ := r.get("admin", "/debug/flights/99"); status != 404 {
		t.Errorf("one that is not there: %d %s", status, body)
	}
}

// TestRecordingsAreBounded: the oldest makes room, its file too.
func TestRecordingsAreBounded(t *testing.T) {
	f := &flight{folder: t.TempDir(), log: slog.New(slog.DiscardHandler)}
	for n := range tuning.FlightsKept + 2 {
		if _, err := f.keep(int64(n), func(w io.Writer) error {
			_, err := w.Write([]byte{byte(n)})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(f.folder, "*"))
	list := f.list()
	if len(files) != tuning.FlightsKept || len(list) != tuning.FlightsKept {
		t.Fatalf("%d files, %d recordings, want %d", len(files), len(list), tuning.FlightsKept)
	}
	var b bytes.Buffer
	newest := tuning.FlightsKept + 2
	if err := f.write(&b, newest); err != nil || b.String() != string(rune(newest-1)) {
		t.Errorf("the newest is %q: %v", b.String(), err)
	}
	if err := f.write(&b, 1); err != errNoFlight {
		t.Errorf("the oldest: %v", err)
	}
	many := make([]byte, tuning.FlightBytesMax/2+1)
	_, err := f.keep(0, func(w io.Writer) error {
		_, err := w.Write(many)
		if err == nil {
			_, err = w.Write(many)
		}
		return err
	})
	if err != errFlightLong || len(f.list()) != tuning.FlightsKept {
		t.Errorf("one that is too large: %v, %d are kept", err, len(f.list()))
	}
}

// TestRecordingsAreBoundedOverStarts: a process takes what those before it have left, and nothing
// else that is in the folder.
func TestRecordingsAreBoundedOverStarts(t *testing.T) {
	folder := t.TempDir()
	other := filepath.Join(folder, "notes.txt")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for n := range tuning.FlightsKept + 2 {
		name := fmt.Sprintf("flight-20260101T00000%d-1.trace", n)
		if err := os.WriteFile(filepath.Join(folder, name), []byte{byte(n)}, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := openFlights(slog.New(slog.DiscardHandler), folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.keep(1, func(io.Writer) error { return nil }); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(folder, "flight-*"))
	list := f.list()
	if len(files) != tuning.FlightsKept || len(list) != tuning.FlightsKept {
		t.Fatalf("%d files, %d recordings, want %d", len(files), len(list), tuning.FlightsKept)
	}
	var b bytes.Buffer
	if err := f.write(&b, list[1].number); err != nil || b.String() != "\x05" {
		t.Errorf("the newest of those that were left is %q: %v", b.String(), err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
}

// TestNoFlightRecorder: what is off says so.
func TestNoFlightRecorder(t *testing.T) {
	t.Parallel()
	r := startRig(t, Config{})
	status, body, err := r.get("admin", "/debug/flight")
	if err != nil || status != 404 || !strings.Contains(body, "-flight") {
		t.Errorf("got %d %s: %v", status, body, err)
	}
	if r.Flights().On {
		t.Error("it is said to be on")
	}
}
