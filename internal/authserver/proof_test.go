package authserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
)

// proofKey is the key of a client that sends DPoP proofs.
type proofKey struct {
	key        *ecdsa.PrivateKey
	jwk        map[string]any
	thumbprint string
}

func newProofKey(t testing.TB) *proofKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	raw, err := key.PublicKey.Bytes()
	must(t, err)
	x, y := b64(raw[1:33]), b64(raw[33:65])
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, x, y))
	return &proofKey{key, map[string]any{"kty": "EC", "crv": "P-256", "x": x, "y": y}, b64(sum[:])}
}

// proof is a good one for the token endpoint, changed by the header members and
// claims; nil takes one out.
func (k *proofKey) proof(s *signIn, nonce string, header, claims map[string]any) string {
	s.t.Helper()
	h := map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": k.jwk}
	c := map[string]any{"htm": "POST", "htu": s.url + "/oauth2/default/v1/token", "jti": rand.Text(), "iat": s.clock.Now().Unix(), "nonce": nonce}
	maps.Copy(h, header)
	maps.Copy(c, claims)
	for _, m := range []map[string]any{h, c} {
		maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil || v == "" })
	}
	rawHeader, err := json.Marshal(h)
	must(s.t, err)
	rawClaims, err := json.Marshal(c)
	must(s.t, err)
	signed := b64(rawHeader) + "." + b64(rawClaims)
	sum := sha256.Sum256([]byte(signed))
	r, sig, err := ecdsa.Sign(rand.Reader, k.key, sum[:])
	must(s.t, err)
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	sig.FillBytes(out[32:])
	return signed + "." + b64(out)
}

// prove sends a token request with a proof.
func (s *signIn) prove(v url.Values, proofs ...string) answer {
	s.t.Helper()
	header := []string{"Authorization", basic(s.app.ID, s.app.Secret)}
	if s.app.Secret == "" {
		v.Set("client_id", s.app.ID)
		header = nil
	}
	for _, p := range proofs {
		header = append(header, "DPoP", p)
	}
	return s.call(http.MethodPost, "/oauth2/default/v1/token", v.Encode(), header...)
}

func (s *signIn) codeRequest() url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {s.code(s.authorization())}, "redirect_uri": {callback}, "code_verifier": {verifier}}
}

// nonce gets a nonce as clients do: from the refusal of a proof without one.
func (s *signIn) nonce(k *proofKey) string {
	s.t.Helper()
	got := s.prove(s.codeRequest(), k.proof(s, "", nil, nil))
	got.want(s.t, http.StatusBadRequest, "use_dpop_nonce")
	return got.header.Get("Dpop-Nonce")
}

// attack identity 28 and 40: a token is bound to the key that was proved, and a
// refresh does not get rid of that.
func TestProofBindsTokens(t *testing.T) {
	for _, public := range []bool{false, true} {
		s := newSignIn(t, func(a *access.App) {
			a.OIDC.Rotation = access.StaticTokens
			if public {
				a.AuthMethod, a.Secrets, a.OIDC.ApplicationType = access.AuthNone, nil, access.AppBrowser
			}
		})
		if public {
			s.app.Secret = ""
		}
		k, other := newProofKey(t), newProofKey(t)
		nonce := s.nonce(k)
		got := s.prove(s.codeRequest(), k.proof(s, nonce, nil, nil)).ok(t)
		cnf, _ := claims(t, got.text("access_token"), 1)["cnf"].(map[string]any)
		if got.text("token_type") != "DPoP" || cnf["jkt"] != k.thumbprint {
			t.Errorf("%s, %v", got.text("token_type"), cnf)
		}
		if !public {
			if in := s.introspect(s.app, got.text("access_token")); in.text("token_type") != "DPoP" || in.json["cnf"] == nil {
				t.Errorf("%s", in.body)
			}
		}
		again := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.text("refresh_token")}}
		s.prove(again).want(t, http.StatusBadRequest, "invalid_dpop_proof")
		if got := s.prove(again, other.proof(s, nonce, nil, nil)); (got.status == http.StatusOK) == public {
			t.Errorf("public %t: a refresh with another key: %d", public, got.status)
		}
		cnf, _ = claims(t, s.prove(again, k.proof(s, nonce, nil, nil)).ok(t).text("access_token"), 1)["cnf"].(map[string]any)
		if cnf["jkt"] != k.thumbprint {
			t.Errorf("refreshed: %v", cnf)
		}
	}
}

