package tracing

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"throng/tuning"
)

// Context is where in which trace something happens: the trace, and the span that it is a part of.
// It is a sampled one: others are not kept.
type Context struct {
	Trace [16]byte
	Span  [8]byte
}

// Parts of traceparent: 00-<trace>-<span>-<flags>.
const (
	traceAt, traceEnd = 3, 35
	spanAt, spanEnd   = 36, 52
	flagsAt, flagsEnd = 53, 55
)

// Parse reads a traceparent. ok is false for one that is not sampled, and for what is none.
func Parse(header string) (c Context, ok bool) {
	if len(header) < flagsEnd {
		return c, false
	}
	// The sampled bit is the last of the flags: the last bit of a digit's code, and of that of the
	// letter after a letter.
	last := header[flagsEnd-1]
	if last >= 'a' {
		last++
	}
	if last&1 == 0 {
		return c, false
	}
	return parse(header)
}

func parse(header string) (c Context, ok bool) {
	var version, flags [1]byte
	for _, part := range []struct {
		to       []byte
		from, at int
	}{{version[:], 0, 2}, {c.Trace[:], traceAt, traceEnd}, {c.Span[:], spanAt, spanEnd},
		{flags[:], flagsAt, flagsEnd}} {
		text := header[part.from:part.at]
		if n, err := hex.Decode(part.to, []byte(text)); err != nil || n != len(part.to) {
			return Context{}, false
		}
		for _, b := range []byte(text) {
			if b >= 'A' && b <= 'F' {
				return Context{}, false
			}
		}
	}
	longer := len(header) > flagsEnd
	switch {
	case version[0] == 0xff || version[0] == 0 && longer || longer && header[flagsEnd] != '-',
		header[2] != '-' || header[traceEnd] != '-' || header[spanEnd] != '-',
		flags[0]&1 == 0, c.Trace == [16]byte{} || c.Span == [8]byte{}:
		return Context{}, false
	}
	return c, true
}

// String is the traceparent of c.
func (c Context) String() string { return fmt.Sprintf("00-%x-%x-01", c.Trace, c.Span) }

func (c Context) span() trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: c.Trace, SpanID: c.Span,
		TraceFlags: trace.FlagsSampled, Remote: true})
}

type contextKey struct{}

// With is a context of calls that are a part of c.
func With(ctx context.Context, c Context) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// From is what With has put there.
func From(ctx context.Context) (c Context, ok bool) {
	c, ok = ctx.Value(contextKey{}).(Context)
	return c, ok
}

// Tracer makes spans and sends them. A nil Tracer makes none.
type Tracer struct {
	// Static after construction.
	tracer   trace.Tracer
	provider *sdk.TracerProvider
}

// New makes a tracer that sends to the OTLP collector at an http or https URL; without a path that
// is /v1/traces.
func New(to, node, version string) (*Tracer, error) {
	u, err := url.Parse(to)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is no URL such as http://127.0.0.1:4318", to)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	exporter, err := otlptracehttp.New(context.Background(),
		otlptracehttp.WithEndpointURL(u.String()), otlptracehttp.WithTimeout(tuning.TraceTimeout))
	if err != nil {
		return nil, err
	}
	provider := sdk.NewTracerProvider(
		sdk.WithSampler(sdk.AlwaysSample()), // Whoever asked has decided.
		sdk.WithBatcher(exporter, sdk.WithMaxQueueSize(tuning.TraceSpansMax),
			sdk.WithBatchTimeout(tuning.TraceInterval)),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "throng"),
			attribute.String("service.instance.id", node),
			attribute.String("service.version", version))))
	return &Tracer{provider.Tracer("throng"), provider}, nil
}

// Close sends what waits, for as long as the context lasts.
func (t *Tracer) Close(ctx context.Context) {
	if t != nil {
		_ = t.provider.Shutdown(ctx)
	}
}

// Begin begins a span within c.
func (t *Tracer) Begin(c Context, name string, at time.Time, about ...attribute.KeyValue) *Span {
	if t == nil {
		return nil
	}
	kind := trace.SpanKindInternal
	if name != "" && name[0] == '/' {
		kind = trace.SpanKindServer // Routes are.
	}
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), c.span())
	_, span := t.tracer.Start(ctx, name, trace.WithTimestamp(at), trace.WithSpanKind(kind),
		trace.WithAttributes(about...))
	return &Span{span}
}

// Span is one that has begun. A nil one is none.
type Span struct{ span trace.Span }

// Context is that of what is a part of the span.
func (s *Span) Context() Context {
	c := s.span.SpanContext()
	return Context{c.TraceID(), c.SpanID()}
}

// Note puts a moment into the span.
func (s *Span) Note(what string, at time.Time) {
	if s != nil {
		s.span.AddEvent(what, trace.WithTimestamp(at))
	}
}

// End ends it.
func (s *Span) End(at time.Time, about ...attribute.KeyValue) {
	if s != nil {
		s.span.SetAttributes(about...)
		s.span.End(trace.WithTimestamp(at))
	}
}
