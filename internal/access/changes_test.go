package access

import (
	"encoding/json"
	"testing"

	"gatehouse/internal/fault"
)

func TestServerIsDeletedWithAllThatBelongsToIt(t *testing.T) {
	r := newRoom(t)
	o, err := r.service.CreateServer(r.ctx, r.admin, Server{Name: "orders", Audiences: []string{"api://orders"}})
	must(t, err)
	claims, err := r.service.ListClaims(r.ctx, o.ID)
	must(t, err)
	if len(claims) != 19 {
		t.Errorf("%d claims", len(claims))
	}
	if err := r.service.DeleteClaim(r.ctx, r.admin, o.ID, claims[0].ID); !fault.Is(err, fault.Denied) {
		t.Errorf("a system claim was deleted: %v", err)
	}
	if err := r.service.DeleteServer(r.ctx, r.admin, o.ID); fault.Of(err) == nil || fault.Of(err).Reason != ReasonActive {
		t.Errorf("an active server was deleted: %v", err)
	}
	must(t, r.service.SetServerStatus(r.ctx, r.admin, o.ID, Inactive))
	must(t, r.service.DeleteServer(r.ctx, r.admin, o.ID))
	if _, err := r.service.ListClaims(r.ctx, o.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("after the deletion: %v", err)
	}
}

