package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/trace"
	"slices"
	"sync"
	"time"

	"throng/node/api"
	"throng/tuning"
)

// flight is the node's flight recorder: the runtime's account of what every goroutine and processor
// did in the last seconds, which is written down when a message has taken too long. A stack tells
// where an owner was; this tells whether it ran at all, and what ran in its place.
//
// The runtime has one recorder for the process.
type flight struct {
	// Static after construction.
	log      *slog.Logger
	recorder *trace.FlightRecorder // nil: it is off
	folder   string                // "": recordings are kept in memory

	// Guarded by mu.
	mu      sync.Mutex
	kept    []recording // the newest last
	count   int
	written int64 // when the last was, see nanos
}

// recording is what the recorder had at one moment.
type recording struct {
	number int
	at     time.Time
	size   int
	data   []byte // nil: it is in the file
	file   string
}

// newFlight starts the recorder, unless window is 0.
func newFlight(log *slog.Logger, window tuning.Size, folder string) (*flight, error) {
	if window == 0 {
		return &flight{log: log, folder: folder}, nil
	}
	f, err := openFlights(log, folder)
	if err != nil {
		return nil, err
	}
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{
		MinAge: tuning.FlightAge, MaxBytes: uint64(window),
	})
	if err := recorder.Start(); err != nil {
		return nil, fmt.Errorf("-flight: %w", err)
	}
	f.recorder = recorder
	return f, nil
}

// openFlights has the recordings that are in the folder, "" for memory, and no recorder.
func openFlights(log *slog.Logger, folder string) (*flight, error) {
	f := &flight{log: log, folder: folder}
	if folder == "" {
		return f, nil
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("-flight-folder: %w", err)
	}
	f.adopt()
	return f, nil
}

// adopt takes the recordings that earlier processes have left in the folder, so that there are no
// more of them for a node that starts again and again. NB: two nodes do not share a folder.
func (f *flight) adopt() {
	files, _ := filepath.Glob(filepath.Join(f.folder, "flight-*.trace")) // By name, and so by time.
	for _, file := range files {
		info, err := os.Lstat(file)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		f.count++
		f.kept = append(f.kept, recording{number: f.count, at: info.ModTime(),
			size: int(info.Size()), file: file})
	}
	f.forget()
}

// forget makes room for the newest.
func (f *flight) forget() {
	for len(f.kept) > tuning.FlightsKept {
		if oldest := f.kept[0]; oldest.file != "" {
			_ = os.Remove(oldest.file)
		}
		f.kept = slices.Delete(f.kept, 0, 1)
	}
}

// startFlight starts the recorder if there is to be one.
func (n *Node) startFlight() (err error) {
	n.flight, err = newFlight(n.log, n.cfg.Flight, n.cfg.FlightFolder)
	return err
}

// stop ends it. f may be nil.
func (f *flight) stop() {
	if f != nil && f.recorder != nil {
		f.recorder.Stop()
	}
}

var (
	errFlightOff  = &api.Error{Status: 404, Message: "the flight recorder is off; see -flight"}
	errNoFlight   = &api.Error{Status: 404, Message: "there is no such recording, or no longer"}
	errFlightLong = errors.New("the recording is larger than may be kept")
)

// now writes what the recorder has.
func (f *flight) now(w io.Writer) error {
	if f.recorder == nil {
		return errFlightOff
	}
	// NB: a second one at the same time would be refused by the recorder.
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.recorder.WriteTo(w)
	return err
}

// due says whether a recording would be made.
func (f *flight) due(now int64) bool {
	if f.recorder == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.written == 0 || now-f.written >= int64(tuning.FlightInterval)
}

// record keeps what the recorder has.
func (f *flight) record(now int64) (number int, err error) {
	return f.keep(now, func(w io.Writer) error {
		_, err := f.recorder.WriteTo(w)
		return err
	})
}

// keep keeps what is written, in place of the oldest recording if there are many.
func (f *flight) keep(now int64, write func(io.Writer) error) (number int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	f.written = now
	one := recording{number: f.count, at: time.Now()}
	var b bytes.Buffer
	if err = write(&capWriter{&b, tuning.FlightBytesMax}); err != nil {
		return 0, err
	}
	one.size, one.data = b.Len(), b.Bytes()
	if f.folder != "" {
		one.file = filepath.Join(f.folder, fmt.Sprintf("flight-%s-%d.trace",
			one.at.UTC().Format("20060102T150405"), one.number))
		if err := os.WriteFile(one.file, one.data, 0o600); err != nil {
			return 0, err
		}
		one.data = nil
	}
	f.kept = append(f.kept, one)
	f.forget()
	return one.number, nil
}

// capWriter takes no more than so many bytes.
type capWriter struct {
	to   io.Writer
	left int
}

func (c *capWriter) Write(b []byte) (int, error) {
	if c.left -= len(b); c.left < 0 {
		return 0, errFlightLong
	}
	return c.to.Write(b)
}

// write writes a recording that is kept.
func (f *flight) write(w io.Writer, number int) error {
	f.mu.Lock()
	i := slices.IndexFunc(f.kept, func(o recording) bool { return o.number == number })
	if i < 0 {
		f.mu.Unlock()
		return errNoFlight
	}
	one := f.kept[i]
	f.mu.Unlock()
	if one.file == "" {
		_, err := w.Write(one.data)
		return err
	}
	file, err := os.Open(one.file)
	if err != nil {
		return errNoFlight
	}
	defer file.Close()
	_, err = io.Copy(w, file)
	return err
}

// list is the recordings that are kept, the newest first.
func (f *flight) list() (all []recording) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range slices.Backward(f.kept) {
		all = append(all, one)
	}
	return all
}

// Flight writes a recording that is kept, or, for 0, what the recorder has now.
func (n *Node) Flight(w io.Writer, number int) error {
	if number == 0 {
		return n.flight.now(w)
	}
	return n.flight.write(w, number)
}

// Flights is the recordings that are kept.
func (n *Node) Flights() api.FlightsInfo {
	info := api.FlightsInfo{On: n.flight.recorder != nil, WindowBytes: int64(n.cfg.Flight)}
	for _, one := range n.flight.list() {
		info.Recordings = append(info.Recordings, api.Recording{Number: one.number, At: one.at,
			Bytes: one.size, File: one.file})
	}
	return info
}
