package telemetry

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// scrape returns the gatehouse_ lines of the metrics page.
func scrape(t *testing.T, m *Metrics) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	body, err := io.ReadAll(w.Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %v: %s", w.Code, err, body)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(body)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok && strings.HasPrefix(name, "gatehouse_") {
			out[name+"}"] = value
		} else if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(name, "#") {
			out[name] = value
		}
	}
	return out
}

func TestMetricsPage(t *testing.T) {
	m := NewMetrics(MetricsConfig{})
	r := m.Route("hr", "GET", "/vacations/{user}")
	r.Observe(200, "", 700*time.Microsecond, 1000)
	r.Observe(204, "", time.Millisecond, 0)
	r.Observe(403, "missing_scope", 2*time.Minute, 50)
	r.Observe(0, "", time.Millisecond, 0)
	r.Observe(599, "made_up_by_somebody", time.Second, -1)
	m.Reject("ambiguous_request")
	m.ConnectionOpened(Strict)
	m.ConnectionOpened(Strict)
	m.ConnectionClosed(Strict)
	m.ConnectionOpened(Standard)
	m.Reload(true)
	m.Reload(false)
	m.Revision("default", 17)
	m.TokenCache(true)
	m.TokenCache(false)
	m.TokenCache(true)
	m.KeyFetch("okta", true)
	m.KeyFetch("okta", false)
	m.TokenIssued("default", "client_credentials")
	m.WouldDeny("default", "no_contractors")
	m.LogDropped(3)
	u := m.Upstream("hr", "http://10.0.0.1:9000")
	u.Attempt(false)
	u.Attempt(true)
	u.Failed(FailTimeout)
	u.Ejected()
	u.Shed()
	u.Healthy(false)
	u.Breaker(BreakerOpen)

	got := scrape(t, m)
	const route = `{api="hr",method="GET",route="/vacations/{user}"`
	for name, want := range map[string]string{
		`gatehouse_requests_total{api="hr",class="2xx",method="GET",route="/vacations/{user}"}`:    "2",
		`gatehouse_requests_total{api="hr",class="4xx",method="GET",route="/vacations/{user}"}`:    "1",
		`gatehouse_requests_total{api="hr",class="0xx",method="GET",route="/vacations/{user}"}`:    "1",
		`gatehouse_requests_total{api="hr",class="5xx",method="GET",route="/vacations/{user}"}`:    "1",
		`gatehouse_request_duration_seconds_bucket` + route + `,le="0.0005"}`:                      "0",
		`gatehouse_request_duration_seconds_bucket` + route + `,le="0.001"}`:                       "3",
		`gatehouse_request_duration_seconds_bucket` + route + `,le="30"}`:                          "4",
		`gatehouse_request_duration_seconds_bucket` + route + `,le="+Inf"}`:                        "5",
		`gatehouse_request_duration_seconds_count` + route + `}`:                                   "5",
		`gatehouse_request_duration_seconds_sum` + route + `}`:                                     "121.0027",
		`gatehouse_sent_body_bytes_total` + route + `}`:                                            "1050",
		`gatehouse_rejected_total{api="hr",reason="missing_scope"}`:                                "1",
		`gatehouse_rejected_total{api="hr",reason="other"}`:                                        "1",
		`gatehouse_rejected_total{api="",reason="ambiguous_request"}`:                              "1",
		`gatehouse_connections_open{lane="strict"}`:                                                "1",
		`gatehouse_connections_total{lane="strict"}`:                                               "2",
		`gatehouse_connections_open{lane="standard"}`:                                              "1",
		`gatehouse_reloads_total{outcome="ok"}`:                                                    "1",
		`gatehouse_reloads_total{outcome="failed"}`:                                                "1",
		`gatehouse_snapshot_revision{tenant="default"}`:                                            "17",
		`gatehouse_token_cache_total{outcome="hit"}`:                                               "2",
		`gatehouse_token_cache_total{outcome="miss"}`:                                              "1",
		`gatehouse_issuer_key_fetches_total{issuer="okta",outcome="failed"}`:                       "1",
		`gatehouse_policy_would_deny_total{policy="no_contractors",tenant="default"}`:              "1",
		`gatehouse_tokens_issued_total{grant="client_credentials",server="default"}`:               "1",
		`gatehouse_access_log_dropped_total`:                                                       "3",
		`gatehouse_upstream_attempts_total{api="hr",target="http://10.0.0.1:9000"}`:                "2",
		`gatehouse_upstream_retries_total{api="hr",target="http://10.0.0.1:9000"}`:                 "1",
		`gatehouse_upstream_failures_total{api="hr",kind="timeout",target="http://10.0.0.1:9000"}`: "1",
		`gatehouse_upstream_ejections_total{api="hr",target="http://10.0.0.1:9000"}`:               "1",
		`gatehouse_upstream_shed_total{api="hr",target="http://10.0.0.1:9000"}`:                    "1",
		`gatehouse_upstream_healthy{api="hr",target="http://10.0.0.1:9000"}`:                       "0",
		`gatehouse_upstream_breaker{api="hr",target="http://10.0.0.1:9000"}`:                       "2",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %s", name, got[name], want)
		}
	}
	if got["go_goroutines"] == "" {
		t.Error("the Go runtime's metrics are missing")
	}
}

