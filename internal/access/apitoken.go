package access

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
)

// APIToken lets a person's scripts call the management APIs as that person
// (Okta's SSWS token). The token itself is shown once and stored as a hash.
type APIToken struct {
	Name    string    `json:"name"`
	User    string    `json:"userId"` // acts with the rights of this user
	Hash    string    `json:"hash"`   // keys.Hash of the token
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero = when it is deleted or not used for IdleTime
	// Connection is ConnectAnywhere or ConnectZone: then the token may be used from
	// the zones of Include, or, when that is empty, from everywhere but those of
	// Exclude.
	Connection string   `json:"connection,omitempty"` // empty = ConnectAnywhere
	Include    []string `json:"includeZones,omitempty"`
	Exclude    []string `json:"excludeZones,omitempty"`
}

// From where an API token may be used.
const (
	ConnectAnywhere = "ANYWHERE"
	ConnectZone     = "ZONE"
)

// IdleTime is how long an API token lasts without being used, as Okta has it.
const IdleTime = 30 * 24 * time.Hour

// Ends returns when the token ends unless it is used again; used is when it was
// used last, zero for never.
func (t *APIToken) Ends(used time.Time) time.Time {
	if used.Before(t.Created) {
		used = t.Created
	}
	idle := used.Add(IdleTime)
	if !t.Expires.IsZero() && t.Expires.Before(idle) {
		return t.Expires
	}
	return idle
}

// MayComeFrom reports whether the token may be used from the address. A zone that
// is not active, or that is not made of addresses, includes and excludes nothing.
func (t *APIToken) MayComeFrom(tx *ledger.Tx, from netip.Addr) (bool, error) {
	if t.Connection != ConnectZone {
		return true, nil
	}
	in := func(zones []string) (bool, error) {
		for _, id := range zones {
			z, err := Zones.Get(tx, id)
			if err != nil {
				return false, err
			}
			if z.Value.Status == Active && z.Value.Contains(from) {
				return true, nil
			}
		}
		return false, nil
	}
	if out, err := in(t.Exclude); err != nil || out {
		return false, err
	}
	if len(t.Include) == 0 {
		return true, nil
	}
	return in(t.Include)
}

func checkAPIToken(t APIToken) error {
	var c checks
	c.name("name", t.Name, 100)
	c.that(len(t.Hash) == 64, "hash", "is not a hash")
	c.that(t.User != "", "userId", "is empty")
	c.that(t.Connection == "" || t.Connection == ConnectAnywhere || t.Connection == ConnectZone, "network.connection", "must be ANYWHERE or ZONE")
	c.that((t.Connection == ConnectZone) == (len(t.Include)+len(t.Exclude) > 0), "network", "names zones to include or to exclude if the connection is ZONE, and only then")
	c.that(len(t.Include)+len(t.Exclude) <= 100, "network", "names more than 100 zones")
	return c.err("API token %s is not valid", quoted(t.Name))
}

// APITokens are unique by the hash of the token, and go with their user.
var APITokens = ledger.NewKind(ledger.Spec[APIToken]{
	Name: "api_token", IDPrefix: "00T",
	Keys:  func(t APIToken) []ledger.Key { return []ledger.Key{ledger.By("hash", t.Hash)} },
	Index: func(t APIToken) []ledger.Key { return []ledger.Key{ledger.By("name", t.Name)} },
	Refs: func(t APIToken) []ledger.Ref {
		refs := []ledger.Ref{{Field: "userId", Kind: "user", ID: t.User, OnDelete: ledger.Cascade}}
		for _, z := range slices.Concat(t.Include, t.Exclude) {
			refs = append(refs, ledger.Ref{Field: "network", Kind: "network_zone", ID: z})
		}
		return refs
	},
	Check: checkAPIToken,
})

// CreateAPIToken adds a token for the user and returns it; it cannot be read again.
func CreateAPIToken(tx *ledger.Tx, name, user string, expires time.Time) (token string, err error) {
	token = keys.Secret(256)
	_, err = APITokens.Create(tx, APIToken{Name: name, User: user, Hash: keys.Hash(token), Created: tx.Now(), Expires: expires})
	return token, err
}

// MadeAPIToken is an API token as it was made: Token cannot be read again.
type MadeAPIToken struct {
	ID, Token string
	Created   time.Time
}

