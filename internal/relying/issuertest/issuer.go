// Package issuertest is an OpenID Connect issuer for tests that does what its script
// says: it signs everybody in at once, counts what it is asked, and misbehaves where a
// test wants it to. It must not know who is tested with it.
package issuertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// Issuer is a running issuer. Its exported fields are the script: change them with Set.
type Issuer struct {
	*httptest.Server
	ClientID, Secret string
	Audience         string

	mu     sync.Mutex
	script Script
	key    *ecdsa.PrivateKey
	grants map[string]*grant // by code and by refresh token
	counts map[string]int
	logins []url.Values // authorization requests, as they were understood
}

// Script says how the issuer behaves.
type Script struct {
	User      string
	ACR       string                             // that every sign-in achieves
	AMR       []string                           //
	AuthAge   time.Duration                      // how long ago the person signed in
	SID       string                             // empty = a new one for each grant
	Life      time.Duration                      // of access tokens; 0 = one hour
	ID        map[string]any                     // over the claims of ID tokens; nil values remove
	Access    map[string]any                     // likewise of access tokens
	Answer    url.Values                         // over the parameters of the authorization response; empty values remove
	Metadata  map[string]any                     // over the metadata
	SignID    func(claims map[string]any) string // nil = with the issuer's key
	Fail      map[string]int                     // path to the status with which it is answered
	Wait      chan struct{}                      // the token endpoint waits for it; nil = not
	NoOffline bool
	Now       func() time.Time // nil = time.Now
}

type grant struct {
	q       url.Values
	sid     string
	at      time.Time
	used    bool
	refresh bool
}

// New starts an issuer until the test ends.
func New(t testing.TB) *Issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &Issuer{ClientID: "gate way:1", Secret: "s3cret+/%", Audience: "api://test", key: key, grants: map[string]*grant{}, counts: map[string]int{}}
	i.script.User = "ana"
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Close)
	return i
}

// Set changes the script.
func (i *Issuer) Set(change func(*Script)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(&i.script)
}

// Count returns how often a path was asked for.
func (i *Issuer) Count(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.counts[path]
}

// Logins returns the authorization requests so far.
func (i *Issuer) Logins() []url.Values {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]url.Values(nil), i.logins...)
}

// JWKS returns the published keys.
func (i *Issuer) JWKS() []byte {
	raw, err := i.key.PublicKey.Bytes()
	if err != nil {
		return nil
	}
	return fmt.Appendf(nil, `{"keys":[{"kty":"EC","crv":"P-256","kid":"k1","alg":"ES256","use":"sig","x":%q,"y":%q}]}`, b64(raw[1:33]), b64(raw[33:65]))
}

// ServeHTTP answers one request.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.counts[r.URL.Path]++
	s := i.script
	i.mu.Unlock()
	if status := s.Fail[r.URL.Path]; status != 0 {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		i.metadata(w, s)
	case "/keys":
		_, _ = w.Write(i.JWKS())
	case "/authorize":
		i.authorize(w, r, s)
	case "/par":
		i.par(w, r)
	case "/token":
		if s.Wait != nil {
			<-s.Wait
		}
		i.token(w, r, s)
	case "/revoke":
		w.WriteHeader(http.StatusOK)
	case "/end":
		http.Redirect(w, r, r.URL.Query().Get("post_logout_redirect_uri"), http.StatusSeeOther)
	default:
		http.NotFound(w, r)
	}
}

func (i *Issuer) metadata(w http.ResponseWriter, s Script) {
	doc := map[string]any{
		"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
		"end_session_endpoint": i.URL + "/end", "revocation_endpoint": i.URL + "/revoke", "scopes_supported": []string{"openid", "offline_access"},
		"authorization_response_iss_parameter_supported": true,
	}
	if s.NoOffline {
		doc["scopes_supported"] = []string{"openid"}
	}
	merge(doc, s.Metadata)
	writeJSON(w, http.StatusOK, doc)
}

