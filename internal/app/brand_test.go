package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/app"
)

// The brand of the file is on pages and in letters; texts come from a folder, in a
// language that the product does not have too.
func TestBrandOfASite(t *testing.T) {
	dir := t.TempDir()
	english, err := app.PageWords("en")
	if err != nil {
		t.Fatal(err)
	}
	var texts map[string]string
	if err := json.Unmarshal(english, &texts); err != nil {
		t.Fatal(err)
	}
	texts["language_name"], texts["signin_title"] = "Kiswahili", "Ingia"
	swahili, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"logo.svg":      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><path d="M0 0h4v4z"/></svg>`,
		"bad.svg":       `<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`,
		"words/de.json": `{"signin_title": "Einloggen"}`, "words/sw.json": string(swahili), "holes/pt.json": `{"signin_title": "Entrar"}`,
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	brand := func(lines string) string {
		return write(t, "version: 1\nserver:\n  brand:\n"+strings.ReplaceAll(lines, "DIR", dir))
	}
	for want, lines := range map[string]string{
		"bad.svg: line 1: a logo has no element script": "    logo: DIR/bad.svg\n",
		"server.brand.logo: open " + dir + "/none.png":  "    logo: DIR/none.png\n",
		"pt.json: ": "    words: DIR/holes\n",
		`server.brand.language: there are no texts in "pt"`:        "    language: pt\n",
		`server.brand.support: there are no pages in "pt"`:         "    support: { pt: Ligue }\n",
		"has a contrast of 1.96 with #f3f5f9 of light pages, and ": "    accent: \"#7fb3ff\"\n",
	} {
		p, err := tryStart(t, brand(lines))
		if err == nil {
			p.stop()
		}
		if err == nil || !strings.Contains(err.Error()+p.err.String(), want) {
			t.Errorf("%s: %v", lines, err)
		}
	}
	p := start(t, brand("    name: Acme\n    logo: DIR/logo.svg\n    accent: \"#0b6b53\"\n    support: Call 4711.\n    language: de\n    words: DIR/words\n"))
	b := p.browser(t)
	b.get("/account").has(t, 200, "<title>Einloggen - Acme</title>", `<html lang="de">`, `alt="Acme"`, "/assets/brand.", "Call 4711.", "Kiswahili")
	b.post(b.get("/recover"), "identifier", "ana@example.com")
	l := p.letters(1)[0]
	if !strings.Contains(l.Text, "bei Acme") || !strings.Contains(l.Text, "Call 4711.") {
		t.Errorf("%s", l.Text)
	}

	b.get("/account/nothing").has(t, 404, "Diese Seite gibt es nicht", "<title>Diese Seite gibt es nicht - Acme</title>")

	// A choice of the person is kept, and an app's wish is heard.
	page := b.get("/account")
	b.send(b.form("/language", map[string][]string{"language": {"sw"}, "back": {page.at.Path}}))
	b.get(page.at.Path).has(t, 200, `<html lang="sw">`, "Ingia")
	r := b.form("/language", map[string][]string{"language": {"ja"}, "back": {"/account"}})
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	b.send(r).has(t, http.StatusForbidden) // attack identity 17: not by a page of somebody else
	var metadata struct {
		Locales []string `json:"ui_locales_supported"`
	}
	if err := json.Unmarshal([]byte(b.get("/oauth2/default/.well-known/openid-configuration").body), &metadata); err != nil || strings.Join(metadata.Locales, " ") != "en de es fr ja sw" {
		t.Error(metadata, err)
	}
	other := p.browser(t)
	other.get(authorizePath+"?"+p.browserApp().request("scope", "openid", "ui_locales", "tlh fr-CA").Encode()).has(t, 200, `<html lang="fr">`, "Se connecter")
	other.get("/oauth2/default/v1/authorize?client_id=nobody&ui_locales=ja").has(t, 400, `<html lang="ja">`, "このサインインは続けられません")
}
