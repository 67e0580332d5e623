// Package client is the typed client of Gatehouse's native management API
// (/gatehouse/v1). The command line and the end-to-end tests use it; so can any
// Go program. It knows addresses, a token and the shapes of the answers, and
// must not know how the server works inside.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Config says where the server is and who calls.
type Config struct {
	URL   string // of the console or identity listener, such as http://127.0.0.1:8082
	Token string // an API token; sent as "Authorization: SSWS <token>"
	// Access returns an access token of the org server, which is sent in place of Token; nil
	// for none.
	Access func(context.Context) (string, error)
	HTTP   *http.Client // nil = a client of its own
}

// Client calls one server. It is safe for concurrent use.
type Client struct {
	base   string
	token  string
	access func(context.Context) (string, error)
	http   *http.Client
}

// New returns a client.
func New(c Config) *Client {
	h := c.HTTP
	if h == nil {
		h = &http.Client{}
	}
	return &Client{base: strings.TrimRight(c.URL, "/") + "/gatehouse/v1", token: c.Token, access: c.Access, http: h}
}

// Error is an answer that is not a success: an RFC 9457 problem document.
type Error struct {
	Status    int       `json:"status"`
	Title     string    `json:"title"`
	Detail    string    `json:"detail,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	RequestID string    `json:"request_id,omitempty"`
	Problems  []Problem `json:"problems,omitempty"`
}

// Problem is one thing that is wrong with what was sent.
type Problem struct {
	Source  string `json:"source,omitempty"` // file:line:column, or the dotted path of the field
	Message string `json:"message"`
	Excerpt string `json:"excerpt,omitempty"` // the line with a caret below it
}

// Error returns the problem in one line, or one line per problem.
func (e *Error) Error() string {
	text := e.Detail
	if text == "" {
		text = e.Title
	}
	if len(e.Problems) == 0 {
		return text
	}
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		line := p.Message
		if p.Source != "" {
			line = p.Source + ": " + line
		}
		if p.Excerpt != "" {
			line += "\n" + strings.TrimRight(p.Excerpt, "\n")
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// ErrUnreachable is in the chain of every error of a call that got no answer.
var ErrUnreachable = errors.New("the server cannot be reached")

// call sends in as JSON (nil = no body) and decodes the answer into out (nil = ignored).
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	res, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if out == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
		return err
	}
	if raw, ok := out.(*[]byte); ok {
		*raw, err = io.ReadAll(io.LimitReader(res.Body, 64<<20))
		return err
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<20)).Decode(out); err != nil {
		return fmt.Errorf("%s %s: the answer is not what this client understands: %w", method, path, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	if c.access != nil {
		token, err := c.access(ctx)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	} else if c.token != "" {
		req.Header.Set("Authorization", "SSWS "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			return nil, fmt.Errorf("%w at %s: %w", ErrUnreachable, c.base, op.Err)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err) // which names the address
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }()
	b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	e := &Error{Status: res.StatusCode}
	if json.Unmarshal(b, e) != nil || e.Title == "" {
		e.Title = http.StatusText(res.StatusCode)
	}
	e.Status = res.StatusCode
	if res.Header.Get("Gatehouse-Decision") != "" {
		e.Title, e.Detail = "Not the management API", c.base+" is where the gateway serves APIs: name the console or the identity listener"
	}
	return nil, e
}

func query(path string, kv ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(kv); i += 2 {
		if kv[i+1] != "" && kv[i+1] != "0" {
			v.Set(kv[i], kv[i+1])
		}
	}
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
