package api

import (
	"bytes"
	"context"
	"io"
	"mime"
	"net/http"

	"throng/wire"
)

// postGuildEvents serves POST /v1/guilds/{id}/events.
func (d *adminDoor) postGuildEvents(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	var indexed struct {
		EventIndex uint64 `json:"event_index"`
		*tally
	}
	send := func(ctx context.Context, events []EventInput) ([]error, error) {
		index, errs, err := d.node.Publish(ctx, id, events)
		indexed.EventIndex = max(indexed.EventIndex, index)
		return errs, err
	}
	parse := func(line []byte) (EventInput, error) {
		event, err := parseEvent(line, d.limits.Depth)
		if err == nil && !wire.IsObject(event.Data) {
			err = Invalid("d", "want an object")
		}
		return event, err
	}
	indexed.tally, err = d.publish(w, r, parse, send)
	return d.finishStream(w, r, err, http.StatusAccepted, indexed)
}

// postUserEvents serves POST /v1/users/{id}/events.
func (d *adminDoor) postUserEvents(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	var reached struct {
		Sessions int `json:"sessions"`
		*tally
	}
	send := func(ctx context.Context, events []EventInput) ([]error, error) {
		sessions, errs, err := d.node.PublishUser(ctx, id, events)
		reached.Sessions = max(reached.Sessions, sessions)
		return errs, err
	}
	parse := func(line []byte) (EventInput, error) { return parseEvent(line, d.limits.Depth) }
	reached.tally, err = d.publish(w, r, parse, send)
	return d.finishStream(w, r, err, http.StatusAccepted, reached)
}

// publish takes a body that is one event, or events line by line, and gives them to send. The
// tally is nil when it was one.
//
// A content type that says NDJSON makes the body a stream, in which each event leaves as soon as
// its line is there. Without one the body has to be looked at: it is one event when all of it is
// one JSON value, on however many lines that is written, and a stream otherwise.
func (d *adminDoor) publish(w http.ResponseWriter, r *http.Request,
	parse func([]byte) (EventInput, error),
	send func(context.Context, []EventInput) ([]error, error)) (*tally, error) {
	b := ndjson[EventInput](&d.door, w, r, d.limits.Event)
	b.parse, b.send, b.prompt = parse, send, true
	if !isNDJSON(r.Header.Get("Content-Type")) {
		body := http.MaxBytesReader(w, r.Body, d.limits.Stream)
		head, whole, err := readHead(body, r.ContentLength, d.limits.Event)
		if err != nil {
			return nil, err
		}
		trimmed := bytes.TrimSpace(head)
		line, _, several := bytes.Cut(trimmed, []byte("\n"))
		if whole && (!several || wire.ValidJSON(trimmed, d.limits.Depth)) {
			return nil, d.publishOne(r, trimmed, parse, send)
		}
		// A body of which not even the first line is JSON is no stream; say so once.
		if several && !wire.ValidJSON(bytes.TrimSpace(line), d.limits.Depth) {
			return nil, checkObject(trimmed, d.limits.Depth)
		}
		if !several {
			return nil, tooLarge("the event", d.limits.Event)
		}
		b.lines = newLineReader(io.MultiReader(bytes.NewReader(head), body), -1, d.limits.Event)
	}
	err := b.run(w, r)
	sortRejected(b.tally.Rejected)
	return &b.tally, err
}

// publishOne gives a single event to send.
func (d *adminDoor) publishOne(r *http.Request, body []byte,
	parse func([]byte) (EventInput, error),
	send func(context.Context, []EventInput) ([]error, error)) error {
	event, err := parse(body)
	if err != nil {
		return err
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	errs, err := send(ctx, []EventInput{event})
	if err == nil && len(errs) > 0 {
		err = errs[0]
	}
	return err
}

// readHead reads a body to its end, or until bytesMax bytes are there and more to come.
func readHead(body io.Reader, length, bytesMax int64) (head []byte, whole bool, err error) {
	size := min(max(length, 512), firstReadBytes)
	head, err = readAll(make([]byte, 0, size+1), io.LimitReader(body, bytesMax+1))
	return head, int64(len(head)) <= bytesMax, err
}

// parseEvent takes an event apart into its name and its raw d. Nothing is decoded: the bytes of d
// are what sessions will get.
func parseEvent(line []byte, depthMax int) (EventInput, error) {
	if err := checkObject(line, depthMax); err != nil {
		return EventInput{}, err
	}
	name, ok := wire.StringField(line, "t")
	if !ok || !wire.ValidEventName(name) {
		return EventInput{}, Invalid("t", "want an event's name of 1 to 64 of A-Z, 0-9 and _")
	}
	if name == "READY" || name == "RESUMED" {
		return EventInput{}, Invalid("t", "%s is the node's own to send", name)
	}
	data, ok := wire.Field(line, "d")
	if !ok {
		return EventInput{}, Invalid("d", "want the event's payload")
	}
	return EventInput{Type: name, Data: data}, nil
}

// isNDJSON says that a content type is one of those in use for JSON by the line.
func isNDJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	switch kind {
	case "application/x-ndjson", "application/ndjson", "application/jsonl",
		"application/x-jsonlines", "application/jsonlines":
		return true
	}
	return false
}
