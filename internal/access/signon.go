package access

import (
	"context"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// SignOnPolicy says how people sign in to the apps that use it (Okta's
// ACCESS_POLICY). So far a tenant has one, which is made with it.
type SignOnPolicy struct {
	Name        string `json:"name"` // unique
	Description string `json:"description,omitempty"`
	Status      Status `json:"status"`
	Priority    int    `json:"priority"`
	System      bool   `json:"system,omitempty"`
}

// DefaultSignOnPolicy is the name of the policy that every tenant has.
const DefaultSignOnPolicy = "Default Policy"

// SignOnPolicies are unique by name.
var SignOnPolicies = ledger.NewKind(ledger.Spec[SignOnPolicy]{
	Name: "sign_on_policy", IDPrefix: "rst",
	Keys: func(p SignOnPolicy) []ledger.Key { return []ledger.Key{ledger.By("name", p.Name)} },
	Check: func(p SignOnPolicy) error {
		var c checks
		c.name("name", p.Name, 255)
		c.oneOf("status", string(p.Status), string(Active), string(Inactive))
		return c.err("sign-on policy %s is not valid", quoted(p.Name))
	},
})

// ensureSignOnPolicy makes the policy that every tenant has, where it is missing.
func ensureSignOnPolicy(tx *ledger.Tx) error {
	_, err := SignOnPolicies.Find(tx, ledger.By("name", DefaultSignOnPolicy))
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	_, err = SignOnPolicies.Create(tx, SignOnPolicy{
		Name: DefaultSignOnPolicy, Description: "How people sign in to apps that name no other policy.", Status: Active, Priority: 1, System: true,
	})
	return err
}

// ListSignOnPolicies returns the sign-on policies of the tenant.
func (s *Service) ListSignOnPolicies(ctx context.Context) (out []ledger.Object[SignOnPolicy], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err := SignOnPolicies.List(tx, ledger.Query{})
		out = p.Items
		return err
	})
	return out, err
}

// FindSignOnPolicy returns a sign-on policy by id, or fault.NotFound.
func (s *Service) FindSignOnPolicy(ctx context.Context, id string) (o ledger.Object[SignOnPolicy], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = SignOnPolicies.Get(tx, id)
		return err
	})
	return o, err
}
