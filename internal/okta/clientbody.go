package okta

import (
	"encoding/json"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// clientBody is what a client says of itself (RFC 7591 section 2, Okta's Client). What
// the server alone decides, such as its id or status, is not read.
type clientBody struct {
	ID              string   `json:"client_id"`
	Secret          string   `json:"client_secret"`
	Name            string   `json:"client_name"`
	ApplicationType string   `json:"application_type"`
	AuthMethod      string   `json:"token_endpoint_auth_method"`
	GrantTypes      []string `json:"grant_types"`
	ResponseTypes   []string `json:"response_types"`
	RedirectURIs    []string `json:"redirect_uris"`
	PostLogoutURIs  []string `json:"post_logout_redirect_uris"`
	ClientURI       string   `json:"client_uri"`
	LogoURI         string   `json:"logo_uri"`
	PolicyURI       string   `json:"policy_uri"`
	TermsURI        string   `json:"tos_uri"`
	InitiateURI     string   `json:"initiate_login_uri"`
	LogoutURI       string   `json:"frontchannel_logout_uri"`
	LogoutSession   bool     `json:"frontchannel_logout_session_required"`
	BackchannelURI  string   `json:"backchannel_logout_uri"`
	DPoP            bool     `json:"dpop_bound_access_tokens"`
	JWKSURI         string   `json:"jwks_uri"`
	JWKS            *struct {
		Keys []json.RawMessage `json:"keys"`
	} `json:"jwks"`
	Statement  string `json:"software_statement"`
	Encrypted  string `json:"id_token_encrypted_response_alg"`
	RequestAlg string `json:"request_object_signing_alg"`
}

// The reasons that RFC 7591 section 3.2.2 has an error of its own for.
const (
	reasonRedirect  = "invalid_redirect_uri"
	reasonStatement = "unapproved_software_statement"
)

func (b *clientBody) keys() []json.RawMessage {
	if b.JWKS == nil {
		if b.JWKSURI != "" {
			return []json.RawMessage{} // it publishes its keys, none are kept
		}
		return nil
	}
	return orEmpty(b.JWKS.Keys)
}

// registrable are the grant types that a client may register for: those in which a
// person decides, or the client acts for itself.
func registrable() []string {
	return []string{access.GrantAuthorizationCode, access.GrantRefreshToken, access.GrantClientCredentials, access.GrantDeviceCode}
}

// onto lays what was sent over an app. Whoever may manage apps anyway, trusted, is not
// bound to what strangers may register. Attack identity 52.
func (b *clientBody) onto(x *access.App, trusted bool) error {
	if b.ApplicationType == "" {
		b.ApplicationType = access.AppWeb
	}
	if len(b.GrantTypes) == 0 {
		b.GrantTypes = []string{access.GrantAuthorizationCode}
	}
	if len(b.ResponseTypes) == 0 && slices.Contains(b.GrantTypes, access.GrantAuthorizationCode) {
		b.ResponseTypes = []string{"code"}
	}
	if err := b.check(trusted); err != nil {
		return err
	}
	o := &x.OIDC
	x.Label, x.AuthMethod, x.GrantTypes = b.Name, b.AuthMethod, b.GrantTypes
	if x.AuthMethod == "" {
		x.AuthMethod = access.AuthSecretBasic
	}
	o.ApplicationType, o.RedirectURIs, o.PostLogoutURIs, o.ResponseTypes = b.ApplicationType, b.RedirectURIs, b.PostLogoutURIs, b.ResponseTypes
	o.ClientURI, o.LogoURI, o.PolicyURI, o.TermsURI, o.InitiateLoginURI = b.ClientURI, b.LogoURI, b.PolicyURI, b.TermsURI, b.InitiateURI
	o.LogoutURI, o.LogoutSession, o.BackchannelURI, o.DPoPBound = b.LogoutURI, b.LogoutSession, b.BackchannelURI, b.DPoP
	o.JWKSURI = b.JWKSURI
	o.PKCERequired = o.PKCERequired || x.AuthMethod == access.AuthNone
	return nil
}

// check refuses what cannot be done, so that nothing is left out silently, and what
// a client that registers itself may not have.
func (b *clientBody) check(trusted bool) error {
	switch {
	case b.Name == "":
		return unsupported("client_name", "The field can't be left blank.")
	case b.Statement != "":
		return refused("software_statement", "is not accepted: no issuer of such statements is trusted here", reasonStatement)
	case b.JWKSURI != "" && !strings.HasPrefix(b.JWKSURI, "https://"):
		return unsupported("jwks_uri", "must be https")
	case b.Encrypted != "":
		return unsupported("id_token_encrypted_response_alg", "is not available")
	case b.RequestAlg != "":
		return unsupported("request_object_signing_alg", "is not available: the algorithm is that of the key")
	}
	for _, g := range b.GrantTypes {
		if !trusted && !slices.Contains(registrable(), g) {
			return unsupported("grant_types", "the grant type "+g+" cannot be registered for")
		}
	}
	for name, list := range map[string][]string{"redirect_uris": b.RedirectURIs, "post_logout_redirect_uris": b.PostLogoutURIs} {
		for _, address := range list {
			if !access.RegistrableRedirect(address, b.ApplicationType) {
				return refused(name, "an address must be https, or http to a loopback address, or for native apps a scheme of their own that has a dot; without fragment, wildcard or user", reasonRedirect)
			}
		}
	}
	return nil
}

func refused(path, message, reason string) error {
	return fault.New(fault.Invalid, "%s", path).WithFields(fault.Field{Path: path, Message: message}).WithReason(reason)
}

// client shows an app as a client. Its secrets are not shown.
func client(o ledger.Object[access.App]) object {
	x, s := o.Value, o.Value.OIDC
	out := object{
		"client_id": x.Client(o.ID), "client_id_issued_at": o.Created.Unix(), "client_name": x.Label, "client_uri": orNull(s.ClientURI), "logo_uri": orNull(s.LogoURI),
		"application_type": s.ApplicationType, "redirect_uris": orEmpty(s.RedirectURIs), "post_logout_redirect_uris": orEmpty(s.PostLogoutURIs),
		"response_types": orEmpty(s.ResponseTypes), "grant_types": x.GrantTypes, "token_endpoint_auth_method": x.AuthMethod,
	}
	if s.ApplicationType == "" {
		out["application_type"] = access.AppService
	}
	if x.WithSecret() {
		out["client_secret_expires_at"] = 0
	}
	for name, v := range map[string]string{
		"jwks_uri": s.JWKSURI, "policy_uri": s.PolicyURI, "tos_uri": s.TermsURI, "initiate_login_uri": s.InitiateLoginURI, "backchannel_logout_uri": s.BackchannelURI,
	} {
		if v != "" {
			out[name] = v
		}
	}
	if s.LogoutURI != "" {
		out["frontchannel_logout_uri"], out["frontchannel_logout_session_required"] = s.LogoutURI, s.LogoutSession
	}
	if s.DPoPBound {
		out["dpop_bound_access_tokens"] = true
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

func withSecret(out object, secret string) object {
	if secret != "" {
		out["client_secret"] = secret
	}
	return out
}

// registrationError is how RFC 7591 section 3.2.2 answers what is wrong with a client's
// metadata, with Okta's text.
func registrationError(f *fault.Error) object {
	code, text := "invalid_client_metadata", f.Message
	if f.Reason == reasonRedirect || f.Reason == reasonStatement {
		code = f.Reason
	}
	if len(f.Fields) > 0 {
		text = "`" + f.Fields[0].Path[strings.LastIndexByte(f.Fields[0].Path, '.')+1:] + "`: " + f.Fields[0].Message
	}
	return object{"error": code, "error_description": text}
}
