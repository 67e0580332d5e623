package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/spec"
)

// Render writes a snapshot as a configuration file, in the shortest forms.
// Values at the dotted paths of secrets (see File.Secrets) are written as the text
// given there: what came from outside of a file never goes into one. What Render writes,
// Parse reads as the same objects.
func Render(s spec.Snapshot, secrets map[string]string) []byte {
	r := renderer{secrets: secrets}
	r.line(0, "version: "+strconv.Itoa(Version))
	if len(s.Issuers) > 0 {
		r.section("issuers")
		for _, i := range s.Issuers {
			r.issuer(i)
		}
	}
	if len(s.Zones) > 0 {
		r.section("zones")
		for _, z := range s.Zones {
			r.list(1, spec.PathZone(z.Name), z.Name, z.Networks)
		}
	}
	if len(s.DecisionPoints) > 0 {
		r.section("decision_points")
		for i := range s.DecisionPoints {
			r.decisionPoint(&s.DecisionPoints[i])
		}
	}
	if len(s.APIs) > 0 {
		r.section("apis")
		for i := range s.APIs {
			r.api(&s.APIs[i])
		}
	}
	if len(s.Policies) > 0 {
		r.section("policies")
		for _, p := range s.Policies {
			r.text(1, spec.PathPolicy(p.Name), p.Name, p.Text)
		}
	}
	if len(s.Models) > 0 {
		r.section("authzen")
		for i := range s.Models {
			r.model(&s.Models[i])
		}
	}
	return []byte(r.b.String())
}

func (r *renderer) model(m *spec.Model) {
	r.line(1, m.Name+":")
	r.list(2, spec.PathModel(m.Name, "resources"), "resources", m.Resources)
	kind := ""
	for i := range m.Entities {
		e := &m.Entities[i]
		if i == 0 {
			r.line(2, "entities:")
		}
		if e.Type != kind {
			kind = e.Type
			r.line(3, quote(kind)+":")
		}
		path := spec.PathModel(m.Name, "entities", e.Type, e.ID)
		var parts []string
		for _, name := range sortedNames(e.Attributes) {
			parts = append(parts, quote(name)+": "+r.attribute(path+"."+name, e.Attributes[name]))
		}
		r.line(4, quote(e.ID)+": {"+strings.Join(parts, ", ")+"}")
	}
	r.text(2, spec.PathModel(m.Name, "policies"), "policies", m.Policies)
}

