package access

import (
	"cmp"
	"crypto/subtle"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/order"
	"gatehouse/verify"
)

// View is the compiled state of one tenant at one revision. It is immutable: a
// request takes one View and works on it to its end.
type View struct {
	revision int64
	servers  map[string]*ServerView // by id; the default and org server by name as well
	shards   [appShards]map[string]*AppView
	apps     int // how many there are

	people      map[string][]peoplePolicyView // by type, in the order in which they are tried
	appPolicies map[string]*peoplePolicyView  // by id; the tenant's own by "" as well
	askGroups   bool                          // one of them is about groups
	askRisk     bool                          // one of them is about the risk
	askDevice   bool                          // one of them is about the device
}

// Revision returns the ledger revision that the view shows.
func (v *View) Revision() int64 { return v.revision }

// Server returns the active server with the id, or the default or org server by
// its name.
func (v *View) Server(idOrName string) (*ServerView, bool) {
	s, ok := v.servers[idOrName]
	if !ok || s.Status != Active {
		return nil, false
	}
	return s, true
}

// Servers returns all servers, sorted by id.
func (v *View) Servers() []*ServerView {
	seen := make(map[*ServerView]bool, len(v.servers))
	for _, s := range v.servers {
		seen[s] = true
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b *ServerView) int { return cmp.Compare(a.ID, b.ID) })
}

// App returns the app with the client id, whatever its status.
func (v *View) App(clientID string) (*AppView, bool) {
	a, ok := v.shards[shardOf(clientID)][clientID]
	return a, ok
}

// Apps returns how many apps the tenant has.
func (v *View) Apps() int { return v.apps }

// ServerView is a server with its scopes and policies, ready for requests.
type ServerView struct {
	ID string
	Server
	scopes   map[string]*Scope
	names    []string // of all scopes, sorted
	defaults []string // names of the default scopes, sorted
	policies []policyView
	// asksDevice: a rule of the policies is about devices.
	asksDevice bool
	granted    map[string][]string // of the org server: what apps may ask it for, by client id
	claims     claimViews
}

// Scope returns a scope of the server by name.
func (s *ServerView) Scope(name string) (*Scope, bool) {
	sc, ok := s.scopes[name]
	return sc, ok
}

// DefaultScopes returns the names of the scopes that a request without scopes
// asks for, sorted. The caller must not change the slice.
func (s *ServerView) DefaultScopes() []string { return s.defaults }

// PublishedScopes returns the names of the scopes that the metadata shows, sorted.
func (s *ServerView) PublishedScopes() []string {
	out := make([]string, 0, len(s.names))
	for _, n := range s.names {
		if s.scopes[n].MetadataPublish == PublishAll {
			out = append(out, n)
		}
	}
	return out
}

// Audience returns the audience that the server's tokens carry below an identity
// URL.
func (s *ServerView) Audience(identityURL string) string {
	if s.org() {
		return identityURL
	}
	return s.Audiences[0]
}

// HasAudience reports whether the server makes tokens for the audience.
func (s *ServerView) HasAudience(identityURL, audience string) bool {
	if s.org() {
		return audience == identityURL
	}
	return slices.Contains(s.Audiences, audience)
}

// Path returns the last segment of the server's address: its name for the
// default server, its id for all others. The org server has none.
func (s *ServerView) Path() string {
	switch {
	case s.org():
		return ""
	case s.Default:
		return s.Name
	}
	return s.ID
}

// Issuer returns the issuer of the server's tokens below an identity URL that
// has no trailing slash.
func (s *ServerView) Issuer(identityURL string) string {
	if p := s.Path(); p != "" {
		return identityURL + "/oauth2/" + p
	}
	return identityURL
}

// Endpoint returns the address of one of the server's endpoints, such as "token".
func (s *ServerView) Endpoint(identityURL, name string) string {
	if p := s.Path(); p != "" {
		return identityURL + "/oauth2/" + p + "/v1/" + name
	}
	return identityURL + "/oauth2/v1/" + name
}

// AccessTokenLifetime is the lifetime where no rule gives one.
func (s *ServerView) AccessTokenLifetime() time.Duration {
	return time.Duration(s.AccessTokenMinutes) * time.Minute
}

// AppView is an app as clients know it, its secrets decoded for comparison.
type AppView struct {
	ID     string // the client_id
	Object string // the id in the ledger, by which assignments name the app
	App
	secrets  [][32]byte // hashes of the active secrets
	keys     verify.KeySource
	vouchers map[string]voucher // by issuer
}

// PublicKeys returns the app's active keys, or those that it publishes; nil when it
// has none.
func (a *AppView) PublicKeys() verify.KeySource { return a.keys }

// HasSecret reports whether sum is the SHA-256 of one of the app's active
// secrets. Its time does not depend on which, or on how much of one, matches.
func (a *AppView) HasSecret(sum [32]byte) bool {
	found := 0
	for i := range a.secrets {
		found |= subtle.ConstantTimeCompare(a.secrets[i][:], sum[:])
	}
	return found == 1
}

// NewAppView returns the app, whose id in the ledger is given, ready for requests.
func NewAppView(id string, a App) *AppView {
	v := &AppView{ID: a.Client(id), Object: id, App: a, vouchers: vouchers(a.Extension.Issuers)}
	for _, s := range a.Secrets {
		h, err := hex.DecodeString(s.Hash)
		if s.Status == Active && err == nil && len(h) == 32 {
			v.secrets = append(v.secrets, [32]byte(h))
		}
	}
	active := func(k AppKey) bool { return k.Status == Active }
	if slices.ContainsFunc(a.Keys, active) {
		if keys, err := verify.NewStaticKeys(keySet(a.Keys, active)); err == nil {
			v.keys = keys
		}
	}
	return v
}

// newServerView compiles a server. The policies bring their rules; all are put
// in the order of priority here.
func newServerView(id string, s Server, scopes []Scope, policies []policyView) *ServerView {
	v := &ServerView{ID: id, Server: s, scopes: make(map[string]*Scope, len(scopes)), policies: policies}
	for i := range scopes {
		sc := &scopes[i]
		v.scopes[sc.Name] = sc
		v.names = append(v.names, sc.Name)
		if sc.Default {
			v.defaults = append(v.defaults, sc.Name)
		}
	}
	slices.Sort(v.names)
	slices.Sort(v.defaults)
	order.By(v.policies, func(a, b policyView) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), strings.Compare(a.id, b.id))
	})
	for i := range v.policies {
		order.By(v.policies[i].rules, func(a, b ruleView) int {
			return cmp.Or(cmp.Compare(a.Priority, b.Priority), strings.Compare(a.id, b.id))
		})
		v.asksDevice = v.asksDevice || slices.ContainsFunc(v.policies[i].rules, func(r ruleView) bool { return r.Conditions.Device != nil })
	}
	return v
}
