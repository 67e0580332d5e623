package access

import (
	"context"
	"encoding/json"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/strictjson"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// AnyHost stands in place of a host: apps may name documents anywhere.
const AnyHost = "any"

// maxDocumentApps is how many apps of a tenant are there because of their documents.
const maxDocumentApps = 1000

// NamesDocument reports whether a client_id is the address of a metadata document
// (OAuth Client ID Metadata Document, section 3). No other client_id looks like one.
func NamesDocument(clientID string) bool {
	return strings.HasPrefix(clientID, "https://") || strings.HasPrefix(clientID, "http://")
}

// DocumentHost returns the host of a client_id that may be the address of a metadata
// document: https, a host name and a path, byte for byte as it is written canonically,
// without user, query, fragment or dot segments (section 3). Local also allows loopback
// addresses and plain http there, for development (section 8.6).
func DocumentHost(clientID string, local bool) (host string, ok bool) {
	u, err := url.Parse(clientID)
	if err != nil || len(clientID) > 200 || strings.ContainsFunc(clientID, notURI) || u.String() != clientID {
		return "", false
	}
	host = u.Hostname()
	ip, isIP := netip.ParseAddr(host)
	loopback := local && (host == "localhost" || isIP == nil && ip.IsLoopback())
	switch {
	case u.User != nil, u.RawQuery != "", u.ForceQuery, strings.Contains(clientID, "#"), u.Opaque != "":
		return "", false
	case u.Scheme != "https" && !loopback, u.Port() == "443", host == "", host != strings.ToLower(host):
		return "", false
	case !loopback && (isIP == nil || !strings.Contains(strings.Trim(host, "."), ".") || strings.HasSuffix(host, ".")):
		return "", false
	case len(u.Path) < 2:
		return "", false
	}
	for part := range strings.SplitSeq(u.EscapedPath(), "/") {
		if plain, err := url.PathUnescape(part); err != nil || plain == "." || plain == ".." {
			return "", false
		}
	}
	return host, true
}

// TakesDocument reports whether the server lets apps name their document at the host.
func (s *ServerView) TakesDocument(host string) bool {
	return slices.ContainsFunc(s.Extension.ClientDocuments, func(h string) bool {
		suffix, wild := strings.CutPrefix(h, "*")
		return h == AnyHost || h == host || wild && strings.HasSuffix(host, suffix)
	})
}

// Takes reports whether the server takes the app: one that is there because of its
// document only as long as documents at its host are taken.
func (s *ServerView) Takes(a *AppView) bool {
	if a.Document == "" {
		return true
	}
	host, ok := DocumentHost(a.ID, true)
	return ok && s.TakesDocument(host)
}

func checkDocuments(c *checks, e *ServerExtension) {
	const path = "gatehouse.client_id_metadata_documents"
	c.that(len(e.ClientDocuments) <= 100, path, "has more than 100 hosts")
	for _, h := range e.ClientDocuments {
		name := strings.TrimPrefix(h, "*.")
		u, err := url.Parse("https://" + name)
		c.that(h == AnyHost || err == nil && name != "" && u.Hostname() == name && name == strings.ToLower(name) && !strings.Contains(name, "*"), path, quoted(h)+" is not a host name in lower case, one that begins with *., or "+AnyHost)
	}
}

// Document is what an app says of itself in its metadata document.
type Document struct {
	Hash string // of the document; another hash is another document

	label    string
	host     string
	method   string
	grants   []string
	settings OIDC
	keys     []AppKey
}

// ReadDocument reads the metadata document at an address (sections 4 and 8): it names
// the address as its client_id, has no secret and no method of authentication that needs
// one, and at least one address that codes may be sent to. Those of its addresses that an
// app which registers itself could not have are not taken. wrong says what is not so;
// empty: nothing.
func ReadDocument(address string, body []byte) (d *Document, wrong string) {
	var m struct {
		ClientID  string          `json:"client_id"`
		Name      string          `json:"client_name"`
		URI       string          `json:"client_uri"`
		Policy    string          `json:"policy_uri"`
		Terms     string          `json:"tos_uri"`
		Type      string          `json:"application_type"`
		Method    string          `json:"token_endpoint_auth_method"`
		Redirects []string        `json:"redirect_uris"`
		Grants    []string        `json:"grant_types"`
		DPoP      bool            `json:"dpop_bound_access_tokens"`
		JWKSURI   string          `json:"jwks_uri"`
		Secret    json.RawMessage `json:"client_secret"`
		Expires   json.RawMessage `json:"client_secret_expires_at"`
		JWKS      struct{ Keys []json.RawMessage }
	}
	host, ok := DocumentHost(address, true)
	if !ok || strictjson.Decode(body, &m, 8) != nil {
		return nil, "it is not a JSON object"
	}
	d = &Document{Hash: keys.Hash(string(body)), host: host, method: m.Method, label: documentLabel(m.Name, host)}
	if d.method == "" {
		d.method = AuthNone
	}
	switch {
	case m.ClientID != address:
		return nil, "its client_id is not its address"
	case m.Secret != nil || m.Expires != nil:
		return nil, "it has a client_secret, which everybody can read"
	case d.method != AuthNone && d.method != AuthPrivateKey:
		return nil, "its token_endpoint_auth_method is neither none nor private_key_jwt"
	case len(m.Grants) > 0 && !slices.Contains(m.Grants, GrantAuthorizationCode):
		return nil, "its grant_types lack authorization_code"
	}
	d.settings = OIDC{ApplicationType: documentType(m.Type, m.Redirects), ConsentMethod: ConsentAsk, PKCERequired: true, DPoPBound: m.DPoP, ResponseTypes: []string{"code"}}
	for _, to := range m.Redirects {
		if RegistrableRedirect(to, d.settings.ApplicationType) && len(d.settings.RedirectURIs) < maxURIs {
			d.settings.RedirectURIs = append(d.settings.RedirectURIs, to)
		}
	}
	if len(d.settings.RedirectURIs) == 0 {
		return nil, "it has no redirect_uris that are https, loopback addresses, or a scheme of a native app"
	}
	for address, to := range map[string]*string{m.URI: &d.settings.ClientURI, m.Policy: &d.settings.PolicyURI, m.Terms: &d.settings.TermsURI} {
		if u, err := url.Parse(address); err == nil && u.Scheme == "https" && u.Hostname() == host && webURI(address) {
			*to = address // what others say is not the app's own word
		}
	}
	d.grants = []string{GrantAuthorizationCode}
	if slices.Contains(m.Grants, GrantRefreshToken) {
		d.grants = append(d.grants, GrantRefreshToken)
	}
	return d, d.readKeys(m.JWKSURI, m.JWKS.Keys)
}

// readKeys takes the keys of an app that signs, and returns what is wrong with them.
func (d *Document) readKeys(address string, list []json.RawMessage) string {
	if d.method == AuthNone {
		return ""
	}
	if address != "" {
		if !strings.HasPrefix(address, "https://") || !webURI(address) || len(list) > 0 {
			return "its jwks_uri is not https, or it has jwks besides"
		}
		d.settings.JWKSURI = address
		return ""
	}
	for _, raw := range list {
		var k struct {
			ID string `json:"kid"`
		}
		if json.Unmarshal(raw, &k) != nil {
			return "its jwks cannot be read"
		}
		d.keys = append(d.keys, AppKey{ID: k.ID, JWK: raw, Status: Active})
	}
	if len(d.keys) == 0 || len(d.keys) > 20 || slices.ContainsFunc(d.keys, func(k AppKey) bool { return k.ID == "" || !usableKey(k) }) {
		return "it needs a jwks_uri, or 1 to 20 public keys with a kid"
	}
	return ""
}

// documentLabel returns what an app is called wherever people see it: never without the
// host that answers for the name.
func documentLabel(name, host string) string {
	name = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(name, ""), func(r rune) bool { return isControl(r) || r == ' ' }), " ")
	if name == "" {
		return cut(host, 100)
	}
	suffix := " (" + host + ")"
	if len(suffix) > 90 {
		return cut(host, 100)
	}
	return cut(name, 100-len(suffix)) + suffix
}

