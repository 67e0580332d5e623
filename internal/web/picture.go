package web

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"slices"
	"strings"
)

// Picture is one that pages show.
type Picture struct {
	Kind string // image/png or image/svg+xml
	Body []byte
}

// Bounds of a picture.
const (
	pictureBytes = 256 << 10
	pictureSide  = 4096
)

// The kinds of pictures.
const (
	kindPNG = "image/png"
	kindSVG = "image/svg+xml"
)

func (p *Picture) extension() string {
	if p.Kind == kindPNG {
		return ".png"
	}
	return ".svg"
}

// ReadPicture takes a PNG, or an SVG of plain shapes. An SVG is a document that can hold
// scripts, and load from elsewhere: one that has more than shapes and colours is refused,
// and not cleaned, so that what is shown is what was given.
func ReadPicture(raw []byte) (*Picture, error) {
	if len(raw) > pictureBytes {
		return nil, fmt.Errorf("it has %d bytes, and a logo has at most %d", len(raw), pictureBytes)
	}
	if bytes.HasPrefix(raw, []byte("\x89PNG\r\n\x1a\n")) {
		c, err := png.DecodeConfig(bytes.NewReader(raw))
		if err != nil {
			return nil, fmt.Errorf("it is not a PNG that can be read: %w", err)
		}
		if c.Width > pictureSide || c.Height > pictureSide {
			return nil, fmt.Errorf("it is %d by %d, and a logo has at most %d on a side", c.Width, c.Height, pictureSide)
		}
		return &Picture{Kind: kindPNG, Body: raw}, nil
	}
	if err := checkSVG(raw); err != nil {
		return nil, err
	}
	return &Picture{Kind: kindSVG, Body: raw}, nil
}

const svgSpace = "http://www.w3.org/2000/svg"

// checkSVG refuses what is more than a drawing.
func checkSVG(raw []byte) error {
	d := xml.NewDecoder(bytes.NewReader(raw))
	depth, first := 0, true
	for {
		t, err := d.Token()
		line, _ := d.InputPos()
		if errors.Is(err, io.EOF) && !first {
			return nil
		}
		if err != nil {
			return errors.New("it is neither a PNG nor an SVG")
		}
		switch t := t.(type) {
		case xml.Directive:
			return fmt.Errorf("line %d: a document type can define what is not there to see: take it out", line)
		case xml.ProcInst:
			if t.Target != "xml" {
				return fmt.Errorf("line %d: the instruction %s can load a style: take it out", line, t.Target)
			}
		case xml.StartElement:
			if first && (t.Name.Local != "svg" || t.Name.Space != svgSpace) {
				return errors.New("it is neither a PNG nor an SVG")
			}
			if depth++; depth > 64 {
				return fmt.Errorf("line %d: it is nested deeper than 64", line)
			}
			if err := checkElement(t); err != nil {
				return fmt.Errorf("line %d: %w", line, err)
			}
			first = false
		case xml.EndElement:
			depth--
		}
	}
}

// shapes are the elements that draw, or say how.
func shapes() []string {
	return []string{
		"svg", "g", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan", "defs", "symbol", "use",
		"linearGradient", "radialGradient", "stop", "clipPath", "mask", "title", "desc",
	}
}

func checkElement(t xml.StartElement) error {
	if t.Name.Space != svgSpace || !slices.Contains(shapes(), t.Name.Local) {
		return fmt.Errorf("a logo has no element %s: known ones are %s", t.Name.Local, strings.Join(shapes(), ", "))
	}
	for _, a := range t.Attr {
		name, value := strings.ToLower(a.Name.Local), strings.ToLower(strings.Join(strings.Fields(a.Value), ""))
		switch {
		case a.Name.Space == "xmlns" || a.Name.Local == "xmlns":
		case strings.HasPrefix(name, "on"):
			return fmt.Errorf("the attribute %s of %s is a script", a.Name.Local, t.Name.Local)
		case name == "base":
			return fmt.Errorf("the attribute %s of %s leads elsewhere", a.Name.Local, t.Name.Local)
		case name == "href" && !strings.HasPrefix(value, "#"):
			return fmt.Errorf("the attribute href of %s leads elsewhere: only parts of the drawing itself, such as #a, can be named", t.Name.Local)
		case strings.ContainsAny(value, `\@`) || strings.Contains(value, "javascript:") || foreign(value):
			return fmt.Errorf("the attribute %s of %s names something that is not in the drawing", a.Name.Local, t.Name.Local)
		}
	}
	return nil
}

// foreign reports whether a value, in lower case and without spaces, has a url(...) that
// is not of the drawing itself.
func foreign(value string) bool {
	for _, part := range strings.Split(value, "url(")[1:] {
		if !strings.HasPrefix(strings.TrimLeft(part, `"'`), "#") {
			return true
		}
	}
	return strings.Contains(value, "image(") || strings.Contains(value, "image-set(")
}
