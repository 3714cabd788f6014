package api

import (
	"net/http"
	"strings"

	"throng/wire"
)

// Elsewhere is where guilds are that this node does not have.
type Elsewhere interface {
	// Guild has a request about a guild answered where that is. Not answered means that this node
	// is to do it; with an error, that nobody can now.
	Guild(w http.ResponseWriter, r *http.Request, guild wire.Snowflake) (answered bool, err error)
	// Channel is the same for one that names only a channel.
	Channel(w http.ResponseWriter, r *http.Request, channel wire.Snowflake) (
		answered bool, err error)
}

// atOwner has a route's requests answered by the node that owns what its path names.
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
		if id, err := pathID(r, "id"); err == nil {
			if answered, err := away(w, r, id); answered || err != nil {
				return err
			}
		}
		return h(w, r)
	}
}