// cut returns the first bytes of s, whole runes.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

// documentType is native for an app that says so, and for one that does not but is
// reached where only native apps are.
func documentType(said string, redirects []string) string {
	native := slices.ContainsFunc(redirects, func(to string) bool { return !strings.HasPrefix(to, "https://") })
	if said == AppNative || native {
		return AppNative
	}
	return AppWeb
}

// onto lays a document over an app. What administrators have set stays: whether the app
// is in force, who answers for it, who may use it, its extensions.
func (d *Document) onto(a *App, address string) {
	kept := a.OIDC
	a.ClientID, a.Document, a.Label, a.AuthMethod, a.GrantTypes, a.Keys, a.OIDC = address, d.Hash, d.label, d.method, d.grants, d.keys, d.settings
	a.OIDC.ImplicitAssignment, a.OIDC.Rotation, a.OIDC.LeewaySeconds, a.OIDC.SignOnPolicy, a.OIDC.Display = kept.ImplicitAssignment, kept.Rotation, kept.LeewaySeconds, kept.SignOnPolicy, kept.Display
}

// newDocumentApp is an app of which nothing is known but its document. Whoever may sign
// in may use it: the access rules of the server decide what it gets.
func newDocumentApp() App { return App{Status: Active, OIDC: OIDC{ImplicitAssignment: true}} }

