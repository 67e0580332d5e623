// Package grant is the token endpoint (RFC 6749 section 3.2): who may have which
// token. The phases that nobody may forget are one table here, in order; a grant
// type is one file that supplies only its own part. The room also authenticates
// clients for the other protocol endpoints, keeps the signing rings of the
// servers, and mints.
//
// It must not know SQL, the gateway, or how a person signs in.
package grant

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/issued"
)

// Config is what an Endpoint needs.
type Config struct {
	Clients *Clients
	Minter  *Minter
	Audit   audit.Recorder
	Log     *slog.Logger
	Now     func() time.Time // the clock

	Proofs  *Proofs
	Judge   *Judge
	Codes   CodeStore
	Refresh RefreshStore
	Devices DeviceStore // nil: no page for devices is there, and so no device grant
	Grants  Revoker
	// Certificates are those that clients show; nil: none can.
	Certificates *Certificates

	Passwords Passwords    // nil: no password grant
	Users     Users        // nil: no JWT bearer
	Single    SingleUse    // of its assertions
	Derived   DerivedStore // nil: no token exchange
	Inspector *Inspector
}

// Revoker ends grants; when it returns nil every live node refuses their tokens.
type Revoker interface {
	Revoke(ctx context.Context, s issued.Selection) (int, error)
}

// Endpoint is the token endpoint of every authorization server.
type Endpoint struct {
	cfg    Config
	grants map[string]grantType
	types  []string // the grant types, as the metadata shows them
	names  string   // of the grant types, for messages
}

// grantType is what one way to get a token adds to the phases.
type grantType interface {
	name() string
	// prove finds out whom the token is for, and sets the exchange's subject.
	prove(e *Endpoint, x *exchange) error
	// narrow sets the exchange's scopes: which of those that are asked for can be had
	// in this way at all.
	narrow(x *exchange) error
	// persist stores what must be known later, and uses up what may be used once.
	persist(e *Endpoint, x *exchange) error
}

// New returns the token endpoint.
func New(cfg Config) *Endpoint {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	e := &Endpoint{cfg: cfg, grants: map[string]grantType{}}
	all := []grantType{authorizationCode{}, clientCredentials{}, refreshToken{}}
	if cfg.Devices != nil {
		all = append(all, deviceCode{})
	}
	if cfg.Derived != nil {
		all = append(all, tokenExchange{})
	}
	if cfg.Passwords != nil {
		all = append(all, passwordGrant{})
	}
	if cfg.Users != nil {
		all = append(all, jwtBearer{})
	}
	for _, g := range all {
		e.grants[g.name()] = g
		e.types = append(e.types, g.name())
	}
	e.names = strings.Join(e.GrantTypes(), ", ")
	return e
}

// GrantTypes returns the grant types that the endpoint serves, in the order in
// which the metadata shows them.
func (e *Endpoint) GrantTypes() []string { return slices.Clone(e.types) }

// exchange is one request on its way through the phases.
type exchange struct {
	w      http.ResponseWriter
	r      *http.Request
	target *Target
	// certificates are those that clients show.
	certificates *Certificates

	form     Form
	app      *access.AppView // set when the client is authenticated
	proven   func() error    // uses up what has proved it
	grant    grantType
	subject  subject
	scopes   []string
	audience []string        // of the token; nil: the server's own
	details  json.RawMessage // authorization details of the token; nil: none
	decision access.Decision
	minted   minted

	// Of grants that people have made; nil and empty for others.
	kept         *issued.Grant
	code         *issued.Code                // that is redeemed
	device       *issued.Device              // that is redeemed
	old          *issued.Refresh             // that was presented
	presented    string                      // refresh token
	shown        string                      // x5t#S256 of the certificate that the client has shown
	x5t          string                      // that of the certificate that the token is to be bound to
	jkt          string                      // thumbprint of the key that the client has proved to have
	useProof     func(context.Context) error // uses up what has proved it
	made         issued.Made
	begins       bool       // kept is not stored yet: this request begins it
	vouched      *assertion // of JWT bearer
	exchanged    *exchanged // nil: no token exchange
	idToken      string
	refreshToken string
}

