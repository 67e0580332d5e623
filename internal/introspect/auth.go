package introspect

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/verify"
)

// How the gateway proves to the issuer who it is.
const (
	AuthBasic = "basic"           // client_secret_basic, RFC 6749 section 2.3.1
	AuthPost  = "post"            // client_secret_post, the same section
	AuthKey   = "private_key_jwt" // RFC 7523 section 2.2
)

// assertionLife is how long one assertion is good. Each is used once.
const assertionLife = time.Minute

// signedAnswer is the type of an answer that is a JWT, RFC 9701 section 5.
const signedAnswer = "token-introspection+jwt"

// proof is the way to prove it, ready to use.
type proof struct {
	method string
	header string // value of Authorization
	form   string // parameters of the body
}

func newProof(c *Config) (p proof, err error) {
	p.method = c.Auth
	if p.method == "" {
		p.method = AuthBasic
	}
	switch {
	case p.method == AuthKey && (c.Sign == nil || c.NewID == nil):
		return p, fault.New(fault.Invalid, "introspection by private_key_jwt needs a key")
	case p.method != AuthKey && c.Secret == "":
		return p, fault.New(fault.Invalid, "introspection needs a client secret")
	}
	switch p.method {
	case AuthBasic:
		// Both parts are form-encoded before they are joined, so that a colon in either
		// is not taken for the one between them.
		pair := url.QueryEscape(c.ClientID) + ":" + url.QueryEscape(c.Secret)
		p.header = "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
	case AuthPost:
		p.form = "&client_id=" + url.QueryEscape(c.ClientID) + "&client_secret=" + url.QueryEscape(c.Secret)
	case AuthKey:
	default:
		return p, fault.New(fault.Invalid, "introspection by %q is not known", p.method)
	}
	return p, nil
}

// add proves it in a request to the endpoint.
func (c *Client) add(header http.Header, endpoint string) (form string, err error) {
	if c.proof.header != "" {
		header["Authorization"] = []string{c.proof.header}
	}
	if c.proof.method != AuthKey {
		return c.proof.form, nil
	}
	now := c.cfg.Now()
	// One audience: an assertion that somebody else would take, too, is refused by
	// careful servers (Gatehouse's own among them), and Okta wants the address that is asked.
	claims, err := json.Marshal(map[string]any{
		"iss": c.cfg.ClientID, "sub": c.cfg.ClientID, "aud": endpoint, "jti": c.cfg.NewID(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	jwt, err := c.cfg.Sign(claims)
	if err != nil {
		return "", err
	}
	return "&client_id=" + url.QueryEscape(c.cfg.ClientID) + "&client_assertion_type=" +
		url.QueryEscape("urn:ietf:params:oauth:client-assertion-type:jwt-bearer") + "&client_assertion=" + jwt, nil
}

// open returns the answer that a signed one holds (RFC 9701 section 5): of the type
// that no token has, by a key of the issuer, for this client, and fresh.
func (c *Client) open(ctx context.Context, raw []byte) ([]byte, error) {
	jws, err := verify.Parse(raw, len(raw))
	if err != nil {
		return nil, c.unreachable("its signed answer cannot be read", err)
	}
	if kind := strings.TrimPrefix(strings.ToLower(jws.Type), "application/"); kind != signedAnswer {
		return nil, c.unreachable("its signed answer is of another type", nil)
	}
	if !slices.Contains(verify.Algorithms(), jws.Algorithm) {
		return nil, c.unreachable("its answer is signed with an algorithm that is not accepted", nil)
	}
	key, err := c.cfg.Keys.Key(ctx, jws.KeyID, jws.Algorithm)
	if err != nil {
		return nil, c.unreachable("there is no key to check its signed answer with", err)
	}
	if !jws.Verify(key) {
		return nil, c.unreachable("the signature of its answer is not by its key", nil)
	}
	var doc struct {
		Issuer   string          `json:"iss"`
		Audience audience        `json:"aud"`
		IssuedAt float64         `json:"iat"`
		Answer   json.RawMessage `json:"token_introspection"`
	}
	if err := json.Unmarshal(jws.Payload, &doc); err != nil {
		return nil, c.unreachable("the claims of its signed answer cannot be read", err)
	}
	now := float64(c.cfg.Now().Unix())
	switch old := now - doc.IssuedAt; {
	case doc.Issuer != c.cfg.Issuer:
		return nil, c.unreachable("its signed answer names another issuer", nil)
	case !slices.Contains(doc.Audience, c.cfg.ClientID):
		return nil, c.unreachable("its signed answer is for another client", nil)
	case old < -leeway.Seconds() || old > (leeway+MaxLife).Seconds():
		return nil, c.unreachable("its signed answer is not of now", nil)
	}
	return doc.Answer, nil
}

// audience is one text or a list of them (RFC 7519 section 4.1.3).
type audience []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}
