package client

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Hypothetical is a request that nobody sent, to be decided all the same.
type Hypothetical struct {
	Method   string            `json:"method"`
	Path     string            `json:"path"`
	Host     string            `json:"host,omitempty"`
	Headers  map[string]string `json:"headers,omitempty"`
	Token    string            `json:"token,omitempty"` // a real token; else the facts below stand for one
	Issuer   string            `json:"issuer,omitempty"`
	User     string            `json:"user,omitempty"`
	ClientID string            `json:"client_id,omitempty"`
	Scopes   []string          `json:"scopes,omitempty"`
	Groups   []string          `json:"groups,omitempty"`
	Roles    []string          `json:"roles,omitempty"`
	From     string            `json:"from,omitempty"`    // IP address of the peer
	Country  string            `json:"country,omitempty"` // where the client is, in place of what files say: DE
	ASN      uint32            `json:"asn,omitempty"`     // and its network operator
	MFA      string            `json:"mfa,omitempty"`     // how long ago the user has used a second factor, such as "2m"; empty: not known
	ACR      string            `json:"acr,omitempty"`     // authentication context class
	At       time.Time         `json:"at,omitzero"`       // when; zero = now
}

// Decision is what the gateway decided about one request, and why.
type Decision struct {
	RequestID string    `json:"request_id,omitempty"`
	Time      time.Time `json:"time,omitzero"`
	Method    string    `json:"method"`
	Host      string    `json:"host,omitempty"`
	Path      string    `json:"path"`
	API       string    `json:"api,omitempty"`
	Route     string    `json:"route,omitempty"`
	Client    string    `json:"client,omitempty"`
	User      string    `json:"user,omitempty"`
	IP        string    `json:"ip,omitempty"`
	Status    int       `json:"status,omitempty"`
	Decision  string    `json:"decision"` // allow, deny, challenge
	Reason    string    `json:"reason,omitempty"`
	Detail    string    `json:"detail,omitempty"` // why, in words
	Millis    float64   `json:"duration_ms,omitempty"`
	Revision  int64     `json:"revision,omitempty"`
	Steps     []Step    `json:"steps,omitempty"`
}

// Step is one step of the way to a decision.
type Step struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"` // pass, deny, skip
	Reason  string `json:"reason,omitempty"`
	Needed  string `json:"needed,omitempty"`
	Had     string `json:"had,omitempty"`
	Source  string `json:"source,omitempty"` // file:line:column of the setting that asked for it
}

// Explain decides a hypothetical request and returns the whole trace.
func (c *Client) Explain(ctx context.Context, h Hypothetical) (Decision, error) {
	var d Decision
	err := c.call(ctx, http.MethodPost, "/explain", h, &d)
	return d, err
}

// Decision returns the trace of a request that the gateway remembers.
func (c *Client) Decision(ctx context.Context, requestID string) (Decision, error) {
	var d Decision
	err := c.call(ctx, http.MethodGet, "/decisions/"+url.PathEscape(requestID), nil, &d)
	return d, err
}

// Tail calls each with every decision as it is made, until ctx ends, the server
// goes away, or each returns an error. Only denials when denied is set; api may be empty.
func (c *Client) Tail(ctx context.Context, api string, denied bool, each func(Decision) error) error {
	deny := ""
	if denied {
		deny = "true"
	}
	res, err := c.send(ctx, http.MethodGet, query("/tail", "api", api, "denied", deny), nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var d Decision
		if err := json.Unmarshal([]byte(data), &d); err != nil {
			return err
		}
		if err := each(d); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return lines.Err()
}