// apiTokenCreated is the event of a new API token, as in Okta's System Log.
const apiTokenCreated = "system.api_token.create" // #nosec G101 -- the name of an event

// AddAPIToken makes an API token of a user.
func (s *Service) AddAPIToken(ctx context.Context, actor ledger.Actor, name, user string, expires time.Time) (m MadeAPIToken, err error) {
	defer fault.Wrap(&err, "make API token %q", name)
	err = s.update(ctx, actor, "make API token "+name, func(tx *ledger.Tx) error {
		token := keys.Secret(256)
		o, err := APITokens.Create(tx, APIToken{Name: name, User: user, Hash: keys.Hash(token), Created: tx.Now(), Expires: expires})
		m = MadeAPIToken{ID: o.ID, Token: token, Created: tx.Now()}
		return err
	})
	if err != nil {
		return MadeAPIToken{}, err
	}
	s.record(ctx, actor, apiTokenCreated, "Create API token", audit.Entity{ID: m.ID, Type: "Token", DisplayName: name})
	return m, nil
}

// FindAPIToken returns the object of a token that is valid at the transaction's
// time, or an Unauthenticated fault that does not say what is wrong with it.
func FindAPIToken(tx *ledger.Tx, token string) (ledger.Object[APIToken], error) {
	refused := fault.New(fault.Unauthenticated, "the API token is not valid")
	o, err := APITokens.Find(tx, ledger.By("hash", keys.Hash(token)))
	switch {
	case fault.Is(err, fault.NotFound):
		return o, refused
	case err != nil:
		return o, err
	case !o.Value.Expires.IsZero() && !tx.Now().Before(o.Value.Expires):
		return o, refused
	}
	return o, nil
}

// ListAPITokens returns a page of the tenant's API tokens.
func (s *Service) ListAPITokens(ctx context.Context, after string, limit int) (p ledger.Page[APIToken], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = APITokens.List(tx, ledger.Query{After: after, Limit: limit})
		return err
	})
	return p, err
}

// APIToken returns an API token by id, or fault.NotFound.
func (s *Service) APIToken(ctx context.Context, id string) (o ledger.Object[APIToken], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = APITokens.Get(tx, id)
		return err
	})
	return o, err
}

// ChangeAPIToken changes the name of an API token and from where it may be used:
// from ConnectAnywhere, or from zones made of addresses.
func (s *Service) ChangeAPIToken(ctx context.Context, actor ledger.Actor, id string, change func(*APIToken) error) (o ledger.Object[APIToken], err error) {
	defer fault.Wrap(&err, "change API token %q", id)
	err = s.update(ctx, actor, "change API token "+id, func(tx *ledger.Tx) error {
		if o, err = APITokens.Get(tx, id); err != nil {
			return err
		}
		was := o.Value
		if err := change(&o.Value); err != nil {
			return err
		}
		o.Value.User, o.Value.Hash, o.Value.Created, o.Value.Expires = was.User, was.Hash, was.Created, was.Expires
		for _, z := range slices.Concat(o.Value.Include, o.Value.Exclude) {
			zone, err := Zones.Get(tx, z)
			if fault.Is(err, fault.NotFound) || err == nil && zone.Value.Type != ZoneIP {
				return fault.New(fault.Invalid, "the API token is not valid").
					WithFields(fault.Field{Path: "network", Message: quoted(z) + " is not a zone of addresses"})
			}
			if err != nil {
				return err
			}
		}
		o, err = APITokens.Put(tx, o)
		return err
	})
	return o, err
}

// apiTokenRevoked is the event of the end of an API token, as in Okta's System Log.
const apiTokenRevoked = "system.api_token.revoke" // #nosec G101 -- the name of an event

// DeleteAPIToken ends an API token at once.
func (s *Service) DeleteAPIToken(ctx context.Context, actor ledger.Actor, id string) (err error) {
	defer fault.Wrap(&err, "delete API token %q", id)
	var name string
	err = s.update(ctx, actor, "delete API token "+id, func(tx *ledger.Tx) error {
		o, err := APITokens.Get(tx, id)
		if err != nil {
			return err
		}
		name = o.Value.Name
		return APITokens.Delete(tx, id, 0)
	})
	if err != nil {
		return err
	}
	s.record(ctx, actor, apiTokenRevoked, "Revoke API token", audit.Entity{ID: id, Type: "Token", DisplayName: name})
	return nil
}