func TestRoutesLiveOnOverReload(t *testing.T) {
	m := NewMetrics(MetricsConfig{})
	const name = `gatehouse_requests_total{api="a",class="2xx",method="GET",route="/"}`
	old := m.Route("a", "GET", "/")
	old.Observe(200, "", 0, 0)
	next := m.Route("a", "GET", "/")
	gone := m.Route("b", "GET", "/")
	gone.Observe(403, "revoked", 0, 0)
	old.Release()
	next.Observe(200, "", 0, 0)
	if got := scrape(t, m)[name]; got != "2" {
		t.Errorf("%s after a reload that keeps the route, want 2", got)
	}
	gone.Release()
	gone.Observe(200, "", 0, 0) // an exchange that was still on its way
	next.Release()
	for name, v := range scrape(t, m) {
		if strings.Contains(name, `api="a"`) || strings.Contains(name, `api="b"`) {
			t.Errorf("%s %s is left of a route that is gone", name, v)
		}
	}
}

// Labels never grow without bound, whatever the configuration names.
func TestMetricsAreBounded(t *testing.T) {
	m := NewMetrics(MetricsConfig{MaxRoutes: 10, MaxTargets: 5, MaxNames: 4})
	var handles []*RouteMetrics
	for i := range 50 {
		r := m.Route(fmt.Sprint("api", i), "GET", "/")
		r.Observe(403, "revoked", 0, 0)
		handles = append(handles, r)
		m.Upstream("api", fmt.Sprint("http://t", i)).Attempt(false)
		m.TokenIssued(fmt.Sprint("server", i), "client_credentials")
		m.Revision(fmt.Sprint("tenant", i), 1)
	}
	counts := map[string]int{}
	got := scrape(t, m)
	for name := range got {
		family, _, _ := strings.Cut(name, "{")
		counts[family]++
	}
	for family, most := range map[string]int{
		"gatehouse_requests_total": 11, "gatehouse_rejected_total": 11, "gatehouse_upstream_attempts_total": 6,
		"gatehouse_tokens_issued_total": 5, "gatehouse_snapshot_revision": 5,
	} {
		if counts[family] > most || counts[family] < 2 {
			t.Errorf("%d series of %s, want at most %d", counts[family], family, most)
		}
	}
	if got := got[`gatehouse_requests_total{api="other",class="4xx",method="other",route="other"}`]; got != "40" {
		t.Errorf("%s requests of other routes, want 40", got)
	}
	if got := got[`gatehouse_tokens_issued_total{grant="other",server="other"}`]; got != "46" {
		t.Errorf("%s tokens of other servers, want 46", got)
	}
	for _, h := range handles {
		h.Release()
	}
	if len(m.routes) != 0 || len(m.apis) > 1 {
		t.Errorf("%d routes and %d APIs are left", len(m.routes), len(m.apis))
	}
}

// A histogram read while others write is whole in itself: the promises of the
// exposition format hold, and the race detector is content.
func TestMetricsWhileWriting(t *testing.T) {
	m := NewMetrics(MetricsConfig{})
	r := m.Route("a", "GET", "/")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					r.Observe(200, "", time.Millisecond, 1)
					m.Route("b", "GET", "/").Release()
				}
			}
		})
	}
	for range 20 {
		got := scrape(t, m)
		if got[`gatehouse_request_duration_seconds_bucket{api="a",method="GET",route="/",le="+Inf"}`] != got[`gatehouse_request_duration_seconds_count{api="a",method="GET",route="/"}`] {
			t.Error("the last bucket is not the count")
		}
	}
	close(stop)
	wg.Wait()
}

func TestObserveNoAllocation(t *testing.T) {
	m := NewMetrics(MetricsConfig{})
	r, u := m.Route("a", "GET", "/"), m.Upstream("a", "t")
	if n := testing.AllocsPerRun(100, func() {
		r.Observe(200, "policy_error", time.Millisecond, 100)
		u.Attempt(false)
		m.TokenCache(true)
		m.Reject("no_route")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNilUpstreamMetrics(t *testing.T) {
	u := (*Metrics)(nil).Upstream("a", "t")
	u.Attempt(true)
	u.Failed(FailConnect)
	u.Ejected()
	u.Shed()
	u.Healthy(true)
	u.Breaker(BreakerOpen)
	u.Release()
	if u != nil {
		t.Error("nil metrics gave counters")
	}
}

func BenchmarkObserve(b *testing.B) {
	r := NewMetrics(MetricsConfig{}).Route("a", "GET", "/")
	for b.Loop() {
		r.Observe(200, "", 3*time.Millisecond, 1000)
	}
}
