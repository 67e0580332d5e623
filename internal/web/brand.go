package web

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"path"
	"strings"

	"gatehouse/internal/colour"
	"gatehouse/internal/tenant"
)

// Brand is whose pages they are.
type Brand struct {
	Name string // empty: Gatehouse
	// Logo stands in place of the name; LogoDark is for dark pages, when it differs.
	Logo, LogoDark *Picture
	Accent         colour.Accent // of links and buttons; zero: that of the style sheet
	Help           string        // address of a page with help, or of a mailbox; may be empty
	// Support is a sentence by language; that of "" is for all that have none.
	Support map[string]string
}

// SupportIn returns the sentence for a language.
func (b Brand) SupportIn(lang string) string {
	if text, ok := b.Support[lang]; ok {
		return text
	}
	first, _, _ := strings.Cut(lang, "-")
	if text, ok := b.Support[first]; ok {
		return text
	}
	return b.Support[""]
}

// style is the style sheet of the accent; empty for none. What it says is not in a
// layer, and goes before all that is.
func (b Brand) style() string {
	if b.Accent == (colour.Accent{}) {
		return ""
	}
	black, white := colour.Colour{}, colour.Colour{R: 0xff, G: 0xff, B: 0xff}
	pair := func(name string, light, dark colour.Colour) string {
		return "--" + name + ":light-dark(" + light.String() + "," + dark.String() + ");"
	}
	return ":root{" + pair("accent", b.Accent.Light, b.Accent.Dark) +
		pair("accent-strong", b.Accent.Light.Mix(black, .25), b.Accent.Dark.Mix(white, .3)) + "}\n"
}

// addAsset keeps a file, and returns its address, which has its hash.
func (k *Kit) addAsset(name, kind string, body []byte) (address string) {
	sum := sha256.Sum256(body)
	ext := path.Ext(name)
	hashed := strings.TrimSuffix(name, ext) + "." + base64.RawURLEncoding.EncodeToString(sum[:9]) + ext
	k.assets[hashed] = asset{kind: kind, body: body}
	return AssetPath + hashed
}

// branded is a brand with the addresses of its assets; empty for those that it has not.
type branded struct {
	Brand
	css, logo, logoDark string
}

// addBrand makes assets of what a brand has.
func (k *Kit) addBrand(b Brand) *branded {
	if b.Name == "" {
		b.Name = "Gatehouse"
	}
	out := &branded{Brand: b}
	if css := b.style(); css != "" {
		out.css = k.addAsset("brand.css", "text/css; charset=utf-8", []byte(css))
	}
	if p := b.Logo; p != nil {
		out.logo = k.addAsset("logo"+p.extension(), p.Kind, p.Body)
	}
	if p := b.LogoDark; p != nil {
		out.logoDark = k.addAsset("logo-dark"+p.extension(), p.Kind, p.Body)
	}
	return out
}

// brandOf returns the brand of the context's tenant: its own, or that of all who have none.
func (k *Kit) brandOf(ctx context.Context) *branded {
	if t, ok := tenant.From(ctx); ok {
		if b := k.brands[t]; b != nil {
			return b
		}
	}
	return k.brand
}

// Brand returns whose the pages are that are for the context's tenant.
func (k *Kit) Brand(ctx context.Context) Brand { return k.brandOf(ctx).Brand }
