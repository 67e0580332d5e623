// Package settings is this process: file, environment and flags made into one
// validated struct that the composition root starts from.
//
// Flags win over the environment, the environment over the file, the file over
// the defaults. The room must not know how anything is started, and keeps
// nothing: Load is a function of what it is given.
package settings

import (
	"log/slog"
	"net/netip"
	"time"

	"gatehouse/internal/config"
)

// Settings is what one process is told. Every field has its value: defaults are filled in.
type Settings struct {
	// Dev says that this is a developer's machine: everything listens on loopback.
	Dev bool
	// Data is the folder for everything that the process keeps: an absolute path is not required.
	Data string
	// Store names the database: "sqlite:PATH" or a postgres:// URL. It may hold a
	// password: log StoreName.
	Store    string
	Gateway  Gateway
	Identity Identity
	Console  Console
	Log      Log
	// ShutdownTimeout bounds how long running requests may take to finish after SIGTERM.
	ShutdownTimeout time.Duration
	// ReadyFile is written when all listeners serve; empty for none.
	ReadyFile string
	// SetupToken stands in for the one-time setup link; empty, or at least MinSetupToken characters.
	// It is a secret.
	SetupToken string
	Telemetry  Telemetry
	Limits     Limits
	// Decide says who may ask for decisions. Allow is never empty.
	Decide config.Decide
	Mail   config.Mail
	People config.People
	Brand  config.Brand
	Geo    config.Geo
	Replay config.Replay
}

// Gateway is the listener of the APIs.
type Gateway struct {
	Listen         string // "host:port"; port 0 = any free one
	TrustedProxies []netip.Prefix
	CertFile       string // PEM; empty for a plain listener
	KeyFile        string
	// ClientCAFile holds the authorities whose client certificates are taken; empty for
	// any, where ClientCerts asks for them.
	ClientCAFile string
	ClientCerts  string // "", "optional" or "required"
	// ClientCertHeader is where trusted proxies name the client's certificate; empty for none.
	ClientCertHeader string
}

// Identity is the listener of the authorization server and the management APIs.
type Identity struct {
	Listen string
	// URL is how others reach it, without a trailing slash; empty means the address it listens on.
	URL            string
	TrustedProxies []netip.Prefix // whose X-Forwarded-For and ClientCertHeader are believed
	// CertFile and KeyFile are PEM files of the listener's certificate; empty means
	// no TLS.
	CertFile, KeyFile string
	// ClientCAFile is the PEM file of the authorities that vouch for apps; empty for none.
	ClientCAFile string
	// DeviceCAFile is that of the authorities that vouch for managed devices, likewise.
	DeviceCAFile     string
	ClientCerts      string // "" or "optional"
	ClientCertHeader string // where trusted proxies name the client's certificate; empty for none
	// SCIMDelete says what DELETE of a user by SCIM does: "deactivate" first, else remove.
	SCIMDelete  string
	PrivateApps bool // addresses that apps name may be private ones
	SAML        bool // identity providers may speak SAML 2.0
}

// Console is the listener of the administrators' pages, metrics and health. It is always on loopback.
type Console struct{ Listen string }

// Log says what is logged and how.
type Log struct {
	Level  slog.Level
	Format string // "json" or "text"
}

// Telemetry says what is measured and where it goes.
type Telemetry struct {
	Metrics bool // /metrics on the console listener
	// OTLPEndpoint is the URL that traces are sent to; empty means that tracing is off.
	OTLPEndpoint string
	// TraceRatio is the share of traces that are recorded, 0 to 1.
	TraceRatio float64
}

// Limits bound what strangers may send. They are the same for every API.
type Limits struct {
	HeaderBytes     int // whole request head
	HeaderFields    int // lines of it
	TargetBytes     int // request target
	Connections     int // open at once on the gateway listener
	EdgeConnections int // open at once on the identity listener, and on the console's
	TokenBytes      int // an access token
	UnknownTokens   int // signature checks of new tokens a second and peer
	UpstreamHead    int // bytes of the head of an upstream's answer
}

// MinSetupToken is the least length of a setup token, in characters.
const MinSetupToken = 32

// Flags are the command line's settings. Empty ones were not given.
type Flags struct {
	Data, Store                string
	Gateway, Identity, Console string // listen addresses
	IdentityURL                string
	ReadyFile                  string
	LogLevel, LogFormat        string
	ShutdownTimeout            time.Duration
}
