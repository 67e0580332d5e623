package okta

import (
	"encoding/json"
	"reflect"

	"gatehouse/internal/access"
	"gatehouse/internal/ledger"
)

// ornPrefix begins the resource names of apps: clients know them by Okta's
// partition for orgs that are not production ones.
const ornPrefix = "orn:oktapreview:idp:"

// app shows an app, with the secret that is given: in the answers to the calls
// that make and replace it, as Okta does.
func (a *api) app(o ledger.Object[access.App], secret string) object {
	x := o.Value
	client := object{
		"autoKeyRotation": true, "client_id": x.Client(o.ID), "token_endpoint_auth_method": x.AuthMethod, "pkce_required": x.OIDC.PKCERequired,
	}
	if secret != "" {
		client["client_secret"] = secret
	}
	signing := object{}
	if o.ID != "" {
		signing["kid"] = o.ID
	}
	return object{
		"id": o.ID, "orn": ornPrefix + a.orgID() + ":apps:" + appName + ":" + o.ID, "name": appName, "label": x.Label,
		"status": x.Status, "created": stamp(o.Created), "lastUpdated": stamp(o.Updated), "signOnMode": appMode, "features": []string{},
		"accessibility": shown(x, "accessibility", object{"selfService": false, "errorRedirectUrl": nil, "loginRedirectUrl": nil}),
		"visibility": shown(x, "visibility", object{
			"autoLaunch": false, "autoSubmitToolbar": false, "hide": object{"iOS": true, "web": true}, "appLinks": object{"oidc_client_link": true},
		}),
		"profile":     x.OIDC.Display["profile"],
		"credentials": object{"userNameTemplate": object{"template": userName, "type": "BUILT_IN"}, "signing": signing, "oauthClient": client},
		"settings": extended(x, object{
			"app": object{}, "manualProvisioning": false, "implicitAssignment": x.OIDC.ImplicitAssignment, "emOptInStatus": "NONE",
			"notifications": object{"vpn": object{"network": object{"connection": "DISABLED"}, "message": nil, "helpUrl": nil}},
			"notes":         shown(x, "notes", object{"admin": nil, "enduser": nil}),
			"oauthClient":   a.clientSettings(x),
		}),
		"_links": a.appLinks(o),
	}
}

// extended adds what Okta's apps do not have, where it is set.
func extended(x access.App, settings object) object {
	if !reflect.ValueOf(x.Extension).IsZero() {
		settings["gatehouse"] = x.Extension
	}
	return settings
}

// shown lays what was sent for display over what is shown without it.
func shown(x access.App, name string, otherwise object) object {
	sent, _ := x.OIDC.Display[name].(map[string]any)
	for k, v := range sent {
		if v != nil {
			otherwise[k] = v
		}
	}
	return otherwise
}

func (a *api) clientSettings(x access.App) object {
	o := x.OIDC
	out := object{
		"client_uri": orNull(o.ClientURI), "logo_uri": orNull(o.LogoURI), "redirect_uris": orEmpty(o.RedirectURIs),
		"response_types": orEmpty(o.ResponseTypes), "grant_types": x.GrantTypes, "application_type": o.ApplicationType,
		"consent_method": o.ConsentMethod, "issuer_mode": o.IssuerMode, "wildcard_redirect": o.Wildcard,
		"idp_initiated_login":      object{"mode": "DISABLED", "default_scope": []string{}},
		"dpop_bound_access_tokens": o.DPoPBound, "participate_slo": o.ParticipateSLO,
	}
	if o.ApplicationType == "" { // made elsewhere, such as by the native API
		out["application_type"], out["consent_method"] = access.AppService, access.ConsentTrusted
		out["issuer_mode"], out["wildcard_redirect"] = access.IssuerOrgURL, access.WildcardDisabled
	}
	if len(o.PostLogoutURIs) > 0 {
		out["post_logout_redirect_uris"] = o.PostLogoutURIs
	}
	for name, v := range map[string]string{"jwks_uri": o.JWKSURI, "policy_uri": o.PolicyURI, "tos_uri": o.TermsURI, "initiate_login_uri": o.InitiateLoginURI} {
		if v != "" {
			out[name] = v
		}
	}
	if o.LogoutURI != "" {
		out["frontchannel_logout_uri"], out["frontchannel_logout_session_required"] = o.LogoutURI, o.LogoutSession
		out["network"] = object{"connection": "ANYWHERE"}
	}
	if o.BackchannelURI != "" {
		out["backchannel_logout_uri"] = o.BackchannelURI
	}
	if o.Rotation != "" {
		out["refresh_token"] = object{"rotation_type": o.Rotation, "leeway": o.LeewaySeconds}
	}
	if len(x.Keys) > 0 {
		list := make([]object, len(x.Keys))
		for i, k := range x.Keys {
			list[i] = jwk(k)
		}
		out["jwks"] = object{"keys": list}
	}
	return out
}

// jwk shows a public key of an app.
func jwk(k access.AppKey) object {
	out := object{"use": nil}
	_ = json.Unmarshal(k.JWK, &out) // it was checked when it was kept
	if k.NoCurve {
		out["crv"] = nil
	}
	out["id"], out["kid"], out["status"] = keyID(k), k.ID, k.Status
	return out
}

// keyID is the id of a public key of an app, which is kept under its kid.
func keyID(k access.AppKey) string {
	return ledger.DeclaredID("", "app_key", "pks", ledger.By("kid", k.ID, string(k.JWK)))
}

func (a *api) appLinks(o ledger.Object[access.App]) object {
	at := func(parts ...string) string { return a.href(append([]string{"apps", o.ID}, parts...)...) }
	other := opposite(o.Value.Status)
	credentials := "secrets"
	if o.Value.AuthMethod == access.AuthPrivateKey {
		credentials = "jwks"
	}
	links := object{
		"groups": object{"href": at("groups")}, "users": object{"href": at("users")}, "policies": ref(at("policies"), "PUT"),
		other: object{"href": at("lifecycle", other)},
	}
	if o.Value.AuthMethod != access.AuthNone {
		links["clientCredentials"] = []object{{"name": credentials, "href": at("credentials", credentials)}}
	}
	if p := o.Value.OIDC.SignOnPolicy; p != "" {
		links["accessPolicy"] = object{"href": a.href("policies", p)}
	}
	return links
}
