package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// ClusterInfo is what a bench reads of GET /v1/cluster.
type ClusterInfo struct {
	Generation uint64
	Nodes      []struct {
		Node     string
		Draining bool
		Error    string // Why it did not answer.
	}
	Pins map[string]string // Guild to node.
}

// Cluster asks a node who is there.
func (t *Throng) Cluster(ctx context.Context) (c ClusterInfo, err error) {
	text, err := t.ask(ctx, http.MethodGet, "/v1/cluster", "", nil)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

// Owner is the name of the node that a guild lives on: whichever is asked, that one answers.
func (t *Throng) Owner(ctx context.Context, guild int) (string, error) {
	text, err := t.ask(ctx, http.MethodGet, fmt.Sprintf("/v1/guilds/%d", GuildID(guild)), "", nil)
	if err != nil {
		return "", err
	}
	var info struct {
		Node string `json:"owner_node"`
	}
	err = json.Unmarshal(text, &info)
	return info.Node, err
}

// Move pins a guild to a node; without a name it goes back to where the ring has it.
func (t *Throng) Move(ctx context.Context, guild int, node string) error {
	method, body := http.MethodPost, fmt.Sprintf(`{"node":%q}`, node)
	if node == "" {
		method, body = http.MethodDelete, ""
	}
	_, err := t.ask(ctx, method, fmt.Sprintf("/v1/guilds/%d/move", GuildID(guild)),
		"application/json", strings.NewReader(body))
	return err
}
