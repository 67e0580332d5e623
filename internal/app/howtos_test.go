package app_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/app"
	"gatehouse/internal/config"
	"gatehouse/internal/geo/geotest"
)

// theRest is what pages leave out of their configurations, by page and number of the block
// on it: what the reader has already.
var theRest = map[string]string{
	"browser-sessions.md 1": "apis:\n  orders: { upstream: http://orders:8080, auth: session, host: app.acme.test, routes: { GET /*: orders:read } }\n",
	"configuration.md 0":    oktaIssuer,
	"configuration.md 1": oktaIssuer + `zones: { office: 198.51.100.0/24 }
apis:
  orders:
    upstream: http://orders:8080
    auth: okta
    routes:
      GET /orders/*: orders:read
      POST /orders: orders:write
      GET /reports/*: { scopes: orders:read, zones: [office] }
      DELETE /orders/{id}: { scopes: orders:admin, groups: [support] }
`,
	"message-signatures.md 0": oktaIssuer,
	"decision-points.md 0":    oktaIssuer,
	"passkeys.md 0":           oktaIssuer,
	"policies.md 0":           oktaIssuer,
	"policies.md 1":           "zones:\n  office: 192.0.2.0/24\n",
	"sender-constrained.md 0": oktaIssuer,
	"sender-constrained.md 1": aPart, // one line of an API
	"step-up.md 0":            oktaIssuer,
	"step-up.md 1":            oktaIssuer + "apis:\n  hr: { base_path: /hr, upstream: http://hr:9000, auth: okta, routes: { \"PUT /direct-deposit/{user}\": { scopes: payroll:write, groups: employees, mfa: 5m } } }\n",
	"zones.md 0":              oktaIssuer,
	"zones.md 2": oktaIssuer + `server:
  geo: { country: /var/lib/GeoLite2-Country.mmdb }
zones:
  home: [country:DE, 203.0.113.0/24]
apis:
  hr: { upstream: http://hr:9000, auth: okta, routes: { "GET /payslips/{user}": { scopes: payroll:read, zones: home } } }
`,
}

const aPart = "a part"

const oktaIssuer = "issuers:\n  okta: { url: https://acme.okta.com/oauth2/aus1, audience: api://orders }\n"

var (
	yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)\n```")
	topKey    = regexp.MustCompile(`(?m)^([a-z_]+):`)
)

// Every configuration that a page shows is one that is served, and its tests pass.
func TestHowtosAreServed(t *testing.T) {
	pages, err := filepath.Glob("../../docs/howto/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	pages = append(pages, "../../docs/configuration.md", "../../docs/operations.md", "../../docs/security.md", "../../README.md")
	known := []string{"version", "server", "issuers", "apis", "zones", "policies", "tests", "decision_points", "authzen"}
	ca := newAuthority(t)
	key, _ := newKey(t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	half, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	private, public := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: half})
	country := filepath.Join(t.TempDir(), "country.mmdb")
	if err := os.WriteFile(country, geotest.File(map[string]geotest.Value{"192.0.2.0/24": geotest.Country("FR")}), 0o600); err != nil {
		t.Fatal(err)
	}
	brand := t.TempDir()
	if err := os.WriteFile(filepath.Join(brand, "acme.svg"), []byte(`<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9v9z"/></svg>`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(brand, "de.json"), []byte(`{"signin_title": "Einloggen"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	o := config.Options{
		Env: func(string) (string, bool) { return "a-secret-that-is-long-enough-for-all", true },
		ReadFile: func(path string) ([]byte, error) {
			switch {
			case strings.Contains(path, "ca.pem"):
				return os.ReadFile(filepath.Join(ca.dir, "ca.pem"))
			case strings.Contains(path, "acme-2026"):
				return public, nil
			case strings.HasSuffix(path, ".pem"):
				return private, nil
			}
			return []byte("a-secret-that-is-long-enough-for-all"), nil
		},
	}
	served := 0
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range yamlBlock.FindAllStringSubmatch(string(b), -1) {
			text := m[1]
			name := filepath.Base(page) + " " + string(rune('0'+i))
			if strings.HasPrefix(text, "routes:") {
				text = "apis:\n  orders:\n    upstream: http://orders:8080\n    auth: okta\n    " + strings.ReplaceAll(text, "\n", "\n    ") + "\n"
			}
			var keys []string
			for _, k := range topKey.FindAllStringSubmatch(text, -1) {
				keys = append(keys, k[1])
			}
			if theRest[name] == aPart || len(keys) == 0 || slices.ContainsFunc(keys, func(k string) bool { return !slices.Contains(known, k) }) {
				continue // of another program, or a part of something
			}
			served++
			if !strings.Contains(text, "version: 1") {
				text = "version: 1\n" + text
			}
			text = strings.NewReplacer("/var/lib/GeoLite2-Country.mmdb", country, "/var/lib/GeoLite2-ASN.mmdb", country, "./acme.svg", filepath.Join(brand, "acme.svg"), "./words", brand).Replace(text)
			texts := []config.Text{{Name: name, Data: []byte(text)}}
			if rest := theRest[name]; rest != "" {
				texts = append(texts, config.Text{Name: "the rest", Data: []byte("version: 1\n" + strings.ReplaceAll(rest, "/var/lib/GeoLite2-Country.mmdb", country))})
			}
			f, problems := config.ParseAll(name, texts, o)
			if len(problems) > 0 {
				t.Errorf("%s: %v", name, problems)
				continue
			}
			results, err := app.CheckFile(t.Context(), f)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, r := range results {
				if !r.Passed {
					t.Errorf("%s: %s: %s", name, r.Text, r.Got)
				}
			}
		}
	}
	if served < 30 {
		t.Errorf("only %d configurations were found", served)
	}
}
