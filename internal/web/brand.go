package web

import (
	"crypto/sha256"
	"encoding/base64"
	"path"
	"strings"

	"gatehouse/internal/colour"
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

// addAsset keeps a file under an address with its hash.
func (k *Kit) addAsset(name, kind string, body []byte) {
	sum := sha256.Sum256(body)
	ext := path.Ext(name)
	hashed := strings.TrimSuffix(name, ext) + "." + base64.RawURLEncoding.EncodeToString(sum[:9]) + ext
	k.assets[hashed] = asset{kind: kind, body: body}
	k.names[name] = AssetPath + hashed
}

// addBrand makes assets of what the brand has.
func (k *Kit) addBrand(b Brand) {
	if css := b.style(); css != "" {
		k.addAsset("brand.css", "text/css; charset=utf-8", []byte(css))
	}
	for name, p := range map[string]*Picture{"logo": b.Logo, "logo-dark": b.LogoDark} {
		if p != nil {
			k.addAsset(name+p.extension(), p.Kind, p.Body)
			k.names[name] = k.names[name+p.extension()]
		}
	}
}
