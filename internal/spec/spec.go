// Package spec is the plain description of what a gateway serves: issuers, APIs,
// upstreams, routes, limits, zones. The configuration file is parsed into it, the
// catalog stores it, and the data plane compiles it. It is data with checks and
// nothing else: it must not know files, stores, connections or requests.
package spec

import "time"

// Snapshot is everything a gateway node needs to serve one tenant. It is what
// is compiled, persisted beside the process, and handed from node to node.
type Snapshot struct {
	Tenant   string   `json:"tenant"`
	Revision int64    `json:"revision"`
	Issuers  []Issuer `json:"issuers,omitempty"` // by name
	APIs     []API    `json:"apis,omitempty"`    // by name
	Zones    []Zone   `json:"zones,omitempty"`   // by name
	// DecisionPoints are asked from outside, by name.
	DecisionPoints []DecisionPoint `json:"decision_points,omitempty"`
	Policies       []Policy        `json:"policies,omitempty"`
	Models         []Model         `json:"models,omitempty"` // by name
	// Sources says where a setting was written: dotted path (see Path*) to "file:line:column".
	Sources map[string]string `json:"sources,omitempty"`
}

// Issuer is an authorization server whose tokens APIs accept.
type Issuer struct {
	Name       string   `json:"name"`
	Builtin    string   `json:"builtin,omitempty"` // name of a built-in authorization server; then URL is empty
	URL        string   `json:"url,omitempty"`
	Audience   []string `json:"audience,omitempty"` // accepted audiences; empty for a built-in server means its own
	Algorithms []string `json:"algorithms,omitempty"`
	Tokens     string   `json:"tokens,omitempty"` // "jwt" (default), "opaque" or "both"
	ClientID   string   `json:"client_id,omitempty"`
	// ClientSecret is a sealed value or a ${env:}/${file:} reference, never plain text.
	ClientSecret string `json:"client_secret,omitempty"`
	// ClientAuth is how the gateway proves who it is: "basic" (empty), "post", or
	// "private_key_jwt", for which ClientSecret is the private key.
	ClientAuth string `json:"client_auth,omitempty"`
	// SignedAnswers says that the issuer signs what it answers (RFC 9701).
	SignedAnswers bool `json:"signed_answers,omitempty"`
	// IntrospectionURL is where the issuer of opaque tokens is asked; empty = where its metadata says.
	IntrospectionURL string `json:"introspection_url,omitempty"`
	// MissingAudience is "refuse" (empty) or "accept": what becomes of an opaque token
	// whose issuer does not say for whom it is.
	MissingAudience string `json:"missing_audience,omitempty"`
	// ClientCA makes it an authority that vouches for client certificates instead: its
	// certificates in PEM form. Claims then says which fields name the caller, see CertFields.
	ClientCA string `json:"client_ca,omitempty"`
	// CRL is the path of a file with the certificates that the authority has revoked.
	CRL string `json:"crl,omitempty"`
	// Keys makes it a partner who signs requests instead (RFC 9421): public keys in PEM
	// form by the names that signatures give them (keyid).
	Keys map[string]string `json:"keys,omitempty"`
	// Scopes are what callers may use for whom a certificate or a signature vouches.
	Scopes []string `json:"scopes,omitempty"`
	// Claims says what the issuer calls its claims.
	Claims ClaimNames `json:"claims,omitzero"`
	// Session is how browsers sign in with the issuer, for APIs with auth: session.
	Session Session `json:"session,omitzero"`
}

// Session says how browsers sign in and for how long.
type Session struct {
	Scopes   []string `json:"scopes,omitempty"`   // that are asked for; empty = those that routes of APIs with sessions name
	Idle     Duration `json:"idle,omitempty"`     // longest time without a request; 0 = 30 minutes
	Lifetime Duration `json:"lifetime,omitempty"` // longest time since the sign-in; 0 = 12 hours
}

