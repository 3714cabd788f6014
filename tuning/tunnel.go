package tuning

import "time"

// Many nodes: connections on their way to sessions of other nodes (node, tunnel.go).
const (
	// TunnelsMax connections of clients are carried to other nodes at a time, at 2 descriptors and
	// 15 KB each (BenchmarkTunnelMemory), and others to this one while it has room for connections.
	// Then op 9 with d true, upon which clients come again in some seconds.
	TunnelsMax = 10_000

	// TunnelDownBytes are carried to a client in one go, a few events, and TunnelUpBytes from it.
	TunnelDownBytes = 8 << 10
	TunnelUpBytes   = 1 << 10

	// TunnelFactsBytesMax is a RESUME of the largest message a client may send, in base64, with
	// what else is said of its connection.
	TunnelFactsBytesMax = 2 * InboundMessageBytesMax

	// TunnelSilenceMax ends what is between two nodes when the other's kernel acknowledges nothing
	// for so long: data, or the probes of a connection on which nothing flows, sent after
	// TunnelProbeAfter. A lost host is out of the view by then.
	TunnelSilenceMax = 5 * time.Second
	TunnelProbeAfter = 2 * time.Second
)
