package gateway_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/spec"
)

// attack gateway 69: many at once on every lane, each saying in every header there is
// that it comes from elsewhere: as many as the limit per address allows pass, and not one
// more. Behind a proxy that is trusted, it is the address that the proxy has seen.
func TestAddressesThatAreClaimedGainNothing(t *testing.T) {
	const limit, asked = 20, 40
	// It stands still, and what is due half a minute later by it is not due while the test runs.
	now := time.Now().Add(time.Hour)
	limited := func(c *gateway.Config, s *spec.Snapshot) {
		c.Now = func() time.Time { return now } // no allowance comes back meanwhile
		s.APIs[0].Routes = append(s.APIs[0].Routes, spec.Route{
			Method: "GET", Path: "/limited", Public: true, Limits: []spec.Limit{{Count: limit, Period: spec.Duration(time.Hour), Per: "ip"}},
		})
	}
	fire := func(t *testing.T, h *house, l lane, c *http.Client, seen string) int64 {
		var passed atomic.Int64
		var all sync.WaitGroup
		for i := range asked {
			all.Go(func() {
				from := fmt.Sprintf("203.0.113.%d", i)
				chain := from
				if seen != "" {
					chain += ", " + seen
				}
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url("/limited"), nil)
				if err != nil {
					t.Error(err)
					return
				}
				for _, name := range []string{"X-Real-IP", "True-Client-IP", "X-Client-IP", "CF-Connecting-IP", "X-Cluster-Client-IP"} {
					r.Header.Set(name, from)
				}
				r.Header.Set("X-Forwarded-For", chain)
				r.Header.Set("Forwarded", "for="+from)
				l.mark(r)
				resp, err := c.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
				switch resp.StatusCode {
				case http.StatusOK:
					passed.Add(1)
				case http.StatusTooManyRequests:
				default:
					t.Errorf("status %d", resp.StatusCode)
				}
			})
		}
		all.Wait()
		return passed.Load()
	}
	onLanes(t, limited, func(t *testing.T, h *house, l lane, c *http.Client) {
		if n := fire(t, h, l, c, ""); n != limit {
			t.Errorf("%d passed, want %d", n, limit)
		}
	})
	trusting := func(c *gateway.Config, s *spec.Snapshot) {
		limited(c, s)
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
	onLanes(t, trusting, func(t *testing.T, h *house, l lane, c *http.Client) {
		for _, seen := range []string{"198.51.100.7", "198.51.100.8"} {
			if n := fire(t, h, l, c, seen); n != limit {
				t.Errorf("behind a proxy that has seen %s: %d passed, want %d", seen, n, limit)
			}
		}
	})
}
