package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What a node that is one of many counts beside the rest.
var (
	descNodes      = desc("cluster_nodes", "Nodes, as this one sees them.")
	descGeneration = desc("cluster_generation", "The view of these: it grows with each change.")
	descLease      = desc("lease_seconds", "For which this node may own guilds, unrenewed.")
	descLinks      = desc("links", "Guilds of other nodes with a session here.")
	descClaims     = desc("claims", "Guilds that the others are asked for.")
	descAdrift     = desc("adrift", "Guilds whose node is lost, and that wait their turn.")
	descHands      = desc("handoffs", "Guilds that move to or from another node now.", "way")
	descHanded     = desc("handoffs_total", "Guilds handed to other nodes, by result.", "result")
	descLog        = desc("log_sequence", "The message of the log that was applied last.")
	descLate       = desc("late_tokens_total", "Tokens of which the log was asked first.")
	descItems      = desc("bus_items_total", "What nodes tell each other.", "direction")
	descBatches    = desc("bus_batches_total", "Messages of NATS that carry these.", "direction")
	descBusBytes   = desc("bus_bytes_total", "Their bytes.", "direction")
	descResets     = desc("bus_resets_total", "Times that two nodes began anew.", "reason")
	descOutbox     = desc("bus_outbox_bytes", "What waits to be sent to other nodes.")
	descSlow       = desc("bus_slow_total", "Times that NATS says this node reads too slowly.")
)

// clusterMetrics sends them; a node that is alone has none.
func (c *collector) clusterMetrics(gauge func(*prometheus.Desc, float64, ...string),
	count func(*prometheus.Desc, uint64, ...string), t totals) {
	others, v := c.node.others, c.node.core.mesh.view.Load()
	if others == nil || v == nil {
		return
	}
	gauge(descNodes, float64(len(v.Nodes)))
	gauge(descGeneration, float64(v.Generation))
	gauge(descLease, max(others.members.LeaseLeft(time.Now()).Seconds(), 0))
	gauge(descLinks, float64(t.links))
	gauge(descClaims, float64(t.claims))
	gauge(descAdrift, float64(t.adrift))
	gauge(descHands, float64(t.leaving), "out")
	gauge(descHands, float64(t.coming), "in")
	count(descHanded, c.node.core.handed.Load(), "handed")
	count(descHanded, c.node.core.handsFailed.Load(), "failed")
	gauge(descLog, float64(others.dir.Applied()))
	count(descLate, c.node.core.newest.asked.Load())
	b := others.bus.Stats()
	count(descItems, b.ItemsSent, "sent")
	count(descItems, b.ItemsReceived, "received")
	count(descBatches, b.BatchesSent, "sent")
	count(descBatches, b.BatchesReceived, "received")
	count(descBusBytes, b.BytesSent, "sent")
	count(descBusBytes, b.BytesReceived, "received")
	for reason, n := range b.Resets {
		count(descResets, n, reason.String())
	}
	gauge(descOutbox, float64(b.OutboxBytes))
	count(descSlow, b.SlowConsumer)
}
