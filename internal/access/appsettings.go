package access

import (
	"net/url"
	"slices"
	"strings"
)

// The application types (Okta's application_type).
const (
	AppWeb     = "web"
	AppNative  = "native"
	AppBrowser = "browser"
	AppService = "service" // no person takes part
)

// Whether a person is asked before an app gets what it asks for.
const (
	ConsentTrusted = "TRUSTED" // nobody is asked
	ConsentAsk     = "REQUIRED"
)

// Whether redirect URIs may have a wildcard as their first label.
const (
	WildcardDisabled  = "DISABLED"
	WildcardSubdomain = "SUBDOMAIN"
)

// Whether each use of a refresh token replaces it.
const (
	RotateTokens = "ROTATE"
	StaticTokens = "STATIC"
)

// OIDC are the settings of an app for sign-in. The zero value is that of an app
// without people.
type OIDC struct {
	ApplicationType    string   `json:"applicationType,omitempty"`
	RedirectURIs       []string `json:"redirectUris,omitempty"` // in the order they were given
	PostLogoutURIs     []string `json:"postLogoutRedirectUris,omitempty"`
	ResponseTypes      []string `json:"responseTypes,omitempty"`
	Wildcard           string   `json:"wildcardRedirect,omitempty"`
	PKCERequired       bool     `json:"pkceRequired,omitempty"`
	DPoPBound          bool     `json:"dpopBoundAccessTokens,omitempty"`
	ConsentMethod      string   `json:"consentMethod,omitempty"`
	IssuerMode         string   `json:"issuerMode,omitempty"`
	ClientURI          string   `json:"clientUri,omitempty"`
	LogoURI            string   `json:"logoUri,omitempty"`
	PolicyURI          string   `json:"policyUri,omitempty"`
	TermsURI           string   `json:"tosUri,omitempty"`
	JWKSURI            string   `json:"jwksUri,omitempty"` // where the app publishes its keys; instead of keys that are kept here
	InitiateLoginURI   string   `json:"initiateLoginUri,omitempty"`
	ParticipateSLO     bool     `json:"participateSlo,omitempty"`
	LogoutURI          string   `json:"frontchannelLogoutUri,omitempty"`
	LogoutSession      bool     `json:"frontchannelLogoutSessionRequired,omitempty"`
	BackchannelURI     string   `json:"backchannelLogoutUri,omitempty"` // told by us when a session ends
	ImplicitAssignment bool     `json:"implicitAssignment,omitempty"`   // everybody may use it
	// Rotation is that of refresh tokens: ROTATE or STATIC; LeewaySeconds is how
	// long the last one may be used again.
	Rotation      string `json:"refreshTokenRotation,omitempty"`
	LeewaySeconds int    `json:"refreshTokenLeeway,omitempty"`
	// GroupsClaim is the claim of the org server's ID tokens that lists groups.
	GroupsClaim *GroupsClaim `json:"groupsClaim,omitempty"`
	// SignOnPolicy is the id of the policy that says how people sign in to the app.
	SignOnPolicy string `json:"signOnPolicy,omitempty"`
	// Display is what a launcher of apps shows, by Okta's names.
	Display map[string]any `json:"display,omitempty"`
}

// GroupsClaim is a claim with the names of groups.
type GroupsClaim struct {
	ValueType string `json:"valueType"` // EXPRESSION or FILTER
	Name      string `json:"name"`
	Value     string `json:"value"`
	Filter    string `json:"filterType,omitempty"`
}

const maxURIs = 100

