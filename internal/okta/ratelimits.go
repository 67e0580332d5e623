package okta

import (
	"net/http"
	"strconv"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/ledger"
)

// principalBody is a principal rate limit as it is sent.
type principalBody struct {
	Type       string `json:"principalType"`
	Principal  string `json:"principalId"`
	Percent    *int   `json:"defaultPercentage"`
	Concurrent *int   `json:"defaultConcurrencyPercentage"`
}

func (b *principalBody) onto(p *access.PrincipalLimit) {
	if b.Percent != nil {
		p.Percent = *b.Percent
	}
	if b.Concurrent != nil {
		p.Concurrent = *b.Concurrent
	}
}

// listPrincipalLimits needs a filter by the type of the principal, as Okta's does.
func (a *api) listPrincipalLimits(c *call) (answer, error) {
	limit, err := c.limit(20, 200)
	if err != nil {
		return answer{}, err
	}
	f, err := parseFilter(c.FormValue("filter"))
	if err != nil {
		return answer{}, err
	}
	if f == nil {
		return answer{}, unsupported("filter", `is missing: principalType eq "SSWS_TOKEN" or "OAUTH_CLIENT"`)
	}
	p, err := a.Access.ListPrincipalLimits(c.Context(), c.FormValue("after"), limit, func(o ledger.Object[access.PrincipalLimit]) bool {
		return f.match(func(path string) any {
			switch path {
			case "principalType":
				return o.Value.Type
			case "principalId":
				return o.Value.Principal
			}
			return nil
		})
	})
	if err != nil {
		return answer{}, err
	}
	return page(p.Items, p.Next, a.principalLimit)
}

func (a *api) getPrincipalLimit(c *call) (answer, error) {
	o, err := a.Access.FindPrincipalLimit(c.Context(), c.arg("principalRateLimitId"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.principalLimit(o))
}

func (a *api) createPrincipalLimit(c *call) (answer, error) {
	var b principalBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	p := access.PrincipalLimit{Type: b.Type, Principal: b.Principal, Percent: 50, Concurrent: 50}
	b.onto(&p)
	o, err := a.Access.CreatePrincipalLimit(c.Context(), c.by(), p)
	if err != nil {
		return answer{}, err
	}
	return ok(a.principalLimit(o))
}

func (a *api) replacePrincipalLimit(c *call) (answer, error) {
	var b principalBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.Access.ChangePrincipalLimit(c.Context(), c.by(), c.arg("principalRateLimitId"), func(p *access.PrincipalLimit) error {
		if b.Type != "" && b.Type != p.Type || b.Principal != "" && b.Principal != p.Principal {
			return unsupported("principalId", "cannot be changed: make a limit for the other principal")
		}
		b.onto(p)
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return ok(a.principalLimit(o))
}

func (a *api) principalLimit(o ledger.Object[access.PrincipalLimit]) object {
	second := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	return object{
		"id": o.ID, "orgId": a.orgID(), "principalType": o.Value.Type, "principalId": o.Value.Principal,
		"defaultPercentage": o.Value.Percent, "defaultConcurrencyPercentage": o.Value.Concurrent,
		"createdDate": second(o.Created), "createdBy": o.Value.CreatedBy, "lastUpdate": second(o.Updated), "lastUpdatedBy": o.Value.UpdatedBy,
	}
}

// rateSettings is a part of the settings: how it is shown, and how it is changed.
type rateSettings struct {
	show func(access.RateSettings) object
	read func(*call) (func(*access.RateSettings), error)
}

func warningThreshold() rateSettings {
	return rateSettings{
		func(r access.RateSettings) object { return object{"warningThreshold": r.Warning} },
		func(c *call) (func(*access.RateSettings), error) {
			var b struct {
				Warning int `json:"warningThreshold"`
			}
			err := c.read(&b)
			return func(r *access.RateSettings) { r.Warning = b.Warning }, err
		},
	}
}

func adminNotifications() rateSettings {
	return rateSettings{
		func(r access.RateSettings) object { return object{"notificationsEnabled": r.Notifications} },
		func(c *call) (func(*access.RateSettings), error) {
			var b struct {
				On *bool `json:"notificationsEnabled"`
			}
			err := c.read(&b)
			if err == nil && b.On == nil {
				err = unsupported("notificationsEnabled", "The field can't be left blank.")
			}
			return func(r *access.RateSettings) { r.Notifications = *b.On }, err
		},
	}
}

func perClientLimits() rateSettings {
	return rateSettings{
		func(r access.RateSettings) object {
			out := object{"defaultMode": r.PerClient}
			if len(r.Overrides) > 0 {
				out["useCaseModeOverrides"] = r.Overrides
			}
			return out
		},
		func(c *call) (func(*access.RateSettings), error) {
			var b struct {
				Mode      string            `json:"defaultMode"`
				Overrides map[string]string `json:"useCaseModeOverrides"`
			}
			err := c.read(&b)
			return func(r *access.RateSettings) { r.PerClient, r.Overrides = b.Mode, b.Overrides }, err
		},
	}
}

// getRates and putRates are the operations on a part of the settings.
func getRates(part rateSettings) func(*api, *call) (answer, error) {
	return func(a *api, c *call) (answer, error) {
		r, err := a.Access.RateSettings(c.Context())
		if err != nil {
			return answer{}, err
		}
		return ok(part.show(r))
	}
}

func putRates(part rateSettings) func(*api, *call) (answer, error) {
	return func(a *api, c *call) (answer, error) {
		change, err := part.read(c)
		if err != nil {
			return answer{}, err
		}
		r, err := a.Access.ChangeRateSettings(c.Context(), c.by(), change)
		if err != nil {
			return answer{}, err
		}
		return ok(part.show(r))
	}
}

// countCall counts a call against the caller's share of the limit, and tells the system
// log once a window when it comes near the limit and when it is beyond.
func (a *api) countCall(w http.ResponseWriter, c *call) error {
	limit := a.limits.limit
	if c.actor.Share > 0 {
		limit = max(limit*c.actor.Share/100, 1)
	}
	used, err := a.limits.countTo(w, c.actor, limit)
	if used == limit+1 {
		a.tellLimit(c, "system.org.rate_limit.violation", "Rate limit violation", limit)
	}
	if a.Events == nil || used > limit || used*100 < limit*30 {
		return err // the least threshold that can be set is not reached
	}
	settings, errSettings := a.Access.RateSettings(c.Context())
	if errSettings == nil && used == (limit*settings.Warning+99)/100 {
		a.tellLimit(c, "system.org.rate_limit.warning", "Rate limit warning", limit)
	}
	return err
}

func (a *api) tellLimit(c *call, kind, message string, limit int) {
	if a.Events == nil {
		return
	}
	by := c.by()
	a.Events.Record(audit.Event{
		Tenant: a.Tenant, Type: kind, Message: message, Severity: audit.Warn,
		Actor:   audit.Entity{ID: by.ID, Type: by.Type, DisplayName: by.Name},
		Outcome: audit.Outcome{Result: audit.Success}, Debug: map[string]string{"threshold": strconv.Itoa(limit)},
	})
}
