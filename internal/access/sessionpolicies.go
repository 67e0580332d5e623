package access

import (
	"context"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// ensureSessionPolicy makes the policy that every tenant has, with its rule, where it
// is missing.
func ensureSessionPolicy(tx *ledger.Tx) error {
	_, err := SessionPolicies.Find(tx, ledger.By("priority", place("all", true), ledger.Sortable(1)))
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	p, err := SessionPolicies.Create(tx, SessionPolicy{
		Name: DefaultSessionPolicy, Description: "How people sign in for whom no other policy is.", Status: Active, Priority: 1, System: true,
		Conditions: SessionPolicyFits{People: People{Groups: Selection{Include: []string{Everyone}}}},
	})
	if err != nil {
		return err
	}
	_, err = SessionRules.Create(tx, SessionRule{Policy: p.ID, Name: DefaultSessionRule, Priority: 1, System: true, Actions: DefaultSignOn()}.fill())
	return err
}

// ListSessionPolicies returns the policies in the order in which they are tried.
func (s *Service) ListSessionPolicies(ctx context.Context) (out []ledger.Object[SessionPolicy], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		out, err = inOrder(tx, SessionPolicies, "all")
		return err
	})
	return out, err
}

// ListSessionRules returns the rules of a policy in the order in which they are tried,
// or fault.NotFound.
func (s *Service) ListSessionRules(ctx context.Context, policy string) (out []ledger.Object[SessionRule], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		if _, err := SessionPolicies.Get(tx, policy); err != nil {
			return err
		}
		out, err = inOrder(tx, SessionRules, policy)
		return err
	})
	return out, err
}

// PreviewSignIn returns what the policies would say to a sign-in, with every step.
func (s *Service) PreviewSignIn(ctx context.Context, in SignIn) (trace []Considered, d SignInDecision, err error) {
	t, _ := tenant.From(ctx)
	view, err := s.views.Get(ctx, t)
	if err != nil {
		return nil, d, err
	}
	d = view.SignIn(&in, &trace)
	return trace, d, nil
}

// inOrder returns what is counted at a place, and what stands behind it.
func inOrder[T any](tx *ledger.Tx, kind *ledger.Kind[T], parent string) (out []ledger.Object[T], err error) {
	for _, system := range []bool{false, true} {
		for o, err := range kind.All(tx, ledger.Query{By: "priority", Equal: []string{place(parent, system)}}) {
			if err != nil {
				return nil, err
			}
			out = append(out, o)
		}
	}
	return out, nil
}

// FindSessionPolicy returns a policy by id, or fault.NotFound.
func (s *Service) FindSessionPolicy(ctx context.Context, id string) (o ledger.Object[SessionPolicy], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = SessionPolicies.Get(tx, id)
		return err
	})
	return o, err
}

// FindSessionRule returns a rule of a policy by id, or fault.NotFound.
func (s *Service) FindSessionRule(ctx context.Context, policy, id string) (o ledger.Object[SessionRule], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = sessionRuleOf(tx, policy, id)
		return err
	})
	return o, err
}

func sessionRuleOf(tx *ledger.Tx, policy, id string) (ledger.Object[SessionRule], error) {
	o, err := SessionRules.Get(tx, id)
	if err == nil && o.Value.Policy != policy {
		return ledger.Object[SessionRule]{}, fault.New(fault.NotFound, "the policy has no rule %s", quoted(id))
	}
	return o, err
}

// CreateSessionPolicy adds a policy. Priority 0 means last, before the tenant's own; a
// priority that is taken moves the policies from there on one down, in the same
// transaction.
func (s *Service) CreateSessionPolicy(ctx context.Context, actor ledger.Actor, p SessionPolicy) (o ledger.Object[SessionPolicy], err error) {
	defer fault.Wrap(&err, "make sign-on policy %q", p.Name)
	p.System = false
	err = s.update(ctx, actor, "make sign-on policy "+p.Name, func(tx *ledger.Tx) error {
		p := p
		if p.Priority, err = makeRoom(tx, SessionPolicies, "all", p.Priority, sessionPolicyPriority); err != nil {
			return err
		}
		o, err = SessionPolicies.Create(tx, p.fill())
		return err
	})
	if err == nil {
		s.record(ctx, actor, "policy.lifecycle.create", "Create policy", sessionPolicyEntity(o))
	}
	return o, err
}

// CreateSessionRule adds a rule to a policy; priorities work as for policies.
func (s *Service) CreateSessionRule(ctx context.Context, actor ledger.Actor, r SessionRule) (o ledger.Object[SessionRule], err error) {
	defer fault.Wrap(&err, "make sign-on rule %q", r.Name)
	r.System = false
	err = s.update(ctx, actor, "make sign-on rule "+r.Name, func(tx *ledger.Tx) error {
		r := r
		if _, err := SessionPolicies.Get(tx, r.Policy); err != nil {
			return err
		}
		if r.Priority, err = makeRoom(tx, SessionRules, r.Policy, r.Priority, sessionRulePriority); err != nil {
			return err
		}
		o, err = SessionRules.Create(tx, r.fill())
		return err
	})
	if err == nil {
		s.record(ctx, actor, "policy.rule.add", "Add policy rule", sessionRuleEntity(o))
	}
	return o, err
}

