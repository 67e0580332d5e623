package relying

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/safehttp"
	"gatehouse/verify"
)

// A Client signs people in at an issuer for somebody who keeps flows and sessions of
// their own: an authorization server with external identity providers. It asks as a
// Party does, and judges what comes back as strictly, and keeps nothing.
type Client struct {
	party    *Party
	userinfo UserinfoCaller
}

// UserinfoCaller is a Caller that also asks with headers. *safehttp.Client is one.
type UserinfoCaller interface {
	Caller
	GetForAnswer(ctx context.Context, url string, header http.Header) (safehttp.Answer, error)
}

// ClientConfig is what NewClient needs. Site and Callback make the redirect URI; all
// but Secret, Scopes and Now are required.
type ClientConfig struct {
	Issuer   string
	Keys     verify.KeySource
	ClientID string
	Secret   string   // empty: a public client
	Scopes   []string // besides openid
	Site     string   // scheme and host, no slash at the end
	Callback string   // path that ends with callback
	HTTP     UserinfoCaller
	Now      func() time.Time
}

// NewClient returns a Client.
func NewClient(c ClientConfig) (*Client, error) {
	path, ok := strings.CutSuffix(c.Callback, "callback")
	if c.Issuer == "" || c.Keys == nil || c.ClientID == "" || c.HTTP == nil || !ok || c.Site == "" {
		return nil, fault.New(fault.Invalid, "sign-in needs an issuer with keys and a client id, a way to call, and where it comes back")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Client{userinfo: c.HTTP, party: &Party{
		cfg:  Config{Issuer: c.Issuer, Keys: c.Keys, Algorithms: verify.Algorithms(), ClientID: c.ClientID, Secret: c.Secret, Scopes: c.Scopes, HTTP: c.HTTP, Now: c.Now},
		path: path, once: true, provider: provider{turn: make(chan struct{}, 1)},
	}}, nil
}

// Flow is what must be remembered, by whoever begins a flow, until the browser is back:
// secret, and bound to that browser.
type Flow struct {
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	MaxAge   int64  `json:"max_age,omitempty"` // seconds; 0 = not asked for
}

// NewFlow returns a fresh one.
func NewFlow() Flow { return Flow{Nonce: newSecret(), Verifier: newSecret()} }

// Ask says what the sign-in is to achieve; empty fields are not asked for.
type Ask struct {
	State, ACR, Prompt, LoginHint string
}

func (c *Client) flow(f Flow, site string) *flow {
	return &flow{Nonce: f.Nonce, Verifier: f.Verifier, MaxAge: f.MaxAge, Origin: site}
}

// Address returns where the browser goes. The error is fault.Unavailable when the issuer
// cannot be asked how it wants to be, or refuses the request.
func (c *Client) Address(ctx context.Context, site string, f Flow, a Ask) (string, error) {
	inner := c.flow(f, site)
	inner.State, inner.hint = a.State, a.LoginHint
	return c.party.authorizationURL(ctx, inner, a.ACR, a.Prompt)
}

// Person is whom the issuer has signed in.
type Person struct {
	*verify.Token                // of the ID token
	Raw           string         // the ID token as it came
	more          map[string]any // of the userinfo endpoint
}

// Claim returns a claim of the ID token or, where it has none of the name, of the
// userinfo endpoint.
func (p *Person) Claim(name string) (any, bool) {
	if v, ok := p.Token.Claim(name); ok {
		return v, true
	}
	v, ok := p.more[name]
	return v, ok
}

// Finish returns who it is, by the parameters that the browser came back with. The error
// is fault.Denied for an answer that is not to be taken, else fault.Unavailable.
func (c *Client) Finish(ctx context.Context, site string, f Flow, q url.Values) (*Person, error) {
	for name, values := range q {
		if len(values) > 1 {
			return nil, fault.New(fault.Denied, "the parameter %s is there twice", word(name))
		}
	}
	g, id, err := c.party.exchange(ctx, c.flow(f, site), q)
	if err != nil {
		return nil, err
	}
	p := &Person{Token: id, Raw: g.ID}
	m, err := c.party.provider.get(ctx, c.party)
	if err != nil || m.Userinfo == "" {
		return p, err
	}
	// Issuers that give an access token often leave the profile out of the ID token.
	a, err := c.userinfo.GetForAnswer(ctx, m.Userinfo, http.Header{"Authorization": {"Bearer " + g.Access}})
	if err != nil {
		return nil, fault.Because(err, fault.Unavailable, "the userinfo endpoint cannot be reached")
	}
	if a.Status != http.StatusOK || json.Unmarshal(a.Body, &p.more) != nil {
		p.more = nil // what the ID token says is enough, or it is not
		return p, nil
	}
	// OpenID Connect Core section 5.3.2: else it may be somebody else's.
	if p.more["sub"] != id.Subject {
		return nil, fault.New(fault.Denied, "the userinfo endpoint answers about somebody else")
	}
	return p, nil
}

// Ends returns the address at which the issuer ends its own session; empty: it offers none.
func (c *Client) Ends(ctx context.Context) (string, error) {
	m, err := c.party.provider.get(ctx, c.party)
	if err != nil {
		return "", err
	}
	return m.EndSession, nil
}

// EndAddress returns where the browser goes to be signed out at the issuer (OpenID Connect
// RP-Initiated Logout 1.0 section 2), by its ID token, and comes back from.
func (c *Client) EndAddress(end, back, idToken, state string) string {
	return withQuery(end, url.Values{"id_token_hint": {idToken}, "client_id": {c.party.cfg.ClientID}, "post_logout_redirect_uri": {back}, "state": {state}})
}
