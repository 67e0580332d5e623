package okta

import (
	"encoding/json"

	"gatehouse/internal/access"
	"gatehouse/internal/ledger"
)

// The one kind of app that there is.
const (
	appName  = "oidc_client"
	appMode  = "OPENID_CONNECT"
	userName = "${source.login}"
)

// appBody is an OIDC app as it is sent.
type appBody struct {
	Name        string `json:"name"`
	Label       string `json:"label"`
	SignOnMode  string `json:"signOnMode"`
	Credentials struct {
		Client struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
			Method string `json:"token_endpoint_auth_method"`
			PKCE   *bool  `json:"pkce_required"`
		} `json:"oauthClient"`
	} `json:"credentials"`
	Settings struct {
		Implicit bool           `json:"implicitAssignment"`
		Notes    map[string]any `json:"notes"`
		Client   clientSettings `json:"oauthClient"`
		// Extension is what Okta's clients do not know, and so leave as it is.
		Extension *access.Extension `json:"gatehouse"`
	} `json:"settings"`
	Accessibility map[string]any `json:"accessibility"`
	Visibility    map[string]any `json:"visibility"`
	Profile       map[string]any `json:"profile"`
}

type clientSettings struct {
	ApplicationType string   `json:"application_type"`
	GrantTypes      []string `json:"grant_types"`
	RedirectURIs    []string `json:"redirect_uris"`
	PostLogoutURIs  []string `json:"post_logout_redirect_uris"`
	ResponseTypes   []string `json:"response_types"`
	Wildcard        string   `json:"wildcard_redirect"`
	Consent         string   `json:"consent_method"`
	IssuerMode      string   `json:"issuer_mode"`
	ClientURI       string   `json:"client_uri"`
	LogoURI         string   `json:"logo_uri"`
	PolicyURI       string   `json:"policy_uri"`
	TermsURI        string   `json:"tos_uri"`
	InitiateURI     string   `json:"initiate_login_uri"`
	DPoP            bool     `json:"dpop_bound_access_tokens"`
	SLO             bool     `json:"participate_slo"`
	LogoutURI       string   `json:"frontchannel_logout_uri"`
	LogoutSession   bool     `json:"frontchannel_logout_session_required"`
	Backchannel     *string  `json:"backchannel_logout_uri"` // ours: missing leaves it as it is
	JWKSURI         string   `json:"jwks_uri"`
	JWKS            *struct {
		Keys []json.RawMessage `json:"keys"`
	} `json:"jwks"`
	Network *struct {
		Connection string `json:"connection"`
	} `json:"network"`
	Refresh *struct {
		Rotation string `json:"rotation_type"`
		Leeway   int    `json:"leeway"`
	} `json:"refresh_token"`
	Idp *struct {
		Mode string `json:"mode"`
	} `json:"idp_initiated_login"`
}

// check refuses what cannot be done, so that nothing is left out silently.
func (b *appBody) check() error {
	switch c := &b.Settings.Client; {
	case b.SignOnMode != appMode || (b.Name != "" && b.Name != appName):
		return unsupported("signOnMode", "must be OPENID_CONNECT and the name oidc_client: other apps are not available")
	case c.Network != nil && c.Network.Connection != "ANYWHERE":
		return unsupported("settings.oauthClient.network", "must be ANYWHERE")
	case c.Idp != nil && c.Idp.Mode != "" && c.Idp.Mode != "DISABLED":
		return unsupported("settings.oauthClient.idp_initiated_login.mode", "must be DISABLED")
	}
	return nil
}

// keys returns the keys that were sent; nil: those that are kept stay. An app that
// publishes its keys has none kept.
func (b *appBody) keys() []json.RawMessage {
	if b.Settings.Client.JWKS == nil {
		if b.Settings.Client.JWKSURI != "" {
			return []json.RawMessage{}
		}
		return nil
	}
	return orEmpty(b.Settings.Client.JWKS.Keys)
}

// onto lays what was sent over an app. What Okta's clients do not know of it
// stays.
func (b *appBody) onto(x *access.App) error {
	c, o := &b.Settings.Client, &x.OIDC
	x.Label = b.Label
	if b.Credentials.Client.Method != "" {
		x.AuthMethod = b.Credentials.Client.Method
	}
	x.GrantTypes = c.GrantTypes
	o.ApplicationType, o.RedirectURIs, o.PostLogoutURIs, o.ResponseTypes = c.ApplicationType, c.RedirectURIs, c.PostLogoutURIs, c.ResponseTypes
	if o.ApplicationType == "" {
		o.ApplicationType = access.AppWeb
	}
	o.Wildcard, o.ConsentMethod, o.IssuerMode, o.DPoPBound = c.Wildcard, c.Consent, c.IssuerMode, c.DPoP
	o.ClientURI, o.LogoURI, o.PolicyURI, o.TermsURI, o.InitiateLoginURI = c.ClientURI, c.LogoURI, c.PolicyURI, c.TermsURI, c.InitiateURI
	o.JWKSURI = c.JWKSURI
	o.ParticipateSLO, o.LogoutURI, o.LogoutSession = c.SLO, c.LogoutURI, c.LogoutSession
	if c.Backchannel != nil {
		o.BackchannelURI = *c.Backchannel
	}
	o.ImplicitAssignment = b.Settings.Implicit
	if b.Settings.Extension != nil {
		x.Extension = *b.Settings.Extension
	}
	o.PKCERequired = x.AuthMethod == access.AuthNone
	if b.Credentials.Client.PKCE != nil {
		o.PKCERequired = *b.Credentials.Client.PKCE
	}
	o.Rotation, o.LeewaySeconds = "", 0
	if c.Refresh != nil {
		o.Rotation, o.LeewaySeconds = c.Refresh.Rotation, c.Refresh.Leeway
	}
	o.Display = map[string]any{}
	for name, v := range map[string]map[string]any{
		"accessibility": b.Accessibility, "visibility": b.Visibility, "notes": b.Settings.Notes, "profile": b.Profile,
	} {
		if v != nil {
			o.Display[name] = v
		}
	}
	return nil
}