func checkOIDC(c *checks, a *App) {
	o := &a.OIDC
	if o.ApplicationType == "" {
		return
	}
	c.oneOf("settings.oauthClient.application_type", o.ApplicationType, AppWeb, AppNative, AppBrowser, AppService)
	c.oneOf("settings.oauthClient.consent_method", o.ConsentMethod, ConsentTrusted, ConsentAsk)
	c.oneOf("settings.oauthClient.wildcard_redirect", o.Wildcard, WildcardDisabled, WildcardSubdomain)
	c.oneOf("settings.oauthClient.issuer_mode", o.IssuerMode, IssuerOrgURL, IssuerDynamic)
	c.that(o.Rotation == "" || o.Rotation == RotateTokens || o.Rotation == StaticTokens, "settings.oauthClient.refresh_token.rotation_type", "must be ROTATE or STATIC")
	c.that(o.LeewaySeconds >= 0 && o.LeewaySeconds <= 60, "settings.oauthClient.refresh_token.leeway", "must be from 0 to 60 seconds")
	for _, r := range o.ResponseTypes {
		c.oneOf("settings.oauthClient.response_types", r, "code", "token", "id_token")
	}
	redirects := a.MayUse(GrantAuthorizationCode) || a.MayUse(GrantImplicit)
	c.that(!redirects || len(o.RedirectURIs) > 0, "settings.oauthClient.redirect_uris", "is empty: an app that people sign in to needs a redirect URI")
	c.that(o.ApplicationType != AppService || !redirects, "settings.oauthClient.grant_types", "a service app signs nobody in")
	c.that(!a.MayUse(GrantClientCredentials) || o.ApplicationType == AppService || o.ApplicationType == AppWeb, "settings.oauthClient.grant_types", "client_credentials is for service and web apps")
	for name, list := range map[string][]string{"redirect_uris": o.RedirectURIs, "post_logout_redirect_uris": o.PostLogoutURIs} {
		path := "settings.oauthClient." + name
		c.that(len(list) <= maxURIs, path, "has more than 100 entries")
		for _, u := range list {
			c.that(usableRedirect(u, o.Wildcard == WildcardSubdomain), path, quoted(u)+" is not an absolute URI without fragment, or has a wildcard that is not allowed")
		}
	}
	for name, u := range map[string]string{
		"client_uri": o.ClientURI, "logo_uri": o.LogoURI, "policy_uri": o.PolicyURI, "tos_uri": o.TermsURI,
		"initiate_login_uri": o.InitiateLoginURI, "frontchannel_logout_uri": o.LogoutURI, "backchannel_logout_uri": o.BackchannelURI,
		"jwks_uri": o.JWKSURI,
	} {
		c.that(u == "" || webURI(strings.Replace(u, "://*.", "://", 1)), "settings.oauthClient."+name, "is not an http or https URI")
	}
	c.that(o.JWKSURI == "" || len(a.Keys) == 0, "settings.oauthClient.jwks_uri", "and jwks are both there: an app publishes its keys, or has them kept here")
	c.that(!strings.Contains(o.BackchannelURI, "#") && !strings.Contains(o.BackchannelURI, "*"), "settings.oauthClient.backchannel_logout_uri", "has a fragment or a wildcard")
	c.that(!o.ParticipateSLO || o.LogoutURI != "", "settings.oauthClient.frontchannel_logout_uri", "is empty, and the app takes part in single logout")
	if g := o.GroupsClaim; g != nil {
		c.oneOf("valueType", g.ValueType, ValueExpression, "FILTER")
		c.that(g.Name != "" && len(g.Name) <= 100 && len(g.Value) <= 1024, "name", "needs a name of at most 100 bytes and a value of at most 1024")
	}
}

// usableRedirect reports whether codes may be sent to the address.
func usableRedirect(s string, wildcard bool) bool {
	if len(s) > 1024 || strings.ContainsFunc(s, notPrintable) {
		return false
	}
	if wildcard {
		s = strings.Replace(s, "://*.", "://", 1)
	}
	if strings.Contains(s, "*") {
		return false
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || strings.Contains(s, "#") || u.User != nil {
		return false
	}
	if slices.Contains([]string{"javascript", "data", "vbscript", "file", "about", "blob"}, strings.ToLower(u.Scheme)) {
		return false
	}
	return u.Host != "" || u.Scheme != "http" && u.Scheme != "https"
}

func webURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= 1024 && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

func (o OIDC) fill() OIDC {
	if o.ApplicationType == "" {
		return o
	}
	if o.ConsentMethod == "" {
		o.ConsentMethod = ConsentTrusted
	}
	if o.IssuerMode == "" {
		o.IssuerMode = IssuerOrgURL
	}
	if o.Wildcard == "" {
		o.Wildcard = WildcardDisabled
	}
	return o
}
