package access

import (
	"context"
	"strings"
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
	Expires time.Time `json:"expires,omitzero"` // zero = when it is deleted
}

// APITokens are unique by the hash of the token, and go with their user.
var APITokens = ledger.NewKind(ledger.Spec[APIToken]{
	Name: "api_token", IDPrefix: "00t",
	Keys:  func(t APIToken) []ledger.Key { return []ledger.Key{ledger.By("hash", t.Hash)} },
	Index: func(t APIToken) []ledger.Key { return []ledger.Key{ledger.By("name", t.Name)} },
	Refs: func(t APIToken) []ledger.Ref {
		return []ledger.Ref{{Field: "userId", Kind: "user", ID: t.User, OnDelete: ledger.Cascade}}
	},
	Check: func(t APIToken) error {
		if strings.TrimSpace(t.Name) == "" || len(t.Name) > 100 {
			return fault.New(fault.Invalid, "an API token needs a name of 1 to 100 bytes that says what it is for")
		}
		if len(t.Hash) != 64 || t.User == "" {
			return fault.New(fault.Invalid, "an API token needs a hash and a user")
		}
		return nil
	},
})

// CreateAPIToken adds a token for the user and returns it; it cannot be read again.
func CreateAPIToken(tx *ledger.Tx, name, user string, expires time.Time) (token string, err error) {
	token = keys.Secret(256)
	_, err = APITokens.Create(tx, APIToken{Name: name, User: user, Hash: keys.Hash(token), Created: tx.Now(), Expires: expires})
	return token, err
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