// ChangeSessionPolicy applies change to a policy. Of the tenant's own, only what it is
// described as can be changed: it is for everybody, in force and the last.
func (s *Service) ChangeSessionPolicy(ctx context.Context, actor ledger.Actor, id string, change func(*SessionPolicy) error) (o ledger.Object[SessionPolicy], err error) {
	defer fault.Wrap(&err, "change sign-on policy %q", id)
	err = s.update(ctx, actor, "change sign-on policy "+id, func(tx *ledger.Tx) error {
		if o, err = SessionPolicies.Get(tx, id); err != nil {
			return err
		}
		was := o.Value
		if err := change(&o.Value); err != nil {
			return err
		}
		o.Value.System = was.System
		o.Value = o.Value.fill()
		if was.System {
			if o.Value.Name != was.Name || o.Value.Status != was.Status {
				return errSystemPolicy("policy", was.Name)
			}
			o.Value.Priority, o.Value.Conditions = was.Priority, was.Conditions
			o, err = SessionPolicies.Put(tx, o)
			return err
		}
		o, err = putAt(tx, SessionPolicies, o, "all", was.Priority, sessionPolicyPriority)
		return err
	})
	if err == nil {
		s.record(ctx, actor, policyUpdated, "Update policy", sessionPolicyEntity(o))
	}
	return o, err
}

// ChangeSessionRule applies change to a rule. Of the tenant's own, only its actions can
// be changed: it is for everybody, in force and the last.
func (s *Service) ChangeSessionRule(ctx context.Context, actor ledger.Actor, policy, id string, change func(*SessionRule) error) (o ledger.Object[SessionRule], err error) {
	defer fault.Wrap(&err, "change sign-on rule %q", id)
	err = s.update(ctx, actor, "change sign-on rule "+id, func(tx *ledger.Tx) error {
		if o, err = sessionRuleOf(tx, policy, id); err != nil {
			return err
		}
		was := o.Value
		if err := change(&o.Value); err != nil {
			return err
		}
		o.Value.Policy, o.Value.System = was.Policy, was.System
		o.Value = o.Value.fill()
		if was.System {
			if o.Value.Name != was.Name || o.Value.Status != was.Status {
				return errSystemPolicy("rule", was.Name)
			}
			o.Value.Priority, o.Value.Conditions = was.Priority, was.Conditions
			o, err = SessionRules.Put(tx, o)
			return err
		}
		o, err = putAt(tx, SessionRules, o, was.Policy, was.Priority, sessionRulePriority)
		return err
	})
	if err == nil {
		s.record(ctx, actor, ruleUpdated, "Update policy rule", sessionRuleEntity(o))
	}
	return o, err
}

// DeleteSessionPolicy removes a policy with its rules.
func (s *Service) DeleteSessionPolicy(ctx context.Context, actor ledger.Actor, id string) (err error) {
	defer fault.Wrap(&err, "delete sign-on policy %q", id)
	var o ledger.Object[SessionPolicy]
	err = s.update(ctx, actor, "delete sign-on policy "+id, func(tx *ledger.Tx) error {
		if o, err = SessionPolicies.Get(tx, id); err != nil {
			return err
		}
		if o.Value.System {
			return errSystemPolicy("policy", o.Value.Name)
		}
		return SessionPolicies.Delete(tx, id, 0)
	})
	if err == nil {
		s.record(ctx, actor, policyDeleted, "Delete policy", sessionPolicyEntity(o))
	}
	return err
}

// DeleteSessionRule removes a rule.
func (s *Service) DeleteSessionRule(ctx context.Context, actor ledger.Actor, policy, id string) (err error) {
	defer fault.Wrap(&err, "delete sign-on rule %q", id)
	var o ledger.Object[SessionRule]
	err = s.update(ctx, actor, "delete sign-on rule "+id, func(tx *ledger.Tx) error {
		if o, err = sessionRuleOf(tx, policy, id); err != nil {
			return err
		}
		if o.Value.System {
			return errSystemPolicy("rule", o.Value.Name)
		}
		return SessionRules.Delete(tx, id, 0)
	})
	if err == nil {
		s.record(ctx, actor, ruleDeleted, "Delete policy rule", sessionRuleEntity(o))
	}
	return err
}

func errSystemPolicy(what, name string) error {
	return fault.New(fault.Denied, "the %s %s belongs to the tenant: it keeps its name, stays in force and cannot be deleted", what, name).WithReason(ReasonSystem)
}

func sessionPolicyPriority(p *SessionPolicy) *int { return &p.Priority }
func sessionRulePriority(r *SessionRule) *int     { return &r.Priority }

func sessionPolicyEntity(o ledger.Object[SessionPolicy]) audit.Entity {
	return audit.Entity{ID: o.ID, Type: "PolicyEntity", DisplayName: o.Value.Name}
}

func sessionRuleEntity(o ledger.Object[SessionRule]) audit.Entity {
	return audit.Entity{ID: o.ID, Type: "PolicyRule", DisplayName: o.Value.Name}
}
