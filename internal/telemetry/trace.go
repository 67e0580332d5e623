package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/url"
	"sync/atomic"
	"time"

	"gatehouse/internal/fault"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// TracerConfig says where spans go.
type TracerConfig struct {
	// Endpoint is the URL of an OTLP/HTTP collector, such as
	// http://127.0.0.1:4318; without a path, /v1/traces is meant. Empty: no tracing.
	Endpoint string
	// Ratio is the share of traces started here that are recorded, 0 to 1. A
	// caller's sampling decision is honoured when TrustParent is set.
	Ratio       float64
	TrustParent bool
	Service     string // service.name; empty = "gatehouse"
	Version     string
	Logger      *slog.Logger // is told of spans that could not be delivered; nil = nobody
}

// Tracer records spans of sampled requests and sends them in the background. A
// nil *Tracer is one that is off: it records nothing and costs nothing, and
// trace context is still passed on.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	bound    uint64 // of the trace id's low half, below which a trace is recorded
	trust    bool
}

// NewTracer returns a tracer, or nil when no endpoint is configured. The
// collector is not contacted before there are spans; while it is down, spans are dropped.
func NewTracer(ctx context.Context, c TracerConfig) (*Tracer, error) {
	if c.Endpoint == "" {
		return nil, nil //nolint:nilnil // a nil tracer is one that is off
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fault.New(fault.Invalid, "trace endpoint %q is not an http or https URL", c.Endpoint)
	}
	if c.Ratio < 0 || c.Ratio > 1 || math.IsNaN(c.Ratio) {
		return nil, fault.New(fault.Invalid, "trace ratio %v is not between 0 and 1", c.Ratio)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()))
	if err != nil {
		return nil, fmt.Errorf("make trace exporter for %s: %w", u.Redacted(), err)
	}
	return newTracer(c, newLoggingExporter(exporter, c.Logger)), nil
}

// newTracer builds the tracer over any exporter.
func newTracer(c TracerConfig, exporter sdktrace.SpanExporter) *Tracer {
	service := c.Service
	if service == "" {
		service = "gatehouse"
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.AlwaysSample()), // Start has decided already
		sdktrace.WithIDGenerator(ids{}),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", service),
			attribute.String("service.version", c.Version),
		)),
	)
	bound := uint64(math.MaxUint64)
	if c.Ratio < 1 {
		bound = uint64(c.Ratio * math.MaxUint64)
	}
	return &Tracer{provider: provider, tracer: provider.Tracer("gatehouse"), bound: bound, trust: c.TrustParent}
}

// Span is one recorded piece of work. A nil *Span records nothing.
type Span struct {
	span trace.Span
}

// Start begins the span of a request. known says that parent came with it. It
// returns the trace context to pass on and the span, nil when this request is not recorded.
func (t *Tracer) Start(parent TraceParent, known bool, name string, start time.Time) (TraceParent, *Span) {
	if !known {
		parent = NewTraceParent()
	}
	if t == nil {
		if !known {
			return parent, nil
		}
		return parent.Child(), nil
	}
	sampled := parent.Sampled()
	if !known || !t.trust {
		sampled = t.sample()
	}
	switch {
	case sampled:
	case !known:
		return parent, nil // new and not sampled
	default:
		parent.Flags &^= flagSampled
		return parent.Child(), nil
	}
	ctx := context.WithValue(context.Background(), traceKey{}, parent.TraceID)
	if known {
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: parent.TraceID, SpanID: parent.SpanID, TraceFlags: trace.FlagsSampled, Remote: true,
		}))
	}
	_, span := t.tracer.Start(ctx, name, trace.WithTimestamp(start), trace.WithSpanKind(trace.SpanKindServer))
	return TraceParent{TraceID: parent.TraceID, SpanID: span.SpanContext().SpanID(), Flags: flagSampled}, &Span{span}
}

// ids gives a trace that begins here the id that its trace context has already.
type ids struct{}

type traceKey struct{}

// NewIDs implements sdktrace.IDGenerator.
func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id, ok := ctx.Value(traceKey{}).([16]byte)
	if !ok {
		id = NewTraceParent().TraceID
	}
	return id, newSpanID()
}

// NewSpanID implements sdktrace.IDGenerator.
func (ids) NewSpanID(context.Context, trace.TraceID) trace.SpanID { return newSpanID() }

func (t *Tracer) sample() bool {
	//nolint:gosec // which requests are sampled need not be secret
	return t.bound == math.MaxUint64 || rand.Uint64() < t.bound
}

// Set adds an attribute. Values hold no secret and no personal data.
func (s *Span) Set(key, value string) {
	if s != nil {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// SetInt adds an attribute.
func (s *Span) SetInt(key string, value int64) {
	if s != nil {
		s.span.SetAttributes(attribute.Int64(key, value))
	}
}

// Event adds something that happened within the span, such as a step of the gateway with its reason.
func (s *Span) Event(name, reason string, at time.Time) {
	if s != nil {
		s.span.AddEvent(name, trace.WithTimestamp(at), trace.WithAttributes(attribute.String("gatehouse.reason", reason)))
	}
}

// End ends the span. failed is what went wrong on our side, empty for nothing.
func (s *Span) End(end time.Time, failed string) {
	if s == nil {
		return
	}
	if failed != "" {
		s.span.SetStatus(codes.Error, failed)
	}
	s.span.End(trace.WithTimestamp(end))
}

// Close sends what waits and ends the background work, at the latest when ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last spans: %w", err)
	}
	return nil
}

// loggingExporter tells a logger, once per outage, that spans do not arrive; it
// keeps the library's process-wide error handler out of it.
type loggingExporter struct {
	sdktrace.SpanExporter
	log  *slog.Logger
	down *atomic.Bool
}

func newLoggingExporter(e sdktrace.SpanExporter, log *slog.Logger) loggingExporter {
	return loggingExporter{e, log, new(atomic.Bool)}
}

// ExportSpans implements sdktrace.SpanExporter.
func (e loggingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if e.log == nil {
		return nil
	}
	if err != nil {
		if !e.down.Swap(true) {
			e.log.LogAttrs(ctx, slog.LevelWarn, "spans are lost: the trace collector does not take them", slog.Any("error", err))
		}
		return nil
	}
	if e.down.Swap(false) {
		e.log.LogAttrs(ctx, slog.LevelInfo, "the trace collector takes spans again")
	}
	return nil
}
