package grant

import (
	"net/http"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
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

// recordRefusal records why a token was not given. For a request that the
// policies refused, the event holds every rule that was considered.
func (e *Endpoint) recordRefusal(x *exchange, err error) {
	reason := ReasonOf(err)
	if x.clientID == "" {
		return // a stranger without a name: the access log has the request
	}
	ev := audit.Event{
		Tenant: x.target.Tenant, Type: audit.TokenRefused, Severity: audit.Warn, Message: "OAuth2 token request is refused",
		Actor: appActor(x.clientID, ""), Client: requestClient(x.r),
		Outcome: audit.Outcome{Result: audit.Failure, Reason: reason},
		Debug:   map[string]string{"authorizationServer": x.target.Server.ID},
	}
	if x.grant != nil {
		ev.Debug["grantType"] = x.grant.name()
	}
	if x.app != nil {
		ev.Actor.DisplayName = x.app.Label
		ev.Debug["requestedScopes"] = x.form.Get("scope")
	} else {
		ev.Type, ev.Message = audit.ClientAuthFailed, "OAuth2 client authentication failed"
	}
	if reason == "no_matching_policy" {
		var trace []access.Considered
		x.target.Server.Evaluate(&access.Request{Client: x.app.ID, GrantType: x.grant.name(), Scopes: x.scopes}, &trace)
		ev.Debug["considered"] = describe(trace)
	}
	e.cfg.Audit.Record(ev)
}

// RecordClientFailure records a failed authentication at another endpoint.
func RecordClientFailure(rec audit.Recorder, r *http.Request, t *Target, clientID string, err error) {
	if clientID == "" {
		return
	}
	rec.Record(audit.Event{
		Tenant: t.Tenant, Type: audit.ClientAuthFailed, Severity: audit.Warn, Message: "OAuth2 client authentication failed",
		Actor: appActor(clientID, ""), Client: requestClient(r),
		Outcome: audit.Outcome{Result: audit.Failure, Reason: ReasonOf(err)},
		Debug:   map[string]string{"authorizationServer": t.Server.ID},
	})
}

// RequestClient says where a request came from.
func RequestClient(r *http.Request) audit.Client { return requestClient(r) }

func appActor(id, label string) audit.Entity {
	return audit.Entity{ID: id, Type: "PublicClientApp", DisplayName: label}
}

func describe(trace []access.Considered) string {
	if len(trace) == 0 {
		return "the server has no policies"
	}
	var b strings.Builder
	for i, c := range trace {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(c.PolicyName)
		if c.Rule != "" {
			b.WriteString(" / " + c.RuleName)
		}
		b.WriteString(": " + c.Reason)
		if c.Detail != "" {
			b.WriteString(" (" + c.Detail + ")")
		}
	}
	return b.String()
}
