package api

import (
	"net/http"
)

// getSession serves GET /v1/sessions/{id}.
func (d *adminDoor) getSession(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := d.ask(r)
	defer cancel()
	info, err := d.node.Session(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	info.Guilds = emptyOr(info.Guilds)
	return writeJSON(w, http.StatusOK, info)
}

// listSessions serves GET /v1/sessions?user_id=.
func (d *adminDoor) listSessions(w http.ResponseWriter, r *http.Request) error {
	user, err := snowflake("user_id", r.URL.Query().Get("user_id"))
	if err != nil {
		return err
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	list, err := d.node.SessionsOf(ctx, user)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].Guilds = emptyOr(list[i].Guilds)
	}
	return writeJSON(w, http.StatusOK, emptyOr(list))
}

// reconnectSession serves POST /v1/sessions/{id}/reconnect.
func (d *adminDoor) reconnectSession(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := d.ask(r)
	defer cancel()
	if err := d.node.ReconnectSession(ctx, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// deleteSession serves DELETE /v1/sessions/{id}.
func (d *adminDoor) deleteSession(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := d.ask(r)
	defer cancel()
	if err := d.node.CloseSession(ctx, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
