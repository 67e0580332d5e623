// Package config reads the configuration file: its grammar, positions, checks
// and JSON Schema; it turns YAML into spec objects.
//
// One table (grammar.go) says which keys there are, what their values look like
// and which of them this version does not serve yet. The parser, the error
// messages and the published JSON Schema all follow that table. What an object
// means, and when it contradicts itself or another one, is checked by package
// spec; this room adds where it was written. It must not know stores, listeners
// or requests, and writes nothing.
package config

import (
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"gatehouse/internal/colour"
	"gatehouse/internal/spec"
)

// Version is the version of the grammar, the value of the key "version".
const Version = 1

// Bounds of what is read. More is an error and never a slow start.
const (
	MaxFileBytes   = 4 << 20  // one file
	MaxFolderBytes = 32 << 20 // all files of a folder together
	MaxFolderFiles = 1000
	MaxProblems    = 50 // reported in one go
)

// Options say how text becomes a configuration.
type Options struct {
	// Path is the file or folder that Load reads.
	Path string
	// Env looks up a variable for ${env:NAME}; nil means os.LookupEnv.
	Env func(name string) (string, bool)
	// ReadFile reads a file for ${file:/path}; nil means ReadReference.
	ReadFile func(path string) ([]byte, error)
	// Dev accepts what only a developer's machine may have, such as issuers without TLS.
	Dev bool
	// Scopes are the known scopes of each built-in authorization server, by its
	// name. A server that is not in the map is not checked.
	Scopes map[string][]string

	// Elsewhere says that a process serves it whose own settings are not those of the
	// section "server": what APIs and zones need of them is not looked for.
	Elsewhere bool

	builtAll bool // accept what is not built yet; for tests of the whole grammar
}

// File is a whole configuration: one file, or a folder of them merged.
type File struct {
	// Name is the path as it was given.
	Name   string
	Server Server
	// Declared holds issuers, APIs, zones and policies, each by name in sorted
	// order, and Sources. Tenant and Revision are zero.
	Declared spec.Snapshot
	// Tests are the lines under "tests", in file order.
	Tests []Test
	// Secrets maps dotted paths to the text as written, such as "${env:TOKEN}",
	// of values that came from outside of the file. Such values are
	// written back, shown and reported only in that form.
	Secrets map[string]string
	// Values maps the dotted paths of settings that are secrets to their values. They
	// are for sealing and for nothing else.
	Values map[string]string `json:"-"`
	// Digest is the SHA-256 of names and contents of all files, in hex. It says nothing of
	// what references resolve to.
	Digest string
	// Files are the files that were read, sorted.
	Files []string
}

