package node

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// totals are figures summed over the owners.
type totals struct {
	live, detached, guilds        int64
	links, claims, adrift         int64
	leaving, coming               int64
	deliveries, writes, sentBytes uint64
}

func (n *Node) totals() (t totals) {
	for _, l := range n.core.loops {
		t.live += l.stats.sessionsLive.Load()
		t.detached += l.stats.sessionsDetached.Load()
		t.deliveries += l.stats.deliveries.Load()
		t.writes += l.stats.writes.Load()
		t.sentBytes += l.stats.sentBytes.Load()
	}
	for _, s := range n.core.shards {
		t.guilds += s.stats.guilds.Load()
		t.links += s.stats.links.Load()
		t.claims += s.stats.claims.Load()
		t.adrift += s.stats.adrift.Load()
		t.leaving += s.stats.leaving.Load()
		t.coming += s.stats.coming.Load()
	}
	return t
}

// metrics is what /metrics answers with. Owners count for themselves and are summed here, when
// somebody asks.
func (n *Node) metrics() prometheus.Gatherer {
	r := prometheus.NewRegistry()
	r.MustRegister(&collector{n}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

type collector struct{ node *Node }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("throng_"+name, help, labels, nil)
}

var (
	descConnections = desc("connections", "Open gateway connections.")
	descMax         = desc("connections_max", "Gateway connections that there may be.")
	descReady       = desc("ready", "1 while the node takes new sessions, as /readyz.")
	descTunnels     = desc("tunnels", "Connections carried to sessions of other nodes.")
	descHandshakes  = desc("tls_handshakes", "Handshakes of TLS that have come.", "state")
	descCertificate = desc("tls_certificate_expiry_seconds", "Unix time at which it ends.")
	descSessions    = desc("sessions", "Sessions, with a socket (live) or without.", "state")
	descGuilds      = desc("guilds", "Loaded guilds.")
	descMembers     = desc("members", "Members of loaded guilds.")
	descEvents      = desc("events_total", "Events published, by type.", "type")
	descDeliveries  = desc("deliveries_total", "Frames given to sessions.")
	descWrites      = desc("writes_total", "Writes to sockets.")
	descSent        = desc("sent_bytes_total", "Bytes written to sockets.")
	descCloses      = desc("closes_total", "Connections ended, by reason.", "reason")
	descDrops       = desc("drops_total", "Commands left undone, by reason.", "reason")
	descInbox       = desc("inbox_depth", "Messages that wait for an owner.", "owner")
	descJournal     = desc("journal_bytes", "Bytes in the journals of a loop.", "loop")
	descBlocked     = desc("blocked_sockets", "Sockets that take nothing at present.", "loop")
	descRelays      = desc("relays", "Guilds with a receiver on a loop.", "loop")
	descHandle      = desc("handle_seconds", "Time in handling a message, by type.", "type")
	descHandleMax   = desc("handle_seconds_max", "The longest single handling, by type.", "type")
	descWorkedMax   = desc("handle_worked_seconds_max",
		"The longest, without its thread's waiting for a processor; from 1 ms on.", "type")
	descDuration    = desc("handle_duration_seconds", "The same, how many took how long.", "type")
	descOldest      = desc("inbox_oldest_seconds", "Age of what an owner has not come to.", "owner")
	descLatency     = desc("publish_to_socket_seconds", "From a publish to a socket, of a sample.")
	descStalls      = desc("stalls_total", "Messages that took longer than -stall-limit.")
	descResumes     = desc("resumes_total", "RESUMEs, by result.", "result")
	descIdentifies  = desc("identifies_total", "IDENTIFYs, by result.", "result")
	descContexts    = desc("compress_contexts", "Connections with a compressor of their own.")
	descContextSize = desc("compress_context_bytes", "Memory that these take of their budget.")
	descPermits     = desc("permits", "Permits that are held, by resource.", "resource")
	descRefused     = desc("permits_refused_total", "Permits that were refused.", "resource")
	descAbandoned   = desc("abandoned_total", "Requests left undone: who asked had gone.")
	descAccepts     = desc("accept_errors_total", "Accepts that failed, by error.", "error")
	descPanics      = desc("panics_total", "Panics that were contained.")
)

// Describe sends nothing: the collector is unchecked, since it makes its metrics when asked.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect sums what the owners have counted.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	core, t := c.node.core, c.node.totals()
	gauge(descConnections, float64(core.connections.Load()))
	gauge(descMax, float64(core.limits.connectionsMax))
	ready := 0.0
	if c.node.Ready() == nil {
		ready = 1
	}
	gauge(descReady, ready)
	gauge(descTunnels, float64(core.tunnels.held.Load()))
	c.node.engine.measureTLS(gauge)
	gauge(descSessions, float64(t.live), "live")
	gauge(descSessions, float64(t.detached), "detached")
	gauge(descGuilds, float64(t.guilds))
	gauge(descMembers, float64(core.members.Load()))
	c.node.collectStreamed(gauge, count)
	count(descDeliveries, t.deliveries)
	count(descWrites, t.writes)
	count(descSent, t.sentBytes)
	count(descPanics, core.panics.Load())
	count(descAbandoned, core.abandoned.Load())
	for name, n := range c.node.engine.gate.failuresByName() {
		count(descAccepts, n, name)
	}
	permits := func(resource string, held int64, refused uint64) {
		gauge(descPermits, float64(held), resource)
		count(descRefused, refused, resource)
	}
	permits("lookups", core.lookups.holders(), core.lookups.refused.Load())
	var held int64
	var refused uint64
	for _, s := range core.shards {
		held += s.loads.holders()
		refused += s.loads.refused.Load()
	}
	permits("loads", held, refused)
	for r := range closeReasonCount {
		count(descCloses, core.closes[r].Load(), r.String())
	}
	for r := range dropReasonCount {
		count(descDrops, core.drops[r].Load(), r.String())
	}
	for i, l := range core.loops {
		name := strconv.Itoa(i)
		gauge(descJournal, float64(l.stats.journalBytes.Load()), name)
		gauge(descBlocked, float64(l.stats.blocked.Load()), name)
		gauge(descRelays, float64(l.stats.relays.Load()), name)
	}
	core.events.each(func(name string, n uint64) { count(descEvents, n, name) })
	for name, v := range core.resumes.byResult("resumed") {
		count(descResumes, v, name)
	}
	count(descResumes, core.tunnels.carried.Load(), "elsewhere")
	for name, v := range core.identifies.byResult("ready") {
		count(descIdentifies, v, name)
	}
	core.memoryMetrics(gauge, count)
	c.pushMetrics(out, gauge, count)
	c.clusterMetrics(gauge, count, t)
	c.owners(out, gauge, count)
	out <- c.node.latency()
}

// byResult names the outcomes; ok is what the good one is called.
func (o *outcomeCounts) byResult(ok string) map[string]uint64 {
	return map[string]uint64{
		ok: o.ok.Load(), "refused": o.refused.Load(), "too_late": o.late.Load(),
		"wrong": o.wrong.Load(),
	}
}