func (i *Issuer) par(w http.ResponseWriter, r *http.Request) {
	if !i.client(r) {
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	uri := "urn:request:" + rand.Text()
	i.mu.Lock()
	i.grants[uri] = &grant{q: r.PostForm}
	i.mu.Unlock()
	writeJSON(w, http.StatusCreated, map[string]any{"request_uri": uri, "expires_in": 60})
}

// authorize signs the person in at once and sends the browser back.
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request, s Script) {
	q := r.URL.Query()
	i.mu.Lock()
	if g := i.grants[q.Get("request_uri")]; g != nil {
		q = g.q
	}
	i.logins = append(i.logins, q)
	code := "code-" + rand.Text()
	g := &grant{q: q, sid: s.SID, at: now(s).Add(-s.AuthAge)}
	if g.sid == "" {
		g.sid = "sid-" + rand.Text()
	}
	i.grants[code] = g
	i.mu.Unlock()
	answer := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {i.URL}}
	for name, v := range s.Answer {
		answer[name] = v
		if len(v) == 0 {
			delete(answer, name)
		}
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+answer.Encode(), http.StatusSeeOther)
}

func (i *Issuer) client(r *http.Request) bool {
	id, secret, ok := r.BasicAuth()
	if _ = r.ParseForm(); !ok {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	} else {
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	}
	return id == i.ClientID && secret == i.Secret
}

// token redeems a code once, with its verifier, and rotates refresh tokens: one that
// comes twice ends the grant.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request, s Script) {
	if !i.client(r) {
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.counts["grant "+r.PostForm.Get("grant_type")]++
	code := r.PostForm.Get("code")
	refresh := r.PostForm.Get("grant_type") == "refresh_token"
	if refresh {
		code = r.PostForm.Get("refresh_token")
	}
	g := i.grants[code]
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	switch {
	case g == nil || g.used || g.refresh != refresh,
		!refresh && (b64(sum[:]) != g.q.Get("code_challenge") || r.PostForm.Get("redirect_uri") != g.q.Get("redirect_uri")):
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	g.used = true
	life := s.Life
	if life == 0 {
		life = time.Hour
	}
	at := now(s)
	access := map[string]any{
		"iss": i.URL, "aud": i.Audience, "sub": s.User, "uid": s.User, "cid": i.ClientID, "jti": rand.Text(), "iat": at.Unix(), "exp": at.Add(life).Unix(),
		"scp": strings.Fields(strings.ReplaceAll(strings.ReplaceAll(g.q.Get("scope"), "openid", ""), "offline_access", "")),
	}
	merge(access, s.Access)
	id := map[string]any{
		"iss": i.URL, "aud": i.ClientID, "sub": s.User, "sid": g.sid, "nonce": g.q.Get("nonce"), "iat": at.Unix(), "exp": at.Add(10 * time.Minute).Unix(),
		"auth_time": g.at.Unix(), "acr": s.ACR, "amr": s.AMR,
	}
	raw := i.Sign("at+jwt", access)
	half := sha256.Sum256([]byte(raw))
	id["at_hash"] = b64(half[:16])
	if s.ACR == "" {
		delete(id, "acr")
	}
	if s.AMR == nil {
		delete(id, "amr")
	}
	merge(id, s.ID)
	out := map[string]any{"access_token": raw, "token_type": "Bearer", "expires_in": int(life / time.Second), "id_token": i.Sign("JWT", id)}
	if s.SignID != nil {
		out["id_token"] = s.SignID(id)
	}
	if strings.Contains(g.q.Get("scope"), "offline_access") {
		next := "refresh-" + rand.Text()
		i.grants[next] = &grant{q: g.q, sid: g.sid, at: g.at, refresh: true}
		out["refresh_token"] = next
	}
	writeJSON(w, http.StatusOK, out)
}

// Sign signs a token with the issuer's key.
func (i *Issuer) Sign(typ string, claims map[string]any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed := b64(fmt.Appendf(nil, `{"alg":"ES256","kid":"k1","typ":%q}`, typ)) + "." + b64(body)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		panic(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return signed + "." + b64(sig)
}

// LogoutToken returns a logout token for a session, with claims over its own.
func (i *Issuer) LogoutToken(sid string, over map[string]any) string {
	c := map[string]any{
		"iss": i.URL, "aud": i.ClientID, "iat": time.Now().Unix(), "exp": time.Now().Add(2 * time.Minute).Unix(), "jti": rand.Text(), "sid": sid,
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	merge(c, over)
	return i.Sign("logout+jwt", c)
}

func merge(into, over map[string]any) {
	maps.Copy(into, over)
	for k, v := range over {
		if v == nil {
			delete(into, k)
		}
	}
}

func now(s Script) time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
