package access

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/ledger"
	"gatehouse/verify"
)

// The grant types that apps and rules may name. Which of them the token
// endpoint serves is the endpoint's business.
const (
	GrantClientCredentials = "client_credentials"
	GrantAuthorizationCode = "authorization_code"
	GrantRefreshToken      = "refresh_token"
	GrantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"
	GrantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange" // #nosec G101 -- a grant type of RFC 8693
	GrantJWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"     // #nosec G101 -- a grant type of RFC 7523
	GrantImplicit          = "implicit"
	GrantPassword          = "password"
)

// GrantTypes returns the grant types that a rule or an app may name, sorted.
func GrantTypes() []string {
	return []string{
		GrantAuthorizationCode, GrantClientCredentials, GrantImplicit, GrantPassword, GrantRefreshToken,
		GrantDeviceCode, GrantJWTBearer, GrantTokenExchange,
	}
}

// KnownGrantType reports whether a rule or an app may name the grant type.
func KnownGrantType(name string) bool { return slices.Contains(GrantTypes(), name) }

// The ways an app proves who it is (RFC 7591 section 2, token_endpoint_auth_method).
const (
	AuthSecretBasic = "client_secret_basic"
	AuthSecretPost  = "client_secret_post"
	AuthPrivateKey  = "private_key_jwt"
	AuthTLS         = "tls_client_auth"             // RFC 8705 section 2.1
	AuthSelfSigned  = "self_signed_tls_client_auth" // RFC 8705 section 2.2
	AuthSecretJWT   = "client_secret_jwt"           // the secret signs (HS256) and is not sent
	AuthNone        = "none"
)

// MaxSecrets is how many secrets an app may have at a time: enough for a
// rotation in which the old and the new one overlap.
const MaxSecrets = 2

// App is an OAuth client. Its client_id is ClientID, or its id where that is empty.
type App struct {
	ClientID   string      `json:"clientId,omitempty"` // chosen when it was made; it stays
	Label      string      `json:"label"`
	Status     Status      `json:"status"`
	Owner      string      `json:"owner,omitempty"` // who answers for it: a user id or a free text such as a team's address
	GrantTypes []string    `json:"grantTypes"`
	AuthMethod string      `json:"tokenEndpointAuthMethod"`
	Secrets    []AppSecret `json:"secrets,omitempty"`
	Keys       []AppKey    `json:"keys,omitempty"` // public keys for AuthPrivateKey
	OIDC       OIDC        `json:"oidc,omitzero"`  // for apps that people sign in to
	// Grants are the okta.* scopes that an administrator has granted the app: what
	// it may ask the org server for.
	Grants []ScopeGrant `json:"grants,omitempty"`
	// Registration is the hash of the token by which the app manages its registration;
	// empty: it has not registered itself.
	Registration string `json:"registration,omitempty"`
	// Document is the hash of the metadata document that the app was made of, whose
	// address is its ClientID; empty: there is none.
	Document string `json:"document,omitempty"`
	// Certificates are those that were generated for the app.
	Certificates []AppCertificate `json:"certificates,omitempty"`
	Extension    Extension        `json:"extension,omitzero"`
}

// AppSecret is one secret of an app. It is compared by its hash; the sealed copy
// is for those who may read it (docs/adr/0006) and is missing where nobody may.
type AppSecret struct {
	ID      string    `json:"id"`
	Hash    string    `json:"hash"` // SHA-256 of the secret, in hexadecimal (keys.Hash)
	Sealed  string    `json:"sealed,omitempty"`
	Long    bool      `json:"long,omitempty"` // 32 characters or more: it may be the key of an HMAC
	Status  Status    `json:"status"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated,omitzero"` // zero: when it was made
}

// ScopeGrant is a scope of the org server that an administrator granted an app.
type ScopeGrant struct {
	ID      string    `json:"id"`
	Scope   string    `json:"scope"`
	By      string    `json:"by"` // who granted it
	Created time.Time `json:"created"`
}

// AppKey is a public key of an app, as a JWK.
type AppKey struct {
	ID      string          `json:"kid"`
	JWK     json.RawMessage `json:"jwk"` // the public JWK (RFC 7517), with the same kid
	Status  Status          `json:"status"`
	Created time.Time       `json:"created"`
	// NoCurve says that the key was sent without its curve, which was named by the
	// length of the coordinates: who sent it sees it as it was.
	NoCurve bool `json:"noCurve,omitempty"`
}

// Client returns the client_id of the app whose id is given.
func (a *App) Client(id string) string {
	if a.ClientID != "" {
		return a.ClientID
	}
	return id
}

// Granted reports whether an administrator has granted the app the scope.
func (a *App) Granted(scope string) bool {
	return slices.ContainsFunc(a.Grants, func(g ScopeGrant) bool { return g.Scope == scope })
}

// WithSecret reports whether the app authenticates with a secret.
func (a *App) WithSecret() bool {
	return a.AuthMethod == AuthSecretBasic || a.AuthMethod == AuthSecretPost || a.AuthMethod == AuthSecretJWT
}

// MayUse reports whether the app may use the grant type.
func (a *App) MayUse(grantType string) bool { return slices.Contains(a.GrantTypes, grantType) }

