package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"throng/wire"
)

// guildsListedMax bounds GET /v1/guilds: it is a look at the largest, not an export.
const guildsListedMax = 1000

// putGuild serves PUT /v1/guilds/{id}.
func (d *adminDoor) putGuild(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	doc, err := d.readObject(w, r, d.limits.Guild)
	if err != nil {
		return err
	}
	if _, named := wire.Field(doc, "id"); named {
		if given, ok := wire.SnowflakeField(doc, "id"); !ok || given != id {
			return Invalid("id", "want the id in the path, or nothing")
		}
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	if err := d.node.PutGuild(ctx, id, doc); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, identified{id})
}

// getGuild serves GET /v1/guilds/{id}.
func (d *adminDoor) getGuild(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	info, err := d.node.Guild(ctx, id)
	if err != nil {
		return err
	}
	b, err := guildJSON(info)
	if err != nil {
		return err
	}
	writeRaw(w, http.StatusOK, b)
	return nil
}

// guildJSON is the guild's own fields and then the counts; a field of both is the node's.
func guildJSON(info GuildInfo) ([]byte, error) {
	counts, err := json.Marshal(info)
	if err != nil || info.Doc == nil {
		return counts, err
	}
	out := append(make([]byte, 0, len(info.Doc)+len(counts)), '{')
	wire.EachField(info.Doc, func(key string, raw []byte) bool {
		if _, counted := wire.Field(counts, key); counted {
			return true
		}
		out = wire.AppendString(out, key)
		out = append(out, ':')
		out = append(out, raw...)
		out = append(out, ',')
		return true
	})
	return append(out, counts[1:]...), nil
}

// listGuilds serves GET /v1/guilds?top=sessions&limit=20.
func (d *adminDoor) listGuilds(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	if top := query.Get("top"); top != "" && top != "sessions" {
		return Invalid("top", "%q is not something to sort by, want sessions", top)
	}
	limit := 20
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > guildsListedMax {
			return Invalid("limit", "want a number from 1 to %d", guildsListedMax)
		}
		limit = n
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	list, err := d.node.TopGuilds(ctx, limit)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, emptyOr(list))
}

// deleteGuild serves DELETE /v1/guilds/{id}.
func (d *adminDoor) deleteGuild(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	if err := d.node.DeleteGuild(ctx, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// postMembers serves POST /v1/guilds/{id}/members.
func (d *adminDoor) postMembers(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	announce := false
	if text := r.URL.Query().Get("announce"); text != "" {
		if announce, err = strconv.ParseBool(text); err != nil {
			return Invalid("announce", "want 1 or 0")
		}
	}
	b := ndjson[[]byte](&d.door, w, r, d.limits.Line)
	b.parse = func(line []byte) ([]byte, error) {
		return line, checkObject(line, d.limits.Depth)
	}
	b.send = func(ctx context.Context, lines [][]byte) ([]error, error) {
		return d.node.PutMembers(ctx, id, lines, announce)
	}
	err = b.run(w, r)
	sortRejected(b.tally.Rejected)
	return d.finishStream(w, r, err, http.StatusOK, b.tally)
}

// getMembers serves GET /v1/guilds/{id}/members. An export that cannot go on once it has begun is
// cut off, so that nobody takes what came for all.
func (d *adminDoor) getMembers(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	begun := false
	begin := func() {
		w.Header().Set("Content-Type", "application/x-ndjson")
		begun = true
	}
	control := http.NewResponseController(w)
	err = d.node.ExportMembers(r.Context(), id, func(lines []byte) error {
		if !begun {
			begin()
		}
		_ = control.SetWriteDeadline(time.Now().Add(d.limits.Body))
		_, err := w.Write(lines)
		return err
	})
	if err != nil && begun {
		panic(http.ErrAbortHandler)
	}
	if err == nil && !begun {
		begin()
	}
	return err
}

// deleteMember serves DELETE /v1/guilds/{id}/members/{user}.
func (d *adminDoor) deleteMember(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	user, err := pathID(r, "user")
	if err != nil {
		return err
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	if err := d.node.RemoveMember(ctx, id, user); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
