package colour

import (
	"os"
	"strings"
	"testing"
)

func TestContrast(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want float64
	}{
		{"#000", "#fff", 21}, {"#fff", "#ffffff", 1}, {"#777777", "#ffffff", 4.48}, {"#767676", "#ffffff", 4.54}, {"#ff0000", "#ffffff", 4.0},
	} {
		a, err := Parse(c.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Parse(c.b)
		if err != nil {
			t.Fatal(err)
		}
		if got := Contrast(a, b); got < c.want-.005 || got > c.want+.005 || got != Contrast(b, a) {
			t.Errorf("%s on %s: %f", c.a, c.b, got)
		}
	}
	for _, s := range []string{"", "#", "2a52d0", "#2a52d", "#2a52d0f", "red", "#+a52d0", "#2a5_d0"} {
		if _, err := Parse(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

// Whatever colour is given: it is refused with one that would do, or can be read.
func TestEveryAccentCanBeReadOrIsRefused(t *testing.T) {
	for r := 0; r < 256; r += 15 {
		for g := 0; g < 256; g += 15 {
			for b := 0; b < 256; b += 15 {
				c := Colour{uint8(r), uint8(g), uint8(b)}
				a, err := AccentOf(c)
				if err != nil {
					text := err.Error()
					instead, parseErr := Parse(text[strings.LastIndex(text, ": ")+2 : strings.LastIndex(text, " would")])
					if parseErr != nil {
						t.Fatal(text)
					}
					if a, err = AccentOf(instead); err != nil {
						t.Fatalf("%s: %v; and then %v", c, text, err)
					}
				}
				for _, pair := range [][2]Colour{{a.Light, white()}, {a.Light, lightWash()}, {a.Dark, darkWash()}, {a.Dark, black()}, {a.Dark, Colour{0x17, 0x1b, 0x22}}} {
					if got := Contrast(pair[0], pair[1]); got < AA {
						t.Fatalf("%s: %v have %f", c, pair, got)
					}
				}
			}
		}
	}
	_, err := AccentOf(Colour{0x7f, 0xb3, 0xff})
	if want := "the colour #7fb3ff has a contrast of 1.96 with #f3f5f9 of light pages, and text needs 4.5 (WCAG 2.2, AA): "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Error(err)
	}
}

// What an accent is held against are the colours of the style sheet.
func TestColoursAreThoseOfTheStyleSheet(t *testing.T) {
	raw, err := os.ReadFile("../web/assets/gatehouse.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"--wash: light-dark(" + lightWash().String() + ", " + darkWash().String() + ")",
		"--on-accent: light-dark(" + white().String() + ", " + black().String() + ")",
	} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the style sheet does not say %s", want)
		}
	}
}