// API is a set of operations under one host and base path.
type API struct {
	Name     string `json:"name"`
	Host     string `json:"host,omitempty"`      // lower-case; empty = any
	BasePath string `json:"base_path,omitempty"` // "" or "/x", no trailing slash
	// URL is how callers address the API, when that is not host and base path as
	// requests show them here. DPoP proofs name it.
	URL          string   `json:"url,omitempty"`
	KeepBasePath bool     `json:"keep_base_path,omitempty"`
	Upstream     Upstream `json:"upstream"`
	Auth         []string `json:"auth,omitempty"`      // issuer names, "api_key", "session"; or just "public"
	SignIn       string   `json:"sign_in,omitempty"`   // issuer that browsers sign in at; empty = the only one that can be meant
	Proof        string   `json:"proof,omitempty"`     // what callers prove about themselves, see Proofs
	Authorize    []string `json:"authorize,omitempty"` // decision points that are asked about every caller, all of them
	// Introspect asks issuers about tokens that were verified here as well.
	Introspect           bool    `json:"introspect,omitempty"`
	Limits               []Limit `json:"limits,omitempty"`
	Headers              Headers `json:"headers,omitzero"`
	ForwardAuthorization bool    `json:"forward_authorization,omitempty"`
	EncodedSlashes       bool    `json:"encoded_slashes,omitempty"` // let %2F through in path parameters, as it is
	MaxBody              int64   `json:"max_body,omitempty"`        // bytes; 0 = the default of 10 MiB; -1 = no limit
	Routes               []Route `json:"routes"`
}

// Route is one operation and what it asks of the caller.
type Route struct {
	Method string     `json:"method"` // upper-case; "*" = any method
	Path   string     `json:"path"`   // template below the base path: literal segments, {name}, and /* at the end
	Public bool       `json:"public,omitempty"`
	Scopes [][]string `json:"scopes,omitempty"` // any of these sets, all scopes of a set
	Groups []string   `json:"groups,omitempty"` // any of these
	Roles  []string   `json:"roles,omitempty"`  // any of these
	Limits []Limit    `json:"limits,omitempty"`
	// MaxBody is in place of the API's limit, at most that when the API has one; 0 = the API's.
	MaxBody int64  `json:"max_body,omitempty"`
	When    string `json:"when,omitempty"`
	// How the person behind the token must have signed in (RFC 9470).
	MFA    Duration `json:"mfa,omitempty"`     // a second factor was used, at most this long ago
	MaxAge Duration `json:"max_age,omitempty"` // the sign-in is at most this old
	ACR    []string `json:"acr,omitempty"`     // any of these authentication context classes
	AMR    []string `json:"amr,omitempty"`     // all of these authentication methods
	Proof  string   `json:"proof,omitempty"`   // as of the API; can only tighten
	Zones  []string `json:"zones,omitempty"`   // the caller's address is in any of these
	// Introspect is as of the API; can only tighten.
	Introspect bool `json:"introspect,omitempty"`
	// Authorize names decision points that are asked besides the API's.
	Authorize []string `json:"authorize,omitempty"`
}

// Upstream is the pool of servers behind an API.
type Upstream struct {
	Targets []string `json:"targets"`           // absolute URLs: scheme, host, port, optional path prefix
	Balance string   `json:"balance,omitempty"` // round_robin (default), least_requests, random, hash(header:NAME|ip|claim:NAME)
	Health  *Health  `json:"health,omitempty"`
	Timeout Duration `json:"timeout,omitempty"` // until the response head; 0 = 30 s
	Retries int      `json:"retries,omitempty"` // further attempts, idempotent methods only
	// MaxConnections bounds connections per target; 0 = 1024.
	MaxConnections int `json:"max_connections,omitempty"`
}

// Health is how targets are probed.
type Health struct {
	Path     string   `json:"path"`
	Interval Duration `json:"interval,omitempty"` // 0 = 5 s
}

// Limit is a rate: Count per Period per what Per names.
type Limit struct {
	Count  int64    `json:"count"`
	Period Duration `json:"period"`
	Per    string   `json:"per"` // client, user, ip, api
}

// Headers says what the upstream is told beyond the fixed set.
type Headers struct {
	Forward []string          `json:"forward,omitempty"` // of X-User-ID, X-Client-ID, X-Granted-Scopes; empty = all three
	Claims  map[string]string `json:"claims,omitempty"`  // header name to claim name
}

// Zone is a named set of networks: CIDRs, "country:DE", "asn:64500".
type Zone struct {
	Name     string   `json:"name"`
	Networks []string `json:"networks"`
}

// Policy is Cedar text that applies to every API of the tenant.
type Policy struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Duration is a time.Duration that reads and writes as text such as "5m".
type Duration time.Duration

// Std returns d as a time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// MarshalText writes d as Go writes durations.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// PathIssuer returns the Sources path of an issuer.
func PathIssuer(name string) string { return "issuers." + name }

// PathAPI returns the Sources path of an API or, with a field, of a setting of it.
func PathAPI(name string, field ...string) string {
	p := "apis." + name
	for _, f := range field {
		p += "." + f
	}
	return p
}

// PathRoute returns the Sources path of a route or, with a field, of a setting of it.
func PathRoute(api, method, path string, field ...string) string {
	p := "apis." + api + ".routes." + method + " " + path
	for _, f := range field {
		p += "." + f
	}
	return p
}
