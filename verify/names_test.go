package verify

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// facts are what names are about.
type facts struct {
	User, Client            string
	Audience, Scopes, Roles []string
	Groups                  []string
}

func factsOf(t *Token) facts {
	return facts{t.UserID, t.ClientID, t.Audience, t.Scopes, t.Roles, t.Groups}
}

// What issuers call their claims, in tokens of the shapes that they document.
func TestClaimNames(t *testing.T) {
	mapped := ClaimNames{
		User: []string{"person.id"}, Client: []string{"app"}, Audience: []string{"resource"}, Scopes: []string{"permissions", "scope"},
		Groups: []string{"https://acme.test/groups"}, Roles: []string{"resource_access.hr.roles"},
	}
	for name, c := range map[string]struct {
		names  ClaimNames
		claims obj
		want   facts
		reason Reason
	}{
		"as usual": {ClaimNames{}, obj{}, facts{
			User: "00uperson", Client: "0oaclient", Audience: []string{"api://hr"}, Scopes: []string{"openid", "vacations:read"}, Groups: []string{"employees"},
		}, ""},
		"all of them": {mapped, obj{
			"person": obj{"id": "ana"}, "app": "portal", "resource": "api://x", "permissions": []string{"b", "a"}, "scope": "no",
			"https://acme.test/groups": []string{"g"}, "resource_access": obj{"hr": obj{"roles": []string{"r2", "r1"}}},
		}, facts{"ana", "portal", []string{"api://x"}, []string{"a", "b"}, []string{"r1", "r2"}, []string{"g"}}, ""},
		"none of them is there: the usual ones do not count": {mapped, obj{"roles": []string{"admin"}}, facts{}, ""},
		"the second name": {mapped, obj{"scope": "x y"}, facts{Scopes: []string{"x", "y"}}, ""},
		"a claim whose name is a path": {ClaimNames{User: []string{"person.id"}}, obj{"person.id": "exact", "person": obj{"id": "nested"}}, facts{
			User: "exact", Client: "0oaclient", Audience: []string{"api://hr"}, Scopes: []string{"openid", "vacations:read"}, Groups: []string{"employees"},
		}, ""},
		"the client for itself has no user": {ClaimNames{User: []string{"uid"}}, obj{"sub": "0oaclient"}, facts{
			Client: "0oaclient", Audience: []string{"api://hr"}, Scopes: []string{"openid", "vacations:read"}, Groups: []string{"employees"},
		}, ""},
		"user of a wrong type":     {mapped, obj{"person": obj{"id": 7}}, facts{}, ReasonMalformed},
		"groups of a wrong type":   {mapped, obj{"https://acme.test/groups": obj{}}, facts{}, ReasonMalformed},
		"scopes that are none":     {mapped, obj{"permissions": []string{"a b"}}, facts{}, ReasonMalformed},
		"a path through a text":    {mapped, obj{"person": "x"}, facts{}, ""},
		"audience of a wrong type": {mapped, obj{"resource": 1}, facts{}, ReasonMalformed},
		"roles of a wrong type":    {mapped, obj{"resource_access": obj{"hr": obj{"roles": 1}}}, facts{}, ReasonMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			v := verifierA(t, func(cfg *Config) { cfg.Issuers[0].Claims = c.names })
			tok, err := v.Verify(t.Context(), mint(EdDSA, edKey(), "ed", oktaClaims(c.claims)))
			want(t, err, c.reason)
			if err != nil {
				return
			}
			if diff := cmp.Diff(c.want, factsOf(tok)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			same, err := FromClaims([]byte(text(oktaClaims(c.claims))), c.names)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, factsOf(same)); diff != "" {
				t.Errorf("without a signature: -want +got:\n%s", diff)
			}
		})
	}
}

// A client assertion is no access token, whatever the audience is called.
func TestAssertionWithAnotherAudience(t *testing.T) {
	v := verifierA(t, func(cfg *Config) {
		cfg.Issuers[0].Claims, cfg.Issuers[0].TokenEndpoint = ClaimNames{Audience: []string{"client_id"}}, issuerA+"/v1/token"
	})
	_, err := v.Verify(t.Context(), mint(EdDSA, edKey(), "ed", oktaClaims(obj{"aud": issuerA + "/v1/token", "client_id": "x"})))
	want(t, err, ReasonTokenType)
}

// Other names make other tokens: what was verified with the old ones is not served.
func TestNamesAreOfTheIssuer(t *testing.T) {
	v := verifierA(t, nil)
	raw := mint(EdDSA, edKey(), "ed", oktaClaims(nil))
	if _, err := v.Verify(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	is := v.issuers[issuerA].Issuer
	w, err := v.With([]Issuer{is})
	if err != nil {
		t.Fatal(err)
	}
	if _, hit := w.VerifyCached(raw); !hit {
		t.Error("the same names make it cold")
	}
	is.Claims = ClaimNames{Groups: []string{"teams"}}
	if w, err = v.With([]Issuer{is}); err != nil {
		t.Fatal(err)
	}
	if _, hit := w.VerifyCached(raw); hit {
		t.Error("facts under old names are served")
	}
	tok, err := w.Verify(t.Context(), raw)
	if err != nil || len(tok.Groups) != 0 {
		t.Errorf("%+v, %v", tok, err)
	}
}
