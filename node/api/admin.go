package api

import (
	"errors"
	"net/http"
	"net/http/pprof"
	"slices"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// adminDoor is the door of backends and operators.
type adminDoor struct {
	door

	// Static after construction.
	live handler // nil: there is none
}

// Admin is the handler of -admin.
func Admin(n Node, c Config) http.Handler {
	d := &adminDoor{door: newDoor(n, c)}
	d.refuse = refuseAdmin
	guarded := http.NewServeMux()
	d.live = c.Live
	d.routes(guarded)
	diagnose(guarded, c)

	open := http.NewServeMux()
	open.HandleFunc("/healthz", d.healthz)
	open.HandleFunc("/readyz", d.readyz)
	for path, page := range c.Pages {
		if path == "/" {
			path = "/{$}" // The bare path would be for all that nobody else serves.
		}
		open.Handle("GET "+path, page)
	}
	if c.Peers {
		open.Handle("/", guarded)
	} else {
		open.Handle("/", newGuard(c.AdminToken, d.refuse).protect(guarded))
	}
	return open
}

// routes adds what asks the node.
func (d *adminDoor) routes(mux *http.ServeMux) {
	d.route(mux, "/v1/users", methods{"POST": d.postUsers})
	d.route(mux, "/v1/users/{id}", methods{"PUT": d.putUser})
	d.route(mux, "/v1/users/{id}/tokens", methods{"POST": d.postToken, "DELETE": d.deleteTokens})
	d.route(mux, "/v1/users/{id}/events", methods{"POST": d.postUserEvents})

	d.route(mux, "/v1/guilds", methods{"GET": d.listGuilds})
	d.route(mux, "/v1/guilds/{id}",
		methods{"GET": d.getGuild, "PUT": d.putGuild, "DELETE": d.deleteGuild})
	d.route(mux, "/v1/guilds/{id}/members", methods{"GET": d.getMembers, "POST": d.postMembers})
	d.route(mux, "/v1/guilds/{id}/members/{user}", methods{"DELETE": d.deleteMember})
	d.route(mux, "/v1/guilds/{id}/move", methods{"POST": d.postMove, "DELETE": d.deleteMove})
	d.route(mux, "/v1/guilds/{id}/events", methods{"POST": d.postGuildEvents})

	d.route(mux, "/v1/sessions", methods{"GET": d.listSessions})
	d.route(mux, "/v1/sessions/{id}/reconnect", methods{"POST": d.reconnectSession})
	d.route(mux, "/v1/sessions/{id}", methods{"GET": d.getSession, "DELETE": d.deleteSession})
	d.route(mux, "/v1/voice/servers", methods{"GET": d.listVoiceServers})
	d.route(mux, "/v1/voice/servers/{name}",
		methods{"PUT": d.putVoiceServer, "DELETE": d.deleteVoiceServer})
	d.route(mux, "/v1/voice/servers/{name}/load", methods{"POST": d.postVoiceLoad})
	d.route(mux, "/v1/cluster", methods{"GET": d.getCluster})
	d.route(mux, "/v1/node", methods{"GET": d.getNode})
	d.route(mux, "/v1/live", methods{"GET": d.getLive})
	d.route(mux, "/v1/timings", methods{"GET": d.getTimings})
	d.route(mux, "/v1/memory", methods{"GET": d.getMemory})
	d.route(mux, "/v1/stalls", methods{"GET": d.getStalls, "PATCH": d.patchStalls})
	d.route(mux, "/v1/tuning", methods{"GET": d.getTuning, "PATCH": d.patchTuning})
	d.route(mux, "/v1/drain", methods{"POST": d.postDrain})
	d.route(mux, "/debug/check", methods{"GET": d.check})
	d.route(mux, "/debug/stacks", methods{"GET": d.getStacks})
	d.route(mux, "/debug/flight", methods{"GET": d.getFlight})
	d.route(mux, "/debug/flights", methods{"GET": d.listFlights})
	d.route(mux, "/debug/flights/{number}", methods{"GET": d.getRecording})
	d.route(mux, "/debug/pprof/goroutineleak", methods{"GET": d.leaks})

	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		d.refuse(w, r, noRoute)
	})
}

var noRoute = &Error{Status: http.StatusNotFound, Message: "there is no such route"}

// diagnose adds what the process knows of itself. It is outside the bound of requests in flight:
// it is needed most when that is reached.
func diagnose(mux *http.ServeMux, c Config) {
	if c.Metrics != nil {
		mux.Handle("/metrics", promhttp.HandlerFor(c.Metrics, promhttp.HandlerOpts{}))
	}
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
}

// adminError is how the admin door writes a refusal. The tally is there when a stream of lines was
// stopped part of the way.
type adminError struct {
	Error string `json:"error"`
	Field string `json:"field,omitempty"`
	*tally
	Line int `json:"line,omitempty"`
}

func refuseAdmin(w http.ResponseWriter, r *http.Request, e *Error) {
	setRetryAfter(w, e)
	_ = writeJSON(w, e.Status, adminError{Error: e.Message, Field: e.Field})
}

// refuseStream answers a stream that was stopped part of the way: the refusal, what had been
// taken by then, and the line to go on from.
func (d *adminDoor) refuseStream(w http.ResponseWriter, r *http.Request, s *stopped) error {
	e := d.refusal(r, s.error)
	setRetryAfter(w, e)
	sortRejected(s.tally.Rejected)
	return writeJSON(w, e.Status,
		adminError{Error: e.Message, Field: e.Field, tally: &s.tally, Line: s.line})
}

// finishStream answers a stream: v when it was read to its end.
func (d *adminDoor) finishStream(w http.ResponseWriter, r *http.Request, err error,
	status int, v any) error {
	if s, ok := errors.AsType[*stopped](err); ok {
		return d.refuseStream(w, r, s)
	}
	if err != nil {
		return err
	}
	return writeJSON(w, status, v)
}

// sortRejected puts lines in order: those that the node refuses come after those that did not
// parse.
func sortRejected(lines []rejection) {
	slices.SortFunc(lines, func(a, b rejection) int { return a.Line - b.Line })
}

// emptyOr makes a nil list an empty JSON array.
func emptyOr[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
