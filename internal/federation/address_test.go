package federation

import (
	"encoding/json"
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

// Whom providers of each kind stand for, by the claims that their tokens really have
// (attack identity 68). A Google account with an organization's address need not be the
// organization's, a guest in an Entra tenant is somebody else's, and Keycloak says
// of people who have registered themselves that nobody has looked at their address.
func TestProvidersStandForTheirOwn(t *testing.T) {
	google := func(more string) string {
		return `{"iss":"https://accounts.google.com","azp":"1-a.apps.googleusercontent.com","aud":"1-a.apps.googleusercontent.com","sub":"115964597010101010101",` + more + `"at_hash":"n879grk0yDwMjWx92oPjRQ","name":"Ana","iat":1609589400,"exp":1609593000}`
	}
	entra := func(more string) string {
		return `{"ver":"2.0","iss":"https://login.microsoftonline.com/8f2ff5a7-5b0f-4c37-9a8f-1d6a6b1f0f11/v2.0","tid":"8f2ff5a7-5b0f-4c37-9a8f-1d6a6b1f0f11","oid":"b5a1","sub":"AAAAAA-pairwise","preferred_username":"ana@acme.com","email":"ana@acme.com",` + more + `"name":"Ana"}`
	}
	keycloak := func(more string) string {
		return `{"iss":"https://sso.acme.com/realms/acme","aud":"gatehouse","sub":"f:1:ana","typ":"ID","azp":"gatehouse","sid":"s","acr":"1","name":"Ana","preferred_username":"ana","given_name":"Ana","email":"ana@acme.com",` + more + `"groups":["/staff"]}`
	}
	okta := `{"sub":"00u1","ver":1,"iss":"https://acme.okta.com","aud":"0oa1","amr":["pwd"],"idp":"00o1","nonce":"n","email":"ana@acme.com","email_verified":true,"preferred_username":"ana@acme.com","auth_time":1}`
	for _, c := range []struct {
		name, kind, claims, address string
		authority, proved           bool
	}{
		{"Google, of the organization", Google, google(`"hd":"acme.com","email":"ana@acme.com","email_verified":true,`), "ana@acme.com", true, true},
		{"Google, of its second domain", Google, google(`"hd":"acme.com","email":"ana@acme.org","email_verified":true,`), "ana@acme.org", true, true},
		{"Google, of nobody", Google, google(`"email":"ana@acme.com","email_verified":true,`), "ana@acme.com", false, false},
		{"Google, of another organization", Google, google(`"hd":"evil.example","email":"ana@acme.com","email_verified":true,`), "ana@acme.com", false, false},
		{"Google, an address of no organization's", Google, google(`"email":"ana@else.example","email_verified":true,`), "ana@else.example", false, true},
		{"Google, a mailbox of Google's", Google, google(`"email":"ana@gmail.com","email_verified":true,`), "ana@gmail.com", true, true},
		{"Google, by its issuer", OIDC, google(`"email":"ana@acme.com","email_verified":true,`), "ana@acme.com", false, false},
		{"Entra, a member", Microsoft, entra(``), "ana@acme.com", true, true},
		{"Entra, a member, said", Microsoft, entra(`"acct":0,"xms_edov":true,`), "ana@acme.com", true, true},
		{"Entra, a guest", Microsoft, entra(`"acct":1,`), "ana@acme.com", false, false},
		{"Entra, a domain that is not proved", Microsoft, entra(`"xms_edov":false,`), "ana@acme.com", false, false},
		{"Entra, the same as text", Microsoft, entra(`"xms_edov":"0",`), "ana@acme.com", false, false},
		{"Entra, by its issuer", OIDC, entra(`"acct":1,`), "ana@acme.com", false, false},
		{"Entra, an address of another domain", Microsoft, entra(`"xms_edov":true,`), "ana@else.example", false, false},
		{"Keycloak, looked at", OIDC, keycloak(`"email_verified":true,`), "ana@acme.com", true, true},
		{"Keycloak, not looked at", OIDC, keycloak(`"email_verified":false,`), "ana@acme.com", false, false},
		{"Okta", Okta, okta, "ana@acme.com", true, true},
	} {
		var v claims
		if err := json.Unmarshal([]byte(c.claims), &v); err != nil {
			t.Fatal(err)
		}
		who := someone{provider: Provider{Type: c.kind, Domains: []string{"acme.com", "acme.org", "gmail.com"}}, claims: v}
		who.provider.Issuer, _ = v["iss"].(string)
		if got := [2]bool{who.authority(c.address), who.proved(c.address)}; got != [2]bool{c.authority, c.proved} {
			t.Errorf("%s: authority and proved %v, want %v and %v", c.name, got, c.authority, c.proved)
		}
	}
}

// Groups that were left out are not none; names that are paths are names.
func TestGroupsOfProviders(t *testing.T) {
	for _, c := range []struct {
		name, claims, claim string
		want                bool
	}{
		{"Entra, many groups", `{"_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph.windows.net/x"}}}`, "groups", true},
		{"Entra, implicit", `{"hasgroups":true}`, "groups", true},
		{"Entra, by SAML", `{"groups_link":"https://graph.windows.net/x"}`, "groups", true},
		{"another claim", `{"_claim_names":{"groups":"src1"}}`, "roles", false},
		{"none", `{}`, "groups", false},
	} {
		var v claims
		if err := json.Unmarshal([]byte(c.claims), &v); err != nil {
			t.Fatal(err)
		}
		who := someone{provider: Provider{GroupAction: GroupsSync, GroupClaim: c.claim}, claims: v}
		if got := who.withheld(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if who.provider.GroupAction = GroupsAssign; who.withheld() {
			t.Errorf("%s: matters where groups are not read", c.name)
		}
	}
	who := someone{provider: Provider{GroupClaim: "groups"}, claims: claims{"groups": []any{"/staff", "/a/payroll", 1.0}}}
	if n := who.named(); !n["staff"] || n["payroll"] || !n["a/payroll"] {
		t.Errorf("paths of groups: %v", n)
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
