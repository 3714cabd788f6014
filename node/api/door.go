package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"throng/node/tracing"
	"throng/wire"
)

// door is what the two handlers have in common: the node behind them, limits, and how a refusal
// is written.
type door struct {
	// Static after construction.
	node     Node
	limits   Limits
	log      *slog.Logger
	panicked func()
	away     Elsewhere
	tracer   *tracing.Tracer
	refuse   func(w http.ResponseWriter, r *http.Request, e *Error)

	// One token per request in flight.
	inFlight chan struct{}
}

func newDoor(n Node, c Config) door {
	d := door{node: n, limits: c.Limits.withDefaults(), log: c.Log, panicked: c.Panicked}
	d.away, d.tracer = c.Elsewhere, c.Tracer
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.panicked == nil {
		d.panicked = func() {}
	}
	d.inFlight = make(chan struct{}, d.limits.InFlight)
	return d
}

// handler serves one method of one route. What it returns has not been answered yet.
type handler func(w http.ResponseWriter, r *http.Request) error

// methods are the handlers of one route. GET answers HEAD too.
type methods map[string]handler

// route adds a route. The mux is given the path alone, so that a wrong method is answered in the
// door's own words.
func (d *door) route(mux *http.ServeMux, path string, m methods) {
	var names []string
	for name := range m {
		names = append(names, name)
		if name == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	allow := strings.Join(names, ", ")
	mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		h, ok := m[method]
		if !ok {
			w.Header().Set("Allow", allow)
			d.refuse(w, r, &Error{Status: http.StatusMethodNotAllowed,
				Message: "405: Method Not Allowed"})
			return
		}
		d.serve(w, r, d.traced(path, d.atOwner(path, h)))
	})
}

// traced has a request that is part of a trace be a span in it, and what it asks for within that.
func (d *door) traced(path string, h handler) handler {
	if d.tracer == nil {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		in, ok := tracing.Parse(r.Header.Get("Traceparent"))
		if !ok {
			return h(w, r)
		}
		span := d.tracer.Begin(in, path, time.Now(),
			attribute.String("http.request.method", r.Method))
		defer func() { span.End(time.Now()) }()
		in = span.Context()
		r = r.WithContext(tracing.With(r.Context(), in))
		r.Header.Set("Traceparent", in.String()) // For the node that answers, if that is another.
		return h(w, r)
	}
}

// serve runs a handler within the bound of requests in flight and answers what it returns.
func (d *door) serve(w http.ResponseWriter, r *http.Request, h handler) {
	select {
	case d.inFlight <- struct{}{}:
		defer func() { <-d.inFlight }()
	default:
		d.refuse(w, r, Unavailable(time.Second, "too many requests are being served"))
		return
	}
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v == http.ErrAbortHandler {
			panic(v)
		}
		d.panicked()
		d.log.Error("panic in an HTTP handler", "method", r.Method, "path", r.URL.Path,
			"panic", v, "stack", string(debug.Stack()))
		d.refuse(w, r, internalError)
	}()
	if err := h(w, r); err != nil {
		d.refuse(w, r, d.refusal(r, err))
	}
}

// ask is the context of one call of the node.
func (d *door) ask(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), d.limits.Answer)
}

var internalError = &Error{Status: http.StatusInternalServerError,
	Message: "500: Internal Server Error"}

// refusal makes a refusal of any error: of the node, of reading a body, or unforeseen.
func (d *door) refusal(r *http.Request, err error) *Error {
	var e *Error
	var size *http.MaxBytesError
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &size):
		return tooLarge("the body", size.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Error{Status: http.StatusRequestTimeout, Message: "the body did not arrive in time"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return Invalid("", "the body ended before its announced length")
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		return Unavailable(time.Second, "the request was cancelled")
	case errors.Is(err, context.DeadlineExceeded):
		return Unavailable(time.Second, "the node did not answer in time")
	}
	d.log.Error("HTTP request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	return internalError
}

// setRetryAfter says when to come back, in whole seconds as HTTP has it, on the statuses that
// promise it.
func setRetryAfter(w http.ResponseWriter, e *Error) {
	if e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable {
		seconds := max(1, math.Ceil(e.RetryAfter.Seconds()))
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	}
}

// pathID is the snowflake in the route's {name}.
func pathID(r *http.Request, name string) (wire.Snowflake, error) {
	return snowflake(name, r.PathValue(name))
}

// snowflake parses an id that came as text.
func snowflake(field, text string) (wire.Snowflake, error) {
	id, err := wire.ParseSnowflake(text)
	if err != nil || id == 0 {
		return 0, Invalid(field, "%q is not a snowflake", text)
	}
	return id, nil
}
