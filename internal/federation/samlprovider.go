package federation

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/saml"
)

// SAMLPath is where what concerns one SAML provider is, followed by its id, as Okta has it: a
// sign-in begins with GET, answers come by POST, and what we are is at /metadata below.
const SAMLPath = "/sso/saml2/"

// SAML is what only providers of SAML 2.0 have.
type SAML struct {
	SignOn   string   `json:"sso"`                // where browsers are sent to
	Keys     []string `json:"keys"`               // ids of certificates: whose keys sign
	Audience string   `json:"audience,omitempty"` // what we are to it; empty: our metadata's address
	Format   string   `json:"nameFormat"`
	Signed   string   `json:"signed"` // what it signs: saml.Any and its like
	// Unsolicited takes an answer that nobody has asked for as a wish to sign in: it is not
	// believed, and the provider is asked. False refuses it.
	Unsolicited bool `json:"unsolicited,omitempty"`
}

// DefaultSAMLUsername is the template of the user name of SAML providers when none is given.
const DefaultSAMLUsername = "idpuser.subjectNameId"

func (v *SAML) check(p Provider) (fields []fault.Field) {
	wrong := func(bad bool, path, message string) {
		if bad {
			fields = append(fields, fault.Field{Path: path, Message: message})
		}
	}
	wrong(p.Type != SAML2, "type", "must be SAML2 for a provider with the protocol SAML2")
	wrong(p.Issuer == "" || len(p.Issuer) > 1024 || strings.ContainsAny(p.Issuer, " \t\r\n"), "protocol.credentials.trust.issuer", "must be the entity id of the provider, as its metadata has it")
	u, err := url.Parse(v.SignOn)
	wrong(err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.Fragment != "" || len(v.SignOn) > 1024,
		"protocol.endpoints.sso.url", "must be the address of the provider's single sign-on service for the binding HTTP-Redirect")
	wrong(len(v.Keys) == 0 || len(v.Keys) > 5, "protocol.credentials.trust.kid", "must name a certificate of the provider, made with POST /api/v1/idps/credentials/keys; with additionalKids at most five")
	wrong(len(v.Audience) > 1024 || strings.ContainsAny(v.Audience, " \t\r\n"), "protocol.credentials.trust.audience", "must be our entity id at the provider, of at most 1024 bytes")
	wrong(!slices.Contains([]string{saml.Unspecified, saml.Email, saml.Persistent}, v.Format), "protocol.settings.nameFormat", "must be unspecified, emailAddress or persistent: others name no account")
	wrong(!slices.Contains([]string{saml.Any, saml.Response, saml.Assertion}, v.Signed), "protocol.algorithms.response.signature.scope", "must be ANY, RESPONSE or ASSERTION")
	wrong(p.SignOut || p.OwnCallback || p.ClientID != "" || p.Secret != "" || len(p.Scopes) > 0, "protocol", "has a client, scopes or participateSlo, which are not there for SAML; nor is ownCallback: each provider has its own address there")
	return fields
}

// Key is a certificate whose key signs what a SAML provider says.
type Key struct {
	Certificate []byte `json:"certificate"` // DER
}

// Keys are the certificates of SAML providers; one that a provider uses is not deleted.
var Keys = ledger.NewKind(ledger.Spec[Key]{
	Name: "identity_provider_key", IDPrefix: "idk",
	Keys: func(k Key) []ledger.Key { return []ledger.Key{ledger.By("sha256", keys.Hash(string(k.Certificate)))} },
	Check: func(k Key) error {
		if _, err := x509.ParseCertificate(k.Certificate); err != nil {
			return fault.New(fault.Invalid, "the certificate is none")
		}
		return nil
	},
})

// AddKey keeps a certificate.
func (s *Service) AddKey(ctx context.Context, actor ledger.Actor, c *x509.Certificate) (o ledger.Object[Key], err error) {
	defer fault.Wrap(&err, "keep a certificate")
	_, err = s.cfg.Ledger.Update(ctx, actor, "keep a certificate of an identity provider", func(tx *ledger.Tx) error {
		o, err = Keys.Create(tx, Key{Certificate: c.Raw})
		return err
	})
	if err == nil {
		s.event(ctx, actor, "system.idp.key.create", "Create key for identity provider", audit.Entity{ID: o.ID, Type: "JsonWebKey"})
	}
	return o, err
}

// KeepKey keeps a certificate, and returns its id also when it was kept already.
func (s *Service) KeepKey(ctx context.Context, actor ledger.Actor, c *x509.Certificate) (id string, err error) {
	o, err := s.AddKey(ctx, actor, c)
	if !fault.Is(err, fault.Conflict) {
		return o.ID, err
	}
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = Keys.Find(tx, ledger.By("sha256", keys.Hash(string(c.Raw))))
		return err
	})
	return o.ID, err
}

