package access

import (
	"encoding/json"
	"net/netip"
	"strings"

	"gatehouse/verify"
)

// Extension holds the settings of an app that Okta's apps do not have. Management
// shows and takes them as they stand here, below settings.gatehouse.
type Extension struct {
	// Profile is ProfileFAPI2 or empty.
	Profile string `json:"profile,omitempty"`
	// MayAct is the client_id of the one app that may act for whom a token of this app
	// is about (the claim may_act, RFC 8693 section 4.4); empty: any app that may
	// exchange tokens.
	MayAct   string   `json:"may_act,omitempty"`
	Exchange Exchange `json:"token_exchange,omitzero"`
	// TLS is how the certificate of an app with the method tls_client_auth is known: by
	// one of its members.
	TLS TLSClient `json:"tls_client_auth,omitzero"`
	// CertificateBound binds the app's tokens to the certificate that it shows.
	CertificateBound bool `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	// DetailTypes are the types of authorization details that the app may ask for
	// (authorization_details_types, RFC 9396 section 10).
	DetailTypes []string `json:"authorization_details_types,omitempty"`
	// Issuers may vouch for people by assertions (RFC 7523 section 2.1).
	Issuers []TrustedIssuer `json:"trusted_issuers,omitempty"`
}

// TLSClient is what an app's certificate says (RFC 8705 section 2.1.2).
type TLSClient struct {
	SubjectDN string `json:"subject_dn,omitempty"` // RFC 4514: CN=app,O=Acme
	DNS       string `json:"san_dns,omitempty"`
	URI       string `json:"san_uri,omitempty"`
	IP        string `json:"san_ip,omitempty"`
	Email     string `json:"san_email,omitempty"`
}

func checkTLS(c *checks, a *App) {
	const path = "settings.gatehouse.tls_client_auth"
	t := a.Extension.TLS
	set := 0
	for _, v := range []string{t.SubjectDN, t.DNS, t.URI, t.IP, t.Email} {
		if v != "" {
			set++
		}
		c.that(len(v) <= 1024 && !strings.ContainsFunc(v, isControl), path, "is longer than 1024 bytes or has control characters")
	}
	c.that(a.AuthMethod != AuthTLS || set == 1, path, "an app with auth method tls_client_auth needs one of subject_dn, san_dns, san_uri, san_ip and san_email")
	c.that(a.AuthMethod == AuthTLS || set == 0, path, "is for apps with auth method tls_client_auth")
	_, err := netip.ParseAddr(t.IP)
	c.that(t.IP == "" || err == nil, path+".san_ip", "is not an IP address")
}

// TrustedIssuer is somebody whose word an app may bring about who a person is.
type TrustedIssuer struct {
	Issuer string            `json:"issuer"` // iss of the assertions, byte for byte
	Keys   []json.RawMessage `json:"keys"`   // public JWKs, each with a kid
	// Subject says what sub is: SubjectLogin or SubjectID; empty is SubjectLogin.
	Subject string `json:"subject,omitempty"`
}

// What the sub of an assertion is.
const (
	SubjectLogin = "login"
	SubjectID    = "id"
)

// set returns the JWK Set of the issuer's keys, nil when they are not usable.
func (i *TrustedIssuer) set() []byte {
	list := make([]AppKey, len(i.Keys))
	for n, raw := range i.Keys {
		var k struct {
			ID string `json:"kid"`
		}
		if json.Unmarshal(raw, &k) != nil {
			return nil
		}
		list[n] = AppKey{ID: k.ID, JWK: raw}
		if k.ID == "" || !usableKey(list[n]) {
			return nil
		}
	}
	return keySet(list, nil)
}

// Voucher returns the keys of an issuer that may vouch for people to the app, and what
// it calls them.
func (a *AppView) Voucher(issuer string) (keys verify.KeySource, subject string, ok bool) {
	v, ok := a.vouchers[issuer]
	return v.keys, v.subject, ok
}

type voucher struct {
	keys    verify.KeySource
	subject string
}

func vouchers(list []TrustedIssuer) map[string]voucher {
	if len(list) == 0 {
		return nil
	}
	out := make(map[string]voucher, len(list))
	for i := range list {
		keys, err := verify.NewStaticKeys(list[i].set())
		if err == nil {
			out[list[i].Issuer] = voucher{keys, list[i].Subject}
		}
	}
	return out
}

func checkIssuers(c *checks, a *App) {
	const path = "settings.gatehouse.trusted_issuers"
	list := a.Extension.Issuers
	c.that(len(list) == 0 || a.MayUse(GrantJWTBearer), path, "is for apps with the grant type "+GrantJWTBearer)
	c.that(!a.Public() || !a.MayUse(GrantJWTBearer), "grantTypes", "a public app (auth method none) cannot use JWT bearer: anybody could be it")
	c.that(len(list) <= 20, path, "has more than 20 issuers")
	seen := map[string]bool{}
	for i := range list {
		is := &list[i]
		c.that(is.Issuer != "" && len(is.Issuer) <= 255 && !strings.ContainsFunc(is.Issuer, notPrintable), path+".issuer", "is 1 to 255 printable characters without spaces")
		c.that(!seen[is.Issuer], path+".issuer", quoted(is.Issuer)+" occurs twice")
		c.that(len(is.Keys) > 0 && len(is.Keys) <= 20 && is.set() != nil, path+".keys", "needs 1 to 20 public RSA (2048 bits or more), EC or Ed25519 JWKs, each with a kid and without private members")
		c.that(is.Subject == "" || is.Subject == SubjectLogin || is.Subject == SubjectID, path+".subject", "must be login or id")
		seen[is.Issuer] = true
	}
}

// Exchange says what an app may do by token exchange (RFC 8693), beyond turning a
// token into one that says no more and names the app as its actor.
type Exchange struct {
	// Impersonation lets the app have tokens that do not name it as their actor
	// (RFC 8693 section 1.1): whoever gets one cannot tell the app from the person.
	Impersonation bool `json:"impersonation,omitempty"`
	// Audiences are those that the app may reach beside the audiences of the token that
	// it exchanges.
	Audiences []string `json:"audiences,omitempty"`
}

func checkExtension(c *checks, a *App) {
	const path = "settings.gatehouse.token_exchange"
	e := &a.Extension.Exchange
	c.that(len(e.Audiences) <= 20, path+".audiences", "has more than 20 audiences")
	for _, name := range e.Audiences {
		c.that(name != "" && len(name) <= 255 && !strings.ContainsFunc(name, notPrintable), path+".audiences", "an audience is 1 to 255 printable characters without spaces")
	}
	c.that(len(a.Extension.MayAct) <= 100 && !strings.ContainsFunc(a.Extension.MayAct, notPrintable), "settings.gatehouse.may_act", "is not a client_id")
	c.that(len(a.Extension.DetailTypes) <= 50, "settings.gatehouse.authorization_details_types", "has more than 50 types")
	checkIssuers(c, a)
	checkTLS(c, a)
	checkAppProfile(c, a)
	used := e.Impersonation || len(e.Audiences) > 0
	c.that(!used || a.MayUse(GrantTokenExchange), path, "is for apps with the grant type "+GrantTokenExchange)
	c.that(!a.Public() || !a.MayUse(GrantTokenExchange), "grantTypes", "a public app (auth method none) cannot use token exchange: anybody could be it")
}
