package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// PreviewRequest says which token request is to be thought through.
type PreviewRequest struct {
	ClientID string `json:"client_id"`
	// GrantType is by default authorization_code with a user, else client_credentials.
	GrantType string   `json:"grant_type,omitempty"`
	User      string   `json:"user,omitempty"` // login or id; empty = the app itself
	Scopes    []string `json:"scopes,omitempty"`
	// IP is where the request comes from, for rules about networks; empty = unknown.
	IP string `json:"ip,omitempty"`
	// Risk is that of the user's sign-in, for rules about it: LOW, MEDIUM or HIGH; empty =
	// unknown.
	Risk string `json:"risk,omitempty"`
	// Device is what is known of the one that the user signs in on, or that the app calls
	// from, for rules about it: registered or managed; empty = nothing.
	Device string `json:"device,omitempty"`
	// MFA has the user just signed in with a second factor.
	MFA bool `json:"mfa,omitempty"`
}

// Preview is what would come of a token request, and why. There is no token.
type Preview struct {
	Granted bool `json:"granted"`
	// Error, Reason and Description are what the app would be answered, when it is not.
	Error       string `json:"error,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Description string `json:"description,omitempty"`

	GrantType  string           `json:"grant_type"`
	Scopes     []string         `json:"scopes,omitempty"`
	Considered []ConsideredRule `json:"considered"` // in order, up to the one that decided

	// Hook is the inline hook that would be asked before the tokens are signed, and may
	// change them or say no. A preview does not ask it.
	Hook string `json:"hook,omitempty"`

	AccessTokenSeconds int64 `json:"access_token_seconds,omitempty"`
	// RefreshToken is there when the app would get one.
	RefreshToken *PreviewedRefresh `json:"refresh_token,omitempty"`

	AccessToken json.RawMessage  `json:"access_token,omitempty"` // the claims
	IDToken     json.RawMessage  `json:"id_token,omitempty"`
	Claims      []PreviewedClaim `json:"claims,omitempty"` // those that are configured, and where their values come from
}

// PreviewedRefresh is how long a refresh token would live.
type PreviewedRefresh struct {
	Seconds     int64 `json:"seconds"` // with its successors; 0 = without end
	IdleSeconds int64 `json:"idle_seconds"`
}

// ConsideredRule is an access policy, or a rule of it, and why it did or did not match.
type ConsideredRule struct {
	Policy     string `json:"policy,omitempty"`
	PolicyName string `json:"policy_name"`
	Rule       string `json:"rule,omitempty"` // empty: the line is about the policy itself
	RuleName   string `json:"rule_name,omitempty"`
	Matched    bool   `json:"matched"`
	Reason     string `json:"reason"`
	Detail     string `json:"detail,omitempty"`
}

// PreviewedClaim is a configured claim and what becomes of it.
type PreviewedClaim struct {
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name"`
	Token     string          `json:"token"`      // access or id
	ValueType string          `json:"value_type"` // EXPRESSION, GROUPS or SYSTEM
	Source    string          `json:"source,omitempty"`
	Scopes    []string        `json:"scopes,omitempty"` // only with one of these
	Included  bool            `json:"included"`
	Reason    string          `json:"reason"`
	Value     json.RawMessage `json:"value,omitempty"`
	Error     string          `json:"error,omitempty"`
}

// Preview has a built-in authorization server, by name or id, think a token request
// through: the decision is the token endpoint's, and nothing is minted or stored.
func (c *Client) Preview(ctx context.Context, server string, r PreviewRequest) (Preview, error) {
	var p Preview
	err := c.call(ctx, http.MethodPost, "/servers/"+url.PathEscape(server)+"/preview", r, &p)
	return p, err
}