// Public reports whether the app cannot keep a secret and so has none.
func (a *App) Public() bool { return a.AuthMethod == AuthNone }

func (a App) fill() App {
	if a.Status == "" {
		a.Status = Active
	}
	if a.AuthMethod == "" {
		a.AuthMethod = AuthSecretBasic
	}
	if len(a.GrantTypes) == 0 {
		a.GrantTypes = []string{GrantClientCredentials}
	}
	a.GrantTypes = sorted(a.GrantTypes)
	a.OIDC = a.OIDC.fill()
	return a
}

func checkApp(a App) error {
	var c checks
	c.name("label", a.Label, 100)
	c.that(len(a.Owner) <= 255 && !strings.ContainsFunc(a.Owner, isControl), "owner", "is longer than 255 bytes or has control characters")
	c.oneOf("status", string(a.Status), string(Active), string(Inactive))
	c.oneOf("tokenEndpointAuthMethod", a.AuthMethod, AuthSecretBasic, AuthSecretPost, AuthSecretJWT, AuthPrivateKey, AuthTLS, AuthSelfSigned, AuthNone)
	c.that(len(a.GrantTypes) > 0, "grantTypes", "is empty: name the grant types that the app uses")
	for _, g := range a.GrantTypes {
		c.that(KnownGrantType(g), "grantTypes", quoted(g)+" is not a grant type, known are "+strings.Join(GrantTypes(), ", "))
	}
	c.that(!a.Public() || !a.MayUse(GrantClientCredentials), "grantTypes", "a public app (auth method none) cannot use client_credentials: anybody could be it")
	c.that(len(a.Secrets) <= MaxSecrets, "secrets", "has more than two secrets, delete one first")
	c.that(a.WithSecret() || len(a.Secrets) == 0, "secrets", "an app with auth method "+a.AuthMethod+" has no secrets")
	c.that(a.AuthMethod != AuthPrivateKey || len(a.Keys) > 0 || a.OIDC.JWKSURI != "", "keys", "an app with auth method private_key_jwt needs a public key, or the address where it publishes its keys")
	c.that(a.AuthMethod != AuthSelfSigned || len(a.Keys) > 0, "keys", "an app with auth method self_signed_tls_client_auth needs the public key of its certificate")
	for _, s := range a.Secrets {
		c.that(a.AuthMethod != AuthSecretJWT || s.Sealed != "" && s.Long, "secrets", "an app with auth method client_secret_jwt needs secrets of 32 characters or more that are kept: make a new one")
	}
	c.that(len(a.Keys) <= 50, "keys", "has more than 50 keys")
	_, documented := DocumentHost(a.ClientID, true)
	c.that(a.ClientID == "" || usableClientID(a.ClientID) || a.Document != "" && documented, "credentials.oauthClient.client_id",
		"must be 6 to 100 letters, digits and -._~, and not look like an id that is given by the server")
	granted := map[string]bool{}
	for _, g := range a.Grants {
		c.that(ManagementScope(g.Scope), "scopeId", quoted(g.Scope)+" is not a scope that can be granted")
		c.that(g.ID != "" && !granted[g.Scope], "scopeId", quoted(g.Scope)+" is granted twice")
		granted[g.Scope] = true
	}
	seen := map[string]bool{}
	for _, k := range a.Keys {
		c.that(k.ID != "" && len(k.ID) <= 255, "keys", "a key needs a kid of 1 to 255 bytes")
		c.that(!seen[k.ID], "keys", "kid "+quoted(k.ID)+" occurs twice")
		c.oneOf("keys.status", string(k.Status), string(Active), string(Inactive))
		c.that(usableKey(k), "keys", "key "+quoted(k.ID)+" must be a public RSA (2048 bits or more), EC or Ed25519 JWK with the same kid and without private members")
		seen[k.ID] = true
	}
	checkOIDC(&c, &a)
	checkExtension(&c, &a)
	return c.err("app %s is not valid", quoted(a.Label))
}

// usableClientID reports whether an app may be called so: nothing that needs to be
// escaped in an address or a Basic header, and not what another app's id may be.
func usableClientID(s string) bool {
	if len(s) < 6 || len(s) > 100 || len(s) == ledger.IDLength && strings.HasPrefix(s, "0oa") {
		return false
	}
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") == ""
}

// usableKey reports whether the JWK is a public key for signatures, as its kid says.
func usableKey(k AppKey) bool {
	var jwk map[string]any
	if len(k.JWK) > 8<<10 || json.Unmarshal(k.JWK, &jwk) != nil || jwk["kid"] != k.ID {
		return false
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, has := jwk[private]; has {
			return false
		}
	}
	_, err := verify.NewStaticKeys(keySet([]AppKey{k}, nil))
	return err == nil
}

// keySet returns the JWK Set of the keys for which keep returns true; nil keeps all.
func keySet(keys []AppKey, keep func(AppKey) bool) []byte {
	set := []byte(`{"keys":[`)
	for _, k := range keys {
		if keep != nil && !keep(k) {
			continue
		}
		if set[len(set)-1] == '}' {
			set = append(set, ',')
		}
		set = append(set, k.JWK...)
	}
	return append(set, ']', '}')
}
