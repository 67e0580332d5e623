package access

import (
	"context"
	"maps"
	"slices"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// The principals of the management API that can have a share of the limit of their own.
const (
	PrincipalToken  = "SSWS_TOKEN"
	PrincipalClient = "OAUTH_CLIENT"
)

// PrincipalLimit is the share of the management API's limit that one token or app has.
// Without one it is all of it.
type PrincipalLimit struct {
	Type       string `json:"principalType"`
	Principal  string `json:"principalId"`       // id of an API token, client_id of an app
	Object     string `json:"object"`            // id of it in the ledger, with which it goes
	Percent    int    `json:"defaultPercentage"` // of the calls in a minute
	Concurrent int    `json:"defaultConcurrencyPercentage"`
	CreatedBy  string `json:"createdBy,omitempty"`
	UpdatedBy  string `json:"updatedBy,omitempty"`
}

// PrincipalLimits are unique by principal.
var PrincipalLimits = ledger.NewKind(ledger.Spec[PrincipalLimit]{
	Name: "principal_rate_limit", IDPrefix: "prl",
	Keys: func(p PrincipalLimit) []ledger.Key {
		return []ledger.Key{ledger.By("principal", p.Type, p.Principal)}
	},
	Refs: func(p PrincipalLimit) []ledger.Ref {
		kind := APITokens.Name()
		if p.Type == PrincipalClient {
			kind = Apps.Name()
		}
		return []ledger.Ref{{Field: "principalId", Kind: kind, ID: p.Object, OnDelete: ledger.Cascade}}
	},
	Check: func(p PrincipalLimit) error {
		var c checks
		c.oneOf("principalType", p.Type, PrincipalToken, PrincipalClient)
		c.that(p.Principal != "" && p.Object != "", "principalId", "is not an API token or an app")
		c.that(p.Percent >= 1 && p.Percent <= 100, "defaultPercentage", "must be from 1 to 100")
		c.that(p.Concurrent >= 0 && p.Concurrent <= 100, "defaultConcurrencyPercentage", "must be from 0 to 100")
		return c.err("the principal rate limit is not valid")
	},
})

// ListPrincipalLimits returns a page of the limits for which match reports true.
func (s *Service) ListPrincipalLimits(ctx context.Context, after string, limit int, match func(ledger.Object[PrincipalLimit]) bool) (p ledger.Page[PrincipalLimit], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = PrincipalLimits.Select(tx, ledger.Query{After: after, Limit: limit}, match)
		return err
	})
	return p, err
}

// FindPrincipalLimit returns a limit by id, or fault.NotFound.
func (s *Service) FindPrincipalLimit(ctx context.Context, id string) (o ledger.Object[PrincipalLimit], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = PrincipalLimits.Get(tx, id)
		return err
	})
	return o, err
}

// PrincipalPercent returns the share of a token or an app, 100 when it has none of its
// own.
func (s *Service) PrincipalPercent(ctx context.Context, kind, principal string) (percent int, err error) {
	percent = 100
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err := PrincipalLimits.Find(tx, ledger.By("principal", kind, principal))
		if err == nil {
			percent = o.Value.Percent
		}
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	})
	return percent, err
}

// CreatePrincipalLimit gives a token or an app, which is there, a share of its own.
func (s *Service) CreatePrincipalLimit(ctx context.Context, actor ledger.Actor, p PrincipalLimit) (o ledger.Object[PrincipalLimit], err error) {
	defer fault.Wrap(&err, "limit %q", p.Principal)
	err = s.update(ctx, actor, "limit "+p.Principal, func(tx *ledger.Tx) error {
		p := p
		p.CreatedBy, p.UpdatedBy = actor.ID, actor.ID
		switch p.Type {
		case PrincipalToken:
			if _, err := APITokens.Get(tx, p.Principal); err == nil {
				p.Object = p.Principal
			}
		case PrincipalClient:
			if app, err := appByClient(tx, p.Principal); err == nil {
				p.Object = app.ID
			}
		}
		o, err = PrincipalLimits.Create(tx, p)
		return err
	})
	return o, err
}