func (r *renderer) attribute(path string, a spec.Attribute) string {
	switch v := a.Value.(type) {
	case []string:
		quoted := make([]string, len(v))
		for i, s := range v {
			quoted[i] = r.element(fmt.Sprintf("%s[%d]", path, i), s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case string:
		return r.element(path, v)
	default:
		return fmt.Sprint(v)
	}
}

// renderer writes lines, two spaces a level.
type renderer struct {
	b       strings.Builder
	secrets map[string]string
}

func (r *renderer) line(level int, s string) {
	r.b.WriteString(strings.Repeat("  ", level))
	r.b.WriteString(s)
	r.b.WriteByte('\n')
}

func (r *renderer) section(name string) {
	r.b.WriteByte('\n')
	r.line(0, name+":")
}

// secret writes the reference that stands at path, if one does.
func (r *renderer) secret(level int, path, key string) bool {
	raw, ok := r.secrets[path]
	if ok {
		r.line(level, quote(key)+": "+quote(raw))
	}
	return ok
}

// text writes key: value, and nothing when there is no value.
func (r *renderer) text(level int, path, key, value string) {
	if !r.secret(level, path, key) && value != "" {
		r.line(level, quote(key)+": "+quote(escapeReferences(value)))
	}
}

// bare writes a value that is not text.
func (r *renderer) bare(level int, path, key, value string) {
	if !r.secret(level, path, key) {
		r.line(level, quote(key)+": "+value)
	}
}

func (r *renderer) flag(level int, path, key string, set bool) {
	if set {
		r.bare(level, path, key, "true")
	}
}

// list writes one value as a scalar and several as a list on one line.
func (r *renderer) list(level int, path, key string, values []string) {
	if r.secret(level, path, key) || len(values) == 0 {
		return
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = r.element(fmt.Sprintf("%s[%d]", path, i), v)
	}
	if len(quoted) == 1 {
		r.line(level, quote(key)+": "+quoted[0])
		return
	}
	r.line(level, quote(key)+": ["+strings.Join(quoted, ", ")+"]")
}

func (r *renderer) element(path, value string) string {
	if raw, ok := r.secrets[path]; ok {
		return quote(raw)
	}
	return quote(escapeReferences(value))
}

func (r *renderer) issuer(i spec.Issuer) {
	path := spec.PathIssuer(i.Name)
	r.line(1, quote(i.Name)+":")
	r.text(2, path+".builtin", "builtin", i.Builtin)
	r.text(2, path+".url", "url", i.URL)
	r.list(2, path+".audience", "audience", i.Audience)
	r.list(2, path+".algorithms", "algorithms", i.Algorithms)
	r.text(2, path+".tokens", "tokens", i.Tokens)
	r.text(2, path+".client_id", "client_id", i.ClientID)
	r.onlyReference(path+".client_secret", "client_secret", i.ClientSecret)
	r.text(2, path+".client_auth", "client_auth", i.ClientAuth)
	r.flag(2, path+".signed_answers", "signed_answers", i.SignedAnswers)
	r.text(2, path+".introspection_url", "introspection_url", i.IntrospectionURL)
	r.text(2, path+".missing_audience", "missing_audience", i.MissingAudience)
	if s := i.Session; len(s.Scopes) > 0 || s.Idle != 0 || s.Lifetime != 0 {
		r.line(2, "session:")
		r.list(3, path+".session.scopes", "scopes", s.Scopes)
		r.duration(3, path+".session.idle", "idle", s.Idle)
		r.duration(3, path+".session.lifetime", "lifetime", s.Lifetime)
	}
	r.text(2, path+".client_ca", "client_ca", i.ClientCA)
	r.text(2, path+".crl", "crl", i.CRL)
	if len(i.Keys) > 0 {
		r.line(2, "keys:")
		for _, id := range sortedNames(i.Keys) {
			r.text(3, path+".keys."+id, id, i.Keys[id])
		}
	}
	r.list(2, path+".scopes", "scopes", i.Scopes)
	r.claimNames(path+".claims", i.Claims)
}

// onlyReference writes the reference of a secret, and never a value.
func (r *renderer) onlyReference(path, key, value string) {
	if strings.HasPrefix(value, "${") {
		r.line(2, key+": "+quote(value))
		return
	}
	r.secret(2, path, key)
}

func (r *renderer) decisionPoint(p *spec.DecisionPoint) {
	path := spec.PathDecisionPoint(p.Name)
	r.line(1, quote(p.Name)+":")
	r.text(2, path+".url", "url", p.URL)
	r.onlyReference(path+".token", "token", p.Token)
	r.duration(2, path+".timeout", "timeout", p.Timeout)
}

func (r *renderer) claimNames(path string, c spec.ClaimNames) {
	if c == (spec.ClaimNames{}) {
		return
	}
	if (c == spec.ClaimNames{Preset: c.Preset}) && !r.anySecret(path+".") {
		r.text(2, path, "claims", c.Preset)
		return
	}
	r.line(2, "claims:")
	r.text(3, path+".preset", "preset", c.Preset)
	r.text(3, path+".user", "user", c.User)
	r.text(3, path+".client", "client", c.Client)
	r.text(3, path+".audience", "audience", c.Audience)
	r.text(3, path+".scopes", "scopes", c.Scopes)
	r.text(3, path+".groups", "groups", c.Groups)
	r.text(3, path+".roles", "roles", c.Roles)
}

func (r *renderer) api(a *spec.API) {
	path := spec.PathAPI(a.Name)
	r.line(1, quote(a.Name)+":")
	r.text(2, path+".host", "host", a.Host)
	r.text(2, path+".base_path", "base_path", a.BasePath)
	r.text(2, path+".url", "url", a.URL)
	r.flag(2, path+".keep_base_path", "keep_base_path", a.KeepBasePath)
	r.upstream(path+".upstream", a.Upstream)
	r.list(2, path+".auth", "auth", a.Auth)
	r.text(2, path+".proof", "proof", a.Proof)
	r.flag(2, path+".introspect", "introspect", a.Introspect)
	r.list(2, path+".authorize", "authorize", a.Authorize)
	r.text(2, path+".sign_in", "sign_in", a.SignIn)
	r.limits(2, path+".limit", a.Limits)
	r.headers(path+".headers", a.Headers)
	r.flag(2, path+".forward_authorization", "forward_authorization", a.ForwardAuthorization)
	r.flag(2, path+".encoded_slashes", "encoded_slashes", a.EncodedSlashes)
	r.size(2, path+".max_body", a.MaxBody)
	r.line(2, "routes:")
	for i := range a.Routes {
		r.route(a.Name, &a.Routes[i])
	}
}

func (r *renderer) size(level int, path string, n int64) {
	if n != 0 {
		r.bare(level, path, "max_body", spec.FormatSize(n))
	}
}

func (r *renderer) limits(level int, path string, limits []spec.Limit) {
	texts := make([]string, len(limits))
	for i, l := range limits {
		texts[i] = l.String()
	}
	r.list(level, path, "limit", texts)
}

func (r *renderer) duration(level int, path, key string, d spec.Duration) {
	if d != 0 {
		r.bare(level, path, key, quote(shortDuration(d.Std())))
	}
}

// shortDuration is d without the zero parts that Go writes: 5m and not 5m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (r *renderer) upstream(path string, u spec.Upstream) {
	if len(u.Targets) == 1 && u.Balance == "" && u.Health == nil && u.Timeout == 0 && u.Retries == 0 && u.MaxConnections == 0 {
		raw, ok := r.secrets[path+".targets[0]"]
		if !ok {
			raw, ok = r.secrets[path+".targets"]
		}
		if ok {
			r.line(2, "upstream: "+quote(raw))
			return
		}
		r.list(2, path, "upstream", u.Targets)
		return
	}
	r.line(2, "upstream:")
	if raw, ok := r.secrets[path]; ok && len(u.Targets) == 1 {
		r.line(3, "targets: "+quote(raw))
	} else {
		r.list(3, path+".targets", "targets", u.Targets)
	}
	r.text(3, path+".balance", "balance", u.Balance)
	if h := u.Health; h != nil {
		r.line(3, "health:")
		r.text(4, path+".health.path", "path", h.Path)
		r.duration(4, path+".health.interval", "interval", h.Interval)
	}
	r.duration(3, path+".timeout", "timeout", u.Timeout)
	if u.Retries != 0 {
		r.bare(3, path+".retries", "retries", strconv.Itoa(u.Retries))
	}
	if u.MaxConnections != 0 {
		r.bare(3, path+".max_connections", "max_connections", strconv.Itoa(u.MaxConnections))
	}
}

func (r *renderer) headers(path string, h spec.Headers) {
	if len(h.Forward) == 0 && len(h.Claims) == 0 {
		return
	}
	r.line(2, "headers:")
	r.list(3, path+".forward", "forward", h.Forward)
	if len(h.Claims) > 0 {
		r.line(3, "claims:")
		for _, name := range sortedNames(h.Claims) {
			r.text(4, path+".claims."+name, name, h.Claims[name])
		}
	}
}

func (r *renderer) route(api string, t *spec.Route) {
	path := spec.PathRoute(api, t.Method, t.Path)
	name := t.Method + " " + t.Path
	if t.Method == "*" {
		name = "ANY " + t.Path
	}
	group := len(t.Groups)+len(t.Roles)+len(t.Limits)+len(t.Zones)+len(t.ACR)+len(t.AMR)+len(t.Authorize) > 0 || t.MaxBody != 0 || t.When != "" || t.MFA != 0 || t.MaxAge != 0 || t.Proof != "" || t.Introspect
	switch {
	case r.secret(3, path, name):
	case !group && t.Public && r.secrets[path+".public"] == "":
		r.line(3, quote(name)+": public")
	case !group && len(t.Scopes) == 1 && !r.anySecret(path+".scopes"):
		r.line(3, quote(name)+": "+quote(escapeReferences(strings.Join(t.Scopes[0], " "))))
	case !group && len(t.Scopes) == 0:
		r.line(3, quote(name)+": {}")
	default:
		r.line(3, quote(name)+":")
		r.routeGroup(path, t)
	}
}

func (r *renderer) anySecret(prefix string) bool {
	for path := range r.secrets {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

func (r *renderer) routeGroup(path string, t *spec.Route) {
	r.flag(4, path+".public", "public", t.Public)
	r.scopes(path+".scopes", t.Scopes)
	r.list(4, path+".groups", "groups", t.Groups)
	r.list(4, path+".roles", "roles", t.Roles)
	r.limits(4, path+".limit", t.Limits)
	r.size(4, path+".max_body", t.MaxBody)
	r.text(4, path+".when", "when", t.When)
	r.duration(4, path+".mfa", "mfa", t.MFA)
	r.duration(4, path+".max_age", "max_age", t.MaxAge)
	r.list(4, path+".acr", "acr", t.ACR)
	r.list(4, path+".amr", "amr", t.AMR)
	r.text(4, path+".proof", "proof", t.Proof)
	r.flag(4, path+".introspect", "introspect", t.Introspect)
	r.list(4, path+".authorize", "authorize", t.Authorize)
	r.list(4, path+".zones", "zones", t.Zones)
}

func (r *renderer) scopes(path string, sets [][]string) {
	if len(sets) == 0 || r.secret(4, path, "scopes") {
		return
	}
	texts := make([]string, len(sets))
	for i, set := range sets {
		quoted := make([]string, len(set))
		for j, s := range set {
			at := fmt.Sprintf("%s[%d][%d]", path, i, j)
			if len(sets) == 1 {
				at = fmt.Sprintf("%s[%d]", path, j)
				if _, ok := r.secrets[at]; !ok {
					at = fmt.Sprintf("%s[0][%d]", path, j)
				}
			}
			quoted[j] = r.element(at, s)
		}
		texts[i] = "[" + strings.Join(quoted, ", ") + "]"
	}
	if len(texts) == 1 {
		r.line(4, "scopes: "+texts[0])
		return
	}
	r.line(4, "scopes: ["+strings.Join(texts, ", ")+"]")
}
