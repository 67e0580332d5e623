// Package web is the page kit: one layout, a few components, one style sheet, the
// content security policy, cookies, and protection of forms. Pages are rendered on
// the server, work without scripts, and load nothing from anywhere else. The
// package must not know what a page is about.
package web

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/tenant"
)

//go:embed layout/*.html assets/* words/*.json
var files embed.FS

// AssetPath is where assets are served.
const AssetPath = "/assets/"

// Config is what a Kit is made of.
type Config struct {
	URL string       // where pages are served, without trailing slash: decides about cookies
	Log *slog.Logger // nil = discard
	Now func() time.Time
	// Words are the texts; nil for the kit's own alone.
	Words *Words
	// Brand is that of tenants that have none in Brands.
	Brand  Brand
	Brands map[tenant.ID]Brand
}

// Kit makes pages.
type Kit struct {
	cfg    Config
	assets map[string]asset  // by the name in the address
	names  map[string]string // address by file name
	brand  *branded
	brands map[tenant.ID]*branded
	words  *Words
	secure bool
	cross  *http.CrossOriginProtection
}

type asset struct {
	kind string
	body []byte
}

// New returns a Kit.
func New(cfg Config) *Kit {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	k := &Kit{
		cfg: cfg, secure: strings.HasPrefix(cfg.URL, "https://"), assets: map[string]asset{}, names: map[string]string{},
		cross: http.NewCrossOriginProtection(),
	}
	if k.words = cfg.Words; k.words == nil {
		k.words = WordsWith()
	}
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	entries, err := fs.ReadDir(files, "assets")
	for _, e := range entries {
		body, readErr := files.ReadFile("assets/" + e.Name())
		if err = readErr; err != nil {
			break
		}
		k.names[e.Name()] = k.addAsset(e.Name(), kinds[path.Ext(e.Name())], body)
	}
	if err != nil {
		panic(err) // the folder is part of the binary
	}
	k.brand, k.brands = k.addBrand(cfg.Brand), map[tenant.ID]*branded{}
	for t, b := range cfg.Brands {
		k.brands[t] = k.addBrand(b)
	}
	return k
}

// Words returns the texts of the kit's pages.
func (k *Kit) Words() *Words { return k.words }

// ServeAsset answers with an asset. Its address holds its hash, so that it may be
// kept for good.
func (k *Kit) ServeAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := k.assets[strings.TrimPrefix(r.URL.Path, AssetPath)]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	// A picture that is opened by itself is a document: it gets nothing.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'")
	_, _ = w.Write(a.body) // the caller has gone, there is nobody to tell
}

// Guarded refuses requests that change something and come from a page of another
// origin, and bounds what may be sent.
func (k *Kit) Guarded(next http.Handler) http.Handler {
	return k.cross.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	}))
}

// maxForm bounds the forms of pages.
const maxForm = 64 << 10

// Head says what a page is besides its content.
type Head struct {
	Title string
	Lang  string // of the page's texts; empty: the default one
	Wide  bool   // a page to work on, in place of one card
	// Here is the address at which the page is found again, in another language as well;
	// empty for one that is shown once.
	Here string
	// Target is an address that the page's form may lead to in the end, such as the
	// redirect URI of an app: browsers hold redirects against form-action as well.
	Target string
	// Framer is the only origin that may frame the page; empty: none may.
	Framer string
	// Script is the name of the page's script among the assets; empty: none.
	Script string
}

// Page is a page whose content shows a V.
type Page[V any] struct {
	kit  *Kit
	text *tongues
}

// frame is what the layout shows.
type frame[V any] struct {
	Title     string
	Site      string // its name
	Lang      string
	Direction string // rtl, or empty
	Style     string
	BrandCSS  string // style sheet of the brand; may be empty
	Logo      string // address of a picture; empty: the name is written
	LogoDark  string // of one for dark pages; empty: the same
	Icon      string
	Help      string // address; may be empty
	Support   string // sentence; may be empty
	Script    string
	Wide      bool
	Here      string
	Languages []spoken // to choose from; empty: there is nothing to choose
	View      V
}

