package relying

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/safehttp"
)

// grant is what the token endpoint answers (RFC 6749 section 5.1).
type grant struct {
	Access  string      `json:"access_token"`
	Type    string      `json:"token_type"`
	Life    json.Number `json:"expires_in"`
	Refresh string      `json:"refresh_token"`
	ID      string      `json:"id_token"`
}

// Bounds of an answer's parts. An access token travels in one header line elsewhere,
// and a session is kept whole in memory.
const (
	maxToken     = 16 << 10
	assumedLife  = 5 * time.Minute // of an access token that does not say
	longestLife  = 24 * time.Hour
	answersAsked = "application/json"
)

// until returns when the access token ends, in Unix seconds.
func (g *grant) until(now time.Time) int64 {
	life := assumedLife
	if n, err := g.Life.Int64(); err == nil && n > 0 {
		life = min(time.Duration(min(n, int64(longestLife/time.Second)))*time.Second, longestLife)
	}
	return now.Add(life).Unix()
}

// refused is the error of an issuer that has understood and says no.
type refused struct {
	status int
	code   string // its error code, as far as it is one
}

func (r refused) Error() string { return fmt.Sprintf("the issuer answered %d %s", r.status, r.code) }

// token asks the token endpoint. The error is a fault: Denied, with a refused in its
// chain, when the issuer says no; else Unavailable.
func (p *Party) token(ctx context.Context, m *metadata, form url.Values) (*grant, error) {
	a, err := p.post(ctx, m, m.Token, form)
	if err != nil {
		return nil, fault.Because(err, fault.Unavailable, "the token endpoint cannot be reached")
	}
	if a.Status != http.StatusOK {
		return nil, refusal(a)
	}
	g := &grant{}
	switch err := json.Unmarshal(a.Body, g); {
	case err != nil:
		return nil, fault.New(fault.Unavailable, "the token endpoint did not answer with the JSON that it should")
	case g.Access == "" || !strings.EqualFold(g.Type, "Bearer"):
		return nil, fault.New(fault.Unavailable, "the token endpoint did not answer with a bearer token")
	case len(g.Access)+len(g.Refresh)+len(g.ID) > 3*maxToken || !visible(g.Access):
		return nil, fault.New(fault.Unavailable, "the token endpoint answered with tokens that are too large, or are none")
	}
	return g, nil
}

// refusal reads an error answer. Only what says that the grant, the client or the
// request is not accepted is a no; all else may be otherwise a moment later.
func refusal(a safehttp.Answer) error {
	var doc struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(a.Body, &doc) != nil {
		doc.Error = ""
	}
	r := refused{a.Status, word(doc.Error)}
	if a.Status == http.StatusBadRequest && r.code != "" || a.Status == http.StatusUnauthorized && r.code == "invalid_client" {
		return fault.Because(r, fault.Denied, "the issuer refuses")
	}
	return fault.Because(r, fault.Unavailable, "the issuer does not do it now")
}

// word returns an error code as RFC 6749 writes them, "" for anything else: it is
// shown and logged.
func word(s string) string {
	if len(s) > 64 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return ""
	}
	return s
}

func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// assertionLife is how long a client assertion is good. Each is used once.
const assertionLife = time.Minute

// assertion makes a client assertion for the address that is called. It names no
// other, so that nobody else can use it: what the issuer's metadata call theirs is what
// gets it.
func (p *Party) assertion(address string) (string, error) {
	now := p.cfg.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": p.cfg.ClientID, "sub": p.cfg.ClientID, "aud": address, "jti": newSecret(), "iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	return p.cfg.Sign(claims)
}

// post sends a form with the client's authentication: an assertion where there is a
// key, else client_secret_basic, unless the issuer takes the secret in the form alone
// (RFC 6749 section 2.3.1).
func (p *Party) post(ctx context.Context, m *metadata, address string, form url.Values) (safehttp.Answer, error) {
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {answersAsked}}
	switch {
	case p.cfg.Sign != nil:
		jwt, err := p.assertion(address)
		if err != nil {
			return safehttp.Answer{}, err
		}
		form.Set("client_id", p.cfg.ClientID)
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", jwt)
	case p.cfg.Secret == "":
		form.Set("client_id", p.cfg.ClientID)
	case p.cfg.Post || offers(m.Methods, "client_secret_post") && !offers(m.Methods, "client_secret_basic"):
		form.Set("client_id", p.cfg.ClientID)
		form.Set("client_secret", p.cfg.Secret)
	default:
		pair := url.QueryEscape(p.cfg.ClientID) + ":" + url.QueryEscape(p.cfg.Secret)
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	return p.cfg.HTTP.PostForAnswer(ctx, address, h, []byte(form.Encode()))
}

// push stores an authorization request at the issuer (RFC 9126) and returns the
// request_uri that stands for it.
func (p *Party) push(ctx context.Context, m *metadata, q url.Values) (string, error) {
	a, err := p.post(ctx, m, m.PAR, q)
	if err != nil {
		return "", fault.Because(err, fault.Unavailable, "the issuer cannot be reached")
	}
	var doc struct {
		URI string `json:"request_uri"`
	}
	if a.Status != http.StatusCreated && a.Status != http.StatusOK {
		return "", refusal(a)
	}
	if json.Unmarshal(a.Body, &doc) != nil || doc.URI == "" || len(doc.URI) > 2048 {
		return "", fault.New(fault.Unavailable, "the issuer took the request and did not name it")
	}
	return doc.URI, nil
}

// forget tells the issuer that a token is not needed any more (RFC 7009), as far as
// it wants to know.
func (p *Party) forget(ctx context.Context, refresh string) {
	m, err := p.provider.get(ctx, p)
	if err != nil || m.Revocation == "" || refresh == "" {
		return
	}
	a, err := p.post(ctx, m, m.Revocation, url.Values{"token": {refresh}, "token_type_hint": {"refresh_token"}})
	if err != nil || a.Status != http.StatusOK {
		p.cfg.Logger.Debug("the issuer did not take back a refresh token", "issuer", p.cfg.Name, "status", a.Status, "error", err)
	}
}