func TestClaims(t *testing.T) {
	r := newRoom(t)
	s := r.server(t, "orders")
	good := Claim{Name: "dept", ClaimType: ClaimResource, ValueType: ValueExpression, Value: "user.department", Scopes: []string{"profile"}}
	o, err := r.service.AddClaim(r.ctx, r.admin, s.ID, good)
	must(t, err)
	for name, change := range map[string]func(*Claim){
		"reserved name":    func(c *Claim) { c.Name = "aud" },
		"unknown scope":    func(c *Claim) { c.Scopes = []string{"nope"} },
		"system value":     func(c *Claim) { c.ValueType = ValueSystem },
		"no value":         func(c *Claim) { c.Value = "" },
		"bad pattern":      func(c *Claim) { c.ValueType, c.GroupFilter, c.Value = ValueGroups, FilterRegex, "(" },
		"filter of no use": func(c *Claim) { c.GroupFilter = FilterEquals },
	} {
		_, err := r.service.ChangeClaim(r.ctx, r.admin, s.ID, o.ID, func(c *Claim) error { change(c); return nil })
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := r.server(t, "other")
	if _, err := r.service.FindClaim(r.ctx, other.ID, o.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("a claim of another server: %v", err)
	}
	must(t, r.service.DeleteClaim(r.ctx, r.admin, s.ID, o.ID))
}

func TestPrioritiesMoveAside(t *testing.T) {
	r := newRoom(t)
	s := r.server(t, "orders")
	var ids []string
	for _, n := range []string{"a", "b", "c", "d"} {
		id, err := r.service.CreatePolicy(r.ctx, r.admin, Policy{Server: s.ID, Name: n, Conditions: PolicyContexts{Clients: include(AllClients)}})
		must(t, err)
		ids = append(ids, id)
	}
	order := func() (out string) {
		all, err := r.service.ListPolicies(r.ctx, s.ID)
		must(t, err)
		for i, o := range all {
			if i > 0 && all[i-1].Value.Priority >= o.Value.Priority {
				t.Errorf("%d before %d", all[i-1].Value.Priority, o.Value.Priority)
			}
			out += o.Value.Name
		}
		return out
	}
	move := func(i, to int) {
		_, err := r.service.ChangePolicy(r.ctx, r.admin, s.ID, ids[i], func(p *Policy) error { p.Priority = to; return nil })
		must(t, err)
	}
	move(3, 1)
	if got := order(); got != "dabc" {
		t.Errorf("the last to the front: %s", got)
	}
	move(0, 4)
	if got := order(); got != "dbac" {
		t.Errorf("the second to the place of the last: %s", got)
	}
	move(1, 0)
	if got := order(); got != "dbac" {
		t.Errorf("no priority: %s", got)
	}
	move(2, MaxPriority)
	if got := order(); got != "dbac" {
		t.Errorf("far behind: %s", got)
	}
}

func TestAppRedirects(t *testing.T) {
	r := newRoom(t)
	base := App{Label: "web", GrantTypes: []string{GrantAuthorizationCode}, OIDC: OIDC{ApplicationType: AppWeb, ResponseTypes: []string{"code"}}}
	add := func(wildcard string, uris ...string) error {
		a := base
		a.OIDC.RedirectURIs, a.OIDC.Wildcard = uris, wildcard
		_, _, err := r.service.AddApp(r.ctx, r.admin, a, "", nil)
		return err
	}
	must(t, add("", "https://app.example.com/callback", "com.example.app:/callback", "http://localhost:3000/"))
	must(t, add(WildcardSubdomain, "https://*.example.com/callback"))
	for _, bad := range []string{
		"javascript:alert(1)", "data:text/html,x", "https://a.example.com/#x", "https://user@a.example.com/", "/callback", "https:///x",
		"https://*.example.com/", "https://a.example.com/*", "https://a b.example.com/",
	} {
		if err := add("", bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if err := add(""); !fault.Is(err, fault.Invalid) {
		t.Errorf("no redirect URI: %v", err)
	}
}

func TestAppKeysAreNormalized(t *testing.T) {
	jwk := map[string]any{"kty": "EC", "x": "K37X78mXJHHldZYMzrwipjKR-YZUS2SMye0KindHp6I"}
	normalize(jwk)
	if jwk["crv"] != "P-256" {
		t.Errorf("the curve: %v", jwk)
	}
	jwk = map[string]any{"kty": "RSA", "e": "AQAf"}
	normalize(jwk)
	if jwk["e"] != "AQAf" {
		t.Errorf("whole bytes stay: %v", jwk)
	}
	jwk = map[string]any{"kty": "RSA", "e": "AR"} // one byte and four bits to spare
	normalize(jwk)
	if jwk["e"] != "AQ" {
		t.Errorf("spare bits: %v", jwk)
	}
	r := newRoom(t)
	app := App{Label: "svc", AuthMethod: AuthPrivateKey, GrantTypes: []string{GrantClientCredentials}}
	private := json.RawMessage(`{"kty":"EC","kid":"k","crv":"P-256","x":"K37X78mXJHHldZYMzrwipjKR-YZUS2SMye0KindHp6I","y":"8IfvsvXWzbFWOZoVOMwgF5p46mUj3kbOVf9Fk0vVVHo","d":"AQ"}`)
	if _, _, err := r.service.AddApp(r.ctx, r.admin, app, "", []json.RawMessage{private}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a private key was kept: %v", err)
	}
}

func TestZones(t *testing.T) {
	r := newRoom(t)
	o, err := r.service.CreateZone(r.ctx, r.admin, Zone{Name: "office", Type: ZoneIP, Gateways: []Network{{"RANGE", "192.0.2.1"}, {"CIDR", "198.51.100.0/24"}}})
	must(t, err)
	if o.Value.Gateways[0].Value != "192.0.2.1-192.0.2.1" || o.Value.Usage != UsagePolicy {
		t.Errorf("%+v", o.Value)
	}
	for _, bad := range []Network{{"RANGE", "192.0.2.9-192.0.2.1"}, {"RANGE", "192.0.2.1-::1"}, {"CIDR", "192.0.2.0/33"}, {"CIDR", "office"}, {"NAME", "192.0.2.1"}} {
		if _, err := r.service.CreateZone(r.ctx, r.admin, Zone{Name: "bad", Type: ZoneIP, Gateways: []Network{bad}}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if err := r.service.DeleteZone(r.ctx, r.admin, o.ID); !fault.Is(err, fault.Denied) {
		t.Errorf("an active zone was deleted: %v", err)
	}
	_, err = r.service.ChangeZone(r.ctx, r.admin, o.ID, func(z *Zone) error { z.Status = Inactive; return nil })
	must(t, err)
	must(t, r.service.DeleteZone(r.ctx, r.admin, o.ID))
}
