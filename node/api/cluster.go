package api

import (
	"encoding/json"
	"net/http"
)

// getCluster serves GET /v1/cluster.
func (d *adminDoor) getCluster(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := d.ask(r)
	defer cancel()
	info, err := d.node.Cluster(ctx)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, info)
}

// moveBytesMax is more than any node's name takes.
const moveBytesMax = 1 << 10

// postMove serves POST /v1/guilds/{id}/move: {"node": name}. It answers when it is written down
// that the guild is to be there; it moves then.
func (d *adminDoor) postMove(w http.ResponseWriter, r *http.Request) error {
	var to struct {
		Node string `json:"node"`
	}
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, moveBytesMax))
	if err := body.Decode(&to); err != nil || to.Node == "" {
		return Invalid("node", "want an object with the name of a node")
	}
	return d.move(w, r, to.Node)
}

// deleteMove serves DELETE /v1/guilds/{id}/move: the guild goes where the ring has it.
func (d *adminDoor) deleteMove(w http.ResponseWriter, r *http.Request) error {
	return d.move(w, r, "")
}

func (d *adminDoor) move(w http.ResponseWriter, r *http.Request, node string) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	if err := d.node.MoveGuild(ctx, id, node); err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, map[string]string{"id": id.String(), "node": node})
}
