// Package issued keeps what people have granted to apps: each grant with the
// codes that stand for it, its refresh token in all its generations, and the ids
// of its access tokens. It is the room of single use, rotation, listing and
// revocation. It must not know SQL, HTTP, or how a token is made and signed.
//
// Of codes and tokens only the SHA-256 is kept. Whatever may happen once is one
// conditional statement of the store, so that of any number of callers at a time
// one succeeds.
package issued

import (
	"encoding/json"
	"time"
)

// Grant is what one person has given to one app on one authorization server.
// Everything that came of it ends with it.
type Grant struct {
	ID       string // also that of its refresh token ("oar...")
	Server   string // id of the authorization server
	Client   string // id of the app
	User     string // id
	Session  string // id of the browser session it was made in; may be empty
	Issuer   string // of its tokens
	Scopes   []string
	Terms    Terms
	Created  time.Time
	Revoked  time.Time // zero: it holds
	LastUsed time.Time // of its refresh token
	Expires  time.Time // of its refresh token and all successors; zero: without end, or it has none
	Until    time.Time // when its refresh token ends if nobody uses it; zero: it has none
	Updated  time.Time // when its refresh token was made or replaced
}

// Terms are the circumstances of a grant: they are the same for every token that
// comes of it, however late.
type Terms struct {
	// How and when the person proved who they are.
	AuthTime time.Time `json:"auth_time,omitzero"`
	AMR      []string  `json:"amr,omitempty"`
	ACR      string    `json:"acr,omitempty"`
	// Thumbprints (RFC 7638, RFC 8705) of the keys that tokens are bound to.
	JKT string `json:"jkt,omitempty"`
	X5T string `json:"x5t,omitempty"`
	// Resources are those that may be named in a token request (RFC 8707).
	Resources []string `json:"resources,omitempty"`
	// Details are the authorization details that were granted (RFC 9396).
	Details json.RawMessage `json:"details,omitempty"`
	// IDToken reports whether ID tokens are part of it (scope openid).
	Nonce string `json:"nonce,omitempty"`
	// GrantType is how it began: one of access's Grant constants.
	GrantType string `json:"grant_type,omitempty"`
	// Address is where the person's browser was.
	Address string `json:"address,omitempty"`
	// Risk is how unlike their earlier ones the person's sign-in was; empty: not known.
	Risk string `json:"risk,omitempty"`
	// Device is what the device that they signed in on has proved.
	Device DeviceProof `json:"device,omitzero"`
}

// DeviceProof is what a device has proved, as far as it can be looked at again later.
type DeviceProof struct {
	Passkey     string    `json:"passkey,omitempty"`     // id of the factor that is in it; empty: none was used
	Certificate string    `json:"certificate,omitempty"` // thumbprint (x5t#S256) of the one that vouches for it; empty: none was shown
	Until       time.Time `json:"until,omitzero"`        // when that ends
}

// Code is an authorization code (RFC 6749 section 4.1.2), without the code.
type Code struct {
	Hash          string // keys.Hash of the code
	Grant         string // id
	RedirectURI   string // as the authorization request had it; empty when it had none
	CodeChallenge string // S256; empty when it had none
	Created       time.Time
	Expires       time.Time
	Used          time.Time // zero: unused
}

// Refresh is one generation of a refresh token, without the token.
type Refresh struct {
	Hash      string // keys.Hash of the token
	Grant     string // id
	Created   time.Time
	Used      time.Time // last; zero: never
	IdleUntil time.Time // it may lie unused until then
	Expires   time.Time // it and its successors end then; zero: never
	Replaced  time.Time // zero: it is the newest
	// Salt is what the successor was derived with. It is forgotten when the time to
	// present the token again is over.
	Salt string
}

// Usable reports whether the token can be used: it is the newest of its grant,
// which holds, and is not over.
func (r *Refresh) Usable(g *Grant, now time.Time) bool {
	return r.Replaced.IsZero() && g.Revoked.IsZero() && !r.Over(now)
}

// Over reports whether the token has ended by itself.
func (r *Refresh) Over(now time.Time) bool { return !now.Before(r.Until()) }

// Until is when the token ends if nobody uses it.
func (r *Refresh) Until() time.Time {
	if !r.Expires.IsZero() && r.Expires.Before(r.IdleUntil) {
		return r.Expires
	}
	return r.IdleUntil
}

// Token is an access token that came of a grant.
type Token struct {
	ID      string // jti
	Expires time.Time
}

// Made is what one token request makes: an access token, and perhaps a refresh
// token.
type Made struct {
	Token   Token
	Refresh *Refresh // nil: none
	Terms   *Terms   // nil: those of the grant stay
	Kept    bool     // the refresh token is the one that was presented
}

// The states of a device authorization.
const (
	DevicePending  = "pending"
	DeviceApproved = "approved"
	DeviceDenied   = "denied"
	DeviceUsed     = "used"
)

// Device is a device authorization (RFC 8628), without its codes.
type Device struct {
	Hash     string // keys.Hash of the device code
	UserCode string // keys.Hash of the user code in its canonical form
	Server   string // id of the authorization server
	Client   string // id of the app
	Scopes   []string
	JKT      string // RFC 7638 thumbprint that the token request must prove; may be empty
	// Resources are those that it asks for (RFC 8707).
	Resources []string
	State     string
	Grant     string        // id, when approved
	Interval  time.Duration // between two polls
	Polled    time.Time     // last; zero: never
	Created   time.Time
	Expires   time.Time
}

// Selection says which grants are meant: those that fit every field that is not
// empty. At least one of Grant, User, Client, Session must be set.
type Selection struct {
	Grant   string
	User    string
	Client  string
	Server  string
	Session string
}

func (s Selection) empty() bool {
	return s.Grant == "" && s.User == "" && s.Client == "" && s.Session == ""
}
