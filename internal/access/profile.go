package access

import (
	"encoding/json"
	"net/url"
	"slices"
)

// ProfileFAPI2 is the FAPI 2.0 Security Profile of the OpenID Foundation. An
// authorization server that has it holds every client to it; an app that has it is
// held to it at every server (docs/adr/0014).
const ProfileFAPI2 = "fapi2_security"

// The places where a demand of a profile is met.
const (
	BySettings = "settings" // of the server or the app: they are refused when they do not meet it
	ByRequest  = "request"  // what a request lacks is refused
	ByAlways   = "always"   // it holds without the profile, too
)

// Demand is one requirement of a profile.
type Demand struct {
	Section string // of the specification, and the number in it: 5.3.2.1-3
	Says    string // what is demanded
	By      string // BySettings, ByRequest or ByAlways
	server  func(*Server) bool
	app     func(*App) bool
}

// FAPI2 returns the requirements of the FAPI 2.0 Security Profile for authorization
// servers (sections 5.3.2 and 5.4), in its order. What it recommends and does not
// require is not among them.
func FAPI2() []Demand {
	return []Demand{
		{Section: "5.3.2.1-1", Says: "metadata documents say where the endpoints are", By: ByAlways},
		{Section: "5.3.2.1-2", Says: "no password grant", By: BySettings, app: func(a *App) bool { return !a.MayUse(GrantPassword) }},
		{Section: "5.3.2.1-3", Says: "only clients that can keep a secret", By: BySettings, app: func(a *App) bool { return !a.Public() }},
		{Section: "5.3.2.1-4", Says: "access tokens are bound to their sender", By: ByRequest},
		{Section: "5.3.2.1-5", Says: "by DPoP or a client certificate", By: ByAlways},
		{Section: "5.3.2.1-6", Says: "clients authenticate by private_key_jwt or a certificate", By: BySettings, app: func(a *App) bool {
			return slices.Contains(FAPI2Methods(), a.AuthMethod)
		}},
		{Section: "5.3.2.1-7", Says: "redirect URIs without wildcards", By: BySettings, app: func(a *App) bool { return a.OIDC.Wildcard != WildcardSubdomain }},
		{Section: "5.3.2.1-8", Says: "the audience of a client assertion is the issuer, a string", By: ByRequest},
		{Section: "5.3.2.1-9", Says: "refresh tokens are not rotated", By: BySettings, app: func(a *App) bool { return a.OIDC.Rotation != RotateTokens }},
		{Section: "5.3.2.1-11", Says: "codes live for 60 seconds at most", By: ByAlways},
		{Section: "5.3.2.1-12", Says: "codes can be bound to a DPoP key", By: ByAlways},
		{Section: "5.3.2.1-13", Says: "a JWT whose iat or nbf is 10 seconds ahead is good, one that is more than 60 ahead is not", By: ByRequest},
		{Section: "5.3.2.2-1", Says: "response_type is code", By: BySettings, app: func(a *App) bool { return !a.MayUse(GrantImplicit) }},
		{Section: "5.3.2.2-2", Says: "requests can be pushed by clients that authenticate", By: ByAlways},
		{Section: "5.3.2.2-3", Says: "authorization requests are pushed", By: ByRequest},
		{Section: "5.3.2.2-4", Says: "pushed requests come with client authentication", By: ByAlways},
		{Section: "5.3.2.2-5", Says: "PKCE with S256", By: ByRequest},
		{Section: "5.3.2.2-6", Says: "pushed requests name their redirect_uri", By: ByAlways},
		{Section: "5.3.2.2-7", Says: "answers name the issuer (iss)", By: ByAlways},
		{Section: "5.3.2.2-8", Says: "redirect URIs are not plain http, but for loopback addresses of native apps", By: BySettings, app: encryptedRedirects},
		{Section: "5.3.2.2-9", Says: "a code is good once", By: ByAlways},
		{Section: "5.3.2.2-10", Says: "no redirect with status 307", By: ByAlways},
		{Section: "5.3.2.2-12", Says: "a request_uri lives for less than 600 seconds", By: ByAlways},
		{Section: "5.3.2.2-14", Says: "a nonce may have 64 characters", By: ByAlways},
		{
			Section: "5.4.1-1", Says: "JWTs are signed with PS256, ES256 or EdDSA", By: BySettings,
			server: func(s *Server) bool { return slices.Contains(FAPI2Algorithms(), s.Algorithm) },
			app:    func(a *App) bool { return !slices.ContainsFunc(a.Keys, forOtherAlgorithm) },
		},
		{Section: "5.4.1-2", Says: "RSA keys have 2048 bits or more", By: ByAlways},
		{Section: "5.4.1-3", Says: "keys of elliptic curves have 224 bits or more", By: ByAlways},
		{Section: "5.4.1-4", Says: "tokens and codes have 128 random bits or more", By: ByAlways},
	}
}

