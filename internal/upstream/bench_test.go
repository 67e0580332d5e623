package upstream

import (
	"context"
	"net"
	"testing"
	"time"

	"gatehouse/internal/telemetry"
	"gatehouse/internal/wire"
)

// quiet is an exchange that throws everything away.
type quiet struct {
	someone
	buf  [64]byte
	kept any
}

func (q *quiet) Kept() *any                          { return &q.kept }
func (quiet) Context() context.Context               { return context.Background() }
func (quiet) Upgrade(*wire.Response) error           { return nil }
func (quiet) SetRetryAfter(time.Duration)            {}
func (quiet) SetUpstream(string, int, time.Duration) {}
func (q *quiet) Relay(r *wire.Response) error {
	for {
		if _, err := r.Body.Read(q.buf[:]); err != nil {
			return nil
		}
	}
}

func looped(c *Config) {
	c.Metrics = telemetry.NewMetrics(telemetry.MetricsConfig{})
	c.Dial = func(context.Context, string, string) (net.Conn, error) { return &loopConn{answer: []byte(ok200)}, nil }
}

// BenchmarkServe is the pool's work and wire's, without the kernel's;
// BenchmarkRoundTrip is wire's alone.
func BenchmarkServe(b *testing.B) {
	p, err := New(benchConfig("http://a", "http://b", "http://c"))
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close() // never fails
	ex, path := &quiet{}, []byte("/x")
	out := &wire.Outbound{Method: []byte("GET")}
	b.ReportAllocs()
	for b.Loop() {
		out.Target = path
		if err := p.serve(ex, out, true); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	p, err := New(benchConfig("http://a"))
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close() // never fails
	ex, client := &quiet{}, p.targets[0].client
	out := &wire.Outbound{Method: []byte("GET"), Target: []byte("/x"), Host: []byte("a"), Replayable: true}
	var resp wire.Response
	b.ReportAllocs()
	for b.Loop() {
		out.Deadline = time.Now().Add(30 * time.Second)
		if err := client.RoundTrip(out, &resp); err != nil {
			b.Fatal(err)
		}
		ex.Relay(&resp) //nolint:errcheck // always nil
		resp.Finish()
	}
}

func benchConfig(targets ...string) Config {
	c := Config{}
	c.API.Name, c.API.Upstream.Targets = "hr", targets
	looped(&c)
	return c
}
