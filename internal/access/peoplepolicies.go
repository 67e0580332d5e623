package access

import (
	"cmp"
	"context"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// ensurePeoplePolicies makes the policies that every tenant has, with a rule each, where
// they are missing: everything goes on as if there were none.
func ensurePeoplePolicies(tx *ledger.Tx) error {
	settings, actions := DefaultPasswordSettings(), AllowPasswordActions()
	for _, made := range []struct {
		policy PeoplePolicy
		rule   SessionRule
	}{
		{PeoplePolicy{Description: "How people sign in for whom no other policy is."}, SessionRule{Actions: DefaultSignOn()}},
		{
			PeoplePolicy{Type: PolicyPassword, Description: "The passwords of people for whom no other policy is.", Password: &settings},
			SessionRule{Type: PolicyPassword, Password: &actions},
		},
		{
			PeoplePolicy{Type: PolicyEnroll, Description: "The second factors of people for whom no other policy is.", Enroll: AnyEnrollment()},
			SessionRule{Type: PolicyEnroll, Enroll: EnrollAtChallenge},
		},
	} {
		if err := ensurePolicy(tx, made.policy, made.rule); err != nil {
			return err
		}
	}
	return nil
}

func ensurePolicy(tx *ledger.Tx, p PeoplePolicy, r SessionRule) error {
	_, err := PeoplePolicies.Find(tx, ledger.By("priority", place(p.group(), true), ledger.Sortable(1)))
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	p.Name, p.Status, p.Priority, p.System = DefaultPeoplePolicy, Active, 1, true
	p.Conditions.People.Groups.Include = []string{Everyone}
	o, err := PeoplePolicies.Create(tx, p)
	if err != nil {
		return err
	}
	r.Policy, r.Name, r.Priority, r.System = o.ID, DefaultSessionRule, 1, true
	_, err = SessionRules.Create(tx, r.fill())
	return err
}

// ListPeoplePolicies returns the policies of a type in the order in which they are tried.
func (s *Service) ListPeoplePolicies(ctx context.Context, kind string) (out []ledger.Object[PeoplePolicy], err error) {
	of := PeoplePolicy{Type: typeField(kind)}
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		out, err = inOrder(tx, PeoplePolicies, of.group())
		return err
	})
	return out, err
}

// typeField is how a type is kept: the first that there was is the empty one.
func typeField(kind string) string {
	if kind == PolicySignOn {
		return ""
	}
	return kind
}

// typeOf returns the type of a policy, as rules keep it; fault.NotFound when there is no
// such policy.
func typeOf(tx *ledger.Tx, policy string) (string, error) {
	p, err := PeoplePolicies.Get(tx, policy)
	if !fault.Is(err, fault.NotFound) {
		return p.Value.Type, err
	}
	_, err = SignOnPolicies.Get(tx, policy)
	return PolicyApp, err
}

// ListSessionRules returns the rules of a policy in the order in which they are tried,
// or fault.NotFound.
func (s *Service) ListSessionRules(ctx context.Context, policy string) (out []ledger.Object[SessionRule], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		if _, err := typeOf(tx, policy); err != nil {
			return err
		}
		out, err = inOrder(tx, SessionRules, policy)
		return err
	})
	return out, err
}

// PolicyType returns the type of a policy about people, or fault.NotFound.
func (s *Service) PolicyType(ctx context.Context, id string) (kind string, err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		kind, err = typeOf(tx, id)
		return err
	})
	return cmp.Or(kind, PolicySignOn), err
}