// ChangePrincipalLimit changes a share; whose it is stays.
func (s *Service) ChangePrincipalLimit(ctx context.Context, actor ledger.Actor, id string, change func(*PrincipalLimit) error) (o ledger.Object[PrincipalLimit], err error) {
	defer fault.Wrap(&err, "change principal limit %q", id)
	err = s.update(ctx, actor, "change principal limit "+id, func(tx *ledger.Tx) error {
		if o, err = PrincipalLimits.Get(tx, id); err != nil {
			return err
		}
		if err := change(&o.Value); err != nil {
			return err
		}
		o.Value.UpdatedBy = actor.ID
		o, err = PrincipalLimits.Put(tx, o)
		return err
	})
	return o, err
}

// RateSettings are what is set about rate limits for the whole tenant.
type RateSettings struct {
	// Warning is at how many percent of the limit the system log says so.
	Warning       int               `json:"warningThreshold"`
	Notifications bool              `json:"notificationsEnabled"`
	PerClient     string            `json:"perClientMode"` // RateModes
	Overrides     map[string]string `json:"perClientOverrides,omitempty"`
}

// DefaultRateSettings are in force until others are set.
func DefaultRateSettings() RateSettings {
	return RateSettings{Warning: 90, Notifications: true, PerClient: "ENFORCE"}
}

// RateModes are the modes of limits for clients, and RateUses the pages that can have one
// of their own.
func RateModes() []string { return []string{"DISABLE", "ENFORCE", "PREVIEW"} }

// RateUses returns the pages.
func RateUses() []string { return []string{"LOGIN_PAGE", "OAUTH2_AUTHORIZE", "OIE_APP_INTENT"} }

// RateSettingsKind has one object for each tenant.
var RateSettingsKind = ledger.NewKind(ledger.Spec[RateSettings]{
	Name: "rate_settings", IDPrefix: "rls",
	Keys: func(RateSettings) []ledger.Key { return []ledger.Key{ledger.By("one", "settings")} },
	Check: func(r RateSettings) error {
		var c checks
		c.that(r.Warning >= 30 && r.Warning <= 90, "warningThreshold", "must be from 30 to 90")
		c.oneOf("defaultMode", r.PerClient, RateModes()...)
		for _, use := range slices.Sorted(maps.Keys(r.Overrides)) {
			c.oneOf("useCaseModeOverrides", use, RateUses()...)
			c.oneOf("useCaseModeOverrides", r.Overrides[use], RateModes()...)
		}
		return c.err("the rate limit settings are not valid")
	},
})

// RateSettings returns what is set.
func (s *Service) RateSettings(ctx context.Context) (r RateSettings, err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err := RateSettingsKind.Find(tx, ledger.By("one", "settings"))
		if r = o.Value; fault.Is(err, fault.NotFound) {
			r = DefaultRateSettings()
			return nil
		}
		return err
	})
	return r, err
}

// ChangeRateSettings applies change to what is set.
func (s *Service) ChangeRateSettings(ctx context.Context, actor ledger.Actor, change func(*RateSettings)) (r RateSettings, err error) {
	defer fault.Wrap(&err, "change the rate limit settings")
	err = s.update(ctx, actor, "change the rate limit settings", func(tx *ledger.Tx) error {
		o, err := RateSettingsKind.Find(tx, ledger.By("one", "settings"))
		fresh := fault.Is(err, fault.NotFound)
		if err != nil && !fresh {
			return err
		}
		if fresh {
			o.Value = DefaultRateSettings()
		}
		change(&o.Value)
		if fresh {
			o, err = RateSettingsKind.Create(tx, o.Value)
		} else {
			o, err = RateSettingsKind.Put(tx, o)
		}
		r = o.Value
		return err
	})
	return r, err
}