// FAPI2Algorithms returns the algorithms of section 5.4.1.
func FAPI2Algorithms() []string { return []string{PS256, ES256, EdDSA} }

// FAPI2Methods returns the ways of client authentication of section 5.3.2.1.
func FAPI2Methods() []string { return []string{AuthPrivateKey, AuthTLS, AuthSelfSigned} }

// Holds reports whether the server holds the app to FAPI 2.0; nil is an app that is
// not known.
func (s *ServerView) Holds(a *AppView) bool {
	return s.Extension.Profile == ProfileFAPI2 || a != nil && a.Extension.Profile == ProfileFAPI2
}

// Unfit returns the first demand of the profile that the settings of the server or of
// the app do not meet; nil when there is none, or no profile.
func (s *ServerView) Unfit(a *AppView) *Demand {
	if !s.Holds(a) {
		return nil
	}
	for _, d := range FAPI2() {
		if d.server != nil && !d.server(&s.Server) || d.app != nil && !d.app(&a.App) {
			return &d
		}
	}
	return nil
}

// checkServerProfile holds the settings of a server to its profile.
func checkServerProfile(c *checks, s *Server) {
	p := s.Extension.Profile
	c.that(p == "" || p == ProfileFAPI2, "gatehouse.profile", quoted(p)+" is not a profile, known is "+ProfileFAPI2)
	for _, d := range FAPI2() {
		c.that(p != ProfileFAPI2 || d.server == nil || d.server(s), "gatehouse.profile", "FAPI 2.0, "+d.Section+": "+d.Says)
	}
}

// checkAppProfile holds the settings of an app to its profile.
func checkAppProfile(c *checks, a *App) {
	p := a.Extension.Profile
	c.that(p == "" || p == ProfileFAPI2, "settings.gatehouse.profile", quoted(p)+" is not a profile, known is "+ProfileFAPI2)
	for _, d := range FAPI2() {
		c.that(p != ProfileFAPI2 || d.app == nil || d.app(a), "settings.gatehouse.profile", "FAPI 2.0, "+d.Section+": "+d.Says)
	}
}

// encryptedRedirects reports whether no answer for the app travels in the clear.
func encryptedRedirects(a *App) bool {
	return !slices.ContainsFunc(a.OIDC.RedirectURIs, func(address string) bool {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" {
			return err != nil
		}
		return a.OIDC.ApplicationType != AppNative || !sameLoopback(address, address)
	})
}

// forOtherAlgorithm reports whether a key says of itself that it is for an algorithm
// that FAPI 2.0 does not have.
func forOtherAlgorithm(k AppKey) bool {
	var jwk struct {
		Algorithm string `json:"alg"`
	}
	err := json.Unmarshal(k.JWK, &jwk)
	return err != nil || jwk.Algorithm != "" && k.Status == Active && !slices.Contains(FAPI2Algorithms(), jwk.Algorithm)
}
