package web_test

import (
	"bytes"
	"image"
	"image/png"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"gatehouse/internal/colour"
	"gatehouse/internal/tenant"
	"gatehouse/internal/web"
)

const plainLogo = `<?xml version="1.0"?>
<!-- Acme -->
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 10 10"><defs><linearGradient id="a"><stop offset="0" stop-color="#f00"/></linearGradient></defs><path d="M0 0h10v10z" fill="url(#a)" style="opacity:.5"/><use xlink:href="#a"/></svg>`

func dot(t testing.TB, width int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, 1))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A logo is served from our own origin: what is a document with scripts, or loads from
// elsewhere, is refused.
func TestLogos(t *testing.T) {
	for name, raw := range map[string][]byte{"svg": []byte(plainLogo), "png": dot(t, 8)} {
		if _, err := web.ReadPicture(raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	in := func(s string) []byte { return []byte(`<svg xmlns="http://www.w3.org/2000/svg">` + s + `</svg>`) }
	for want, raw := range map[string][]byte{
		"neither a PNG":              []byte("GIF89a"),
		"a PNG that can be read":     dot(t, 8)[:20],
		"at most 4096":               dot(t, 5000),
		"at most 262144":             bytes.Repeat([]byte("x"), 300<<10),
		"no element script":          in(`<script>alert(1)</script>`),
		"no element style":           in(`<style>@import "x"</style>`),
		"no element foreignObject":   in(`<foreignObject/>`),
		"no element image":           in(`<image href="data:,x"/>`),
		"no element animate":         in(`<animate attributeName="href"/>`),
		"onload of svg is a script":  []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="x()"/>`),
		"ONCLICK of g is a script":   in(`<g ONCLICK="x()"/>`),
		"href of use leads":          in(`<use href="https://evil.test/a.svg#x"/>`),
		"fill of path names":         in("<path fill=\"URL ( 'https://evil.test/x')\"/>"),
		"style of path names":        in(`<path style="background:\75rl(//evil.test)"/>`),
		"base of g leads":            in(`<g xml:base="https://evil.test/"/>`),
		"document type":              []byte(`<!DOCTYPE svg [<!ENTITY x "y">]><svg xmlns="http://www.w3.org/2000/svg"/>`),
		"xml-stylesheet can load":    []byte(`<?xml-stylesheet href="x"?><svg xmlns="http://www.w3.org/2000/svg"/>`),
		"no element div":             in(`<div xmlns="http://www.w3.org/1999/xhtml"/>`),
		"nested deeper":              in(strings.Repeat("<g>", 100) + strings.Repeat("</g>", 100)),
		"neither a PNG nor an SVG":   []byte(`<svg/>`),
		"neither a PNG nor an SVG ":  in("<g>"),
		"neither a PNG nor an  SVG ": nil,
	} {
		if _, err := web.ReadPicture(raw); err == nil || !strings.Contains(err.Error(), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func FuzzReadPicture(f *testing.F) {
	f.Add([]byte(plainLogo))
	f.Add(dot(f, 8))
	f.Add([]byte(`<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := web.ReadPicture(raw)
		if err != nil || p.Kind != "image/svg+xml" {
			return
		}
		low := strings.ToLower(string(raw))
		if strings.Contains(low, "<script") && !strings.Contains(low, "<!--") && !strings.Contains(low, "<![cdata[") {
			t.Errorf("taken: %s", raw)
		}
	})
}

// Each tenant's pages are in its own brand, and in no other one's.
func TestBrandsOfTenants(t *testing.T) {
	accent, err := colour.AccentOf(colour.Colour{R: 0x0b, G: 0x6b, B: 0x53})
	if err != nil {
		t.Fatal(err)
	}
	kit := web.New(web.Config{URL: "https://id.acme.test", Brand: web.Brand{Name: "House", Support: map[string]string{"": "Call the house."}}, Brands: map[tenant.ID]web.Brand{
		"acme": {Name: "Acme", Accent: accent, Logo: &web.Picture{Kind: "image/png", Body: dot(t, 8)}}, "other": {Help: "https://help.other.test"},
	}})
	page := web.NewPage[struct{}](kit, fstest.MapFS{"x.html": {Data: []byte(`{{define "content"}}x{{end}}`)}}, "x.html")
	for id, want := range map[tenant.ID]string{
		"acme": "- Acme</title> /assets/logo. /assets/brand.", "other": "- Gatehouse</title> https://help.other.test", "new": "- House</title> Call the house.", "": "- House</title> Call the house.",
	} {
		ctx := t.Context()
		if id != "" {
			ctx = tenant.With(ctx, id)
		}
		w := httptest.NewRecorder()
		page.Write(ctx, w, 200, web.Head{Title: "Sign in", Here: "/"}, struct{}{})
		var has []string
		for _, part := range []string{"- Acme</title>", "- Gatehouse</title>", "- House</title>", "https://help.other.test", "Call the house.", "/assets/logo.", "/assets/brand."} {
			if strings.Contains(w.Body.String(), part) {
				has = append(has, part)
			}
		}
		if got := strings.Join(has, " "); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
		if got := kit.Brand(ctx).SupportIn("de"); (got != "") != strings.Contains(want, "Call") {
			t.Errorf("%q: letters say %q", id, got)
		}
	}
}

// The brand is on every page, from addresses with a hash, and nothing of it is inline.
func TestBrand(t *testing.T) {
	logo, err := web.ReadPicture([]byte(plainLogo))
	if err != nil {
		t.Fatal(err)
	}
	accent, err := colour.AccentOf(colour.Colour{R: 0x0b, G: 0x6b, B: 0x53})
	if err != nil {
		t.Fatal(err)
	}
	kit := web.New(web.Config{URL: "https://id.acme.test", Brand: web.Brand{
		Name: "Acme <&>", Logo: logo, Accent: accent, Help: "https://help.acme.test/?a=1&b=2", Support: map[string]string{"": "Call 4711.", "de": "Rufen Sie 4711 an."},
	}})
	page := web.NewPage[struct{}](kit, fstest.MapFS{"x.html": {Data: []byte(`{{define "content"}}x{{end}}`)}}, "x.html")
	w := httptest.NewRecorder()
	page.Write(t.Context(), w, 200, web.Head{Title: "Sign in", Lang: "de", Here: "/signin/x"}, struct{}{})
	body := w.Body.String()
	for _, want := range []string{
		"<title>Sign in - Acme &lt;&amp;&gt;</title>", `alt="Acme &lt;&amp;&gt;"`, `src="/assets/logo.`, `href="/assets/brand.`, "Rufen Sie 4711 an.",
		`href="https://help.acme.test/?a=1&amp;b=2"`, "Hilfe", `value="ja" lang="ja"`, `value="/signin/x"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s:\n%s", want, body)
		}
	}
	if strings.Contains(body, "Gatehouse") || strings.Contains(body, "style=") {
		t.Error(body)
	}
	for _, name := range []string{"brand.", "logo."} {
		at := strings.Index(body, "/assets/"+name)
		w := httptest.NewRecorder()
		kit.ServeAsset(w, httptest.NewRequest("GET", body[at:at+strings.IndexByte(body[at:], '"')], nil))
		if w.Code != 200 || !strings.Contains(w.Header().Get("Content-Security-Policy"), "sandbox") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
		if name == "brand." && w.Body.String() != ":root{--accent:light-dark(#0b6b53,#85b5a9);--accent-strong:light-dark(#08503e,#aacbc3);}\n" {
			t.Error(w.Body)
		}
	}
}

// An operator replaces texts and adds languages; what would leave a hole is refused, and
// the error says what and where.
func TestOverride(t *testing.T) {
	read := func() *web.Words {
		return web.ReadWords(fstest.MapFS{
			"words/en.json": {Data: []byte(`{"a":"A {x}","days_one":"{n} day","days_other":"{n} days"}`)},
			"words/de.json": {Data: []byte(`{"a":"a {x}","days_one":"{n} Tag","days_other":"{n} Tage"}`)},
		})
	}
	for _, c := range []struct{ name, file, want string }{
		{"de.json", `{"a":"Anders {x}"}`, ""},
		{"ja.json", `{"a":"{x}","days_other":"{n} 日"}`, ""},
		{"pt-BR.json", `{"a":"{x}","days_one":"um dia","days_other":"{n} dias"}`, ""},
		{"pl.json", `{"a":"{x}","days_one":"{n} dzień","days_other":"{n} dnia"}`, `2 texts are wrong, of a language that is not there otherwise (gatehouse words prints all of one that is): pl does not say "days_few"; pl does not say "days_many"`},
		{"de.json", `{"b":"x"}`, `de.json: "b" is no key of a text`},
		{"de.json", `{"a":"x"}`, `"a" has the places [] and not [{x}]`},
		{"de.json", `{"a":"{x} {y}"}`, `"a" has the places [{x} {y}] and not [{x}]`},
		{"de.json", "{\n\"a\":\"{x}\",\n\"a\":\"{x}\"}", `line 3: "a" is there twice`},
		{"de.json", `{"a":1}`, `"a" has no text`},
		{"de.json", `{"a":{"b":"c"}}`, `"a" has no text`},
		{"de.json", `{"a":" "}`, "a text has 1 to 4000 bytes"},
		{"de.json", `{"a":"x\u0007{x}"}`, "no control characters"},
		{"de.json", `["a"]`, "it is a JSON object"},
		{"de.json", `{"a":"{x}"} {}`, "something follows the object"},
		{"de.json", `{"a":"{x}"`, "line 1: "},
		{"german.json", `{}`, "a file is named by its language"},
		{"de_AT.json", `{}`, "a file is named by its language"},
		{"de.yaml", `{}`, "there is no file such as de.json in it"},
	} {
		w := read()
		err := w.Override(fstest.MapFS{c.name: {Data: []byte(c.file)}})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %s: %v", c.name, c.file, err)
		}
	}
	w := read()
	if err := w.Override(fstest.MapFS{"de.json": {Data: []byte(`{"a":"Anders {x}"}`)}}); err != nil || w.Say("de", "a", "x", 1) != "Anders 1" || w.Count("de", "days", 2) != "2 Tage" {
		t.Error(err, w.Say("de", "a"))
	}
	if raw, err := w.Export("de"); err != nil || string(raw) != "{\n  \"a\": \"Anders {x}\",\n  \"days_one\": \"{n} Tag\",\n  \"days_other\": \"{n} Tage\"\n}\n" {
		t.Error(string(raw), err)
	}
}

func FuzzOverride(f *testing.F) {
	f.Add([]byte(`{"a":"{x}","b":""}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		w := web.ReadWords(fstest.MapFS{"words/en.json": {Data: []byte(`{"a":"A {x}"}`)}})
		if w.Override(fstest.MapFS{"en.json": {Data: raw}}) == nil && len(w.Check()) > 0 {
			t.Errorf("taken: %q %v", raw, w.Check())
		}
	})
}
