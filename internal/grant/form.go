package grant

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
)

// Bounds of a request to a protocol endpoint.
const (
	maxBody       = 64 << 10 // bytes; the largest thing sent is a client assertion or an exchanged token
	maxParameters = 64
	maxScope      = 8 << 10 // bytes of the scope parameter (CVE-2026-4634 was an unbounded one)
)

// Form is the parameters of a request, each at most once but for those that are
// repeatable. The zero Form is empty.
type Form struct{ pairs []pair }

type pair struct{ name, value string }

// Get returns the value of a parameter, empty when it is missing: an empty
// parameter and a missing one are the same (RFC 6749 section 3.2).
func (f *Form) Get(name string) string {
	for i := range f.pairs {
		if f.pairs[i].name == name {
			return f.pairs[i].value
		}
	}
	return ""
}

// Has reports whether the parameter is there and not empty.
func (f *Form) Has(name string) bool { return f.Get(name) != "" }

// All returns the values of a repeatable parameter that are not empty, in the order
// in which they stand.
func (f *Form) All(name string) []string {
	var out []string
	for i := range f.pairs {
		if f.pairs[i].name == name && f.pairs[i].value != "" {
			out = append(out, f.pairs[i].value)
		}
	}
	return out
}

// repeatable reports whether a parameter may stand more than once: RFC 8707 section
// 2 and RFC 8693 section 2.1 say so of these two.
func repeatable(name string) bool { return name == "resource" || name == "audience" }

// ReadForm reads the one body of a POST request: bounded, of the one content
// type, each parameter at most once, and no credentials in the address.
func ReadForm(w http.ResponseWriter, r *http.Request) (Form, error) {
	if r.Method != http.MethodPost {
		return Form{}, Refuse("request_not_post", nil)
	}
	if err := checkQuery(r.URL.RawQuery); err != nil {
		return Form{}, err
	}
	if !isForm(r.Header["Content-Type"]) {
		return Form{}, Refuse("request_not_form", nil)
	}
	if r.ContentLength > maxBody {
		return Form{}, Refuse("request_too_large", nil)
	}
	body, err := readBody(w, r)
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return Form{}, Refuse("request_too_large", err)
		}
		return Form{}, Refuse("invalid_request", err)
	}
	return parseForm(body)
}

func readBody(w http.ResponseWriter, r *http.Request) (string, error) {
	if r.ContentLength >= 0 {
		buf := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, buf); err != nil {
			return "", err
		}
		return string(buf), nil
	}
	buf, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	return string(buf), err
}

// isForm accepts the one media type, whatever its parameters.
func isForm(values []string) bool {
	const form = "application/x-www-form-urlencoded"
	if len(values) != 1 {
		return false
	}
	if values[0] == form {
		return true
	}
	t, _, err := mime.ParseMediaType(values[0])
	return err == nil && t == form
}

// checkQuery refuses credentials where proxies and histories would log them
// (RFC 6749 section 2.3.1). Other parameters of the address are not read.
func checkQuery(raw string) error {
	for raw != "" {
		var p string
		p, raw, _ = strings.Cut(raw, "&")
		name, _, _ := strings.Cut(p, "=")
		n, err := decode(name)
		if err != nil {
			return Refuse("invalid_request", err)
		}
		switch n {
		case "client_id", "client_secret", "client_assertion", "client_assertion_type":
			return Refuse("client_credentials_in_query", nil)
		}
	}
	return nil
}

func parseForm(body string) (Form, error) {
	f := Form{pairs: make([]pair, 0, 8)}
	for body != "" {
		var p string
		p, body, _ = strings.Cut(body, "&")
		if p == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(p, "=")
		name, err := decode(rawName)
		if err != nil {
			return Form{}, Refuse("request_malformed_form", err)
		}
		value, err := decode(rawValue)
		if err != nil {
			return Form{}, Refuse("request_malformed_form", err)
		}
		for i := range f.pairs {
			if f.pairs[i].name == name && !repeatable(name) {
				return Form{}, Refuse("duplicate_oauth_params", nil)
			}
		}
		if len(f.pairs) == maxParameters {
			return Form{}, Refuse("request_too_large", nil)
		}
		f.pairs = append(f.pairs, pair{name, value})
	}
	return f, nil
}

var errEncoding = errors.New("a percent sign is not followed by two hexadecimal digits")

// decode undoes application/x-www-form-urlencoded. Text without escapes, which
// is most, is returned as it is.
func decode(s string) (string, error) {
	i := strings.IndexAny(s, "%+")
	if i < 0 {
		return s, nil
	}
	out := make([]byte, i, len(s))
	copy(out, s)
	for ; i < len(s); i++ {
		switch c := s[i]; c {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0 {
				return "", errEncoding
			}
			out = append(out, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return string(out), nil
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
