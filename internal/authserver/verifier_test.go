package authserver

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/verify"
)

// Somebody else's service, with nothing but the issuer's address: discovery, keys
// and tokens fit together, in both shapes and with both algorithms, over a
// rotation, without fetching the keys again for the next key.
func TestTokensVerifyElsewhere(t *testing.T) {
	for _, alg := range []string{access.ES256, access.RS256} {
		for _, shape := range []access.TokenShape{access.ShapeOkta, access.ShapeRFC9068} {
			t.Run(alg+" "+string(shape), func(t *testing.T) {
				h := newHouse(t)
				must(t, h.access.UpdateServer(h.ctx, h.admin, access.DefaultServer, access.ServerSettings{Algorithm: &alg, Shape: &shape}))
				a := h.app("job", "a:read", "b:read")
				first := h.token(a, "a:read b:read")
				h.rings.Tend(h.ctx) // the next key is there
				issuer := h.url + "/oauth2/default"
				remote, err := verify.NewRemoteKeys(verify.RemoteConfig{Issuer: issuer, Now: h.clock.Now})
				must(t, err)
				t.Cleanup(func() { must(t, remote.Close()) })
				must(t, remote.Fetch(h.ctx))
				v, err := verify.New(verify.Config{
					Issuers: []verify.Issuer{{URL: issuer, Keys: remote, Audience: []string{access.DefaultAudience}}}, Now: h.clock.Now,
				})
				must(t, err)
				fetches := remote.State()
				h.clock.Advance(time.Minute)
				must(t, h.access.RotateKeys(h.ctx, h.admin, access.DefaultServer))
				second := h.token(a, "a:read b:read")
				if claims(t, first, 0)["kid"] == claims(t, second, 0)["kid"] {
					t.Fatal("the key was not rotated")
				}
				for _, raw := range []string{first, second} {
					tok, err := v.Verify(h.ctx, []byte(raw))
					must(t, err)
					if d := cmp.Diff([]string{"a:read", "b:read"}, tok.Scopes); d != "" || tok.ClientID != a.ID || tok.Subject != a.ID {
						t.Errorf("client %q, subject %q, %s", tok.ClientID, tok.Subject, d)
					}
				}
				if d := cmp.Diff(fetches.Fetched, remote.State().Fetched); d != "" {
					t.Errorf("the keys had to be fetched again: %s", d)
				}
				if got := remote.TokenEndpoint(); got != issuer+"/v1/token" {
					t.Errorf("token endpoint %q", got)
				}
			})
		}
	}
}