// NewSessionRule returns a rule of a policy of a type, with the actions that hold where
// nothing else is said.
func NewSessionRule(policy, kind string) SessionRule {
	r := SessionRule{Type: typeField(kind), Policy: policy}
	switch kind {
	case PolicyPassword:
		actions := AllowPasswordActions()
		r.Password = &actions
	case PolicyEnroll:
		r.Enroll = EnrollAtChallenge
	case PolicyApp:
		app := DefaultAppSignOn()
		r.App = &app
	default:
		r.Actions = DefaultSignOn()
	}
	return r
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

// FindPeoplePolicy returns a policy by id, or fault.NotFound.
func (s *Service) FindPeoplePolicy(ctx context.Context, id string) (o ledger.Object[PeoplePolicy], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = PeoplePolicies.Get(tx, id)
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

// CreatePeoplePolicy adds a policy. Priority 0 means last, before the tenant's own; a
// priority that is taken moves the policies from there on one down, in the same
// transaction.
func (s *Service) CreatePeoplePolicy(ctx context.Context, actor ledger.Actor, p PeoplePolicy) (o ledger.Object[PeoplePolicy], err error) {
	defer fault.Wrap(&err, "make policy %q", p.Name)
	p.System = false
	err = s.update(ctx, actor, "make policy "+p.Name, func(tx *ledger.Tx) error {
		p := p
		if p.Priority, err = makeRoom(tx, PeoplePolicies, p.group(), p.Priority, peoplePolicyPriority); err != nil {
			return err
		}
		o, err = PeoplePolicies.Create(tx, p.fill())
		return err
	})
	if err == nil {
		s.record(ctx, actor, "policy.lifecycle.create", "Create policy", peoplePolicyEntity(o))
	}
	return o, err
}

// CreateSessionRule adds a rule to a policy; priorities work as for policies.
func (s *Service) CreateSessionRule(ctx context.Context, actor ledger.Actor, r SessionRule) (o ledger.Object[SessionRule], err error) {
	defer fault.Wrap(&err, "make policy rule %q", r.Name)
	r.System = false
	err = s.update(ctx, actor, "make policy rule "+r.Name, func(tx *ledger.Tx) error {
		r := r
		if r.Type, err = typeOf(tx, r.Policy); err != nil {
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

// ChangePeoplePolicy applies change to a policy. Of the tenant's own, only what it is
// described as and its settings can be changed: it is for everybody, in force and the last.
func (s *Service) ChangePeoplePolicy(ctx context.Context, actor ledger.Actor, id string, change func(*PeoplePolicy) error) (o ledger.Object[PeoplePolicy], err error) {
	defer fault.Wrap(&err, "change policy %q", id)
	err = s.update(ctx, actor, "change policy "+id, func(tx *ledger.Tx) error {
		if o, err = PeoplePolicies.Get(tx, id); err != nil {
			return err
		}
		was := o.Value
		if err := change(&o.Value); err != nil {
			return err
		}
		o.Value.System, o.Value.Type = was.System, was.Type
		o.Value = o.Value.fill()
		if was.System {
			if o.Value.Name != was.Name || o.Value.Status != was.Status {
				return errSystemPolicy("policy", was.Name)
			}
			o.Value.Priority, o.Value.Conditions = was.Priority, was.Conditions
			o, err = PeoplePolicies.Put(tx, o)
			return err
		}
		o, err = putAt(tx, PeoplePolicies, o, was.group(), was.Priority, peoplePolicyPriority)
		return err
	})
	if err == nil {
		s.record(ctx, actor, policyUpdated, "Update policy", peoplePolicyEntity(o))
	}
	return o, err
}

// ChangeSessionRule applies change to a rule. Of the tenant's own, only its actions can
// be changed: it is for everybody, in force and the last.
func (s *Service) ChangeSessionRule(ctx context.Context, actor ledger.Actor, policy, id string, change func(*SessionRule) error) (o ledger.Object[SessionRule], err error) {
	defer fault.Wrap(&err, "change policy rule %q", id)
	err = s.update(ctx, actor, "change policy rule "+id, func(tx *ledger.Tx) error {
		if o, err = sessionRuleOf(tx, policy, id); err != nil {
			return err
		}
		was := o.Value
		if err := change(&o.Value); err != nil {
			return err
		}
		o.Value.Policy, o.Value.System, o.Value.Type = was.Policy, was.System, was.Type
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

// DeletePeoplePolicy removes a policy with its rules.
func (s *Service) DeletePeoplePolicy(ctx context.Context, actor ledger.Actor, id string) (err error) {
	defer fault.Wrap(&err, "delete policy %q", id)
	var o ledger.Object[PeoplePolicy]
	err = s.update(ctx, actor, "delete policy "+id, func(tx *ledger.Tx) error {
		if o, err = PeoplePolicies.Get(tx, id); err != nil {
			return err
		}
		if o.Value.System {
			return errSystemPolicy("policy", o.Value.Name)
		}
		return PeoplePolicies.Delete(tx, id, 0)
	})
	if err == nil {
		s.record(ctx, actor, policyDeleted, "Delete policy", peoplePolicyEntity(o))
	}
	return err
}

// DeleteSessionRule removes a rule.
func (s *Service) DeleteSessionRule(ctx context.Context, actor ledger.Actor, policy, id string) (err error) {
	defer fault.Wrap(&err, "delete policy rule %q", id)
	var o ledger.Object[SessionRule]
	err = s.update(ctx, actor, "delete policy rule "+id, func(tx *ledger.Tx) error {
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

func peoplePolicyPriority(p *PeoplePolicy) *int { return &p.Priority }
func sessionRulePriority(r *SessionRule) *int   { return &r.Priority }

func peoplePolicyEntity(o ledger.Object[PeoplePolicy]) audit.Entity {
	return audit.Entity{ID: o.ID, Type: "PolicyEntity", DisplayName: o.Value.Name}
}

func sessionRuleEntity(o ledger.Object[SessionRule]) audit.Entity {
	return audit.Entity{ID: o.ID, Type: "PolicyRule", DisplayName: o.Value.Name}
}
