package spec

import (
	"errors"
	"slices"
	"time"
)

// Bounds of sessions.
const (
	shortestIdle    = time.Minute
	longestLifetime = 30 * 24 * time.Hour
)

// Sessions reports whether browsers that have signed in are let in.
func (a *API) Sessions() bool { return slices.Contains(a.Auth, AuthSession) }

// TakesTokens reports whether the API accepts tokens of some issuer, or API keys.
func (a *API) TakesTokens() bool {
	return slices.ContainsFunc(a.Auth, func(name string) bool { return name != AuthSession && name != Public })
}

// SignsIn returns the issuer at which browsers of the API sign in: the one that
// sign_in names; else the only one under auth that has a client_id; else the only one
// of all. The error says what to write when that is nobody, or several.
func (s *Snapshot) SignsIn(a *API) (*Issuer, error) {
	able := func(names func(string) bool) (list []*Issuer) {
		for i := range s.Issuers {
			if s.Issuers[i].ClientID != "" && names(s.Issuers[i].Name) {
				list = append(list, &s.Issuers[i])
			}
		}
		return list
	}
	if a.SignIn != "" {
		if list := able(func(n string) bool { return n == a.SignIn }); len(list) == 1 {
			return list[0], nil
		}
		return nil, errors.New("browsers sign in at an issuer that has a client_id: that is the gateway's own name there")
	}
	for _, names := range []func(string) bool{
		func(n string) bool { return slices.Contains(a.Auth, n) },
		func(string) bool { return true },
	} {
		switch list := able(names); len(list) {
		case 0:
		case 1:
			return list[0], nil
		default:
			return nil, errors.New("several issuers have a client_id: say with sign_in at which of them browsers sign in")
		}
	}
	return nil, errors.New("session needs an issuer with a client_id: that is the gateway's own name where people sign in")
}

// SessionScopes returns what a sign-in at the issuer asks for: what it says itself, or
// else every scope that a route of an API with sessions there names.
func (s *Snapshot) SessionScopes(i *Issuer) []string {
	if len(i.Session.Scopes) > 0 {
		return slices.Clone(i.Session.Scopes)
	}
	var list []string
	for k := range s.APIs {
		a := &s.APIs[k]
		if at, err := s.SignsIn(a); !a.Sessions() || err != nil || at.Name != i.Name {
			continue
		}
		for _, r := range a.Routes {
			for _, set := range r.Scopes {
				list = append(list, set...)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// checkSessions checks which issuer each API with sessions signs in at, and that every
// setting about it has an effect.
func (s *Snapshot) checkSessions(f *findings) {
	used := map[string]bool{}
	for i := range s.APIs {
		a := &s.APIs[i]
		path := PathAPI(a.Name)
		if !a.Sessions() {
			if a.SignIn != "" {
				f.addf(path+".sign_in", "sign_in has no effect without session under auth")
			}
			continue
		}
		if a.Proof != "" {
			f.addf(path+".proof", "browsers that have signed in can prove nothing: serve them by an API of their own")
		}
		for _, r := range a.Routes {
			if r.Proof != "" && a.Proof == "" {
				f.addf(PathRoute(a.Name, r.Method, r.Path, "proof"), "browsers that have signed in can prove nothing: serve them by an API of their own")
			}
		}
		if a.SignIn != "" && !slices.ContainsFunc(s.Issuers, func(o Issuer) bool { return o.Name == a.SignIn }) {
			var known []string
			for _, o := range s.Issuers {
				known = append(known, o.Name)
			}
			f.list = append(f.list, Finding{Path: path + ".sign_in", Word: a.SignIn, Known: known, Err: errors.New("there is no issuer of this name")})
			continue
		}
		at, err := s.SignsIn(a)
		if err != nil {
			where := path + ".auth"
			if a.SignIn != "" {
				where = path + ".sign_in"
			}
			f.add(where, err)
			continue
		}
		used[at.Name] = true
	}
	for i := range s.Issuers {
		o := &s.Issuers[i]
		path := PathIssuer(o.Name)
		if used[o.Name] {
			continue
		}
		if o.ClientID != "" && !o.Asked() {
			f.addf(path+".client_id", "client_id has no effect: it is for tokens: opaque or both, and for APIs with auth: session")
		}
		if len(o.Session.Scopes) > 0 || o.Session.Idle != 0 || o.Session.Lifetime != 0 {
			f.addf(path+".session", "session has no effect: no API with auth: session signs in here")
		}
	}
}

func (s *Session) check(f *findings, path string) {
	checkList(f, path+".scopes", s.Scopes, CheckScope)
	if d := s.Idle.Std(); d != 0 && (d < shortestIdle || d > longestLifetime) {
		f.addf(path+".idle", "idle is between 1m and 720h")
	}
	if d := s.Lifetime.Std(); d != 0 && (d < shortestIdle || d > longestLifetime) {
		f.addf(path+".lifetime", "lifetime is between 1m and 720h")
	}
	if s.Lifetime != 0 && s.Idle > s.Lifetime {
		f.addf(path+".idle", "idle has no effect: a session never gets older than lifetime")
	}
}
