package federation

import (
	"strings"
	"testing"
)

type claims map[string]any

func (c claims) Claim(name string) (any, bool) { v, ok := c[name]; return v, ok }

// An address is proved by the authority for its domain, or by a provider that says that
// it has verified this very address (attack identity 68).
func TestProved(t *testing.T) {
	for _, c := range []struct {
		address string
		claims  claims
		want    bool
	}{
		{"a@acme.com", claims{}, true},
		{"A@ACME.com", claims{}, true},
		{"a@sub.acme.com", claims{}, false},
		{"a@notacme.com", claims{}, false},
		{"a@acme.com.", claims{}, false},
		{"a@evil.example@acme.com", claims{}, false},
		{"@acme.com", claims{}, false},
		{"acme.com", claims{}, false},
		{"", claims{}, false},
		{`"a@evil.example"@acme.com`, claims{}, false},
		{"b@other.example", claims{"email": "b@other.example"}, false},
		{"b@other.example", claims{"email": "b@other.example", "email_verified": true}, true},
		{"b@other.example", claims{"email": "b@other.example", "email_verified": "true"}, true},
		{"b@other.example", claims{"email": "b@other.example", "email_verified": 1.0}, false},
		{"b@other.example", claims{"email": "c@other.example", "email_verified": true}, false},
		{"b", claims{"email": "b", "email_verified": true}, false},
	} {
		who := someone{provider: Provider{Domains: []string{"acme.com"}}, claims: c.claims}
		if got := who.proved(c.address); got != c.want {
			t.Errorf("%q with %v: %v, want %v", c.address, c.claims, got, c.want)
		}
	}
}

// Whatever an address is, its domain is none, or a name that stands alone behind its
// only @.
func FuzzDomain(f *testing.F) {
	for _, s := range []string{"a@b.example", "a@b@c.example", "@", "a@", "A@B.Example ", "a@xn--e1afmkfd.example", "a@\u212a.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d := domainOf(s)
		if d == "" {
			return
		}
		if strings.Count(s, "@") != 1 || !strings.HasSuffix(strings.ToLower(strings.TrimSpace(s)), "@"+d) || !domainName.MatchString(d) {
			t.Errorf("%q has the domain %q", s, d)
		}
	})
}
