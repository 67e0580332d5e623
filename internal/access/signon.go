package access

import (
	"context"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// SignOnPolicy says how people sign in to the apps that use it (Okta's ACCESS_POLICY): by
// its rules, SessionRules of the type PolicyApp. It has no conditions of its own. The one
// that is made with the tenant is for the apps that name no other.
type SignOnPolicy struct {
	Name        string `json:"name"` // unique
	Description string `json:"description,omitempty"`
	Status      Status `json:"status"`
	Priority    int    `json:"priority"` // of no meaning: an app has one
	System      bool   `json:"system,omitempty"`
}

// The names of what is made with the tenant, and with each policy.
const (
	DefaultSignOnPolicy = "Default Policy"
	CatchAllRule        = "Catch-all Rule"
)

// catchAllPriority is Okta's: it stands behind all others.
const catchAllPriority = 99

// SignOnPolicies are unique by name.
var SignOnPolicies = ledger.NewKind(ledger.Spec[SignOnPolicy]{
	Name: "sign_on_policy", IDPrefix: "rst",
	Keys: func(p SignOnPolicy) []ledger.Key { return []ledger.Key{ledger.By("name", p.Name)} },
	Check: func(p SignOnPolicy) error {
		var c checks
		c.name("name", p.Name, 255)
		c.that(len(p.Description) <= 255, "description", "is longer than 255 bytes")
		c.oneOf("status", string(p.Status), string(Active), string(Inactive))
		return c.err("sign-on policy %s is not valid", quoted(p.Name))
	},
})

// ensureSignOnPolicy makes the policy that every tenant has, where it is missing, and its
// rule: what the session has shown is enough.
func ensureSignOnPolicy(tx *ledger.Tx) error {
	p, err := SignOnPolicies.Find(tx, ledger.By("name", DefaultSignOnPolicy))
	if fault.Is(err, fault.NotFound) {
		p, err = SignOnPolicies.Create(tx, SignOnPolicy{
			Name: DefaultSignOnPolicy, Description: "How people sign in to apps that name no other policy.", Status: Active, Priority: 1, System: true,
		})
	}
	if err != nil {
		return err
	}
	_, err = SessionRules.Find(tx, ledger.By("priority", place(p.ID, true), ledger.Sortable(catchAllPriority)))
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	return catchAll(tx, p.ID, OneFactor)
}

// catchAll gives a policy the rule that decides when no other does.
func catchAll(tx *ledger.Tx, policy, mode string) error {
	_, err := SessionRules.Create(tx, SessionRule{
		Type: PolicyApp, Policy: policy, Name: CatchAllRule, Priority: catchAllPriority, System: true, App: &AppSignOn{Access: SignOnAllow, Mode: mode},
	}.fill())
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

// CreateSignOnPolicy adds a policy, with a rule behind all that will be made: it lets
// everybody in who has shown two factors.
func (s *Service) CreateSignOnPolicy(ctx context.Context, actor ledger.Actor, p SignOnPolicy) (o ledger.Object[SignOnPolicy], err error) {
	defer fault.Wrap(&err, "make sign-on policy %q", p.Name)
	p.System, p.Priority = false, 1
	if p.Status == "" {
		p.Status = Active
	}
	err = s.update(ctx, actor, "make sign-on policy "+p.Name, func(tx *ledger.Tx) error {
		if o, err = SignOnPolicies.Create(tx, p); err != nil {
			return err
		}
		return catchAll(tx, o.ID, TwoFactors)
	})
	if err == nil {
		s.record(ctx, actor, "policy.lifecycle.create", "Create policy", signOnPolicyEntity(o))
	}
	return o, err
}

// ChangeSignOnPolicy applies change to a policy. The tenant's own keeps its name and stays
// in force.
func (s *Service) ChangeSignOnPolicy(ctx context.Context, actor ledger.Actor, id string, change func(*SignOnPolicy) error) (o ledger.Object[SignOnPolicy], err error) {
	defer fault.Wrap(&err, "change sign-on policy %q", id)
	err = s.update(ctx, actor, "change sign-on policy "+id, func(tx *ledger.Tx) error {
		if o, err = SignOnPolicies.Get(tx, id); err != nil {
			return err
		}
		was := o.Value
		if err := change(&o.Value); err != nil {
			return err
		}
		o.Value.System, o.Value.Priority = was.System, was.Priority
		if was.System && (o.Value.Name != was.Name || o.Value.Status != was.Status) {
			return errSystemPolicy("policy", was.Name)
		}
		o, err = SignOnPolicies.Put(tx, o)
		return err
	})
	if err == nil {
		s.record(ctx, actor, policyUpdated, "Update policy", signOnPolicyEntity(o))
	}
	return o, err
}

// DeleteSignOnPolicy removes a policy with its rules. One that an app names stays.
func (s *Service) DeleteSignOnPolicy(ctx context.Context, actor ledger.Actor, id string) (err error) {
	defer fault.Wrap(&err, "delete sign-on policy %q", id)
	var o ledger.Object[SignOnPolicy]
	err = s.update(ctx, actor, "delete sign-on policy "+id, func(tx *ledger.Tx) error {
		if o, err = SignOnPolicies.Get(tx, id); err != nil {
			return err
		}
		if o.Value.System {
			return errSystemPolicy("policy", o.Value.Name)
		}
		return SignOnPolicies.Delete(tx, id, 0)
	})
	if err == nil {
		s.record(ctx, actor, policyDeleted, "Delete policy", signOnPolicyEntity(o))
	}
	return err
}

func signOnPolicyEntity(o ledger.Object[SignOnPolicy]) audit.Entity {
	return audit.Entity{ID: o.ID, Type: "PolicyEntity", DisplayName: o.Value.Name}
}