// AppOf returns the app at the address as its document says it is now. published
// returns the keys at a jwks_uri; nil: there are none.
func (v *View) AppOf(address string, d *Document, published func(string) verify.KeySource) *AppView {
	id, app := "", newDocumentApp()
	if known, ok := v.App(address); ok {
		id, app = known.Object, known.App
	}
	d.onto(&app, address)
	out := NewAppView(id, app.fill())
	if uri := out.OIDC.JWKSURI; uri != "" && published != nil {
		out.keys = published(uri)
	}
	return out
}

// Adopt keeps the app at an address as its document says it is: from then on it is an
// app like others, which administrators see and can take out of force. A tenant has a
// thousand of them at most; beyond that it is fault.Unavailable.
func (s *Service) Adopt(ctx context.Context, actor ledger.Actor, address string, d *Document) (err error) {
	defer fault.Wrap(&err, "keep the app at %q", address)
	t, _ := tenant.From(ctx)
	view, err := s.views.Get(ctx, t)
	if err != nil {
		return err
	}
	_, known := view.App(address)
	if !known && view.documentApps() >= maxDocumentApps {
		return fault.New(fault.Unavailable, "there are %d apps by their documents already, delete some", maxDocumentApps)
	}
	var made ledger.Object[App]
	err = s.update(ctx, actor, "app by its document "+address, func(tx *ledger.Tx) error {
		o, err := Apps.Find(tx, ledger.By("client_id", address))
		if fault.Is(err, fault.NotFound) {
			app := newDocumentApp()
			d.onto(&app, address)
			made, err = Apps.Create(tx, app.fill())
			return err
		}
		if err != nil || o.Value.Document == d.Hash {
			return err
		}
		d.onto(&o.Value, address)
		o.Value = o.Value.fill()
		_, err = Apps.Put(tx, o)
		return err
	})
	if err == nil && made.ID != "" {
		s.record(ctx, actor, audit.AppCreated, "Create application from its metadata document", appEntity(made.ID, made.Value.Label))
	}
	return err
}

// documentApps returns how many apps there are because of their documents.
func (v *View) documentApps() (n int) {
	for _, shard := range v.shards {
		for _, a := range shard {
			if a.Document != "" {
				n++
			}
		}
	}
	return n
}
