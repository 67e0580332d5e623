package spec

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of a route template.
const (
	mostTemplate = 2048 // bytes
	mostParams   = 16   // {name} segments
)

// Segment is one part of a template between slashes.
type Segment struct {
	Literal string // canonical; empty for a parameter, and for the end of a path with a trailing slash
	Param   string // the name in {name}; empty for a literal
}

// Template is a parsed path template.
type Template struct {
	Segments []Segment
	Rest     bool // "/*" at the end: this path and all below
}

// ParseTemplate reads a path template in normal form: "/" and literal segments or
// {name} for one whole segment, and "/*" at the end for this path and all below.
// Literals must be in the form that the gateway makes of a request's path,
// because any other could never match.
func ParseTemplate(path string) (Template, error) {
	var t Template
	switch {
	case path == "" || path[0] != '/':
		return t, fmt.Errorf("a path begins with /")
	case len(path) > mostTemplate:
		return t, fmt.Errorf("a path has at most %d bytes", mostTemplate)
	case strings.ContainsAny(path, "?#"):
		return t, fmt.Errorf("a path has no query and no fragment")
	}
	parts := strings.Split(path[1:], "/")
	names := map[string]bool{}
	for i, part := range parts {
		last := i == len(parts)-1
		if part == "*" {
			if !last {
				return t, fmt.Errorf("/* can stand at the end of a path only: use {name} for one segment")
			}
			t.Rest = true
			break
		}
		segment, err := parseSegment(part, last)
		if err != nil {
			return t, err
		}
		if n := segment.Param; n != "" {
			if names[n] {
				return t, fmt.Errorf("the parameter {%s} is used twice in one path", n)
			}
			names[n] = true
		}
		t.Segments = append(t.Segments, segment)
	}
	if len(names) > mostParams {
		return t, fmt.Errorf("a path has at most %d parameters", mostParams)
	}
	return t, nil
}

func parseSegment(part string, last bool) (Segment, error) {
	switch {
	case part == "" && !last:
		return Segment{}, fmt.Errorf("a path has no empty segments (//)")
	case strings.ContainsAny(part, "{}"):
		if len(part) < 3 || part[0] != '{' || part[len(part)-1] != '}' {
			return Segment{}, fmt.Errorf("a parameter is a whole segment: /{name}/, never part of one")
		}
		name := part[1 : len(part)-1]
		return Segment{Param: name}, checkParam(name)
	case strings.Contains(part, "*"):
		return Segment{}, fmt.Errorf("* can stand alone and at the end of a path only: use {name} for one segment")
	case len(part) > 1 && part[0] == ':':
		return Segment{}, fmt.Errorf("a parameter is written {%s}, not %s", part[1:], part)
	}
	return Segment{Literal: part}, checkLiteral(part)
}

func checkParam(name string) error {
	for i := 0; i < len(name); i++ {
		if c := name[i]; !alphanumeric(c) && c != '_' || i == 0 && c >= '0' && c <= '9' {
			return fmt.Errorf("the name of a parameter is made of letters, digits and _, and begins with a letter")
		}
	}
	if len(name) > mostName {
		return fmt.Errorf("the name of a parameter has at most %d characters", mostName)
	}
	return nil
}

// checkLiteral reports why a literal segment is not what the gateway makes of a request.
func checkLiteral(s string) error {
	if s == "." || s == ".." {
		return fmt.Errorf("a path has no dot segments: the gateway refuses requests with them")
	}
	var decoded []byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%':
			v, ok := unhexUpper(s[i+1:])
			if !ok {
				return fmt.Errorf("%% is followed by two upper-case hexadecimal digits in a path")
			}
			if err := checkEncoded(v); err != nil {
				return err
			}
			decoded = append(decoded, v)
			i += 2
		case alphanumeric(c) || strings.IndexByte("-._~!$&'()+,=:@", c) >= 0:
			decoded = append(decoded, c)
		case c == ';' || c == '\\':
			return fmt.Errorf("the gateway refuses requests with %c in the path, so this could never match", c)
		case c >= 0x80:
			return fmt.Errorf("characters outside of ASCII are percent-encoded in a path")
		default:
			return fmt.Errorf("%q cannot stand in a path as it is: percent-encode it", string(rune(c)))
		}
	}
	if !utf8.Valid(decoded) {
		return fmt.Errorf("the encoded bytes of a path must be valid UTF-8")
	}
	return nil
}

func checkEncoded(c byte) error {
	switch {
	case c == '/':
		return fmt.Errorf("a template has no encoded slashes: use {name} and encoded_slashes: true")
	case c == '\\' || c == ';' || c < 0x20 || c == 0x7f:
		return fmt.Errorf("the gateway refuses requests with %%%02X in the path, so this could never match", c)
	case c == '%':
		return fmt.Errorf("an encoded percent sign is not accepted in a template")
	case alphanumeric(c) || strings.IndexByte("-._~", c) >= 0:
		return fmt.Errorf("%%%02X is written as %c: the gateway decodes it, so this could never match", c, c)
	}
	return nil
}

func unhexUpper(s string) (byte, bool) {
	if len(s) < 2 {
		return 0, false
	}
	hi, lo := strings.IndexByte("0123456789ABCDEF", s[0]), strings.IndexByte("0123456789ABCDEF", s[1])
	return byte(hi<<4 | lo), hi >= 0 && lo >= 0
}

// Shape returns the template with its parameters' names left out: templates of
// the same shape match the same paths.
func (t Template) Shape() string {
	var b strings.Builder
	for _, s := range t.Segments {
		b.WriteByte('/')
		if s.Param != "" {
			b.WriteString("{}")
		}
		b.WriteString(s.Literal)
	}
	if t.Rest {
		b.WriteString("/*")
	}
	return b.String()
}

// CheckBasePath reports what is wrong with a base path: "" or literal segments,
// without a slash at the end.
func CheckBasePath(path string) error {
	if path == "" {
		return nil
	}
	if path == "/" {
		return fmt.Errorf("a base path of / says nothing: leave it out")
	}
	t, err := ParseTemplate(path)
	if err != nil {
		return err
	}
	if t.Rest || strings.Contains(path, "{") {
		return fmt.Errorf("a base path is literal: no {name} and no *")
	}
	if strings.HasSuffix(path, "/") {
		return fmt.Errorf("a base path does not end with /")
	}
	return nil
}
