package spec

import (
	"errors"
	"slices"
)

// Asked reports whether the issuer is asked about tokens that are not verified here.
func (i *Issuer) Asked() bool { return i.Tokens == TokensOpaque || i.Tokens == TokensBoth }

// Introspects reports whether the operation asks issuers about tokens of every form.
func (r *Route) Introspects(a *API) bool { return a.Introspect || r.Introspect }

// checkIntrospection checks that whoever is to be asked about tokens can be, and that
// there is somebody to ask.
func (s *Snapshot) checkIntrospection(f *findings) {
	for i := range s.APIs {
		a := &s.APIs[i]
		asks := map[string]bool{PathAPI(a.Name, "introspect"): a.Introspect}
		for j := range a.Routes {
			asks[PathRoute(a.Name, a.Routes[j].Method, a.Routes[j].Path, "introspect")] = a.Routes[j].Introspect
		}
		for _, path := range sortedKeys(asks) {
			if asks[path] {
				f.add(path, s.canIntrospect(a))
			}
		}
	}
}

// canIntrospect says why issuers of the API's tokens cannot be asked about them.
func (s *Snapshot) canIntrospect(a *API) error {
	names := slices.Clone(a.Auth)
	if a.Sessions() {
		if at, err := s.SignsIn(a); err == nil {
			names = append(names, at.Name)
		}
	}
	somebody := false
	for i := range s.Issuers {
		o := &s.Issuers[i]
		switch {
		case !slices.Contains(names, o.Name), o.Builtin != "", o.ClientCA != "", len(o.Keys) > 0:
		case !o.Asked():
			return errors.New("introspect needs every issuer of the API to be one that can be asked: " + o.Name + " lacks tokens: both, with client_id and client_secret")
		default:
			somebody = true
		}
	}
	if !somebody {
		return errors.New("introspect has no effect: no issuer of the API is elsewhere, and what is revoked here is known at once")
	}
	return nil
}
