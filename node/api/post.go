package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"

	"throng/wire"
)

// filesMax is Discord's number of files in one message.
const filesMax = 10

// postMessage serves POST channels/{id}/messages.
func (d *clientDoor) postMessage(w http.ResponseWriter, r *http.Request) error {
	user, err := d.authenticate(r)
	if err != nil {
		return err
	}
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	doc, attachments, err := d.readMessage(w, r)
	if err != nil {
		return err
	}
	message, err := parseMessage(doc, attachments)
	if err != nil {
		return err
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	posted, err := d.node.PostMessage(ctx, id, user.ID, message)
	if err != nil {
		return err
	}
	writeRaw(w, http.StatusOK, posted)
	return nil
}

// readMessage reads the message's JSON, from the body or from a part of it, and the description
// of its files.
func (d *clientDoor) readMessage(w http.ResponseWriter, r *http.Request) (
	doc, attachments []byte, err error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "multipart/form-data" {
		doc, attachments, err = d.readForm(w, r)
	} else {
		doc, err = readBody(w, r, d.limits.Message)
	}
	if err != nil {
		return nil, nil, err
	}
	doc = bytes.TrimSpace(doc)
	if !wire.ValidJSON(doc, d.limits.Depth) || !wire.IsObject(doc) {
		return nil, nil, &Error{Status: http.StatusBadRequest, Code: codeInvalidJSON,
			Message: "The request body contains invalid JSON."}
	}
	return doc, attachments, nil
}

// readForm reads a multipart body, which is what libraries send as soon as a message has files.
// The JSON is in payload_json. The node stores no files: it tells their names and sizes in the
// message, without an address, and drops what is in them while it reads.
func (d *clientDoor) readForm(w http.ResponseWriter, r *http.Request) (
	doc, attachments []byte, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, d.limits.Upload)
	form, err := r.MultipartReader()
	if err != nil {
		return nil, nil, Invalid("", "the multipart body has no boundary")
	}
	doc, attachments = []byte("{}"), []byte{'['}
	for files := 0; ; {
		part, err := form.NextRawPart()
		if errors.Is(err, io.EOF) {
			return doc, append(attachments, ']'), nil
		}
		if err != nil {
			return nil, nil, formError(err)
		}
		switch {
		case part.FormName() == "payload_json":
			limit := io.LimitReader(part, d.limits.Message+1)
			if doc, err = readAll(make([]byte, 0, 1024), limit); err != nil {
				return nil, nil, formError(err)
			}
			if int64(len(doc)) > d.limits.Message {
				return nil, nil, tooLarge("payload_json", d.limits.Message)
			}
		case part.FileName() != "":
			if files == filesMax {
				return nil, nil, Invalid("files", "want at most %d files", filesMax)
			}
			attachments, err = appendAttachment(wire.AppendComma(attachments), files, part)
			if err != nil {
				return nil, nil, formError(err)
			}
			files++
		}
	}
}

// formError keeps limits and timeouts apart from a body that is no multipart.
func formError(err error) error {
	var size *http.MaxBytesError
	if errors.As(err, &size) || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return Invalid("", "the multipart body is broken")
}

// appendAttachment reads a file to its end and describes it.
func appendAttachment(dst []byte, index int, part *multipart.Part) ([]byte, error) {
	size, err := io.Copy(io.Discard, part)
	if err != nil {
		return dst, err
	}
	dst = append(dst, '{')
	dst = wire.AppendString(wire.AppendKey(dst, "id"), fmt.Sprint(index))
	dst = wire.AppendString(wire.AppendKey(dst, "filename"), part.FileName())
	dst = wire.AppendInt(wire.AppendKey(dst, "size"), size)
	if kind := part.Header.Get("Content-Type"); kind != "" {
		dst = wire.AppendString(wire.AppendKey(dst, "content_type"), kind)
	}
	dst = append(wire.AppendKey(dst, "url"), `""`...)
	dst = append(wire.AppendKey(dst, "proxy_url"), `""`...)
	return append(dst, '}'), nil
}
