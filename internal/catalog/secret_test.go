package catalog

import (
	"strings"
	"testing"

	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/spec"
	"gatehouse/internal/tenant"
)

func newSealer(t *testing.T, ids ...string) *keys.Sealer {
	t.Helper()
	var list []keys.SealKey
	for i, id := range ids {
		list = append(list, keys.SealKey{ID: id, Secret: [32]byte{byte(len(ids) - i)}})
	}
	s, err := keys.NewSealer(list...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func partner(s Sealer, secret string, change ...func(*spec.Issuer)) Declared {
	i := spec.Issuer{
		Name: "partner", URL: "https://p.test", Audience: []string{"x"}, Tokens: spec.TokensOpaque,
		ClientID: "gatehouse", ClientSecret: "${env:SECRET}",
	}
	for _, f := range change {
		f(&i)
	}
	return Declared{
		File: "gatehouse.yaml", Snapshot: spec.Snapshot{Issuers: []spec.Issuer{i}}, Sealer: s,
		Secrets: map[string]string{"issuers.partner.client_secret": "${env:SECRET}"},
		Values:  map[string]string{"issuers.partner.client_secret": secret},
	}
}

// A client secret is kept sealed; the same one again is no change, another one is,
// and neither the difference nor the history shows what it is.
func TestSecretsAreSealed(t *testing.T) {
	h := newHouse(t)
	s := newSealer(t, "k1")
	kept := func() spec.Issuer { return h.snapshot().Issuers[0] }
	h.apply(partner(s, "hunter2"))
	first := kept()
	if !ledger.Sealed(first.ClientSecret) {
		t.Fatalf("kept as %q", first.ClientSecret)
	}
	if plain, err := s.Open(first.ClientSecret, SecretPlace(tenant.Default, first)); err != nil || string(plain) != "hunter2" {
		t.Errorf("%q, %v", plain, err)
	}
	if r, err := h.try(partner(s, "hunter2")); err != nil || len(r.Changes) != 0 || kept().ClientSecret != first.ClientSecret {
		t.Errorf("the same secret again: %+v, %v", r, err)
	}
	r, err := h.try(partner(s, "hunter3"))
	if err != nil || len(r.Changes) != 1 || kept().ClientSecret == first.ClientSecret {
		t.Fatalf("another secret: %+v, %v", r, err)
	}
	f := r.Changes[0].Fields
	if len(f) != 1 || f[0].Before != "${env:SECRET}" || !strings.Contains(f[0].After, "has changed") || strings.Contains(f[0].After, "sealed:") {
		t.Errorf("shown as %+v", f)
	}
}

// A secret is sealed for the addresses that it is sent to: moved along with the
// issuer to another one, it does not open.
func TestSecretsAreSealedForTheirAddresses(t *testing.T) {
	h := newHouse(t)
	s := newSealer(t, "k1")
	h.apply(partner(s, "hunter2"))
	first := h.snapshot().Issuers[0]
	for name, change := range map[string]func(*spec.Issuer){
		"url": func(i *spec.Issuer) { i.URL = "https://thief.test" }, "name": func(i *spec.Issuer) { i.Name = "other" },
		"introspection_url": func(i *spec.Issuer) { i.IntrospectionURL = "https://thief.test/introspect" },
	} {
		moved := first
		change(&moved)
		if _, err := s.Open(moved.ClientSecret, SecretPlace(tenant.Default, moved)); err == nil {
			t.Errorf("it opens with another %s", name)
		}
	}
	if _, err := s.Open(first.ClientSecret, SecretPlace("other", first)); err == nil {
		t.Error("it opens for another tenant")
	}
	// Who declares it with the secret may move it.
	h.apply(partner(s, "hunter2", func(i *spec.Issuer) { i.URL = "https://q.test" }))
	second := h.snapshot().Issuers[0]
	if _, err := s.Open(second.ClientSecret, SecretPlace(tenant.Default, second)); err != nil {
		t.Error(err)
	}
}

// With a newer seal key the next apply seals anew.
func TestSecretsFollowTheSealKey(t *testing.T) {
	h := newHouse(t)
	h.apply(partner(newSealer(t, "k1"), "hunter2"))
	both := newSealer(t, "k2", "k1")
	h.apply(partner(both, "hunter2"))
	if now := h.snapshot().Issuers[0].ClientSecret; both.Stale(now) {
		t.Errorf("sealed with the old key: %s", now)
	}
}

// Without a sealer, or with a value that is no reference's, nothing is written.
func TestSecretsThatCannotBeSealed(t *testing.T) {
	h := newHouse(t)
	for name, d := range map[string]Declared{
		"no sealer": partner(nil, "hunter2"),
		"no value":  func() Declared { d := partner(newSealer(t, "k1"), ""); d.Values = nil; return d }(),
	} {
		if _, err := h.try(d); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
