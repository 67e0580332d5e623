package telemetry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"gatehouse/internal/fault"
)

var epochForTest = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) // a constant

func TestSpans(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	tr := newTracer(TracerConfig{Ratio: 1, TrustParent: true, Version: "1.2.3"}, exporter)
	parent, _ := ParseTraceParent([]byte(sampleParent))

	child, span := tr.Start(parent, true, "GET /vacations/{user}", epochForTest)
	if span == nil || child.TraceID != parent.TraceID || child.SpanID == parent.SpanID || !child.Sampled() {
		t.Fatalf("child %s of %s", child.Append(nil), parent.Append(nil))
	}
	span.Set("gatehouse.api", "hr")
	span.SetInt("http.response.status_code", 403)
	span.Event("authorize", "missing_scope", epochForTest.Add(time.Millisecond))
	span.End(epochForTest.Add(2*time.Millisecond), "")
	own, span := tr.Start(TraceParent{}, false, "GET /", epochForTest)
	span.End(epochForTest, "broken")

	if err := tr.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := exporter.GetSpans()
	if len(spans) != 2 {
		t.Fatalf("%d spans, want 2", len(spans))
	}
	first := spans[0]
	if first.SpanContext.SpanID() != child.SpanID || first.Parent.SpanID() != parent.SpanID || !first.Parent.IsRemote() {
		t.Errorf("span %s below %s", first.SpanContext.SpanID(), first.Parent.SpanID())
	}
	if first.EndTime.Sub(first.StartTime) != 2*time.Millisecond || len(first.Events) != 1 || len(first.Attributes) != 2 {
		t.Errorf("span %+v", first)
	}
	if root := spans[1]; root.SpanContext.TraceID() != own.TraceID || root.Parent.IsValid() || root.Status.Description != "broken" {
		t.Errorf("a trace that begins here: %+v", root)
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSampling(t *testing.T) {
	sampled, _ := ParseTraceParent([]byte(sampleParent))
	unsampled := sampled
	unsampled.Flags = 0
	for _, c := range []struct {
		name   string
		ratio  float64
		trust  bool
		parent TraceParent
		known  bool
		want   bool
	}{
		{"ratio 0, own", 0, true, TraceParent{}, false, false},
		{"ratio 1, own", 1, false, TraceParent{}, false, true},
		{"trusted caller records", 0, true, sampled, true, true},
		{"trusted caller does not", 1, true, unsampled, true, false},
		{"a stranger cannot make us record", 0, false, sampled, true, false},
		{"a stranger cannot keep us from it", 1, false, unsampled, true, true},
	} {
		tr := newTracer(TracerConfig{Ratio: c.ratio, TrustParent: c.trust}, tracetest.NewNoopExporter())
		out, span := tr.Start(c.parent, c.known, "x", epochForTest)
		if (span != nil) != c.want || out.Sampled() != c.want {
			t.Errorf("%s: recorded %v, flag %v, want %v", c.name, span != nil, out.Sampled(), c.want)
		}
		span.End(epochForTest, "")
		if err := tr.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	tr := newTracer(TracerConfig{Ratio: 0.25}, tracetest.NewNoopExporter())
	n := 0
	for range 10_000 {
		if _, span := tr.Start(TraceParent{}, false, "x", epochForTest); span != nil {
			n++
		}
	}
	if n < 2200 || n > 2800 {
		t.Errorf("%d of 10,000 recorded at a ratio of 0.25", n)
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// collector is an OTLP/HTTP collector: it keeps the bodies it is sent.
type otlpCollector struct {
	mu     sync.Mutex
	paths  []string
	bodies []byte
}

func (c *otlpCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paths = append(c.paths, r.URL.Path)
	c.bodies = append(c.bodies, b...)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func TestExportOverHTTP(t *testing.T) {
	collector := &otlpCollector{}
	server := httptest.NewServer(collector)
	defer server.Close()
	tr, err := NewTracer(t.Context(), TracerConfig{Endpoint: server.URL, Ratio: 1, Service: "gatehouse-test"})
	if err != nil {
		t.Fatal(err)
	}
	tp, span := tr.Start(TraceParent{}, false, "GET /hr/health", epochForTest)
	span.End(epochForTest.Add(time.Second), "")
	if err := tr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(collector.paths) != 1 || collector.paths[0] != "/v1/traces" {
		t.Errorf("posted to %v", collector.paths)
	}
	for _, want := range [][]byte{[]byte("GET /hr/health"), []byte("gatehouse-test"), tp.TraceID[:], tp.SpanID[:]} {
		if !bytes.Contains(collector.bodies, want) {
			t.Errorf("%q was not exported", want)
		}
	}
}

func TestTracerOff(t *testing.T) {
	tr, err := NewTracer(t.Context(), TracerConfig{})
	if tr != nil || err != nil {
		t.Fatalf("%v %v, want nil and nil", tr, err)
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for _, c := range []TracerConfig{{Endpoint: "collector:4318"}, {Endpoint: "http://c", Ratio: 2}} {
		if _, err := NewTracer(t.Context(), c); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// brokenExporter fails while err is set.
type brokenExporter struct{ err error }

func (e *brokenExporter) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return e.err }
func (e *brokenExporter) Shutdown(context.Context) error                             { return nil }

// An outage of the collector is told once, and its end.
func TestCollectorDown(t *testing.T) {
	var b bytes.Buffer
	broken := &brokenExporter{err: errors.New("connection refused")}
	e := newLoggingExporter(broken, slog.New(slog.NewTextHandler(&b, nil)))
	for range 3 {
		if err := e.ExportSpans(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	broken.err = nil
	for range 3 {
		if err := e.ExportSpans(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	if got := strings.Count(b.String(), "\n"); got != 2 {
		t.Errorf("%d lines, want one for the outage and one for its end:\n%s", got, b.String())
	}
}
