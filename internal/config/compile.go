package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/spec"
)

// compilation is the work on one configuration.
type compilation struct {
	sources  map[string]source
	problems Problems
	brought  []brought
}

func (c *compilation) add(n *node, format string, args ...any) {
	n.bad = true
	c.problems = append(c.problems, Problem{Position: n.at, Width: n.width, Message: fmt.Sprintf(format, args...)})
}

// compile resolves references, checks shapes, builds the spec and checks that.
func (c *compilation) compile(file *File, tree *node, o Options) {
	r := newResolver(o)
	r.walk(tree)
	c.brought = r.brought
	c.problems = append(c.problems, r.problems...)

	w := newWalker(o.builtAll)
	w.walk(tree, root, "")
	b := builder{w}
	file.Server = b.server(tree.get("server"))
	file.Declared = spec.Snapshot{
		Issuers:        b.issuers(tree.get("issuers")),
		APIs:           b.apis(tree.get("apis")),
		Zones:          b.zones(tree.get("zones")),
		DecisionPoints: b.decisionPoints(tree.get("decision_points")),
		Policies:       b.policies(tree.get("policies")),
		Models:         b.models(tree.get("authzen")),
		Sources:        map[string]string{},
	}
	for path, at := range w.sources {
		if !strings.HasPrefix(path, "server") && path != "version" && path != "tests" {
			file.Declared.Sources[path] = at
		}
	}
	w.findings(file.Declared.Check(spec.Rules{PlainIssuers: o.Dev}))
	w.knownScopes(file.Declared, o.Scopes)
	if !o.Elsewhere {
		w.needed(tree, file.Server)
	}
	c.rules(w, &file.Declared)
	file.Tests = newTestReader(w, file.Declared.APIs).all(tree.get("tests"))
	file.Secrets = w.secrets()
	file.Values = w.secretValues(&file.Declared)
	c.problems = append(c.problems, w.problems...)
}

// needed reports what APIs and zones say that only settings of the server give a meaning.
func (w *walker) needed(tree *node, s Server) {
	add := func(n *node, path, message string) {
		if !n.bad {
			w.problem(n, path, errors.New(message))
		}
	}
	eachNamed(tree.get("apis"), func(name string, v *node) {
		for _, n := range v.get("auth").each() {
			if n.str() == spec.AuthMTLS && s.Gateway.ClientCA == "" {
				add(n, spec.PathAPI(name, "auth"), "mtls lets in whom the listener's authorities vouch for: name them under server.gateway.tls.client_ca")
			}
		}
	})
	eachNamed(tree.get("zones"), func(name string, v *node) {
		for _, n := range v.each() {
			switch {
			case spec.CheckZoneNetwork(n.str()) != nil:
			case strings.HasPrefix(n.str(), "country:") && s.Geo.Country == "":
				add(n, spec.PathZone(name), "nothing says where addresses are: name a file under server.geo.country")
			case strings.HasPrefix(n.str(), "asn:") && s.Geo.ASN == "":
				add(n, spec.PathZone(name), "nothing says whose addresses are: name a file under server.geo.asn")
			}
		}
	})
}

// findings turns what the spec's checks say about paths into problems at places.
// What follows from something that has been reported is left out.
func (w *walker) findings(list []spec.Finding) {
	for _, f := range list {
		n, exact := w.place(f.Path)
		if n == nil || n.bad || w.follows(f.Path, exact) {
			continue
		}
		if f.Known != nil {
			w.unknown(n, f.Path, f.Err.Error(), f.Word, f.Known)
			continue
		}
		var unbuilt spec.ErrUnbuilt
		if errors.As(f.Err, &unbuilt) && (w.builtAll || w.reported(f.Path)) {
			continue
		}
		w.problems = append(w.problems, Problem{Position: n.at, Width: n.width, Path: f.Path, Message: f.Err.Error(), Unsupported: unbuilt.Feature != ""})
	}
}

// reported reports whether something has been said about a group that the path is in.
func (w *walker) reported(path string) bool {
	for p := parentPath(path); p != ""; p = parentPath(p) {
		if n := w.at[p]; n != nil && n.bad {
			return true
		}
	}
	return false
}

// place returns the node of a path, or of the nearest group that it is in.
func (w *walker) place(path string) (n *node, exact bool) {
	for p := path; p != ""; p = parentPath(p) {
		if n := w.at[p]; n != nil {
			return n, p == path
		}
	}
	return w.at[""], false
}

// follows reports whether a finding comes of a setting that could not be read.
func (w *walker) follows(path string, exact bool) bool {
	api, route, ok := strings.Cut(path, ".routes.")
	if ok {
		if auth := w.at[api+".auth"]; auth != nil && auth.bad || w.values[api+".auth"] != nil && w.values[api+".auth"].bad {
			return exact || !strings.Contains(route, "[")
		}
		return false
	}
	// What an issuer is, and so what it may say, may hang on what is not there.
	if name, ok := strings.CutPrefix(path, "issuers."); ok {
		name, _, _ = strings.Cut(name, ".")
		if w.values["issuers."+name].lacks() {
			return true
		}
	}
	if !exact {
		return false
	}
	v := w.values[path]
	if v == nil || v.kind != mapping {
		return false
	}
	return slices.ContainsFunc(v.entries, func(e entry) bool { return e.key.bad || e.value.bad })
}

