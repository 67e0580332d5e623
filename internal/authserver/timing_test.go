package authserver

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/grant"
)

// attack gateway 71: an unknown client is refused in the time that a known one
// with wrong credentials is. Medians of interleaved calls are compared, and a
// noisy machine gets several attempts; work that is left out for one of the two
// (a signature check is most of it) shows every time.
func TestUnknownClientTakesAsLong(t *testing.T) {
	h := newHouse(t)
	s := newSigner(t)
	forger := newSigner(t)
	secret, keyed := h.app("job"), h.keyApp(s, "keyed")
	const path = "/oauth2/default/v1/token"
	post := func(v url.Values) func() *http.Request {
		body := v.Encode()
		return func() *http.Request {
			r := httptest.NewRequestWithContext(h.ctx, http.MethodPost, path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return r
		}
	}
	assertion := func(alg, kid, client string) func() *http.Request {
		forged := ""
		for range 100 {
			forged = forger.sign(t, map[string]any{"alg": alg, "kid": kid}, h.assertion(client))
			// A signature that is no number below an RSA key's modulus is refused without
			// arithmetic, and moduli are chance: here it is below all of them.
			sig, err := base64.RawURLEncoding.DecodeString(forged[strings.LastIndexByte(forged, '.')+1:])
			must(t, err)
			if sig[0] < 0x80 {
				break
			}
		}
		return post(url.Values{
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			"client_assertion":      {forged},
		})
	}
	tests := []struct {
		name           string
		known, unknown func() *http.Request
	}{
		{"secret", post(url.Values{"client_id": {secret.ID}, "client_secret": {"wrong"}}), post(url.Values{"client_id": {"0oaNobody0123456789"}, "client_secret": {"wrong"}})},
		{"ES256", assertion("ES256", "ec", keyed.ID), assertion("ES256", "ec", "0oaNobody0123456789")},
		{"RS256", assertion("RS256", "rsa", keyed.ID), assertion("RS256", "rsa", "0oaNobody0123456789")},
		{"unknown kid", assertion("ES256", "ec", keyed.ID), assertion("ES256", "nope", keyed.ID)},
		{"client without keys", assertion("ES256", "ec", keyed.ID), assertion("ES256", "ec", secret.ID)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var ratio float64
			for range 8 {
				known, unknown := h.compare(t, tt.known, tt.unknown)
				ratio = float64(known) / float64(unknown)
				if ratio > 0.7 && ratio < 1.4 {
					return
				}
			}
			t.Errorf("a known client takes %.2f times as long as an unknown one", ratio)
		})
	}
}

// compare returns the median times of refusing either request.
func (h *house) compare(t *testing.T, a, b func() *http.Request) (time.Duration, time.Duration) {
	t.Helper()
	target := h.target()
	one := func(request func() *http.Request) time.Duration {
		r, w := request(), httptest.NewRecorder()
		form, err := grant.ReadForm(w, r)
		must(t, err)
		begin := time.Now()
		_, err = h.config.Clients.Authenticate(r, &form, target, "token")
		took := time.Since(begin)
		if grant.ReasonOf(err) != "invalid_client" {
			t.Fatalf("answered %v", err)
		}
		return took
	}
	var as, bs []time.Duration
	for range 151 {
		as, bs = append(as, one(a)), append(bs, one(b))
	}
	slices.Sort(as)
	slices.Sort(bs)
	return as[len(as)/2], bs[len(bs)/2]
}
