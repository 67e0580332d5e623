package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/colour"
	"gatehouse/internal/order"
	"gatehouse/internal/spec"
)

// builder reads a tree whose shapes have been checked. What is wrong has been
// reported and reads as nothing.
type builder struct{ w *walker }

func (b builder) server(n *node) Server {
	s := Server{
		Store: n.get("store").str(),
		Data:  n.get("data").str(),
		Gateway: Gateway{
			Listen:   n.get("gateway").get("listen").str(),
			TLS:      TLS{Cert: n.get("gateway").get("tls").get("cert").str(), Key: n.get("gateway").get("tls").get("key").str()},
			ClientCA: n.get("gateway").get("tls").get("client_ca").str(), ClientCerts: n.get("gateway").get("tls").get("client_certs").str(),
			ClientCertHeader: n.get("gateway").get("client_cert_header").str(),
		},
		Identity:        b.identity(n.get("identity")),
		Console:         Console{Listen: n.get("console").get("listen").str()},
		Log:             Log{Level: n.get("log").get("level").str(), Format: n.get("log").get("format").str()},
		Geo:             Geo{Country: n.get("geo").get("country").str(), ASN: n.get("geo").get("asn").str()},
		Replay:          Replay{Keep: b.duration(n.get("replay").get("keep")), MaxSize: b.size(n.get("replay").get("max_size"))},
		ShutdownTimeout: b.duration(n.get("shutdown_timeout")),
	}
	s.Gateway.TrustedProxies = networks(n.get("gateway").get("trusted_proxies"))
	s.Decide = b.decide(n.get("decide"))
	s.Mail = b.mail(n.get("mail"))
	s.People = b.people(n.get("people"))
	s.Brand = b.brand(n.get("brand"))
	return s
}

// networks reads a list of networks that has been checked.
func networks(n *node) (out []netip.Prefix) {
	for _, text := range n.strs() {
		if p, err := spec.ParseNetwork(text); err == nil {
			out = append(out, p)
		}
	}
	return out
}

func (b builder) mail(n *node) Mail {
	return Mail{
		Server: n.get("smtp").str(), From: n.get("from").str(), User: n.get("user").str(), Password: n.get("password").str(), CA: n.get("ca").str(),
	}
}

func (b builder) identity(n *node) Identity {
	tls := n.get("tls")
	return Identity{
		Listen: n.get("listen").str(), URL: n.get("url").str(), TrustedProxies: networks(n.get("trusted_proxies")),
		TLS: TLS{Cert: tls.get("cert").str(), Key: tls.get("key").str()}, ClientCA: tls.get("client_ca").str(), DeviceCA: n.get("device_ca").str(), ClientCerts: tls.get("client_certs").str(),
		ClientCertHeader: n.get("client_cert_header").str(), SCIMDelete: n.get("scim_delete").str(), PrivateApps: n.get("private_apps").str(), SAML: n.get("saml").str(),
	}
}

func (b builder) ldap(n *node) LDAP {
	groups := n.get("groups")
	d := LDAP{
		URL: n.get("url").str(), CA: n.get("ca").str(), User: n.get("user").str(), Password: n.get("password").str(),
		Base: n.get("base").str(), Filter: n.get("filter").str(), ID: n.get("id").str(), Domains: n.get("domains").strs(),
		GroupBase: groups.get("base").str(), GroupFilter: groups.get("filter").str(), GroupName: groups.get("name").str(), Groups: groups.get("follow").strs(), GroupNested: groups.get("nested").isTrue(),
		Sync: b.duration(n.get("sync")),
	}
	eachNamed(n.get("attributes"), func(name string, v *node) {
		if d.Attributes == nil {
			d.Attributes = map[string]string{}
		}
		d.Attributes[name] = v.str()
	})
	return d
}

func (b builder) people(n *node) People {
	return People{LDAP: b.ldap(n.get("ldap")), BreachedPasswords: n.get("breached_passwords").str(), RegistrationDomains: n.get("registration").get("domains").strs()}
}

