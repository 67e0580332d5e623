package grant

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/issued"
	"gatehouse/internal/ratelimit"
)

// granted is the event of a token that was given.
func granted(t *Target, app *access.AppView, grantName string, scopes []string, who *subject, d *access.Decision, m *minted, from audit.Client) audit.Event {
	targets := make([]audit.Entity, 1, 2)
	targets[0] = audit.Entity{ID: m.id, Type: "access_token"}
	if who.userID != "" {
		targets = append(targets, audit.Entity{ID: who.userID, Type: "User", AlternateID: who.name})
	}
	return audit.Event{
		Tenant: t.Tenant, Type: audit.TokenGranted, Message: "OAuth2 access token is granted",
		Actor: appActor(app.ID, app.Label), Targets: targets, Client: from,
		Outcome: audit.Outcome{Result: audit.Success},
		Debug: map[string]string{
			"authorizationServer": t.Server.ID,
			"grantType":           grantName,
			"grantedScopes":       strings.Join(scopes, " "),
			"rule":                d.Rule,
		},
	}
}

// recordRefusal records why an authenticated client got no token. For a request
// that the policies refused, the event holds every rule that was considered.
func (e *Endpoint) recordRefusal(x *exchange, err error) {
	if x.app == nil {
		return // before that, the authentication of clients keeps the record
	}
	reason := ReasonOf(err)
	ev := audit.Event{
		Tenant: x.target.Tenant, Type: audit.TokenRefused, Severity: audit.Warn, Message: "OAuth2 token request is refused",
		Actor: appActor(x.app.ID, x.app.Label), Client: RequestClient(x.r),
		Outcome: audit.Outcome{Result: audit.Failure, Reason: reason},
		Debug: map[string]string{
			"authorizationServer": x.target.Server.ID,
			"grantType":           x.grant.name(),
			"requestedScopes":     x.form.Get("scope"),
		},
	}
	var rules considered
	if errors.As(err, &rules) {
		ev.Debug["considered"] = rules.Error()
	}
	e.cfg.Audit.Record(ev)
}

// recordReplay records that a code or a refresh token was presented again, and
// that everything that came of its grant has ended.
func (e *Endpoint) recordReplay(x *exchange, g *issued.Grant) {
	e.cfg.Audit.Record(audit.Event{
		Tenant: x.target.Tenant, Type: audit.TokenReplayed, Severity: audit.Warn, Message: "OAuth2 token or code is reused, its grant is revoked",
		Actor: appActor(x.app.ID, x.app.Label), Client: RequestClient(x.r),
		Targets: []audit.Entity{{ID: g.ID, Type: "refresh_token"}, {ID: g.User, Type: "User"}},
		Outcome: audit.Outcome{Result: audit.Failure, Reason: "reused"},
		Debug:   map[string]string{"authorizationServer": x.target.Server.ID, "grantType": x.grant.name()},
	})
}

// failureRate is how many failed authentications of one peer are recorded: those
// who try secrets must not be able to fill the store with it.
var failureRate = ratelimit.Rate{Count: 60, Period: time.Minute} //nolint:gochecknoglobals // a constant

// recordFailure records that a client could not authenticate. One that does not
// say who it is is left to the access log.
func (c *Clients) recordFailure(r *http.Request, t *Target, clientID string, err error) {
	if clientID == "" {
		return
	}
	from := RequestClient(r)
	if !c.failures.Take(c.now(), c.failures.Key("client failure", from.IP), failureRate, 1).Allowed {
		return
	}
	c.audit.Record(audit.Event{
		Tenant: t.Tenant, Type: audit.ClientAuthFailed, Severity: audit.Warn, Message: "OAuth2 client authentication failed",
		Actor: appActor(clientID, ""), Client: from,
		Outcome: audit.Outcome{Result: audit.Failure, Reason: ReasonOf(err)},
		Debug:   map[string]string{"authorizationServer": t.Server.ID},
	})
}

// RequestClient says where a request came from.
func RequestClient(r *http.Request) audit.Client {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return audit.Client{IP: host, UserAgent: r.UserAgent()}
}

func appActor(id, label string) audit.Entity {
	return audit.Entity{ID: id, Type: "PublicClientApp", DisplayName: label}
}

func describe(trace []access.Considered) string {
	if len(trace) == 0 {
		return "the server has no policies"
	}
	return access.Explain(trace)
}
