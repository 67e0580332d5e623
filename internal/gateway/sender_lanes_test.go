package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/gateway"
	"gatehouse/internal/spec"
)

// DPoP and signed requests are judged alike on every lane, HTTP/2 and TLS among
// them, where the address is spelled in other ways (attack gateway 41, 42; attack
// identity 40, 41).
func TestSendersOnLanes(t *testing.T) {
	partner := gateway.Ed25519Partner(t, "k1")
	change := func(_ *gateway.Config, s *spec.Snapshot) {
		s.Issuers = append(s.Issuers, spec.Issuer{Name: "acme", Keys: map[string]string{"k1": partner.PEM}})
		s.APIs = append(s.APIs, spec.API{
			Name: "signed", BasePath: "/signed", Upstream: s.APIs[0].Upstream, Auth: []string{"acme"},
			Routes: []spec.Route{{Method: "*", Path: "/x"}},
		})
	}
	onLanes(t, change, func(t *testing.T, h *house, l lane, c *http.Client) {
		k := gateway.NewProofKey(t)
		token := h.issuer.Token(t, k.Bound())
		proof := k.Proof(t, "GET", h.url("/orders/1"), token, nil, nil)
		for _, w := range []struct {
			name    string
			headers []string
			status  int
		}{
			{"good", []string{"Authorization", "DPoP " + token, "DPoP", proof}, 200},
			{"again", []string{"Authorization", "DPoP " + token, "DPoP", proof}, 401},
			{"as a bearer token", []string{"Authorization", "Bearer " + token}, 401},
			{"for another host", []string{"Authorization", "DPoP " + token, "DPoP", k.Proof(t, "GET", strings.Replace(h.url("/orders/1"), "127.0.0.1", "evil.test", 1), token, nil, nil)}, 401},
			{"for the other scheme", []string{"Authorization", "DPoP " + token, "DPoP", k.Proof(t, "GET", otherScheme(h.url("/orders/1")), token, nil, nil)}, 401},
		} {
			a := h.do(t, l, c, "GET", "/orders/1", "", w.headers...)
			if a.StatusCode != w.status {
				t.Errorf("DPoP, %s: %d %s", w.name, a.StatusCode, a.body)
			}
			if w.status == 200 && len(a.echo.Headers["Dpop"])+len(a.echo.Headers["Authorization"]) > 0 {
				t.Error("the upstream got the proof or the token")
			}
		}
		const body = `{"amount":5}`
		sign := func(method string) []string {
			s := gateway.Signed{
				Components: []string{"@method", "@target-uri", "content-digest"},
				Values:     map[string]string{"@method": method, "@target-uri": h.url("/signed/x?a=1"), "content-digest": gateway.ContentDigest(body)},
			}
			input, sig := partner.Sign(t, s)
			return []string{"Signature-Input", input, "Signature", sig, "Content-Digest", gateway.ContentDigest(body)}
		}
		if a := h.do(t, l, c, "POST", "/signed/x?a=1", body, sign("POST")...); a.StatusCode != 200 || a.echo.Body != body || len(a.echo.Headers["X-Client-Id"]) != 1 || a.echo.Headers["X-Client-Id"][0] != "acme" {
			t.Errorf("signed: %d %s", a.StatusCode, a.body)
		}
		if a := h.do(t, l, c, "POST", "/signed/x?a=1", body+" ", sign("POST")...); a.StatusCode != 401 {
			t.Errorf("signed, another body: %d", a.StatusCode)
		}
		if a := h.do(t, l, c, "PUT", "/signed/x?a=1", body, sign("POST")...); a.StatusCode != 401 {
			t.Errorf("signed, another method: %d", a.StatusCode)
		}
		// The connection is in order after bodies that were read here.
		if a := h.do(t, l, c, "GET", "/public/x", ""); a.StatusCode != 200 {
			t.Errorf("afterwards: %d", a.StatusCode)
		}
	})
}

func otherScheme(url string) string {
	if rest, ok := strings.CutPrefix(url, "https:"); ok {
		return "http:" + rest
	}
	return "https:" + strings.TrimPrefix(url, "http:")
}