func (b builder) brand(n *node) Brand {
	out := Brand{Name: n.get("name").str(), Help: n.get("help").str(), Language: n.get("language").str(), Words: n.get("words").str()}
	out.Logo, out.LogoDark = n.get("logo").str(), n.get("logo").get("dark").str()
	if light := n.get("logo").get("light").str(); light != "" {
		out.Logo = light
	}
	accent := n.get("accent")
	if c, err := colour.Parse(accent.str()); err == nil {
		out.Accent, _ = colour.AccentOf(c) // it has been checked
	}
	light, errLight := colour.Parse(accent.get("light").str())
	dark, errDark := colour.Parse(accent.get("dark").str())
	if errLight == nil && errDark == nil {
		out.Accent = colour.Accent{Light: light, Dark: dark}
	}
	if text := n.get("support").str(); text != "" {
		out.Support = map[string]string{"": text}
	}
	eachKey(n.get("support"), func(lang string, v *node) {
		if out.Support == nil {
			out.Support = map[string]string{}
		}
		out.Support[lang] = v.str()
	})
	return out
}

func (b builder) decide(n *node) Decide {
	d := Decide{
		Listen: n.get("listen").str(), Envoy: n.get("envoy").str(), Token: n.get("token").str(),
		TLS:              TLS{Cert: n.get("tls").get("cert").str(), Key: n.get("tls").get("key").str()},
		ClientCertHeader: n.get("client_cert_header").str(),
	}
	d.Allow = networks(n.get("allow"))
	return d
}

func (b builder) duration(n *node) time.Duration {
	d, err := time.ParseDuration(n.str())
	if err != nil {
		return 0
	}
	return d
}

// eachNamed calls f for each usable entry of a group of names.
func eachNamed(n *node, f func(name string, value *node)) {
	if n == nil || n.kind != mapping {
		return
	}
	for _, e := range n.entries {
		if !e.value.bad {
			f(normalName(e.key.text), e.value)
		}
	}
}

// eachKey is eachNamed for keys that mean what is written, spaces included.
func eachKey(n *node, f func(key string, value *node)) {
	if n == nil || n.kind != mapping {
		return
	}
	for _, e := range n.entries {
		if !e.value.bad {
			f(e.key.text, e.value)
		}
	}
}

