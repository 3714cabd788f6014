package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// lineReader takes a body apart into its lines. A line that is too long is skipped to its end and
// reported, so that one bad line costs itself and not the rest.
type lineReader struct {
	r     *bufio.Reader
	max   int64
	index int // Of the line last returned, counted from 1.
}

var errLineLong = errors.New("line is too long")

// lineBufferBytes holds several hundred members, so that a batch is a few reads.
const lineBufferBytes = 64 << 10

func newLineReader(r io.Reader, length, lineMax int64) *lineReader {
	size := int64(lineBufferBytes)
	if length >= 0 {
		size = min(size, length+1)
	}
	return &lineReader{r: bufio.NewReaderSize(r, int(size)), max: lineMax}
}

// next is the next line that is not blank, in memory of its own. It returns io.EOF after the last
// one. A last line without a newline counts when the body ended there, and does not when reading
// failed.
func (l *lineReader) next() ([]byte, error) {
	for {
		l.index++
		line, err := l.read()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, nil
		}
		if err != nil {
			return nil, io.EOF
		}
	}
}

// read reads up to and with the next newline.
func (l *lineReader) read() (line []byte, err error) {
	long := false
	for {
		part, err := l.r.ReadSlice('\n')
		long = long || int64(len(line)+len(part)) > l.max
		if !long {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if long && (err == nil || errors.Is(err, io.EOF)) {
			return nil, errLineLong
		}
		return line, err
	}
}

// waits says that the next line is not here yet, or not all of it.
func (l *lineReader) waits() bool { return l.r.Buffered() == 0 }

// rejection is one line that was refused.
type rejection struct {
	Line  int    `json:"line"`
	Error string `json:"error"`
}

// tally is what an NDJSON route answers. When the body could not be taken to its end, the answer
// is a refusal with the tally in it, and line is the first that was not looked at.
type tally struct {
	Accepted      int         `json:"accepted"`
	Rejected      []rejection `json:"rejected"`
	RejectedCount int         `json:"rejected_count"`
	listMax       int
}

func (t *tally) reject(line int, err error) {
	t.RejectedCount++
	if len(t.Rejected) < t.listMax {
		t.Rejected = append(t.Rejected, rejection{Line: line, Error: err.Error()})
	}
}

// stopped is an error that ended a stream part of the way.
type stopped struct {
	error
	tally tally
	line  int
}

// batcher reads NDJSON and hands what it parsed to the node, a batch at a time.
type batcher[T any] struct {
	door  *door
	lines *lineReader
	// prompt sends what there is as soon as the next line is not there yet, for producers that
	// keep one request open. Otherwise only full batches go out: a batch is one write to disk.
	prompt bool
	parse  func(line []byte) (T, error)
	send   func(ctx context.Context, batch []T) ([]error, error)

	batch []T
	index []int // Line of each input in batch.
	tally tally
	sent  bool
}

// ndjson makes a batcher over the request's body.
func ndjson[T any](d *door, w http.ResponseWriter, r *http.Request, lineMax int64) *batcher[T] {
	body := http.MaxBytesReader(w, r.Body, d.limits.Stream)
	return &batcher[T]{door: d, lines: newLineReader(body, r.ContentLength, lineMax)}
}

// run reads to the end of the body. An empty body still asks the node once, so that a wrong id in
// the path is noticed.
func (b *batcher[T]) run(w http.ResponseWriter, r *http.Request) error {
	b.tally.Rejected = []rejection{}
	b.tally.listMax = b.door.limits.Rejected
	control := http.NewResponseController(w)
	next := 1
	for {
		if len(b.batch) == 0 {
			b.extend(control)
			next = b.lines.index + 1
		}
		line, err := b.lines.next()
		switch {
		case err == nil:
			b.take(line)
		case errors.Is(err, errLineLong):
			b.tally.reject(b.lines.index, tooLarge("the line", b.lines.max))
		case errors.Is(err, io.EOF):
			if len(b.batch) > 0 || !b.sent {
				err = b.flush(r)
			} else {
				err = nil
			}
			return b.stop(err, next)
		default:
			// What arrived whole is taken; the answer says how far that was.
			if failed := b.flush(r); failed != nil {
				return b.stop(failed, next)
			}
			return b.stop(err, b.lines.index)
		}
		if len(b.batch) == b.door.limits.Batch || b.prompt && len(b.batch) > 0 && b.lines.waits() {
			if err := b.flush(r); err != nil {
				return b.stop(err, next)
			}
		}
	}
}

// extend gives the body time for another batch. Not every writer has deadlines, and a test's need
// not.
func (b *batcher[T]) extend(control *http.ResponseController) {
	now := time.Now()
	_ = control.SetReadDeadline(now.Add(b.door.limits.Body))
	_ = control.SetWriteDeadline(now.Add(b.door.limits.Body + 2*b.door.limits.Answer))
}

// take parses a line into the batch.
func (b *batcher[T]) take(line []byte) {
	input, err := b.parse(line)
	if err != nil {
		b.tally.reject(b.lines.index, err)
		return
	}
	b.batch = append(b.batch, input)
	b.index = append(b.index, b.lines.index)
}

// flush hands the batch to the node and counts what became of it. The node keeps the batch's
// values, so that the next one starts anew.
func (b *batcher[T]) flush(r *http.Request) error {
	ctx, cancel := b.door.ask(r)
	defer cancel()
	b.sent = true
	errs, err := b.send(ctx, b.batch)
	if err != nil {
		return err
	}
	for i := range b.batch {
		if i < len(errs) && errs[i] != nil {
			b.tally.reject(b.index[i], errs[i])
			continue
		}
		b.tally.Accepted++
	}
	b.batch, b.index = nil, b.index[:0]
	return nil
}

// stop puts the tally into an error, unless nothing has been done and another node is to do it all.
func (b *batcher[T]) stop(err error, line int) error {
	if err == nil || b.tally.Accepted == 0 && errors.Is(err, Moved) {
		return err
	}
	return &stopped{error: err, tally: b.tally, line: line}
}
