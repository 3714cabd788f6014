package api

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// FlightsInfo is what the flight recorder has written down.
type FlightsInfo struct {
	On          bool        `json:"on"`
	WindowBytes int64       `json:"window_bytes"`
	Recordings  []Recording `json:"recordings"`
}

// Recording is an execution trace of the seconds before a stall, for go tool trace.
type Recording struct {
	Number int       `json:"number"`
	At     time.Time `json:"at"`
	Bytes  int       `json:"bytes"`
	File   string    `json:"file,omitempty"`
}

// listFlights serves GET /debug/flights.
func (d *adminDoor) listFlights(w http.ResponseWriter, r *http.Request) error {
	info := d.node.Flights()
	info.Recordings = emptyOr(info.Recordings)
	return writeJSON(w, http.StatusOK, info)
}

// getFlight serves GET /debug/flight: what the recorder has now.
func (d *adminDoor) getFlight(w http.ResponseWriter, r *http.Request) error {
	return d.sendFlight(w, 0)
}

// getRecording serves GET /debug/flights/{number}.
func (d *adminDoor) getRecording(w http.ResponseWriter, r *http.Request) error {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || number < 1 {
		return Invalid("number", "%q is no number of a recording", r.PathValue("number"))
	}
	return d.sendFlight(w, number)
}

// sendFlight answers with a recording. It is gathered first: the recorder is not to wait for who
// reads slowly.
func (d *adminDoor) sendFlight(w http.ResponseWriter, number int) error {
	var b bytes.Buffer
	if err := d.node.Flight(&b, number); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition",
		fmt.Sprintf("attachment; filename=flight-%d.trace", number))
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	_, _ = w.Write(b.Bytes())
	return nil
}
