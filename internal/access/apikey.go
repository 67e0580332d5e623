package access

import (
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/spec"
)

// Bounds of an API key.
const (
	// MaxAPIKeys is how many keys an app may have, disabled ones included.
	MaxAPIKeys = 200
	// MaxKeyOverlap is how long a key may live on beside the one that replaces it.
	MaxKeyOverlap = 90 * 24 * time.Hour

	mostKeyScopes = 64
	mostKeyAPIs   = 256
	mostKeyZones  = 16
	// MostKeyLimits is how many limits a key may have.
	MostKeyLimits = 2
)

// APIKey lets a program call APIs as an app, without a token. The key itself is
// shown once and stored as a hash. A key that was disabled stays disabled.
type APIKey struct {
	App      string    `json:"app"` // the app that calls with it
	Name     string    `json:"name"`
	Hash     string    `json:"hash"`             // keys.Hash of the key
	Hint     string    `json:"hint"`             // how it begins, see keys.APIKeyHint
	Scopes   []string  `json:"scopes,omitempty"` // what it may be used for
	APIs     []string  `json:"apis,omitempty"`   // names of the APIs that it is for; empty = all that take keys
	Zones    []string  `json:"zones,omitempty"`  // names of the zones that it may be used from; empty = anywhere
	Limits   []string  `json:"limits,omitempty"` // such as 100/min, see spec.ParseRate; all of them apply
	Status   Status    `json:"status"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"`   // zero = never
	Replaces string    `json:"replaces,omitempty"` // id of the key that it was rotated from
	// Family is the id of the first of the keys that were rotated to this one, empty for
	// that itself: limits count all of them together.
	Family string `json:"family,omitempty"`
}

// APIKeys are unique by the hash of the key, and go with their app.
var APIKeys = ledger.NewKind(ledger.Spec[APIKey]{
	Name: "api_key", IDPrefix: "gky",
	Keys:  func(k APIKey) []ledger.Key { return []ledger.Key{ledger.By("hash", k.Hash)} },
	Index: func(k APIKey) []ledger.Key { return []ledger.Key{ledger.By("app", k.App, k.Name)} },
	Refs: func(k APIKey) []ledger.Ref {
		return []ledger.Ref{{Field: "app", Kind: "app", ID: k.App, OnDelete: ledger.Cascade}}
	},
	Check: checkAPIKey,
})

func checkAPIKey(k APIKey) error {
	var c checks
	c.name("name", k.Name, 100)
	c.that(len(k.Hash) == 64, "hash", "is not a SHA-256 in hexadecimal")
	c.that(k.App != "", "app", "is missing: a key belongs to an app")
	c.oneOf("status", string(k.Status), string(Active), string(Inactive))
	c.that(len(k.Scopes) <= mostKeyScopes, "scopes", "has more than 64 scopes")
	for _, s := range k.Scopes {
		c.that(ValidScopeName(s), "scopes", quoted(s)+" is not a scope")
	}
	c.that(len(k.APIs) <= mostKeyAPIs, "apis", "has more than 256 names")
	for _, a := range k.APIs {
		c.that(a != "" && len(a) <= 63, "apis", quoted(a)+" is not the name of an API")
	}
	c.that(len(k.Zones) <= mostKeyZones, "zones", "has more than 16 names")
	for _, z := range k.Zones {
		c.that(spec.CheckName(z) == nil, "zones", quoted(z)+" is not the name of a zone")
	}
	c.that(len(k.Limits) <= MostKeyLimits, "limits", "has more than 2 limits")
	for i, text := range k.Limits {
		l, err := spec.ParseRate(text)
		if err != nil {
			c.that(false, "limits", quoted(text)+": "+err.Error())
			continue
		}
		for _, other := range k.Limits[:i] {
			o, err := spec.ParseRate(other)
			c.that(err != nil || o.Period != l.Period, "limits", "has two limits for the same period: only the lower one would have an effect")
		}
	}
	c.that(k.Expires.IsZero() || k.Expires.After(k.Created), "expires", "lies before the key was made")
	return c.err("API key %s is not valid", quoted(k.Name))
}

// Usable reports whether the key lets anybody in at the time, its app being active.
func (k *APIKey) Usable(now time.Time) bool {
	return k.Status == Active && (k.Expires.IsZero() || now.Before(k.Expires))
}

// createAPIKey adds the key with a new text, and returns that; it cannot be read again.
func createAPIKey(tx *ledger.Tx, k APIKey) (o ledger.Object[APIKey], text string, err error) {
	app, err := Apps.Get(tx, k.App)
	if err != nil {
		return o, "", err
	}
	if app.Value.Status != Active {
		return o, "", fault.New(fault.Invalid, "app %s is not active: activate it first", quoted(app.Value.Label))
	}
	n := 0
	for _, err := range APIKeys.All(tx, ledger.Query{By: "app", Equal: []string{k.App}, Limit: 1000}) {
		if err != nil {
			return o, "", err
		}
		if n++; n >= MaxAPIKeys {
			return o, "", fault.New(fault.Full, "app %s has %d API keys, and may not have more: delete those that nobody uses", quoted(app.Value.Label), n)
		}
	}
	text = keys.APIKey()
	k.Hash, k.Hint, k.Status, k.Created = keys.Hash(text), keys.APIKeyHint(text), Active, tx.Now()
	k.Scopes, k.APIs, k.Zones = sorted(k.Scopes), sorted(k.APIs), sorted(k.Zones)
	o, err = APIKeys.Create(tx, k)
	return o, text, err
}
