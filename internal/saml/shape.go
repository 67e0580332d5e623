package saml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
)

// Bounds of an answer. Whoever has more groups than fit is not signed in rather than signed
// in with some of them.
const (
	maxBytes      = 64 << 10
	maxDepth      = 24
	maxElements   = 4000
	maxAttributes = 32 // of an element
)

const (
	protocolSpace  = "urn:oasis:names:tc:SAML:2.0:protocol"
	assertionSpace = "urn:oasis:names:tc:SAML:2.0:assertion"
	signatureSpace = "http://www.w3.org/2000/09/xmldsig#"
	encryptSpace   = "http://www.w3.org/2001/04/xmlenc#"
)

// form is what examine has seen of an answer's form.
type form struct{ signedResponse, signedAssertion bool }

// examine checks the form of a response before anything else reads it. Attacks on signatures move
// signed elements to where the verifier finds them and others to where the reader looks; so one
// form is allowed, and all others are refused: a Response with one Assertion, each with
// at most one signature that stands right below it, each id once. There is no document
// type (which is where entities come from), no comment (which canonical XML drops and readers
// stumble over) and no instruction, and nothing is encrypted: we publish no key for that.
func examine(raw []byte) (f form, err error) {
	if len(raw) > maxBytes {
		return f, denied("the answer is longer than %d bytes", maxBytes)
	}
	d := xml.NewDecoder(bytes.NewReader(raw))
	d.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, denied("the answer is not in UTF-8")
	}
	s := shape{ids: map[string]bool{}}
	for first := true; ; first = false {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return f, denied("the answer is not well-formed XML")
		}
		switch t := t.(type) {
		case xml.StartElement:
			err = s.open(t)
		case xml.EndElement:
			s.path = s.path[:len(s.path)-1]
		case xml.Comment:
			err = denied("the answer has a comment")
		case xml.Directive:
			err = denied("the answer has a document type")
		case xml.ProcInst:
			if t.Target != "xml" || !first {
				err = denied("the answer has a processing instruction")
			}
		}
		if err != nil {
			return f, err
		}
	}
	if s.assertions != 1 {
		return f, denied("the answer has %d assertions, not one", s.assertions)
	}
	return s.form, nil
}

// shape is the state of examine.
type shape struct {
	form       form
	path       []xml.Name
	ids        map[string]bool
	elements   int
	roots      int
	assertions int
}

func (s *shape) open(t xml.StartElement) error {
	s.elements++
	if s.elements > maxElements || len(s.path) >= maxDepth || len(t.Attr) > maxAttributes {
		return denied("the answer has more parts than are read")
	}
	parent := xml.Name{}
	if len(s.path) > 0 {
		parent = s.path[len(s.path)-1]
	}
	s.path = append(s.path, t.Name)
	if err := s.attributes(t.Attr); err != nil {
		return err
	}
	response, assertion := xml.Name{Space: protocolSpace, Local: "Response"}, xml.Name{Space: assertionSpace, Local: "Assertion"}
	switch {
	case len(s.path) == 1:
		s.roots++
		if t.Name != response || s.roots > 1 {
			return denied("the answer is not one Response")
		}
	case t.Name == assertion:
		s.assertions++
		if len(s.path) != 2 {
			return denied("an assertion does not stand right below the Response")
		}
	case t.Name == xml.Name{Space: signatureSpace, Local: "Signature"}:
		return s.sign(parent == response && len(s.path) == 2, parent == assertion && len(s.path) == 3)
	case t.Name.Local == "Response" || t.Name.Local == "Assertion" || t.Name.Local == "Signature":
		return denied("an element %s is of another kind, or stands where it must not", t.Name.Local)
	case t.Name.Space == encryptSpace || strings.HasPrefix(t.Name.Local, "Encrypted"):
		return denied("a part of the answer is encrypted")
	}
	return nil
}

// sign notes a signature.
func (s *shape) sign(ofResponse, ofAssertion bool) error {
	switch {
	case ofResponse && !s.form.signedResponse && s.assertions == 0:
		s.form.signedResponse = true
	case ofAssertion && !s.form.signedAssertion:
		s.form.signedAssertion = true
	default:
		return denied("a signature stands where it must not")
	}
	return nil
}

// attributes sees to it that an element has none twice, and that each id is there once,
// under the one name for it.
func (s *shape) attributes(all []xml.Attr) error {
	for i, a := range all {
		if slices.ContainsFunc(all[:i], func(b xml.Attr) bool { return a.Name == b.Name }) {
			return denied("an element has an attribute twice")
		}
		if !strings.EqualFold(a.Name.Local, "id") || a.Name.Space == "xmlns" {
			continue
		}
		if a.Name != (xml.Name{Local: "ID"}) && a.Name != (xml.Name{Local: "Id"}) || a.Value == "" || len(a.Value) > 256 || s.ids[a.Value] {
			return denied("an id is there twice, is empty, or is of another kind")
		}
		s.ids[a.Value] = true
	}
	return nil
}
