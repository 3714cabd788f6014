package api

import (
	"net"
	"net/http"
	"strconv"

	"throng/wire"
)

// getGateway serves GET gateway, the only route that needs no token.
func (d *clientDoor) getGateway(w http.ResponseWriter, r *http.Request) error {
	b := wire.AppendString(wire.AppendKey([]byte{'{'}, "url"), d.urlFor(r))
	writeRaw(w, http.StatusOK, append(b, '}'))
	return nil
}

// getGatewayBot serves GET gateway/bot. Every field has to be there: sharding managers wait for
// their turn by these figures.
func (d *clientDoor) getGatewayBot(w http.ResponseWriter, r *http.Request) error {
	user, err := d.authenticate(r)
	if err != nil {
		return err
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	limits, err := d.node.StartLimits(ctx, user.ID)
	if err != nil {
		return err
	}
	type start struct {
		Total          int   `json:"total"`
		Remaining      int   `json:"remaining"`
		ResetAfter     int64 `json:"reset_after"`
		MaxConcurrency int   `json:"max_concurrency"`
	}
	return writeJSON(w, http.StatusOK, struct {
		URL    string `json:"url"`
		Shards int    `json:"shards"`
		Start  start  `json:"session_start_limit"`
	}{d.urlFor(r), max(limits.Shards, 1), start{limits.Total, limits.Remaining,
		limits.ResetAfter.Milliseconds(), max(limits.MaxConcurrency, 1)}})
}

// urlFor is where the gateway is for whoever sent this request: what was configured, or the host
// that they reached this door under, with the gateway's port. It carries no query: libraries add
// theirs.
func (d *clientDoor) urlFor(r *http.Request) string {
	if d.gatewayURL != "" {
		return d.gatewayURL
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else if len(host) > 2 && host[0] == '[' {
		host = host[1 : len(host)-1]
	}
	if host == "" {
		host = localHost(r)
	}
	return d.gatewayScheme + net.JoinHostPort(host, strconv.Itoa(d.gatewayPort))
}

// localHost is the address that a request without Host arrived at.
func localHost(r *http.Request) string {
	if address, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if host, _, err := net.SplitHostPort(address.String()); err == nil {
			return host
		}
	}
	return "localhost"
}
