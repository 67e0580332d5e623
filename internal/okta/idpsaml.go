package okta

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"math/big"

	"gatehouse/internal/federation"
	"gatehouse/internal/ledger"
	"gatehouse/internal/saml"
)

// samlBody is what only providers of SAML have in their protocol, but for participateSlo and
// ownCallback. Unsolicited, OwnCallback and Metadata are ours.
type samlBody struct {
	Endpoints struct {
		SSO struct {
			URL     string `json:"url"`
			Binding string `json:"binding"`
		} `json:"sso"`
	} `json:"endpoints"`
	Algorithms struct {
		Request struct {
			Signature struct {
				Scope string `json:"scope"`
			} `json:"signature"`
		} `json:"request"`
		Response struct {
			Signature struct {
				Algorithm string `json:"algorithm"`
				Scope     string `json:"scope"`
			} `json:"signature"`
		} `json:"response"`
	} `json:"algorithms"`
	Settings struct {
		NameFormat  string `json:"nameFormat"`
		SignOut     bool   `json:"participateSlo"`
		Unsolicited bool   `json:"unsolicited"`
		OwnCallback bool   `json:"ownCallback"`
	} `json:"settings"`
	// Metadata is the provider's, as XML, in place of what can be read in it.
	Metadata string `json:"metadata"`
}

// fromMetadata fills in what a provider of SAML says of itself, and keeps its certificates.
func (a *api) fromMetadata(c *call, b *providerBody) error {
	if b.Type != federation.SAML2 {
		return unsupported("protocol.metadata", "is for providers of the type SAML2")
	}
	m, err := saml.ReadMetadata([]byte(b.Protocol.Metadata), a.Now())
	if err != nil {
		return unsupported("protocol.metadata", err.Error())
	}
	trust, sso := &b.Protocol.Credentials.Trust, &b.Protocol.Endpoints.SSO
	if or(trust.Issuer, m.Issuer) != m.Issuer || trust.Kid != "" || trust.More != nil {
		return unsupported("protocol.credentials.trust", "must leave issuer, kid and additionalKids to the metadata, or not have it")
	}
	trust.Issuer, sso.URL = m.Issuer, or(sso.URL, m.SignOn)
	for i, certificate := range m.Certificates {
		id, err := a.Providers.KeepKey(c.Context(), c.by(), certificate)
		if err != nil {
			return err
		}
		if i == 0 {
			trust.Kid = id
		} else {
			trust.More = append(trust.More, id)
		}
	}
	return nil
}

// checkSAML refuses what would be managed and not done.
func (b *samlBody) checkSAML() error {
	if v := b.Endpoints.SSO.Binding; v != "" && v != "HTTP-REDIRECT" {
		return unsupported("protocol.endpoints.sso.binding", "must be HTTP-REDIRECT: requests are sent no other way")
	}
	if v := b.Algorithms.Request.Signature.Scope; v != "" && v != "NONE" {
		return unsupported("protocol.algorithms.request.signature.scope", "must be NONE: requests are not signed")
	}
	if v := b.Algorithms.Response.Signature.Algorithm; v != "" && v != "SHA-256" {
		return unsupported("protocol.algorithms.response.signature.algorithm", "must be SHA-256: SHA-1 is refused")
	}
	return nil
}

// ontoSAML lays what providers of SAML have over one.
func (b *providerBody) ontoSAML(p *federation.Provider) {
	trust, v := b.Protocol.Credentials.Trust, b.Protocol.samlBody
	p.Issuer, p.ClientID, p.Scopes, p.SignOut = trust.Issuer, "", nil, v.Settings.SignOut
	p.OwnCallback = v.Settings.OwnCallback
	p.SAML = &federation.SAML{
		SignOn: v.Endpoints.SSO.URL, Audience: trust.Audience, Unsolicited: v.Settings.Unsolicited,
		Format: or(v.Settings.NameFormat, saml.Unspecified), Signed: or(v.Algorithms.Response.Signature.Scope, saml.Any),
	}
	if trust.Kid != "" {
		p.SAML.Keys = append([]string{trust.Kid}, trust.More...)
	}
}

// samlProtocol shows how a SAML provider is spoken to.
func (a *api) samlProtocol(o ledger.Object[federation.Provider]) object {
	v := o.Value.SAML
	trust := object{"issuer": o.Value.Issuer, "audience": a.Providers.SAMLAudience(o), "kid": v.Keys[0]}
	if len(v.Keys) > 1 {
		trust["additionalKids"] = v.Keys[1:]
	}
	return object{
		"type":      "SAML2",
		"endpoints": object{"sso": object{"url": v.SignOn, "binding": "HTTP-REDIRECT", "destination": v.SignOn}, "acs": object{"binding": "HTTP-POST", "type": "INSTANCE"}},
		"algorithms": object{
			"request":  object{"signature": object{"algorithm": "SHA-256", "scope": "NONE"}},
			"response": object{"signature": object{"algorithm": "SHA-256", "scope": v.Signed}},
		},
		"settings":    object{"nameFormat": v.Format, "unsolicited": v.Unsolicited},
		"credentials": object{"trust": trust},
	}
}

func (a *api) createProviderKey(c *call) (answer, error) {
	var b struct {
		X5C []string `json:"x5c"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	if len(b.X5C) != 1 {
		return answer{}, unsupported("x5c", "must be a list of one certificate")
	}
	certificate, err := saml.ParseCertificate(b.X5C[0])
	if err != nil {
		return answer{}, unsupported("x5c", err.Error())
	}
	o, err := a.Providers.AddKey(c.Context(), c.by(), certificate)
	if err != nil {
		return answer{}, taken(err, "x5c")
	}
	return a.providerKey(o)
}

func (a *api) getProviderKey(c *call) (answer, error) {
	o, err := a.Providers.Key(c.Context(), c.arg("kid"))
	if err != nil {
		return answer{}, err
	}
	return a.providerKey(o)
}

func (a *api) listProviderKeys(c *call) (answer, error) {
	limit, err := c.limit(20, 200)
	if err != nil {
		return answer{}, err
	}
	p, err := a.Providers.ListKeys(c.Context(), c.FormValue("after"), limit)
	if err != nil {
		return answer{}, err
	}
	return page(p.Items, p.Next, providerKey)
}

func (a *api) deleteProviderKey(c *call) (answer, error) {
	if err := a.Providers.RemoveKey(c.Context(), c.by(), c.arg("kid")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) providerKey(o ledger.Object[federation.Key]) (answer, error) {
	return ok(providerKey(o))
}

// providerKey shows a certificate as the JWK that it is in Okta.
func providerKey(o ledger.Object[federation.Key]) object {
	sum := sha256.Sum256(o.Value.Certificate)
	out := object{
		"kid": o.ID, "created": stamp(o.Created), "lastUpdated": stamp(o.Updated), "use": "sig",
		"x5c": []string{base64.StdEncoding.EncodeToString(o.Value.Certificate)}, "x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
	certificate, err := x509.ParseCertificate(o.Value.Certificate)
	if err != nil {
		return out // it was one when it was kept
	}
	out["expiresAt"], out["kty"] = stamp(certificate.NotAfter), "EC"
	if k, isRSA := certificate.PublicKey.(*rsa.PublicKey); isRSA {
		out["kty"], out["n"] = "RSA", base64.RawURLEncoding.EncodeToString(k.N.Bytes())
		out["e"] = base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.E)).Bytes())
	}
	return out
}
