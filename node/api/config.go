package api

import (
	"cmp"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"throng/node/tracing"
	"throng/tuning"
)

// Config is how the doors are set up. Its zero value serves with the limits named here, without a
// token and without metrics.
type Config struct {
	// AdminToken is the bearer token of every admin route but /healthz, /readyz and Pages. Without
	// one the admin door takes direct requests to this host only; see guard.
	AdminToken string
	// Metrics is what /metrics answers with; nil answers 404.
	Metrics prometheus.Gatherer
	// GatewayURL is what GET gateway answers. When it is empty, the answer is the host of the
	// request with GatewayPort.
	GatewayURL  string
	GatewayTLS  bool // It is reached by wss://.
	GatewayPort int
	Limits      Limits
	// Log gets what is nobody's refusal: failures of the node and panics. Nil discards.
	Log *slog.Logger
	// Elsewhere answers what is about guilds of other nodes; nil: there are none.
	Elsewhere Elsewhere
	// Peers says that requests come from other nodes, which have looked at their tokens.
	Peers bool
	// Tracer makes spans of requests of the admin door that are traced; nil: none are. The client
	// door takes no traceparent: anybody could crowd the operator's spans out.
	Tracer *tracing.Tracer
	// Pages are what the admin door serves by path without asking who wants it: the console's
	// files. Live serves GET /v1/live, for as long as its client stays; nil: there is none.
	Pages map[string]http.Handler
	Live  func(w http.ResponseWriter, r *http.Request) error
	// Panicked is called for each panic that a handler was saved from.
	Panicked func()
}

// Limits bounds what one request may cost and how many there may be. A field that is 0 has the
// value named beside it.
type Limits struct {
	Depth    int   // JSON nesting: depthMax.
	Guild    int64 // Bytes of PUT /v1/guilds/{id}: tuning.GuildBodyBytesMax.
	Event    int64 // Bytes of one event: tuning.EventBodyBytesMax.
	Line     int64 // Bytes of one other NDJSON line, or of one user: tuning.LineBytesMax.
	Stream   int64 // Bytes of an NDJSON body: streamBytesMax.
	Message  int64 // Bytes of a posted message's JSON: messageBytesMax.
	Upload   int64 // Bytes of a multipart body, files included: uploadBytesMax.
	Batch    int   // Lines handed to the node at once: tuning.BatchLinesMax.
	Rejected int   // Refused lines listed in an answer: tuning.RejectedLinesMax.
	InFlight int   // Requests served at once, by each door: inFlightMax.

	Answer time.Duration // How long the node may take for one call: answerTimeout.
	Body   time.Duration // How long a body, or a batch of its lines, may take: bodyTimeout.
}

const (
	// depthMax is twice what a guild command may nest to, since a backend's embeds and components
	// nest deeper than anything a client sends to the gateway.
	depthMax = 64
	// streamBytesMax is seven million members at 150 bytes, or a day of a small backend's events.
	streamBytesMax = 1 << 30
	// messageBytesMax holds 2,000 characters, ten embeds (6,000 characters) and components, at
	// four bytes and an escape for each character.
	messageBytesMax = 128 << 10
	// uploadBytesMax is what Discord takes without a subscription. Files are read and dropped.
	uploadBytesMax = 10 << 20
	// inFlightMax requests with messageBytesMax each are 64 MiB. The descriptors that HTTP may
	// have are a further bound; this one holds when they are many.
	inFlightMax = 512
	// answerTimeout is far above any queue that ends well, and below a backend's own patience.
	answerTimeout = 10 * time.Second
	// bodyTimeout lets 128 KiB through at 5 KiB/s and ends a producer that fell silent.
	bodyTimeout = 30 * time.Second
)

// withDefaults fills in what is 0.
func (l Limits) withDefaults() Limits {
	l.Depth = cmp.Or(l.Depth, depthMax)
	l.Guild = cmp.Or(l.Guild, tuning.GuildBodyBytesMax)
	l.Event = cmp.Or(l.Event, tuning.EventBodyBytesMax)
	l.Line = cmp.Or(l.Line, tuning.LineBytesMax)
	l.Stream = cmp.Or(l.Stream, streamBytesMax)
	l.Message = cmp.Or(l.Message, messageBytesMax)
	l.Upload = cmp.Or(l.Upload, uploadBytesMax)
	l.Batch = cmp.Or(l.Batch, tuning.BatchLinesMax)
	l.Rejected = cmp.Or(l.Rejected, tuning.RejectedLinesMax)
	l.InFlight = cmp.Or(l.InFlight, inFlightMax)
	l.Answer = cmp.Or(l.Answer, answerTimeout)
	l.Body = cmp.Or(l.Body, bodyTimeout)
	return l
}
