package decide

import (
	"net/http"
	"net/netip"
	"testing"

	"gatehouse/internal/gateway"
)

const secret = "a-secret-of-at-least-32-characters"

func knows(token string) bool { return token == secret }

// Whoever is not named may not ask, and a token that is asked for has to be there
// exactly once.
func TestWhoMayAsk(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for _, c := range []struct {
		name   string
		trust  Trust
		peer   string
		tokens []string
		want   string
	}{
		{"this machine", Trust{}, "127.0.0.1:1", nil, ""},
		{"another, unnamed", Trust{}, "10.1.2.3:1", nil, whyAddress},
		{"named", Trust{Networks: proxies}, "10.1.2.3:1", nil, ""},
		{"named, in the long form", Trust{Networks: proxies}, "[::ffff:10.1.2.3]:1", nil, ""},
		{"named, with a zone", Trust{Networks: proxies}, "[2001:db8::1%eth0]:1", nil, ""},
		{"this machine, when others are named", Trust{Networks: proxies}, "127.0.0.1:1", nil, whyAddress},
		{"no address", Trust{Networks: proxies}, "@", nil, whyAddress},
		{"token", Trust{Token: knows}, "127.0.0.1:1", []string{secret}, ""},
		{"token missing", Trust{Token: knows}, "127.0.0.1:1", nil, whyToken},
		{"token twice", Trust{Token: knows}, "127.0.0.1:1", []string{secret, secret}, whyToken},
		{"token wrong", Trust{Token: knows}, "127.0.0.1:1", []string{"x"}, whyToken},
		{"token, wrong address", Trust{Networks: proxies, Token: knows}, "192.0.2.1:1", []string{secret}, whyAddress},
	} {
		if got := c.trust.Refuses(c.peer, c.tokens); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A proxy's token travels beside the client's own Authorization, and no further.
func TestTheTokenOfAProxy(t *testing.T) {
	var got *http.Request
	h := NewForward(Config{Trust: Trust{Token: knows}, Decider: deciderFunc(func(r *http.Request) gateway.Answer {
		got = r
		return gateway.Answer{Status: 200}
	})})
	for _, c := range []struct {
		header http.Header
		want   int
	}{
		{http.Header{TokenHeader: {secret}, "Authorization": {"Bearer x"}}, 200},
		{http.Header{"Authorization": {"Bearer " + secret}}, 403},
		{http.Header{TokenHeader: {secret, "the client's"}}, 403},
	} {
		got = nil
		w := record(h, traefik(c.header))
		if w.Code != c.want || (got != nil) != (c.want == 200) {
			t.Errorf("%v: %d", c.header, w.Code)
		}
		if got != nil && (got.Header.Get(TokenHeader) != "" || got.Header.Get("Authorization") != "Bearer x") {
			t.Errorf("decided about %v", got.Header)
		}
	}
}