// attack identity 40: proofs that are not good.
func TestProofRefusals(t *testing.T) {
	s := newSignIn(t, nil)
	k := newProofKey(t)
	nonce := s.nonce(k)
	private := maps.Clone(k.jwk)
	private["d"] = "x"
	for name, tc := range map[string]struct {
		header, claims map[string]any
		error          string
	}{
		"another method":        {nil, map[string]any{"htm": "GET"}, "invalid_dpop_proof"},
		"another address":       {nil, map[string]any{"htu": s.url + "/oauth2/default/v1/authorize"}, "invalid_dpop_proof"},
		"another server":        {nil, map[string]any{"htu": s.url + "/oauth2/v1/token"}, "invalid_dpop_proof"},
		"another host":          {nil, map[string]any{"htu": "http://id.evil.test/oauth2/default/v1/token"}, "invalid_dpop_proof"},
		"a user in the host":    {nil, map[string]any{"htu": strings.Replace(s.url, "://", "://x@", 1) + "/oauth2/default/v1/token"}, "invalid_dpop_proof"},
		"no htu":                {nil, map[string]any{"htu": nil}, "invalid_dpop_proof"},
		"no jti":                {nil, map[string]any{"jti": nil}, "invalid_dpop_proof"},
		"no iat":                {nil, map[string]any{"iat": nil}, "invalid_dpop_proof"},
		"iat in the past":       {nil, map[string]any{"iat": s.clock.Now().Add(-6 * time.Minute).Unix()}, "invalid_dpop_proof"},
		"iat in the future":     {nil, map[string]any{"iat": s.clock.Now().Add(6 * time.Minute).Unix()}, "invalid_dpop_proof"},
		"no nonce":              {nil, map[string]any{"nonce": nil}, "use_dpop_nonce"},
		"a made-up nonce":       {nil, map[string]any{"nonce": "1777885200.AAAA"}, "use_dpop_nonce"},
		"another type":          {map[string]any{"typ": "JWT"}, nil, "invalid_dpop_proof"},
		"symmetric":             {map[string]any{"alg": "HS256"}, nil, "invalid_dpop_proof"},
		"none":                  {map[string]any{"alg": "none"}, nil, "invalid_dpop_proof"},
		"no key":                {map[string]any{"jwk": nil}, nil, "invalid_dpop_proof"},
		"a private key":         {map[string]any{"jwk": private}, nil, "invalid_dpop_proof"},
		"the key of another":    {map[string]any{"jwk": newProofKey(t).jwk}, nil, "invalid_dpop_proof"},
		"an address to ask for": {map[string]any{"jwk": nil, "jku": "http://169.254.169.254/"}, nil, "invalid_dpop_proof"},
	} {
		t.Run(name, func(t *testing.T) {
			s.prove(s.codeRequest(), k.proof(s, nonce, tc.header, tc.claims)).want(t, http.StatusBadRequest, tc.error)
		})
	}
	s.prove(s.codeRequest(), k.proof(s, nonce, nil, nil), k.proof(s, nonce, nil, nil)).want(t, http.StatusBadRequest, "invalid_dpop_proof")
	once := k.proof(s, nonce, nil, map[string]any{"htu": s.url + "/oauth2/default/v1/token?x=1#y"})
	s.prove(s.codeRequest(), once).ok(t)
	s.prove(s.codeRequest(), once).want(t, http.StatusBadRequest, "invalid_dpop_proof")

	// A nonce is renewed before it ends, and refused after that.
	s.clock.Advance(2 * time.Minute)
	got := s.prove(s.codeRequest(), k.proof(s, nonce, nil, nil)).ok(t)
	renewed := got.header.Get("Dpop-Nonce")
	s.clock.Advance(2 * time.Minute)
	s.prove(s.codeRequest(), k.proof(s, nonce, nil, nil)).want(t, http.StatusBadRequest, "use_dpop_nonce")
	s.prove(s.codeRequest(), k.proof(s, renewed, nil, nil)).ok(t)
}

// A proof of who gets nothing by it is not kept: anybody could fill the store with them. It
// is good for the request that does.
func TestProofOfWhatIsRefused(t *testing.T) {
	s := newSignIn(t, nil)
	k := newProofKey(t)
	once := k.proof(s, s.nonce(k), nil, nil)
	wrong := s.codeRequest()
	wrong.Set("code", "none")
	s.prove(wrong, once).want(t, http.StatusBadRequest, "invalid_grant")
	s.prove(s.codeRequest(), once).ok(t)
	s.prove(s.codeRequest(), once).want(t, http.StatusBadRequest, "invalid_dpop_proof")
}

// attack identity 40: a code that is bound to a key (dpop_jkt) is worth nothing with
// another one, and an app that must send proofs gets nothing without.
func TestProofOfBoundCode(t *testing.T) {
	s := newSignIn(t, func(a *access.App) { a.OIDC.DPoPBound = true })
	k := newProofKey(t)
	a := s.authorization()
	a.JKT = k.thumbprint
	v := s.codeRequest()
	v.Set("code", s.code(a))
	s.prove(v).want(t, http.StatusBadRequest, "invalid_dpop_proof")
	nonce := s.nonce(k)
	s.prove(v, newProofKey(t).proof(s, nonce, nil, nil)).want(t, http.StatusBadRequest, "invalid_dpop_proof")
	s.prove(v, k.proof(s, nonce, nil, nil)).ok(t)
}

// attack identity 40: of 32 uses of one proof at once one is good.
func TestProofRace(t *testing.T) {
	s := newSignIn(t, nil)
	k := newProofKey(t)
	proof := k.proof(s, s.nonce(k), nil, nil)
	requests := make([]url.Values, 32)
	for i := range requests {
		requests[i] = s.codeRequest()
	}
	var wg sync.WaitGroup
	answers := make([]answer, len(requests))
	for i := range answers {
		wg.Go(func() { answers[i] = s.prove(requests[i], proof) })
	}
	wg.Wait()
	good := 0
	for _, a := range answers {
		if a.status == http.StatusOK {
			good++
		}
	}
	if good != 1 {
		t.Errorf("%d of 32 were good", good)
	}
}
