package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/valyala/bytebufferpool"

	"throng/wire"
)

// firstReadBytes is what a body gets before any of it has arrived, whatever length it announces.
const firstReadBytes = 64 << 10

// readBody reads a whole body of at most bytesMax. The slice is the caller's.
func readBody(w http.ResponseWriter, r *http.Request, bytesMax int64) ([]byte, error) {
	if r.ContentLength > bytesMax {
		return nil, tooLarge("the body", bytesMax)
	}
	body := http.MaxBytesReader(w, r.Body, bytesMax)
	size := min(max(r.ContentLength, 512), firstReadBytes)
	// One byte more than announced, so that the end is seen without growing.
	return readAll(make([]byte, 0, size+1), body)
}

// readAll appends to buf all that is in r.
func readAll(buf []byte, r io.Reader) ([]byte, error) {
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, len(buf)+1) // Twice as much.
		}
	}
}

// checkObject says what keeps b from being one JSON object that may be sent on to sessions. Text
// that is no UTF-8 is refused here, since every receiver's WebSocket would fail on it.
func checkObject(b []byte, depthMax int) error {
	switch {
	case len(b) == 0:
		return Invalid("", "the body is empty, want a JSON object")
	case !utf8.Valid(b):
		return Invalid("", "the JSON is not valid UTF-8")
	case !wire.ValidJSON(b, depthMax):
		return Invalid("", "not valid JSON, or nested deeper than %d", depthMax)
	case b[0] != '{':
		return Invalid("", "want a JSON object")
	}
	return nil
}

// readObject reads a body that is one JSON object.
func (d *door) readObject(w http.ResponseWriter, r *http.Request, bytesMax int64) ([]byte, error) {
	body, err := readBody(w, r, bytesMax)
	if err != nil {
		return nil, err
	}
	body = bytes.TrimSpace(body)
	return body, checkObject(body, d.limits.Depth)
}

// writeJSON answers with a value. It cannot fail for the types that the doors answer with.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	// A list of rejected lines, or of sessions, may be long, and is gone once it is written.
	b := bytebufferpool.Get()
	defer bytebufferpool.Put(b)
	if err := json.NewEncoder(b).Encode(v); err != nil {
		return err
	}
	writeRaw(w, status, bytes.TrimSuffix(b.B, []byte("\n")))
	return nil
}

// writeRaw answers with JSON that is already encoded. The content type is exactly this, since one
// client library compares the whole header.
func writeRaw(w http.ResponseWriter, status int, b []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}
