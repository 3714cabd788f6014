package node

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"throng/node/api"
	"throng/node/cluster"
	"throng/tuning"
	"throng/wire"
)

// Cluster is all nodes as this one sees them, with what each of them says of itself.
func (n *Node) Cluster(ctx context.Context) (api.ClusterInfo, error) {
	v := n.core.mesh.view.Load()
	own, err := n.Info(ctx)
	if err != nil {
		return api.ClusterInfo{}, err
	}
	if v == nil {
		return api.ClusterInfo{Self: own.Node, Nodes: []api.ClusterNode{{Node: own.Node,
			Version: own.Version, Weight: 1, Counts: &own.Counts}}}, nil
	}
	info := api.ClusterInfo{Name: n.cfg.Cluster, Self: own.Node, Generation: v.Generation,
		Nodes: make([]api.ClusterNode, len(v.Nodes)), Pins: map[string]string{}}
	for guild, node := range v.Pins {
		info.Pins[strconv.FormatUint(guild, 10)] = node
	}
	var asking sync.WaitGroup
	for i, node := range v.Nodes {
		to := &info.Nodes[i]
		*to = api.ClusterNode{Node: node.Name, Incarnation: node.Incarnation,
			Gateway: node.Gateway, Door: node.Door, Version: node.Version, Weight: node.Weight,
			Draining: node.Draining}
		if node.Name == own.Node {
			to.Counts = &own.Counts
			to.LeaseMilli = n.others.members.LeaseLeft(time.Now()).Milliseconds()
			continue
		}
		asking.Go(func() {
			counts, err := n.away.counts(ctx, node)
			if to.Counts = &counts; err != nil {
				to.Counts, to.Error = nil, err.Error()
			}
		})
	}
	asking.Wait()
	return info, nil
}

// counts asks another node for its counts.
func (f *forwarder) counts(ctx context.Context, of cluster.Node) (api.Counts, error) {
	ctx, cancel := context.WithTimeout(ctx, tuning.PeerAnswerTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet,
		f.scheme+"://"+of.Door+"/v1/node", nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set(keyHeader, of.Key)
	a, err := f.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(io.LimitReader(a.Body, nodeInfoBytesMax))
	if err != nil {
		return nil, err
	}
	if a.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers with %s", a.Status)
	}
	var info api.NodeInfo
	err = json.Unmarshal(body, &info)
	return info.Counts, err
}

// nodeInfoBytesMax is far more than what GET /v1/node answers.
const nodeInfoBytesMax = 1 << 20

// MoveGuild pins a guild to a node, or takes its pin away.
func (n *Node) MoveGuild(ctx context.Context, guild wire.Snowflake, node string) error {
	v := n.core.mesh.view.Load()
	if v == nil {
		return api.Conflict("", "This node is alone.")
	}
	if node == "" {
		return n.others.members.Unpin(ctx, uint64(guild))
	}
	to, known := v.Node(node)
	switch {
	case !known:
		return api.Conflict("node", "The cluster has no node %q.", node)
	case to.Draining:
		return api.Conflict("node", "Node %q is draining.", node)
	}
	return n.others.members.Pin(ctx, uint64(guild), node)
}
