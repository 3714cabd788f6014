package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"throng/node/api"
	"throng/store"
)

// Cluster asks a node who is there.
func (t *Throng) Cluster(ctx context.Context) (c api.ClusterInfo, err error) {
	text, err := t.ask(ctx, http.MethodGet, "/v1/cluster", "", nil)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

// RingOf is the ring that nodes make, by which the owner of a guild can be told without asking.
func RingOf(c api.ClusterInfo) (*store.Ring, error) {
	ring := store.RingConfig{Pins: map[uint64][]string{}}
	for _, n := range c.Nodes {
		if !n.Draining {
			ring.Nodes = append(ring.Nodes, store.RingNode{Name: n.Node, Weight: n.Weight})
		}
	}
	for guild, node := range c.Pins {
		id, err := strconv.ParseUint(guild, 10, 64)
		if err != nil {
			return nil, err
		}
		ring.Pins[id] = []string{node}
	}
	return store.NewRing(ring)
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
