// Package audit is the system log: what happened to whom, who did it, and how
// it ended, in the vocabulary of Okta's System Log.
//
// Events are facts about use (a token was granted, a client could not
// authenticate); decisions about managed objects are in the ledger. Recording
// never blocks the work that is being recorded: a bounded queue feeds one
// writer, and what does not fit is counted. The package must not know HTTP, SQL
// or what an event's subject looks like inside, and it never takes a secret: an
// event has no field for one.
package audit

import (
	"context"
	"time"

	"gatehouse/internal/tenant"
)

// The event types that are recorded so far; names are Okta's where Okta has one.
const (
	TokenGranted      = "app.oauth2.as.token.grant.access_token" // #nosec G101 -- the name of an event
	TokenRefused      = "app.oauth2.as.token.grant"              // #nosec G101 -- the name of an event; outcome FAILURE
	TokenRevoked      = "app.oauth2.as.token.revoke"             // #nosec G101 -- the name of an event
	TokenReplayed     = "app.oauth2.as.token.detect_reuse"       // #nosec G101 -- the name of an event
	ClientAuthFailed  = "app.oauth2.client.authentication"       // outcome FAILURE; the type is ours
	SessionStarted    = "user.session.start"
	SessionEnded      = "user.session.end"
	AppSignedOut      = "app.oauth2.client.backchannel_logout" // the type is ours
	SignOnJudged      = "policy.evaluate_sign_on"              // outcome DENY
	FactorUsed        = "user.authentication.auth_via_mfa"
	KeyRotated        = "app.oauth2.as.key.rollover"
	AppCreated        = "application.lifecycle.create"
	AppDeactivated    = "application.lifecycle.deactivate"
	AppActivated      = "application.lifecycle.activate"
	AppSecretRotated  = "app.oauth2.client.lifecycle.rotate_secret" // #nosec G101 -- the name of an event
	UserCreated       = "user.lifecycle.create"
	UsersImported     = "system.import.complete"
	UserStatusChanged = "user.lifecycle.change"
	UserPasswordSet   = "user.account.update_password"
	GroupCreated      = "group.lifecycle.create"
	GroupMemberAdded  = "group.user_membership.add"
	GroupMemberGone   = "group.user_membership.remove"
)

// Severity says how much an event matters.
type Severity string

// The severities of Okta's System Log.
const (
	Debug Severity = "DEBUG"
	Info  Severity = "INFO"
	Warn  Severity = "WARN"
	Error Severity = "ERROR"
)

// Result says how the recorded action ended.
type Result string

// The results of Okta's System Log that are used.
const (
	Success   Result = "SUCCESS"
	Failure   Result = "FAILURE"
	Allow     Result = "ALLOW"
	Deny      Result = "DENY"
	Challenge Result = "CHALLENGE"
)

// Entity is an actor or a target: who or what, by id.
type Entity struct {
	ID          string `json:"id"`
	Type        string `json:"type"`                  // "PublicClientApp", "User", "AuthorizationServer", "access_token", ...
	AlternateID string `json:"alternateId,omitempty"` // a name that is unique in its kind, such as a login
	DisplayName string `json:"displayName,omitempty"`
}

// Client is where the request came from.
type Client struct {
	IP        string `json:"ipAddress,omitempty"`
	UserAgent string `json:"userAgent,omitempty"`
}

// Outcome is how it ended and, when it did not succeed, the stable reason.
type Outcome struct {
	Result Result `json:"result"`
	Reason string `json:"reason,omitempty"`
}

// Event is one line of the system log. ID and Time are filled by the Writer
// when they are empty.
type Event struct {
	ID        string            `json:"uuid"`
	Tenant    tenant.ID         `json:"-"`
	Time      time.Time         `json:"published"`
	Type      string            `json:"eventType"`
	Severity  Severity          `json:"severity"`
	Message   string            `json:"displayMessage,omitempty"`
	Actor     Entity            `json:"actor"`
	Targets   []Entity          `json:"target,omitempty"`
	Client    Client            `json:"client,omitzero"`
	Outcome   Outcome           `json:"outcome"`
	RequestID string            `json:"requestId,omitempty"`
	Debug     map[string]string `json:"debugData,omitempty"` // small, public facts: grant type, scopes, matched rule
}

// Recorder takes events; *Writer is one. Record never blocks and never fails.
type Recorder interface {
	Record(Event)
}

// Sink stores events for good. The events of a call may belong to several
// tenants; all are stored or none.
type Sink interface {
	AppendEvents(ctx context.Context, events []Event) error
}

// Source reads events back, newest or oldest first, at most Limit of them.
type Source interface {
	// QueryEvents returns the matching events in the query's order. Position is
	// the place after the last event returned, to go on from; it is empty when
	// there are no more.
	QueryEvents(ctx context.Context, q Query) (events []Event, next string, err error)
}
