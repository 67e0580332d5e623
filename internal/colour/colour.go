// Package colour is arithmetic with colours of pages: contrast as WCAG 2.2 measures it,
// and what can be made of an organization's own colour. It must not know which pages
// there are.
package colour

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Colour is one of sRGB.
type Colour struct{ R, G, B uint8 }

// Parse reads a colour as #rrggbb or #rgb.
func Parse(s string) (Colour, error) {
	hex, ok := strings.CutPrefix(s, "#")
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	n, err := strconv.ParseUint(hex, 16, 32)
	if !ok || err != nil || len(hex) != 6 || strings.ContainsAny(hex, "+-_") {
		return Colour{}, fmt.Errorf(`a colour is written as "#2a52d0", in quotes: without them # begins a comment`)
	}
	return Colour{uint8(n >> 16), uint8(n >> 8 & 0xff), uint8(n & 0xff)}, nil
}

// String returns the colour as #rrggbb.
func (c Colour) String() string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

// Contrast returns the contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast
// ratio").
func Contrast(a, b Colour) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + .05) / (min(x, y) + .05)
}

// luminance is the relative luminance of WCAG 2.2.
func (c Colour) luminance() float64 {
	linear := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= .04045 {
			return s / 12.92
		}
		return math.Pow((s+.055)/1.055, 2.4)
	}
	return .2126*linear(c.R) + .7152*linear(c.G) + .0722*linear(c.B)
}

// Mix returns the colour with a share of another one in it, 0 to 1.
func (c Colour) Mix(other Colour, share float64) Colour {
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*(1-share) + float64(b)*share)) }
	return Colour{mix(c.R, other.R), mix(c.G, other.G), mix(c.B, other.B)}
}

// The colours of pages that an accent stands on or carries, as the style sheet has
// them; a test holds them against it.
func white() Colour     { return Colour{0xff, 0xff, 0xff} }
func black() Colour     { return Colour{0x0b, 0x14, 0x33} } // what dark pages write on a button
func lightWash() Colour { return Colour{0xf3, 0xf5, 0xf9} }
func darkWash() Colour  { return Colour{0x1f, 0x25, 0x30} }

// AA is the least contrast of text (WCAG 2.2, success criterion 1.4.3, level AA).
const AA = 4.5

// Accent is the colour of links and buttons, on light and on dark pages.
type Accent struct{ Light, Dark Colour }

// comfortable is what a colour of our own choice has: the least that is allowed looks dull
// on a dark page.
const comfortable = 6.5

// AccentOf makes an accent of one colour, which is that of light pages: the dark ones
// have it so much lighter as they need.
func AccentOf(light Colour) (Accent, error) {
	a := Accent{Light: light, Dark: light}
	for share := 0.0; min(Contrast(a.Dark, darkWash()), Contrast(a.Dark, black())) < comfortable && share < 1; share += .02 {
		a.Dark = light.Mix(white(), share)
	}
	return a, CheckLight(light)
}

// CheckLight reports an accent that cannot be read on light pages, with what was measured
// and one that could. There it is text on the sheet and on the wash, and stands under white
// letters: the wash is the hardest of them.
func CheckLight(c Colour) error { return readable(c, lightWash(), Colour{}, "light") }

// CheckDark is CheckLight for dark pages, on which the letters of a button are dark.
func CheckDark(c Colour) error {
	if err := readable(c, black(), white(), "dark"); err != nil {
		return err
	}
	return readable(c, darkWash(), white(), "dark")
}

func readable(c, on, towards Colour, pages string) error {
	if got := Contrast(c, on); got < AA {
		return tooWeak(c, on, got, pages, better(c, on, towards))
	}
	return nil
}

func tooWeak(c, on Colour, got float64, pages string, instead Colour) error {
	// Cut, not rounded: 4.499 is not 4.5.
	return fmt.Errorf("the colour %s has a contrast of %.2f with %s of %s pages, and text needs %.1f (WCAG 2.2, AA): %s would do", c, math.Floor(got*100)/100, on, pages, AA, instead)
}

// better returns the nearest colour towards another one that can be read.
func better(c, on, towards Colour) Colour {
	for share := 0.0; share <= 1; share += .02 {
		if got := c.Mix(towards, share); Contrast(got, on) >= AA {
			return got
		}
	}
	return towards
}