// parentPath drops the last index or name of a dotted path. The path of a route
// may hold dots: it ends where its setting begins.
func parentPath(path string) string {
	if strings.HasSuffix(path, "]") {
		return path[:strings.LastIndexByte(path, '[')]
	}
	if i := strings.Index(path, ".routes."); i >= 0 {
		route := path[i+len(".routes."):]
		j := strings.LastIndexByte(route, '.')
		if j < 0 || strings.ContainsAny(route[j:], "/ }") {
			return path[:i+len(".routes")]
		}
		return path[:i+len(".routes.")+j]
	}
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return ""
	}
	return path[:i]
}

// knownScopes refuses scopes that no built-in server of the API knows. APIs that
// also take tokens of servers whose scopes are not known are left alone.
func (w *walker) knownScopes(s spec.Snapshot, servers map[string][]string) {
	if servers == nil {
		return
	}
	issuers := map[string]spec.Issuer{}
	for _, i := range s.Issuers {
		issuers[i.Name] = i
	}
	for _, a := range s.APIs {
		var known []string
		all := len(a.Auth) > 0
		for _, name := range a.Auth {
			scopes, ok := servers[issuers[name].Builtin]
			all = all && ok && issuers[name].Builtin != ""
			known = append(known, scopes...)
		}
		if !all {
			continue
		}
		for _, r := range a.Routes {
			for i, set := range r.Scopes {
				for j, scope := range set {
					path := fmt.Sprintf("%s[%d][%d]", spec.PathRoute(a.Name, r.Method, r.Path, "scopes"), i, j)
					if n, _ := w.place(path); !slices.Contains(known, scope) && n != nil && !n.bad {
						w.unknown(n, path, "the authorization server has no such scope", scope, known)
					}
				}
			}
		}
	}
}

// secrets returns the texts as written of all values that came from elsewhere.
func (w *walker) secrets() map[string]string {
	out := map[string]string{}
	for path, n := range w.values {
		if n.referring() {
			out[path] = n.raw
		}
	}
	return out
}

// secretValues returns what the references of secrets stand for.
func (w *walker) secretValues(s *spec.Snapshot) map[string]string {
	out := map[string]string{}
	add := func(path, written string) {
		if n := w.values[path]; written != "" && n.usable() {
			out[path] = n.text
		}
	}
	for _, i := range s.Issuers {
		add(spec.PathIssuer(i.Name)+".client_secret", i.ClientSecret)
	}
	for _, p := range s.DecisionPoints {
		add(spec.PathDecisionPoint(p.Name)+".token", p.Token)
	}
	return out
}

// finish puts problems in order, adds their source lines, and takes out every
// value that came from elsewhere.
func (c *compilation) finish() Problems {
	problems := c.problems.sorted()
	for i := range problems {
		p := &problems[i]
		p.Message, p.Suggestion = c.scrub(p.Message), c.scrub(p.Suggestion)
		if lines := c.sources[p.File].lines; p.Line > 0 && p.Line <= len(lines) {
			p.Source = maskSecrets(lines[p.Line-1])
			p.Width = max(p.Width, 1)
		}
	}
	return problems
}

// scrub writes references in the places of their values. Checks do not repeat
// values in the first place; this is the second lock.
func (c *compilation) scrub(s string) string {
	for _, b := range c.brought {
		if len(b.value) >= 4 && strings.Contains(s, b.value) {
			s = strings.ReplaceAll(s, b.value, b.raw)
		}
	}
	return s
}

// What must not be shown even of the file itself: passwords in URLs, and literal
// values of keys that hold secrets.
var (
	urlPassword = regexp.MustCompile(`://[^/@\s:]*:([^/@\s$][^/@\s]*)@`)
	secretValue = regexp.MustCompile(`(?i)\b[\w-]*(?:secret|password|passwd|api_key)["']?\s*[:=]\s*(?:"([^"]*)"?|'([^']*)'?|([^\s,}&"'$][^,}&]*))`)
)

// maskSecrets puts stars in the places of secrets, keeping every column.
func maskSecrets(line string) string {
	for _, pattern := range []*regexp.Regexp{urlPassword, secretValue} {
		matches := pattern.FindAllStringSubmatchIndex(line, -1)
		for _, m := range slices.Backward(matches) { // so that the places before stay right
			for g := 2; g+1 < len(m); g += 2 {
				if m[g] >= 0 && !strings.HasPrefix(line[m[g]:m[g+1]], "${") {
					line = line[:m[g]] + strings.Repeat("*", utf8.RuneCountInString(line[m[g]:m[g+1]])) + line[m[g+1]:]
				}
			}
		}
	}
	return line
}
