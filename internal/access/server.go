// Package access holds what decides about tokens when they are asked for:
// authorization servers, scopes, apps (OAuth clients), access policies with
// their rules, and the evaluation of a request against them.
//
// Everything here is a managed object in the ledger; a View keeps it compiled
// in memory so that a token costs no look-up in the store. The package must not
// know HTTP, how a token is made, or SQL.
package access

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/fault"
)

// DefaultServer and OrgServer are the names of the two authorization servers
// that every tenant has. Both are addressable by their names as well as by id.
const (
	DefaultServer = "default"
	OrgServer     = "org"
)

// DefaultAudience is the audience of the server DefaultServer unless another is configured.
const DefaultAudience = "api://default"

// Status says whether an object is in force.
type Status string

// The statuses of servers, apps, policies and rules.
const (
	Active   Status = "ACTIVE"
	Inactive Status = "INACTIVE"
)

// TokenShape says which claims and header an access token has.
type TokenShape string

// The token shapes.
const (
	ShapeOkta    TokenShape = "okta"    // cid, scp, uid, ver; header kid and alg
	ShapeRFC9068 TokenShape = "rfc9068" // client_id, scope; header typ at+jwt
)

// The signing algorithms of access tokens (RFC 7518 section 3.1).
const (
	RS256 = "RS256"
	ES256 = "ES256"
	PS256 = "PS256"
	EdDSA = "EdDSA"
)

// The ways an issuer name is made (Okta's issuerMode): of the identity URL and
// the server's path, or of the host that was called. A tenant has one host, so
// both come to the same.
const (
	IssuerOrgURL  = "ORG_URL"
	IssuerDynamic = "DYNAMIC"
)

// The rotation modes of a server's signing keys.
const (
	RotationAuto   = "AUTO"
	RotationManual = "MANUAL"
)

// Bounds of the lifetime of an access token; Okta's are five minutes to one day.
const (
	MinAccessTokenLifetime     = 5 * time.Minute
	MaxAccessTokenLifetime     = 24 * time.Hour
	DefaultAccessTokenLifetime = time.Hour
)

// Server is an authorization server: an issuer of its own, with its own
// audiences, scopes, keys and access policies.
type Server struct {
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Audiences   []string   `json:"audiences"` // at least one; the first is the one that tokens carry. None for the org server
	IssuerMode  string     `json:"issuerMode"`
	Status      Status     `json:"status"`
	Default     bool       `json:"default,omitempty"` // made with the tenant; cannot be deleted
	Algorithm   string     `json:"signingAlgorithm"`
	Shape       TokenShape `json:"tokenShape"`
	// AccessTokenMinutes is the lifetime where no rule says another.
	AccessTokenMinutes int             `json:"accessTokenLifetimeMinutes"`
	Credentials        Credentials     `json:"credentials"`
	Associated         []string        `json:"associatedServers,omitempty"` // ids of the servers that it trusts
	Extension          ServerExtension `json:"extension,omitzero"`
	EncryptionKeys     []ServerKey     `json:"resourceServerKeys,omitempty"`
}

// Credentials says how the keys of a server are kept.
type Credentials struct {
	Signing Signing `json:"signing"`
}

// Signing says how signing keys are rotated.
type Signing struct {
	RotationMode string `json:"rotationMode"` // RotationAuto or RotationManual
}

// fill gives the empty settings their defaults.
func (s Server) fill() Server {
	if s.IssuerMode == "" {
		s.IssuerMode = IssuerOrgURL
	}
	if s.Status == "" {
		s.Status = Active
	}
	if s.Algorithm == "" {
		s.Algorithm = RS256
	}
	if s.Shape == "" {
		s.Shape = ShapeOkta
	}
	if s.AccessTokenMinutes == 0 {
		s.AccessTokenMinutes = int(DefaultAccessTokenLifetime / time.Minute)
	}
	if s.Credentials.Signing.RotationMode == "" {
		s.Credentials.Signing.RotationMode = RotationAuto
	}
	return s
}

// org reports whether this is the tenant's own server, whose issuer and audience
// are the identity URL.
func (s *Server) org() bool { return s.Default && s.Name == OrgServer }

func checkServer(s Server) error {
	var c checks
	c.name("name", s.Name, 100)
	c.that(len(s.Description) <= 1024, "description", "is longer than 1024 bytes")
	c.that(len(s.Audiences) >= 1 || s.org(), "audiences", "needs at least one audience")
	c.that(len(s.Audiences) <= 20, "audiences", "has more than 20 audiences")
	for _, a := range s.Audiences {
		c.that(a != "" && len(a) <= 255 && !strings.ContainsFunc(a, notPrintable), "audiences", "an audience is 1 to 255 printable characters without spaces")
	}
	c.oneOf("issuerMode", s.IssuerMode, IssuerOrgURL, IssuerDynamic)
	c.oneOf("status", string(s.Status), string(Active), string(Inactive))
	c.oneOf("signingAlgorithm", s.Algorithm, RS256, ES256, PS256, EdDSA)
	c.oneOf("tokenShape", string(s.Shape), string(ShapeOkta), string(ShapeRFC9068))
	c.lifetime("accessTokenLifetimeMinutes", s.AccessTokenMinutes)
	c.oneOf("credentials.signing.rotationMode", s.Credentials.Signing.RotationMode, RotationAuto, RotationManual)
	checkServerExtension(&c, &s.Extension)
	checkServerProfile(&c, &s)
	checkDocuments(&c, &s.Extension)
	return c.err("authorization server %q is not valid", s.Name)
}

// checks gathers what is wrong with an object.
type checks struct{ fields []fault.Field }

func (c *checks) that(ok bool, path, message string) {
	if !ok {
		c.fields = append(c.fields, fault.Field{Path: path, Message: message})
	}
}

func (c *checks) name(path, value string, limit int) {
	c.that(strings.TrimSpace(value) != "", path, "is empty, give it a name")
	c.that(len(value) <= limit, path, "is too long")
	c.that(!strings.ContainsFunc(value, isControl), path, "has control characters")
}

func (c *checks) oneOf(path, value string, allowed ...string) {
	c.that(slices.Contains(allowed, value), path, "is "+quoted(value)+" but must be one of "+strings.Join(allowed, ", "))
}

func (c *checks) lifetime(path string, minutes int) {
	lifetime := time.Duration(minutes) * time.Minute
	c.that(lifetime >= MinAccessTokenLifetime && lifetime <= MaxAccessTokenLifetime, path, "must be from 5 to 1440 minutes")
}

func (c *checks) err(format string, args ...any) error {
	if len(c.fields) == 0 {
		return nil
	}
	return fault.New(fault.Invalid, format, args...).WithFields(c.fields...)
}

func quoted(s string) string {
	if len(s) > 40 {
		s = s[:40] + "..."
	}
	return `"` + strings.ToValidUTF8(s, "?") + `"`
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

func notPrintable(r rune) bool { return r <= 0x20 || r >= 0x7f }
