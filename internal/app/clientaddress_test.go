package app

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

// attack gateway: what a stranger writes into X-Forwarded-For is not believed, and
// neither is what stands left of the first address that is no proxy of ours.
func TestClientAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for _, tt := range []struct {
		name, peer string
		lines      []string
		want       string
	}{
		{"no proxy", "203.0.113.9:99", nil, "203.0.113.9:99"},
		{"a stranger claims", "203.0.113.9:99", []string{"198.51.100.1"}, "203.0.113.9:99"},
		{"a proxy says nothing", "10.0.0.1:99", nil, "10.0.0.1:99"},
		{"a proxy says", "10.0.0.1:99", []string{"198.51.100.1"}, "198.51.100.1:99"},
		{"two proxies", "10.0.0.1:99", []string{"198.51.100.1, 10.0.0.2"}, "198.51.100.1:99"},
		{"the client claims, the proxy appends", "10.0.0.1:99", []string{"192.0.2.1, 198.51.100.1"}, "198.51.100.1:99"},
		{"the client's own line", "10.0.0.1:99", []string{"192.0.2.1", "198.51.100.1"}, "198.51.100.1:99"},
		{"garbage behind a proxy", "10.0.0.1:99", []string{"192.0.2.1, unknown"}, "10.0.0.1:99"},
		{"with a port", "10.0.0.1:99", []string{"198.51.100.1:5000"}, "198.51.100.1:99"},
		{"an IPv6 client of an IPv6 proxy", "[2001:db8::1]:99", []string{"2001:db9::7"}, "[2001:db9::7]:99"},
		{"a mapped peer", "[::ffff:10.0.0.1]:99", []string{"198.51.100.1"}, "198.51.100.1:99"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			r.RemoteAddr = tt.peer
			for _, l := range tt.lines {
				r.Header.Add("X-Forwarded-For", l)
			}
			var got string
			clientAddress(trusted, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr })).ServeHTTP(httptest.NewRecorder(), r)
			if got != tt.want {
				t.Errorf("the caller is %s, want %s", got, tt.want)
			}
		})
	}
}