func (a *api) createApp(c *call) (answer, error) {
	var b appBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	if err := b.check(); err != nil {
		return answer{}, err
	}
	x := access.App{ClientID: b.Credentials.Client.ID}
	if err := b.onto(&x); err != nil {
		return answer{}, err
	}
	if c.FormValue("activate") == "false" {
		x.Status = access.Inactive
	}
	var err error
	if x.OIDC.SignOnPolicy, err = a.defaultSignOn(c); err != nil {
		return answer{}, err
	}
	o, secret, err := a.Access.AddApp(c.Context(), c.by(), x, b.Credentials.Client.Secret, b.keys())
	if err != nil {
		return answer{}, taken(err, "client_id")
	}
	return ok(a.app(o, secret))
}

func (a *api) getApp(c *call) (answer, error) {
	o, err := a.Access.App(c.Context(), c.arg("appId"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.app(o, ""))
}

// replaceApp answers the app with its secret: Terraform keeps what this answers.
func (a *api) replaceApp(c *call) (answer, error) {
	var b appBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	if err := b.check(); err != nil {
		return answer{}, err
	}
	o, err := a.Access.ChangeApp(c.Context(), c.by(), c.arg("appId"), access.AppChange{
		Keys: b.keys(), Secret: b.Credentials.Client.Secret, Change: func(x *access.App) error {
			if id := b.Credentials.Client.ID; id != "" && id != x.Client(c.arg("appId")) {
				return unsupported("credentials.oauthClient.client_id", "cannot be changed: it is chosen when the app is made")
			}
			return b.onto(x)
		},
	})
	if err != nil {
		return answer{}, err
	}
	secret := ""
	if c.actor.may(readSecrets) {
		if secret, err = a.Access.CurrentSecret(c.Context(), o); err != nil {
			return answer{}, err
		}
	}
	return ok(a.app(o, secret))
}

func (a *api) deleteApp(c *call) (answer, error) {
	if err := a.Access.DeleteApp(c.Context(), c.by(), c.arg("appId")); err != nil {
		return answer{}, inUse(err)
	}
	return nothing()
}

func (a *api) activateApp(c *call) (answer, error) {
	if err := a.Access.ActivateApp(c.Context(), c.by(), c.arg("appId")); err != nil {
		return answer{}, err
	}
	return ok(object{})
}

func (a *api) deactivateApp(c *call) (answer, error) {
	if err := a.Access.DeactivateApp(c.Context(), c.by(), c.arg("appId")); err != nil {
		return answer{}, err
	}
	return ok(object{})
}

// defaultSignOn returns the id of the policy that a new app has.
func (a *api) defaultSignOn(c *call) (string, error) {
	all, err := a.Access.ListSignOnPolicies(c.Context())
	for _, o := range all {
		if o.Value.System {
			return o.ID, err
		}
	}
	return "", err
}

// assignPolicy makes a sign-on policy that of an app.
func (a *api) assignPolicy(c *call) (answer, error) {
	policy, err := a.Access.FindSignOnPolicy(c.Context(), c.arg("policyId"))
	if err != nil {
		return answer{}, err
	}
	_, err = a.Access.ChangeApp(c.Context(), c.by(), c.arg("appId"), access.AppChange{Change: func(x *access.App) error {
		x.OIDC.SignOnPolicy = policy.ID
		return nil
	}})
	if err != nil {
		return answer{}, err
	}
	return nothing()
}

// listMappings answers which apps a sign-on policy is for.
func (a *api) listMappings(c *call) (answer, error) {
	limit, err := c.limit(20, 200)
	if err != nil {
		return answer{}, err
	}
	policy, err := a.Access.FindSignOnPolicy(c.Context(), c.arg("policyId"))
	if err != nil {
		return answer{}, err
	}
	p, err := a.Access.FindApps(c.Context(), c.FormValue("after"), limit, func(o ledger.Object[access.App]) bool {
		return o.Value.OIDC.SignOnPolicy == policy.ID
	})
	if err != nil {
		return answer{}, err
	}
	return page(p.Items, p.Next, func(o ledger.Object[access.App]) object {
		return object{"id": o.ID, "_links": object{
			"application": object{"href": a.href("apps", o.ID)}, "policy": object{"href": a.href("policies", policy.ID)},
		}}
	})
}
