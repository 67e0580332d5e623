//go:build !race

// The race detector makes sync.Pool forget at random, which shows as allocations.

package upstream

import (
	"testing"

	"gatehouse/internal/wire"
)

func TestServeNoAllocation(t *testing.T) {
	for _, balance := range []string{"round_robin", "least_requests", "random", "hash(claim:sub)"} {
		p := pool(t, func(c *Config) { looped(c); c.API.Upstream.Balance = balance }, "http://a", "http://b/v1", "http://c")
		ex, path := &quiet{someone: someone{claim: "ana"}}, []byte("/x")
		out := &wire.Outbound{Method: []byte("GET")}
		one := func() {
			out.Target = path
			if err := p.serve(ex, out, true); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			one()
		}
		if n := testing.AllocsPerRun(500, one); n != 0 {
			t.Errorf("%s: %v allocations", balance, n)
		}
	}
}