// Key returns a certificate by id, or fault.NotFound.
func (s *Service) Key(ctx context.Context, id string) (o ledger.Object[Key], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = Keys.Get(tx, id)
		return err
	})
	return o, err
}

// ListKeys returns a page of the certificates.
func (s *Service) ListKeys(ctx context.Context, after string, limit int) (p ledger.Page[Key], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = Keys.Select(tx, ledger.Query{After: after, Limit: limit}, nil)
		return err
	})
	return p, err
}

// RemoveKey deletes a certificate; fault.Conflict while a provider uses it.
func (s *Service) RemoveKey(ctx context.Context, actor ledger.Actor, id string) (err error) {
	defer fault.Wrap(&err, "delete certificate %q", id)
	_, err = s.cfg.Ledger.Update(ctx, actor, "delete a certificate of an identity provider", func(tx *ledger.Tx) error {
		return Keys.Delete(tx, id, 0)
	})
	if err == nil {
		s.event(ctx, actor, "system.idp.key.delete", "Delete key for identity provider", audit.Entity{ID: id, Type: "JsonWebKey"})
	}
	return err
}

// SAMLAddress returns where answers of a provider come to.
func (s *Service) SAMLAddress(id string) string { return s.cfg.URL + SAMLPath + id }

// SAMLAudience returns what we are to a provider.
func (s *Service) SAMLAudience(o ledger.Object[Provider]) string {
	if v := o.Value.SAML; v != nil && v.Audience != "" {
		return v.Audience
	}
	return s.SAMLAddress(o.ID) + "/metadata"
}

// party returns a provider as the protocol knows it.
func (s *Service) party(ctx context.Context, o ledger.Object[Provider]) (saml.Provider, error) {
	v := o.Value.SAML
	p := saml.Provider{
		Issuer: o.Value.Issuer, SignOn: v.SignOn, Audience: s.SAMLAudience(o), Consumer: s.SAMLAddress(o.ID), Format: v.Format, Signed: v.Signed,
	}
	for _, id := range v.Keys {
		k, err := s.Key(ctx, id)
		if err != nil {
			return p, err
		}
		c, err := x509.ParseCertificate(k.Value.Certificate)
		if err != nil {
			return p, err
		}
		p.Keys = append(p.Keys, c)
	}
	return p, nil
}

// Metadata returns what we are to a SAML provider, as XML; fault.NotFound for another one.
func (s *Service) Metadata(ctx context.Context, id string) ([]byte, error) {
	o, err := s.Provider(ctx, id)
	if err == nil && (o.Value.SAML == nil || !s.cfg.SAML) {
		err = fault.New(fault.NotFound, "it is no SAML provider")
	}
	if err != nil {
		return nil, err
	}
	p, err := s.party(ctx, o)
	if err != nil {
		return nil, err
	}
	return p.Metadata(s.cfg.Now())
}

// Solicit reports whether an answer of a SAML provider that nobody has asked for is taken
// as a wish to sign in.
func (s *Service) Solicit(ctx context.Context, id string) (bool, error) {
	o, err := s.active(ctx, id)
	if err != nil || o.Value.SAML == nil {
		return false, err
	}
	return o.Value.SAML.Unsolicited, nil
}

// Receive takes the answer of a SAML provider to what Begin had kept, and returns what Finish
// needs in its place: from there on it is known who was signed in there, and not yet that
// the browser is the one that was sent. An answer is taken once. The error is
// fault.Denied for one that is not to be taken.
func (s *Service) Receive(ctx context.Context, provider string, data, response []byte) (next []byte, err error) {
	defer fault.Wrap(&err, "take the answer of identity provider %q", provider)
	var w way
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, err
	}
	if w.Provider != provider || w.Request == "" || w.Said != nil {
		return nil, fault.New(fault.Denied, "another identity provider was asked")
	}
	o, err := s.active(ctx, provider)
	if err != nil {
		return nil, err
	}
	if o.Value.SAML == nil {
		return nil, fault.New(fault.Denied, "the identity provider has changed its protocol")
	}
	p, err := s.party(ctx, o)
	if err != nil {
		return nil, err
	}
	w.Said, err = p.Read(ctx, s.cfg.Now(), response, w.Request, func(ctx context.Context, id string, until time.Time) (bool, error) {
		return s.cfg.Uses.Use(ctx, "saml", keys.Hash(o.ID+"\x00"+id), until)
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(w)
}
