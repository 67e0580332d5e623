package okta

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/strictjson"
)

// object is a JSON object that is answered.
type object map[string]any

// answer is what an operation answers.
type answer struct {
	status int
	body   any    // nil for none
	list   bool   // has a link to itself
	next   string // cursor of the next page; empty when there is none
}

func ok(body any) (answer, error)      { return answer{status: http.StatusOK, body: body}, nil }
func created(body any) (answer, error) { return answer{status: http.StatusCreated, body: body}, nil }
func nothing() (answer, error)         { return answer{status: http.StatusNoContent}, nil }

// page answers one page of a list.
func page[T any](items []T, next string, show func(T) object) (answer, error) {
	out := make([]object, len(items))
	for i := range items {
		out[i] = show(items[i])
	}
	return answer{status: http.StatusOK, body: out, list: true, next: next}, nil
}

// write sends an answer. Each link has a header line of its own: SDKs take the
// first link of a line and would otherwise read one page forever.
func (a *api) write(ctx context.Context, w http.ResponseWriter, c *call, got answer) {
	h := w.Header()
	if got.list {
		h.Add("Link", a.link(c, "self", ""))
		if got.next != "" {
			h.Add("Link", a.link(c, "next", got.next))
		}
	}
	if got.body == nil {
		w.WriteHeader(got.status)
		return
	}
	raw, err := strictjson.Encode(got.body)
	if err != nil {
		a.fail(ctx, w, c, err)
		return
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(got.status)
	_, _ = w.Write(raw)
}

// link returns a Link header line (RFC 8288) to this path.
func (a *api) link(c *call, rel, after string) string {
	q, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		q = url.Values{}
	}
	if after != "" {
		q.Set("after", after)
	}
	address := a.URL + c.URL.EscapedPath()
	if len(q) > 0 {
		address += "?" + q.Encode()
	}
	return "<" + address + `>; rel="` + rel + `"`
}

// Bounds of a request body.
const (
	maxBody  = 1 << 20
	maxDepth = 64
)

// The faults of bodies that cannot be read.
const reasonMalformed = "malformed_body"

// The faults of new users whose password is to expire at once.
const (
	reasonExpireNothing = "no_password_to_expire"
	reasonExpireStaged  = "not_activated"
)

func malformed(cause error) error {
	return fault.Because(cause, fault.Invalid, "the request body is not well-formed JSON").WithReason(reasonMalformed)
}

// read decodes the body of a call, which must be one JSON object. Fields that v
// does not have are ignored, as Okta does.
func (c *call) read(v any) error {
	raw, err := c.body()
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	return decode(raw, v)
}

func (c *call) body() ([]byte, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(nil, c.Body, maxBody))
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return nil, fault.New(fault.TooLarge, "the request body is larger than 1 MiB")
	}
	if err != nil {
		return nil, malformed(err)
	}
	return raw, nil
}

func decode(raw []byte, v any) error {
	if err := strictjson.Decode(raw, v, maxDepth); err != nil {
		return malformed(err)
	}
	return nil
}

// limit returns the page size that a call asks for: at most most, and fallback
// when it names none.
func (c *call) limit(fallback, most int) (int, error) {
	s := c.FormValue("limit")
	if s == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fault.New(fault.Invalid, "limit").WithFields(fault.Field{Path: "limit", Message: "must be a whole number from 1 on"})
	}
	return min(n, most), nil
}

// FormValue returns a parameter of the address; bodies are JSON here.
func (c *call) FormValue(name string) string { return c.URL.Query().Get(name) }

// stamp is a time as Okta writes it; null for none.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// orNull is a text, null when it is empty.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// orEmpty is a list that is never null.
func orEmpty[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}

// ref is a link with the methods that it allows.
func ref(href string, allow ...string) object {
	o := object{"href": href}
	if len(allow) > 0 {
		o["hints"] = object{"allow": allow}
	}
	return o
}
