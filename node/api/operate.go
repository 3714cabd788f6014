package api

import (
	"net/http"
	"time"
)

// healthz serves GET /healthz: the process answers. It asks the node nothing, so that a node that
// is busy is not taken for one that is dead.
func (d *adminDoor) healthz(w http.ResponseWriter, r *http.Request) {
	_ = writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz serves GET /readyz: the node takes new sessions.
func (d *adminDoor) readyz(w http.ResponseWriter, r *http.Request) {
	if err := d.node.Ready(); err != nil {
		d.refuse(w, r, Unavailable(time.Second, "%s", err))
		return
	}
	_ = writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

// getNode serves GET /v1/node.
func (d *adminDoor) getNode(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := d.ask(r)
	defer cancel()
	info, err := d.node.Info(ctx)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, info)
}

// postDrain serves POST /v1/drain.
func (d *adminDoor) postDrain(w http.ResponseWriter, r *http.Request) error {
	d.node.Drain()
	return writeJSON(w, http.StatusAccepted, map[string]string{"status": "draining"})
}

// check serves GET /debug/check. What it finds is told in full: it is for whoever mends it.
func (d *adminDoor) check(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := d.ask(r)
	defer cancel()
	if err := d.node.Check(ctx); err != nil {
		return &Error{Status: http.StatusInternalServerError, Message: err.Error()}
	}
	return writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}