func (x *exchange) ctx() context.Context { return x.r.Context() }

// phase is one step of every token request.
type phase struct {
	name string
	why  string
	do   func(*Endpoint, *exchange) error
}

// phases are run in this order; the first error ends the request.
var phases = [...]phase{
	{"parse", "one reading of the body that everything after it uses: bounded, no parameter twice, no credentials in the address", (*Endpoint).parse},
	{"authenticate client", "before anything of the grant is looked at, so that strangers cannot probe codes and tokens", (*Endpoint).authenticate},
	{"bind sender", "a proof that is not understood must not be ignored: the client would believe its token is bound", (*Endpoint).bindSender},
	{"prove identity", "the grant type says whom the token is for", (*Endpoint).prove},
	{"narrow scopes", "only scopes that exist on this server and that the grant type can give", (*Endpoint).narrowScopes},
	{"narrow targets", "the token is for the APIs that are named and for no others (RFC 8707)", (*Endpoint).narrowTargets},
	{"narrow details", "authorization details that the server knows, and no more than were granted (RFC 9396)", (*Endpoint).narrowDetails},
	{"evaluate access rules", "first match wins and fixes the lifetime; no match is no token", (*Endpoint).evaluate},
	{"mint", "signed by the server's own key", (*Endpoint).mint},
	{"persist", "what must be known later is stored before the client has the token", (*Endpoint).persist},
	{"respond", "never cached", (*Endpoint).respond},
}

// ServeToken answers one request to the token endpoint of the target.
func (e *Endpoint) ServeToken(w http.ResponseWriter, r *http.Request, t *Target) {
	x := &exchange{w: w, r: r, target: t, certificates: e.cfg.Certificates}
	for i := range phases {
		if err := phases[i].do(e, x); err != nil {
			e.recordRefusal(x, err)
			WriteError(w, r, e.cfg.Log, err)
			return
		}
	}
}

func (e *Endpoint) parse(x *exchange) error {
	var err error
	if x.form, err = readTokenRequest(x); err != nil {
		return err
	}
	name := x.form.Get("grant_type")
	if name == "" {
		return Refuse("token_request_missing_grant_type", nil, e.names)
	}
	g, ok := e.grants[name]
	if !ok {
		return Refuse("unsupported_grant_type", nil, e.names)
	}
	x.grant = g
	return nil
}

func (e *Endpoint) authenticate(x *exchange) error {
	var err error
	if x.app, x.proven, err = e.cfg.Clients.Recognize(x.r, &x.form, x.target, "token"); err != nil {
		return err
	}
	if !x.app.MayUse(x.grant.name()) {
		return Refuse("unauthorized_client", nil, strings.Join(x.app.GrantTypes, ", "))
	}
	return nil
}

func (e *Endpoint) bindSender(x *exchange) error {
	if err := e.bindKey(x, "token"); err != nil {
		return err
	}
	if x.jkt == "" && x.x5t == "" && x.target.Server.Holds(x.app) {
		if x.x5t = x.shown; x.x5t == "" {
			return Refuse("profile_sender", nil)
		}
	}
	return x.proven()
}

// Proven returns the thumbprint of the key that a client proves to have at one of the
// endpoints, empty when it brings no proof, and what uses the proof up.
func (e *Endpoint) Proven(w http.ResponseWriter, r *http.Request, t *Target, app *access.AppView, endpoint string) (jkt string, use func(context.Context) error, err error) {
	return e.cfg.Proofs.Look(w, r, t, e.occasion(t, app, endpoint))
}

func (*Endpoint) occasion(t *Target, app *access.AppView, endpoint string) Occasion {
	return Occasion{Endpoint: endpoint, FAPI2: t.Server.Holds(app)}
}

