package grant

import (
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/issued"
)

// attack identity 28: a grant that is bound to a key or to a certificate is worth
// nothing without it, at the code and at every refresh.
func TestGrantsStayBound(t *testing.T) {
	public, secret := access.AuthNone, access.AuthSecretBasic
	for name, x := range map[string]struct {
		terms      issued.Terms
		grant      grantType
		method     string
		jkt, shown string
		reason     string
	}{
		"unbound":                             {issued.Terms{}, refreshToken{}, public, "", "", ""},
		"its key":                             {issued.Terms{JKT: "a"}, refreshToken{}, public, "a", "", ""},
		"no key":                              {issued.Terms{JKT: "a"}, refreshToken{}, public, "", "", "dpop_key_mismatch"},
		"another key":                         {issued.Terms{JKT: "a"}, refreshToken{}, public, "b", "", "dpop_key_mismatch"},
		"another key, authenticated":          {issued.Terms{JKT: "a"}, refreshToken{}, secret, "b", "", ""},
		"another key, a code":                 {issued.Terms{JKT: "a"}, authorizationCode{}, secret, "b", "", "dpop_key_mismatch"},
		"its certificate":                     {issued.Terms{X5T: "c"}, refreshToken{}, public, "", "c", ""},
		"no certificate":                      {issued.Terms{X5T: "c"}, refreshToken{}, public, "", "", "certificate_mismatch"},
		"another certificate":                 {issued.Terms{X5T: "c"}, refreshToken{}, public, "", "d", "certificate_mismatch"},
		"another certificate, authenticated":  {issued.Terms{X5T: "c"}, refreshToken{}, secret, "", "d", ""},
		"no certificate, authenticated":       {issued.Terms{X5T: "c"}, refreshToken{}, secret, "", "", "certificate_mismatch"},
		"a key instead of a certificate":      {issued.Terms{X5T: "c"}, refreshToken{}, public, "a", "", "certificate_mismatch"},
		"both, and one is missing":            {issued.Terms{X5T: "c", JKT: "a"}, refreshToken{}, public, "a", "", "certificate_mismatch"},
		"both":                                {issued.Terms{X5T: "c", JKT: "a"}, refreshToken{}, public, "a", "c", ""},
		"a certificate that nobody asked for": {issued.Terms{}, refreshToken{}, public, "", "c", ""},
	} {
		e := exchange{
			grant: x.grant, kept: &issued.Grant{Terms: x.terms}, jkt: x.jkt, shown: x.shown,
			app: access.NewAppView("0oa1", access.App{AuthMethod: x.method}),
		}
		err := e.bound()
		if x.reason == "" && err != nil || x.reason != "" && ReasonOf(err) != x.reason {
			t.Errorf("%s: %v, want %q", name, err, x.reason)
		}
		if want := x.terms.X5T != "" && err == nil; want != (e.x5t != "") {
			t.Errorf("%s: the token is bound to %q", name, e.x5t)
		}
	}
}
