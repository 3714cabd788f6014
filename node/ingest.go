package node

import (
	"bytes"
	"net/http"
	"strconv"

	"throng/node/api"
	"throng/node/cluster"
)

// startIngest takes events from NATS by the very handler of the route that takes them by HTTP: what
// it accepts, where it takes it and how it refuses is the same.
func (n *Node) startIngest(c *clustered, doors api.Config) (*cluster.Ingest, error) {
	doors.Peers = true // NATS has let the backend in.
	handler := api.Admin(n, doors)
	return cluster.NewIngest(cluster.IngestConfig{
		NATS: n.cfg.natsConfig(), Cluster: n.cfg.Cluster, Fit: c.fit, Log: n.log,
		Take: func(guild uint64, body []byte, traceparent string) []byte {
			return ingested(handler, guild, body, traceparent)
		},
	})
}

// fit says whether this node is a full one among the others.
func (c *clustered) fit() bool {
	return c.node.state.Load() != stateDraining && c.owning() != 0 && c.log.Reads() &&
		c.dir.Failing() == nil
}

// ingested has the route answer a message.
func ingested(handler http.Handler, guild uint64, body []byte,
	traceparent string) []byte {
	path := "/v1/guilds/" + strconv.FormatUint(guild, 10) + "/events"
	r, err := http.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	if err != nil {
		return []byte(`{"error":"The subject names no guild."}`)
	}
	if traceparent != "" {
		r.Header.Set("Traceparent", traceparent)
	}
	a := &ingestAnswer{header: http.Header{}}
	handler.ServeHTTP(a, r)
	return bytes.TrimSpace(a.body.Bytes())
}

// ingestAnswer keeps the body of an answer. Whether it is a refusal is in the body as well.
type ingestAnswer struct {
	header http.Header
	body   bytes.Buffer
}

func (a *ingestAnswer) Header() http.Header         { return a.header }
func (a *ingestAnswer) WriteHeader(int)             {}
func (a *ingestAnswer) Write(b []byte) (int, error) { return a.body.Write(b) }