// bindKey finds out which key the token is to be bound to.
func (e *Endpoint) bindKey(x *exchange, endpoint string) error {
	var err error
	if x.jkt, x.useProof, err = e.Proven(x.w, x.r, x.target, x.app, endpoint); err != nil {
		return err
	}
	if x.jkt == "" && x.app.OIDC.DPoPBound {
		return Refuse("dpop_missing", nil)
	}
	_, x.shown = e.cfg.Certificates.of(x.r, x.target.Tenant)
	if x.app.Extension.CertificateBound {
		if x.x5t = x.shown; x.x5t == "" {
			return Refuse("certificate_missing", nil)
		}
	}
	return nil
}

func (e *Endpoint) prove(x *exchange) error { return x.grant.prove(e, x) }

func (e *Endpoint) narrowScopes(x *exchange) error { return x.grant.narrow(x) }

func (e *Endpoint) evaluate(x *exchange) error {
	if x.kept != nil {
		return e.evaluatePerson(x)
	}
	if x.exchanged != nil && x.exchanged.subject.UserID != "" {
		return e.evaluateOnBehalf(x)
	}
	req := access.Request{Client: x.app.ID, GrantType: x.grant.name(), Scopes: x.scopes, Address: parseAddress(x.r.RemoteAddr)}
	if x.target.Server.AsksDevice() {
		d := e.cfg.Certificates.Device(x.r, x.target.Tenant)
		req.Device.Managed = d.Certificate != ""
	}
	var err error
	x.decision, err = judge(x.target, &req, nil)
	return err
}

func (e *Endpoint) mint(x *exchange) error {
	var err error
	d := draft{app: x.app, who: &x.subject, jkt: x.jkt, x5t: x.x5t, scopes: x.scopes, audience: x.audience, lifetime: x.decision.AccessTokenLifetime}
	if x.kept != nil {
		d.session = x.kept.Session
	}
	d.details = x.details
	x.exchanged.onto(&d, e.cfg.Now())
	id := x.idDraft()
	if err := e.cfg.Minter.transform(x.ctx(), x.target, &x.decision, x.grant.name(), &d, id); err != nil {
		return err
	}
	x.exchanged.onto(&d, e.cfg.Now()) // whatever lifetime the hook has chosen
	x.minted, err = e.cfg.Minter.mint(x.ctx(), x.target, &d)
	if err != nil || x.kept == nil {
		return err
	}
	return e.mintPerson(x, id)
}

// persist records the event as well, so that a token that a client has is in the
// system log.
func (e *Endpoint) persist(x *exchange) error {
	if err := x.useProof(x.ctx()); err != nil {
		return err
	}
	if err := x.grant.persist(e, x); err != nil {
		return err
	}
	ev := granted(x.target, x.app, x.grant.name(), x.scopes, &x.subject, &x.decision, &x.minted, RequestClient(x.r))
	x.exchanged.describe(ev.Debug)
	e.cfg.Audit.Record(ev)
	return nil
}

func (e *Endpoint) respond(x *exchange) error {
	scope := strings.Join(x.scopes, " ")
	b := make([]byte, 0, 192+len(scope)+len(x.minted.token)+len(x.idToken))
	b = append(b, '{')
	b = memberString(b, "token_type", tokenType(x.jkt))
	b = memberInt(b, "expires_in", int64(x.minted.lifetime/time.Second))
	b = memberString(b, "access_token", x.minted.token)
	b = memberString(b, "scope", scope)
	if x.refreshToken != "" {
		b = memberString(b, "refresh_token", x.refreshToken)
	}
	if x.idToken != "" {
		b = memberString(b, "id_token", x.idToken)
	}
	if x.details != nil {
		b = append(member(b, "authorization_details"), x.details...)
	}
	if x.exchanged != nil {
		b = memberString(b, "issued_token_type", x.exchanged.issuedType)
	}
	WriteJSON(x.w, http.StatusOK, append(b, '}'))
	return nil
}

// DescribePhases returns the table of phases for people, one line each.
func DescribePhases() string {
	var b strings.Builder
	for i := range phases {
		b.WriteString(strconv.Itoa(i+1) + " " + phases[i].name + ": " + phases[i].why + "\n")
	}
	return b.String()
}
