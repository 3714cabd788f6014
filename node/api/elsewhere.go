package api

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"throng/tuning"
	"throng/wire"
)

// Elsewhere is where guilds are that this node does not have.
type Elsewhere interface {
	// Guild has a request about a guild answered where that is. Not answered means that this node
	// is to do it; with an error, that nobody can now, or with Moved, not there any more.
	Guild(w http.ResponseWriter, r *http.Request, guild wire.Snowflake) (answered bool, err error)
	// Channel is the same for one that names only a channel.
	Channel(w http.ResponseWriter, r *http.Request, channel wire.Snowflake) (
		answered bool, err error)
}

// atOwner has a route's requests answered by the node that owns what its path names. A guild may go
// to another node while a request waits for its turn there, and then it is begun anew.
func (d *door) atOwner(path string, h handler) handler {
	var away func(http.ResponseWriter, *http.Request, wire.Snowflake) (bool, error)
	switch {
	case d.away == nil, strings.HasSuffix(path, "/move"):
		return h // Any node can write down where a guild is to be.
	case strings.Contains(path, "/guilds/{id}"):
		away = d.away.Guild
	case strings.Contains(path, "/channels/{id}"):
		away = d.away.Channel
	default:
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := pathID(r, "id")
		if err != nil {
			return h(w, r)
		}
		body := &keptBody{ReadCloser: r.Body}
		for range tuning.MovedTriesMax {
			try := r.WithContext(r.Context()) // A handler may change its request.
			if r.Body != nil && r.Body != http.NoBody {
				try.Body = body
			}
			answered, err := away(w, try, id)
			if err == nil && !answered {
				err = h(w, try)
			}
			if !errors.Is(err, Moved) || !body.rewind() {
				return err
			}
		}
		return Moved
	}
}

// keptBody is a body that can be read from its beginning again, as long as no more than
// tuning.MovedBodyBytesMax of it have been read.
type keptBody struct {
	io.ReadCloser
	kept []byte
	next int  // kept[:next] are read, this time.
	lost bool // There was more.
}

func (b *keptBody) Read(p []byte) (n int, err error) {
	if b.next < len(b.kept) {
		n = copy(p, b.kept[b.next:])
		b.next += n
		return n, nil
	}
	n, err = b.ReadCloser.Read(p)
	switch {
	case b.lost:
	case len(b.kept)+n > tuning.MovedBodyBytesMax:
		b.kept, b.next, b.lost = nil, 0, true
	default:
		b.kept = append(b.kept, p[:n]...)
		b.next += n
	}
	return n, err
}

// rewind has it read from the beginning. It is false when that is gone.
func (b *keptBody) rewind() bool {
	b.next = 0
	return !b.lost
}
