package access

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// What a trusted origin may do.
const (
	OriginCORS     = "CORS"
	OriginRedirect = "REDIRECT"
)

// Origin is a web origin that pages of may call this tenant or be redirected to.
type Origin struct {
	Name      string   `json:"name"`   // unique
	Origin    string   `json:"origin"` // unique: scheme, host and port
	Scopes    []string `json:"scopes"` // OriginCORS, OriginRedirect
	Status    Status   `json:"status"`
	CreatedBy string   `json:"createdBy,omitempty"`
	UpdatedBy string   `json:"updatedBy,omitempty"`
}

// Origins are unique by name and by origin.
var Origins = ledger.NewKind(ledger.Spec[Origin]{
	Name: "trusted_origin", IDPrefix: "tos",
	Keys: func(o Origin) []ledger.Key {
		return []ledger.Key{ledger.By("name", o.Name), ledger.By("origin", strings.ToLower(o.Origin))}
	},
	Check: func(o Origin) error {
		var c checks
		c.name("name", o.Name, 255)
		u, err := url.Parse(o.Origin)
		c.that(err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil &&
			(u.Path == "" || u.Path == "/") && u.RawQuery == "" && !strings.ContainsAny(o.Origin, "#*"), "origin", "must be a scheme and a host such as https://app.example.com")
		c.oneOf("status", string(o.Status), string(Active), string(Inactive))
		c.that(len(o.Scopes) > 0, "scopes", "is empty: CORS, REDIRECT or both")
		for _, s := range o.Scopes {
			c.oneOf("scopes", s, OriginCORS, OriginRedirect)
		}
		return c.err("trusted origin %s is not valid", quoted(o.Name))
	},
})

// ListOrigins returns a page of trusted origins for which match reports true.
func (s *Service) ListOrigins(ctx context.Context, after string, limit int, match func(ledger.Object[Origin]) bool) (p ledger.Page[Origin], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = Origins.Select(tx, ledger.Query{After: after, Limit: limit}, match)
		return err
	})
	return p, err
}

// FindOrigin returns a trusted origin by id, or fault.NotFound.
func (s *Service) FindOrigin(ctx context.Context, id string) (o ledger.Object[Origin], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = Origins.Get(tx, id)
		return err
	})
	return o, err
}

// CreateOrigin adds a trusted origin. fault.Conflict when the name or the origin
// is taken.
func (s *Service) CreateOrigin(ctx context.Context, actor ledger.Actor, v Origin) (o ledger.Object[Origin], err error) {
	defer fault.Wrap(&err, "make trusted origin %q", v.Name)
	err = s.update(ctx, actor, "make trusted origin "+v.Name, func(tx *ledger.Tx) error {
		v := v
		if v.Status == "" {
			v.Status = Active
		}
		v.CreatedBy, v.UpdatedBy = actor.ID, actor.ID
		o, err = Origins.Create(tx, v)
		return err
	})
	return o, err
}

// ChangeOrigin applies change to a trusted origin.
func (s *Service) ChangeOrigin(ctx context.Context, actor ledger.Actor, id string, change func(*Origin) error) (o ledger.Object[Origin], err error) {
	defer fault.Wrap(&err, "change trusted origin %q", id)
	err = s.update(ctx, actor, "change trusted origin "+id, func(tx *ledger.Tx) error {
		if o, err = Origins.Get(tx, id); err != nil {
			return err
		}
		if err := change(&o.Value); err != nil {
			return err
		}
		o.Value.UpdatedBy = actor.ID
		o, err = Origins.Put(tx, o)
		return err
	})
	return o, err
}

// DeleteOrigin removes a trusted origin.
func (s *Service) DeleteOrigin(ctx context.Context, actor ledger.Actor, id string) (err error) {
	defer fault.Wrap(&err, "delete trusted origin %q", id)
	return s.update(ctx, actor, "delete trusted origin "+id, func(tx *ledger.Tx) error {
		return Origins.Delete(tx, id, 0)
	})
}

// AllowsOrigin reports whether pages of the origin may call this tenant (CORS).
func (s *Service) AllowsOrigin(ctx context.Context, origin string) (allowed bool, err error) {
	if len(origin) > 300 || strings.ContainsFunc(origin, notURI) {
		return false, nil
	}
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err := Origins.Find(tx, ledger.By("origin", strings.ToLower(origin)))
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		allowed = err == nil && o.Value.Status == Active && slices.Contains(o.Value.Scopes, OriginCORS)
		return err
	})
	return allowed, err
}
