package grant

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// PreviewConfig is what a Previewer needs.
type PreviewConfig struct {
	Minter *Minter
	Judge  *Judge
}

// Previewer says what a request for a token would come to, and why: every policy
// and rule that is considered, what is granted, and where each claim comes from. It
// asks the Judge and the Minter that the token endpoint asks, and stops before the
// signature: nothing is minted, nothing is stored.
type Previewer struct{ cfg PreviewConfig }

// NewPreviewer returns a Previewer.
func NewPreviewer(cfg PreviewConfig) *Previewer { return &Previewer{cfg: cfg} }

// PreviewRequest is what would be asked for.
type PreviewRequest struct {
	Client    string
	GrantType string
	Scopes    []string
	User      string // id; empty: the client acts for itself
	Address   string // where the request comes from; empty: unknown
	Risk      string // of the person's sign-in; empty: unknown
	Device    access.Device
	// How the person is to be believed to have signed in.
	AuthTime time.Time
	ACR      string
	AMR      []string
	Nonce    string
}

// Preview is what the request would come to.
type Preview struct {
	Refusal    error // nil: there would be a token
	Scopes     []string
	Considered []access.Considered
	Decision   access.Decision
	Refresh    bool   // there would be a refresh token
	Access, ID []byte // claims as JSON; empty: no such token
	Claims     []access.ClaimStep
}

// Preview answers what would come of a request to the target's server. Its error is
// of what is asked itself, or of the store; what the server would refuse is in the
// preview.
func (p *Previewer) Preview(ctx context.Context, t *Target, q PreviewRequest) (out Preview, err error) {
	defer fault.Wrap(&err, "preview a token of authorization server %q", t.Server.Name)
	app, ok := t.View.App(q.Client)
	if !ok {
		return Preview{}, fault.New(fault.NotFound, "there is no app %q", q.Client)
	}
	if !access.KnownGrantType(q.GrantType) {
		return Preview{}, fault.New(fault.Invalid, "%q is not a grant type, known are %s", q.GrantType, strings.Join(access.GrantTypes(), ", "))
	}
	out.Refusal = p.run(ctx, t, app, &q, &out)
	if f := fault.Of(out.Refusal); out.Refusal != nil && (f == nil || f.Reason == "") {
		return Preview{}, out.Refusal
	}
	return out, nil
}

// run is the phases of the token endpoint from the client on, as far as they do not
// need a client that is there.
func (p *Previewer) run(ctx context.Context, t *Target, app *access.AppView, q *PreviewRequest, out *Preview) error {
	switch {
	case app.Status != access.Active:
		return Refuse("invalid_client", nil)
	case !app.MayUse(q.GrantType):
		return Refuse("unauthorized_client", nil, strings.Join(app.GrantTypes, ", "))
	case q.User == "" && app.Public():
		return Refuse("invalid_client", nil)
	}
	admit := func(*access.Scope) error { return nil }
	if q.User == "" {
		admit = clientCredentials{}.admit
	}
	var err error
	if out.Scopes, err = admitScopes(t, strings.Join(q.Scopes, " "), admit); err != nil {
		return err
	}
	who := &subject{name: app.ID}
	if q.User == "" {
		req := access.Request{Client: app.ID, GrantType: q.GrantType, Scopes: out.Scopes, Address: parseAddress(q.Address), Device: q.Device}
		out.Decision, err = judge(t, &req, &out.Considered)
	} else {
		a := Authorization{
			Client: app.ID, Server: t.Server.ID, User: q.User, Scopes: out.Scopes, Address: q.Address, Risk: q.Risk, assumed: q.Device,
			AuthTime: q.AuthTime, AMR: q.AMR, ACR: q.ACR, Nonce: q.Nonce,
		}
		who, out.Decision, err = p.cfg.Judge.consider(ctx, t, &a, q.GrantType, &out.Considered)
	}
	if err != nil {
		return err
	}
	return p.compose(t, app, who, q, out)
}

// compose makes the claims of the tokens. One claim that fails does not hide what
// comes of the others.
func (p *Previewer) compose(t *Target, app *access.AppView, who *subject, q *PreviewRequest, out *Preview) error {
	d := draft{app: app, who: who, scopes: out.Scopes, lifetime: out.Decision.AccessTokenLifetime, trace: &out.Claims}
	_, claims, _, failed := p.cfg.Minter.compose(t, &d)
	out.Access = claims
	if q.User != "" {
		out.Refresh = slices.Contains(out.Scopes, scopeOffline) && app.MayUse(access.GrantRefreshToken)
		if slices.Contains(out.Scopes, scopeOpenID) {
			id := idToken{app: app, who: who, scopes: out.Scopes, nonce: q.Nonce, trace: &out.Claims}
			var err error
			if out.ID, err = p.cfg.Minter.composeID(t, &id); failed == nil {
				failed = err
			}
		}
	}
	if failed != nil {
		out.Access, out.ID, out.Refresh = nil, nil, false
		return failed
	}
	for _, token := range []*[]byte{&out.Access, &out.ID} {
		*token = withoutID(*token)
	}
	return nil
}

// withoutID takes the id out of the claims of a token that there is not.
func withoutID(claims []byte) []byte {
	if len(claims) == 0 {
		return nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(claims, &all); err != nil {
		return claims
	}
	delete(all, "jti")
	short, err := json.Marshal(all)
	if err != nil {
		return claims
	}
	return short
}