// References returns the files that ${file:/path} names, sorted.
func (f *File) References() []string {
	found := map[string]bool{}
	for _, text := range f.Secrets {
		for _, m := range fileReference.FindAllStringSubmatch(text, -1) {
			found[m[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

var fileReference = regexp.MustCompile(`\$\{file:([^}]+)\}`)

// Server is the section "server": what this process is told by the file.
// Zero values mean that the file says nothing. Settings of listeners are in
// effect after a restart only.
type Server struct {
	Store           string
	Data            string
	Gateway         Gateway
	Identity        Identity
	Console         Console
	Log             Log
	Mail            Mail   `json:",omitzero"`
	People          People `json:",omitzero"`
	Brand           Brand  `json:",omitzero"`
	Decide          Decide `json:",omitzero"`
	Geo             Geo    `json:",omitzero"`
	Replay          Replay `json:",omitzero"`
	ShutdownTimeout time.Duration
}

// Gateway is the section "server.gateway".
type Gateway struct {
	Listen         string
	TrustedProxies []netip.Prefix
	TLS            TLS
	ClientCA       string // PEM file; empty for none
	ClientCerts    string // one of ClientCerts, or empty
	// ClientCertHeader is one of CertHeaders, or empty.
	ClientCertHeader string
}

// ClientCerts are the values of server.gateway.tls.client_certs.
func ClientCerts() []string { return []string{"optional", "required"} }

// CertHeaders are the values of client_cert_header.
func CertHeaders() []string {
	return []string{"client-cert", "x-forwarded-client-cert", "ssl-client-cert", "x-forwarded-tls-client-cert"}
}

// TLS names the PEM files of a listener's certificate chain and key.
type TLS struct{ Cert, Key string }

// Identity is the section "server.identity".
type Identity struct {
	Listen, URL    string
	TrustedProxies []netip.Prefix `json:",omitempty"`
	SCIMDelete     string         `json:",omitempty"` // "remove" (or "") or "deactivate"
	TLS            TLS            `json:",omitzero"`
	ClientCA       string         `json:",omitempty"` // PEM file; empty for none
	DeviceCA       string         `json:",omitempty"` // likewise
	ClientCerts    string         `json:",omitempty"` // IdentityClientCerts, or empty
	// ClientCertHeader is one of CertHeaders, or empty.
	ClientCertHeader string `json:",omitempty"`
	PrivateApps      string `json:",omitempty"` // "true", "false", or "" for the default
	SAML             string `json:",omitempty"` // likewise
}

// IdentityClientCerts is the value of server.identity.tls.client_certs: browsers come
// to that listener, too, and have none.
func IdentityClientCerts() string { return "optional" }

// Console is the section "server.console".
type Console struct{ Listen string }

// Mail is the section "server.mail". Server "" sends nothing.
type Mail struct {
	Server, From, User string
	Password           string `json:"-"` // resolved; "" for none
	CA                 string // PEM file; "" for the system's
}

// People is the section "server.people".
type People struct {
	BreachedPasswords   string   `json:",omitempty"` // file; "" for none
	RegistrationDomains []string `json:",omitempty"` // none: nobody can make an account; "any": everybody
	LDAP                LDAP     `json:",omitzero"`
}

// LDAP is the section "server.people.ldap"; the zero value is none.
type LDAP struct {
	URL, CA, User    string
	Password         string `json:"-"` // resolved
	Base, Filter, ID string
	Domains          []string
	Attributes       map[string]string `json:",omitempty"` // of the profile, and of entries
	GroupBase        string            `json:",omitempty"`
	GroupFilter      string            `json:",omitempty"`
	GroupName        string            `json:",omitempty"`
	GroupNested      bool              `json:",omitempty"` // groups are in groups
	Groups           []string          `json:",omitempty"`
	Sync             time.Duration     `json:",omitempty"`
}

// Brand is the section "server.brand": how pages and letters look to people.
type Brand struct {
	Name           string            `json:",omitempty"`
	Logo, LogoDark string            `json:",omitempty"` // files; "" for none
	Accent         colour.Accent     `json:",omitzero"`  // zero: that of the style sheet
	Help           string            `json:",omitempty"` // address
	Support        map[string]string `json:",omitempty"` // sentence by language; "" for all that have none
	Language       string            `json:",omitempty"` // of who prefers none that there is
	Words          string            `json:",omitempty"` // folder with texts
}

// Decide is the section "server.decide": who may ask for decisions.
type Decide struct {
	Listen, Envoy string // "" for no such listener
	Allow         []netip.Prefix
	Token         string `json:"-"` // resolved; "" for none
	TLS           TLS
	// ClientCertHeader is one of CertHeaders, or empty.
	ClientCertHeader string
}

// Geo is the section "server.geo": files in the format of MaxMind.
type Geo struct{ Country, ASN string }

// Replay is the section "server.replay". Keep 0 keeps nothing.
type Replay struct {
	Keep    time.Duration
	MaxSize int64 // bytes; 0 = the default
}

// Log is the section "server.log".
type Log struct{ Level, Format string }

// Test is one line under "tests": a request as someone, and what must come of it.
type Test struct {
	Text   string // as written
	Method string // upper-case
	Host   string // of the request, or of the API that the path belongs to; empty when that API takes any host
	Path   string // the request's path, with a query if one was written
	User   string // "as USER"
	From   netip.Addr
	// Country and ASN are where the client is ("from country:DE asn:64500"), in place
	// of what files say about its address.
	Country string   `json:",omitempty"`
	ASN     uint32   `json:",omitempty"`
	Scopes  []string // "with SCOPE ..."
	Groups  []string // "in GROUP ..."
	Roles   []string `json:",omitempty"` // "role ROLE ..."
	ACR     string   // "acr CLASS"
	// MFA is how long ago a second factor was used ("mfa AGE"), nil when the token says nothing.
	MFA *time.Duration
	// Clock is the time of the request ("at HH:MM") since midnight UTC, nil for now.
	Clock *time.Duration
	// Allow says that the request must be allowed; otherwise it must be denied for Reason.
	Allow  bool
	Reason string
	At     Position
}

// Anonymous reports whether the request carries no token: nothing was said about the caller.
func (t Test) Anonymous() bool {
	return t.User == "" && len(t.Scopes) == 0 && len(t.Groups) == 0 && len(t.Roles) == 0 && t.MFA == nil && t.ACR == ""
}