// spoken is a language to choose.
type spoken struct {
	Tag     string
	Name    string // in the language itself
	Current bool
}

// NewPage reads the page from a file that defines "content", and the files of parts
// that it uses. It panics when one is broken: they are part of the binary.
func NewPage[V any](k *Kit, pages fs.FS, name string, parts ...string) Page[V] {
	t := &tongues{kit: k, pages: pages, files: append([]string{name}, parts...), read: map[string]*template.Template{}}
	if t.in(DefaultLanguage).Lookup("content") == nil {
		panic("web: " + name + " defines no content")
	}
	return Page[V]{kit: k, text: t}
}

// tongues are a page in the languages in which it has been asked for: nobody reads most of
// them in most languages.
type tongues struct {
	kit   *Kit
	pages fs.FS
	files []string

	mu   sync.Mutex
	read map[string]*template.Template // by language
}

// in returns the page in a language.
func (t *tongues) in(lang string) *template.Template {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.read[lang] == nil {
		page := template.New("page").Funcs(t.kit.functions(lang))
		template.Must(page.ParseFS(files, "layout/*.html"))
		t.read[lang] = template.Must(page.ParseFS(t.pages, t.files...))
	}
	return t.read[lang]
}

// Template returns the page's template and a frame with a zero view, for tests.
func (p Page[V]) Template() (*template.Template, any) {
	return p.text.in(DefaultLanguage), frame[V]{}
}

// Write answers with the page, in the brand of the context's tenant.
func (p Page[V]) Write(ctx context.Context, w http.ResponseWriter, status int, head Head, v V) {
	var b bytes.Buffer
	lang := head.Lang
	if !p.kit.words.Has(lang) {
		lang = DefaultLanguage
	}
	brand := p.kit.brandOf(ctx)
	f := frame[V]{
		Title: head.Title, Site: brand.Name, Lang: lang, Direction: direction(lang), Style: p.kit.names["gatehouse.css"], Icon: p.kit.names["icon.svg"],
		BrandCSS: brand.css, Logo: brand.logo, LogoDark: brand.logoDark, Help: brand.Help, Support: brand.SupportIn(lang),
		Wide: head.Wide, Here: head.Here, View: v,
	}
	if f.Logo != "" {
		f.Icon = f.Logo
	}
	if head.Here != "" {
		f.Languages = p.kit.spoken(lang)
	}
	if head.Script != "" {
		f.Script = p.kit.names[head.Script]
	}
	if err := p.text.in(lang).ExecuteTemplate(&b, "layout", f); err != nil {
		p.kit.cfg.Log.LogAttrs(ctx, slog.LevelError, "page failed", slog.String("title", head.Title), slog.Any("error", err))
		http.Error(w, "This page cannot be shown right now.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy(head))
	h.Set("X-Content-Type-Options", "nosniff")
	// Forms of ours say where they come from; nobody else learns an address of ours.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin-allow-popups")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
	if head.Framer == "" {
		h.Set("X-Frame-Options", "DENY")
	}
	if p.kit.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the caller has gone, there is nobody to tell
}

// policy returns the content security policy of a page: nothing but what it needs,
// nothing inline, nothing from elsewhere.
func policy(head Head) string {
	p := "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'"
	if s := sourceOf(head.Target); s != "" {
		p += " " + s
	}
	if head.Script != "" {
		p += "; script-src 'self'"
	}
	if s := sourceOf(head.Framer); s != "" {
		return p + "; frame-ancestors " + s
	}
	return p + "; frame-ancestors 'none'"
}

// sourceOf returns an address as a source of a policy: scheme and host, or the
// scheme alone where there is no host. What could be read as something else is
// left out: then the browser refuses.
func sourceOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" {
		return ""
	}
	s := u.Scheme + ":"
	if u.Scheme == "http" || u.Scheme == "https" {
		s = u.Scheme + "://" + u.Host
	}
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(":/.-+[]", r)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return ""
	}
	return s
}