func (b builder) decisionPoints(n *node) []spec.DecisionPoint {
	var out []spec.DecisionPoint
	eachNamed(n, func(name string, v *node) {
		out = append(out, spec.DecisionPoint{
			Name: name, URL: v.get("url").str(), Token: reference(v.get("token")), Timeout: spec.Duration(b.duration(v.get("timeout"))),
		})
	})
	order.By(out, func(a, b spec.DecisionPoint) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func (b builder) issuers(n *node) []spec.Issuer {
	var out []spec.Issuer
	eachNamed(n, func(name string, v *node) {
		var keys map[string]string
		eachNamed(v.get("keys"), func(id string, key *node) {
			if keys == nil {
				keys = map[string]string{}
			}
			keys[id] = key.str()
		})
		out = append(out, spec.Issuer{
			Keys: keys,
			Name: name, Builtin: v.get("builtin").str(), URL: v.get("url").str(),
			Audience: v.get("audience").strs(), Algorithms: v.get("algorithms").strs(),
			Tokens: v.get("tokens").str(), ClientID: v.get("client_id").str(), ClientSecret: reference(v.get("client_secret")),
			ClientAuth: v.get("client_auth").str(), SignedAnswers: v.get("signed_answers").isTrue(),
			IntrospectionURL: v.get("introspection_url").str(), MissingAudience: v.get("missing_audience").str(),
			Claims: claimNames(v.get("claims")),
			Session: spec.Session{
				Scopes: v.get("session").get("scopes").strs(),
				Idle:   spec.Duration(b.duration(v.get("session").get("idle"))), Lifetime: spec.Duration(b.duration(v.get("session").get("lifetime"))),
			},
			ClientCA: v.get("client_ca").str(), CRL: v.get("crl").str(), Scopes: v.get("scopes").strs(),
		})
	})
	order.By(out, func(a, b spec.Issuer) int { return cmp.Compare(a.Name, b.Name) })
	for i := range out {
		if out[i].Tokens == spec.TokensJWT {
			out[i].Tokens = ""
		}
		if out[i].ClientAuth == spec.ClientAuths()[0] {
			out[i].ClientAuth = ""
		}
		if out[i].MissingAudience == spec.MissingAudienceRefuse {
			out[i].MissingAudience = ""
		}
	}
	return out
}

// claimNames reads the word for a known issuer, or a group.
func claimNames(n *node) spec.ClaimNames {
	if n.usable() && n.kind != mapping {
		return spec.ClaimNames{Preset: n.str()}
	}
	return spec.ClaimNames{
		Preset: n.get("preset").str(), User: n.get("user").str(), Client: n.get("client").str(), Audience: n.get("audience").str(),
		Scopes: n.get("scopes").str(), Groups: n.get("groups").str(), Roles: n.get("roles").str(),
	}
}

// reference returns a secret as it is kept: the reference and never its value.
func reference(n *node) string {
	if !n.usable() {
		return ""
	}
	return n.raw
}

func (b builder) zones(n *node) []spec.Zone {
	var out []spec.Zone
	eachNamed(n, func(name string, v *node) { out = append(out, spec.Zone{Name: name, Networks: v.strs()}) })
	order.By(out, func(a, b spec.Zone) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func (b builder) policies(n *node) []spec.Policy {
	var out []spec.Policy
	eachNamed(n, func(name string, v *node) { out = append(out, spec.Policy{Name: name, Text: v.str()}) })
	order.By(out, func(a, b spec.Policy) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func (b builder) models(n *node) []spec.Model {
	var out []spec.Model
	eachNamed(n, func(name string, v *node) {
		m := spec.Model{Name: name, Resources: v.get("resources").strs(), Policies: v.get("policies").str()}
		eachNamed(v.get("entities"), func(kind string, ids *node) {
			eachKey(ids, func(id string, attributes *node) {
				e := spec.Entity{Type: kind, ID: id}
				eachKey(attributes, func(name string, value *node) {
					if e.Attributes == nil {
						e.Attributes = map[string]spec.Attribute{}
					}
					e.Attributes[name] = b.attribute(value, spec.PathModel(m.Name, "entities"))
				})
				m.Entities = append(m.Entities, e)
			})
		})
		spec.SortEntities(m.Entities)
		out = append(out, m)
	})
	order.By(out, func(a, b spec.Model) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// attribute reads what is known of an entity.
func (b builder) attribute(n *node, path string) spec.Attribute {
	switch n.kind {
	case list:
		return spec.Attribute{Value: append([]string{}, n.strs()...)}
	case boolean:
		return spec.Attribute{Value: n.isTrue()}
	case number:
		v, err := strconv.ParseInt(n.text, 10, 64)
		if err != nil {
			b.w.problem(n, path, errors.New("a number is a whole one; write others in quotes"))
		}
		return spec.Attribute{Value: v}
	default:
		return spec.Attribute{Value: n.str()}
	}
}

func (b builder) apis(n *node) []spec.API {
	var out []spec.API
	eachNamed(n, func(name string, v *node) { out = append(out, b.api(name, v)) })
	order.By(out, func(a, b spec.API) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func (b builder) api(name string, n *node) spec.API {
	a := spec.API{
		Name: name, Host: n.get("host").str(), BasePath: n.get("base_path").str(),
		URL:          strings.TrimSuffix(n.get("url").str(), "/"),
		KeepBasePath: n.get("keep_base_path").isTrue(),
		Upstream:     b.upstream(n.get("upstream")),
		Auth:         n.get("auth").strs(),
		Proof:        n.get("proof").str(),
		Authorize:    n.get("authorize").strs(),
		Introspect:   n.get("introspect").isTrue(),
		SignIn:       n.get("sign_in").str(),
		Limits:       b.limits(n.get("limit")),
		Headers: spec.Headers{
			Forward: n.get("headers").get("forward").strs(),
		},
		ForwardAuthorization: n.get("forward_authorization").isTrue(),
		EncodedSlashes:       n.get("encoded_slashes").isTrue(),
		MaxBody:              b.size(n.get("max_body")),
	}
	eachNamed(n.get("headers").get("claims"), func(header string, v *node) {
		if a.Headers.Claims == nil {
			a.Headers.Claims = map[string]string{}
		}
		a.Headers.Claims[header] = v.str()
	})
	if f := a.Headers.Forward; len(f) == len(spec.ForwardHeaders()) && !slices.ContainsFunc(spec.ForwardHeaders(), func(h string) bool { return !slices.Contains(f, h) }) {
		a.Headers.Forward = nil // all of them is what nothing means
	}
	if routes := n.get("routes"); routes != nil && routes.kind == mapping {
		for _, e := range routes.entries {
			if !e.value.bad {
				a.Routes = append(a.Routes, b.route(name, normalName(e.key.text), e.value))
			}
		}
	}
	return a
}

func (b builder) upstream(n *node) spec.Upstream {
	if n.usable() && n.kind != mapping {
		return spec.Upstream{Targets: []string{trimTarget(n.str())}}
	}
	u := spec.Upstream{
		Balance:        n.get("balance").str(),
		Timeout:        spec.Duration(b.duration(n.get("timeout"))),
		Retries:        n.get("retries").whole(),
		MaxConnections: n.get("max_connections").whole(),
	}
	for _, t := range n.get("targets").strs() {
		u.Targets = append(u.Targets, trimTarget(t))
	}
	if u.Balance == spec.BalanceRoundRobin {
		u.Balance = ""
	}
	if h := n.get("health"); h.usable() {
		u.Health = &spec.Health{Path: h.get("path").str(), Interval: spec.Duration(b.duration(h.get("interval")))}
	}
	return u
}

// trimTarget leaves out the one slash that means nothing at the end of a target.
func trimTarget(s string) string { return strings.TrimSuffix(s, "/") }

func (b builder) limits(n *node) []spec.Limit {
	var out []spec.Limit
	for _, text := range n.strs() {
		if l, err := spec.ParseLimit(text); err == nil {
			out = append(out, l)
		}
	}
	return out
}

func (b builder) size(n *node) int64 {
	if !n.usable() {
		return 0
	}
	v, err := spec.ParseSize(n.str())
	if err != nil {
		return 0
	}
	return v
}

func (b builder) route(api, name string, n *node) spec.Route {
	method, path, _ := strings.Cut(name, " ")
	r := spec.Route{Method: method, Path: path}
	at := spec.PathRoute(api, method, path)
	if n.kind != mapping {
		set := strings.Fields(n.str())
		switch {
		case n.str() == spec.Public:
			r.Public = true
		case strings.EqualFold(n.str(), spec.Public):
			b.w.unknown(n, at, fmt.Sprintf("%s would be a scope", n.str()), n.str(), []string{spec.Public})
		case len(set) == 0:
			b.w.problem(n, at, fmt.Errorf("%s says nothing: write public, the scopes it needs, or {} for any caller with a token", name))
		default:
			b.w.at[at+".scopes"] = n
			r.Scopes = [][]string{b.spaced(n, at+".scopes", set)}
		}
		return r
	}
	r.Public = n.get("public").isTrue()
	r.Scopes = b.scopes(n.get("scopes"), at+".scopes")
	r.Groups = n.get("groups").strs()
	r.Roles = n.get("roles").strs()
	r.Limits = b.limits(n.get("limit"))
	r.MaxBody = b.size(n.get("max_body"))
	r.When = n.get("when").str()
	r.MFA = spec.Duration(b.duration(n.get("mfa")))
	r.MaxAge = spec.Duration(b.duration(n.get("max_age")))
	r.ACR = n.get("acr").strs()
	r.AMR = n.get("amr").strs()
	r.Proof = n.get("proof").str()
	r.Zones = n.get("zones").strs()
	r.Introspect = n.get("introspect").isTrue()
	r.Authorize = n.get("authorize").strs()
	return r
}

// scopes reads one scope or several in one text, a list of them (all are needed),
// or a list of such lists (any of these sets).
func (b builder) scopes(n *node, path string) [][]string {
	if !n.usable() {
		return nil
	}
	if n.kind != list {
		b.w.at[path] = n
		return [][]string{b.spaced(n, path, strings.Fields(n.str()))}
	}
	nested := slices.ContainsFunc(n.items, func(i *node) bool { return i.kind == list })
	if !nested {
		for i, item := range n.items {
			b.w.at[fmt.Sprintf("%s[0][%d]", path, i)] = item
		}
		delete(b.w.at, path+"[0]")
		return [][]string{n.strs()}
	}
	var out [][]string
	for _, item := range n.items {
		if item.kind != list {
			b.w.problem(item, path, fmt.Errorf("either all elements of scopes are lists (any of these sets) or none is (all of these scopes)"))
			continue
		}
		out = append(out, item.strs())
	}
	return out
}

// spaced returns the scopes of one text, and refuses those that were meant to be
// parted by commas: a comma may be part of a scope, so that none would be found.
func (b builder) spaced(n *node, path string, set []string) []string {
	if slices.ContainsFunc(set, func(s string) bool { return strings.HasPrefix(s, ",") || strings.HasSuffix(s, ",") }) {
		b.w.problem(n, path, errors.New("scopes are parted by spaces, or are a list in brackets"))
	}
	return set
}

// parseFrom reads the address of a test.
func parseFrom(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("from takes an address such as 203.0.113.7")
	}
	return a.Unmap(), nil
}
