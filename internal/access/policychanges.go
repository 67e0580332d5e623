package access

import (
	"context"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// The event types of changes, named as in Okta's System Log.
const (
	policyUpdated = "policy.lifecycle.update"
	policyDeleted = "policy.lifecycle.delete"
	ruleUpdated   = "policy.rule.update"
	ruleDeleted   = "policy.rule.delete"
)

// ListPolicies returns the policies of a server in the order of their priority.
func (s *Service) ListPolicies(ctx context.Context, server string) ([]ledger.Object[Policy], error) {
	return members(ctx, s, Policies, "priority", server)
}

// FindPolicy returns a policy of a server by id, or fault.NotFound.
func (s *Service) FindPolicy(ctx context.Context, server, id string) (o ledger.Object[Policy], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = member(tx, Policies, server, id, policyServer)
		return err
	})
	return o, err
}

// ChangePolicy applies change to a policy of a server. A priority that is taken
// moves the others down, in the same transaction.
func (s *Service) ChangePolicy(ctx context.Context, actor ledger.Actor, server, id string, change func(*Policy) error) (o ledger.Object[Policy], err error) {
	defer fault.Wrap(&err, "change access policy %q", id)
	err = s.update(ctx, actor, "change access policy "+id, func(tx *ledger.Tx) error {
		if o, err = member(tx, Policies, server, id, policyServer); err != nil {
			return err
		}
		was := o.Value
		if err := change(&o.Value); err != nil {
			return err
		}
		if err := resolveClients(tx, &o.Value); err != nil {
			return err
		}
		o.Value.Server, o.Value.System = was.Server, was.System
		o.Value = o.Value.fill()
		o, err = putAt(tx, Policies, o, was.Server, was.Priority, func(p *Policy) *int { return &p.Priority })
		return err
	})
	if err != nil {
		return o, err
	}
	s.record(ctx, actor, policyUpdated, "Update policy", policyEntity(o))
	return o, nil
}

// DeletePolicy removes a policy with its rules.
func (s *Service) DeletePolicy(ctx context.Context, actor ledger.Actor, server, id string) (err error) {
	defer fault.Wrap(&err, "delete access policy %q", id)
	var o ledger.Object[Policy]
	err = s.update(ctx, actor, "delete access policy "+id, func(tx *ledger.Tx) error {
		if o, err = member(tx, Policies, server, id, policyServer); err != nil {
			return err
		}
		if o.Value.System {
			return fault.New(fault.Denied, "the policy %s belongs to the server and cannot be deleted", o.Value.Name).WithReason(ReasonSystem)
		}
		return Policies.Delete(tx, o.ID, 0)
	})
	if err != nil {
		return err
	}
	s.record(ctx, actor, policyDeleted, "Delete policy", policyEntity(o))
	return nil
}

func policyEntity(o ledger.Object[Policy]) audit.Entity {
	return audit.Entity{ID: o.ID, Type: "PolicyEntity", DisplayName: o.Value.Name}
}

// ruleOf returns a rule of a policy of a server, or fault.NotFound.
func ruleOf(tx *ledger.Tx, server, policy, id string) (o ledger.Object[Rule], err error) {
	p, err := member(tx, Policies, server, policy, policyServer)
	if err != nil {
		return o, err
	}
	o, err = Rules.Get(tx, id)
	if err == nil && o.Value.Policy != p.ID {
		return ledger.Object[Rule]{}, fault.New(fault.NotFound, "the policy has no rule %s", quoted(id))
	}
	return o, err
}

// ListRules returns the rules of a policy of a server in the order of their
// priority.
func (s *Service) ListRules(ctx context.Context, server, policy string) (out []ledger.Object[Rule], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		out = nil
		p, err := member(tx, Policies, server, policy, policyServer)
		if err != nil {
			return err
		}
		for o, err := range Rules.All(tx, ledger.Query{By: "priority", Equal: []string{p.ID}}) {
			if err != nil {
				return err
			}
			out = append(out, o)
		}
		return nil
	})
	return out, err
}

// FindRule returns a rule of a policy of a server by id, or fault.NotFound.
func (s *Service) FindRule(ctx context.Context, server, policy, id string) (o ledger.Object[Rule], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = ruleOf(tx, server, policy, id)
		return err
	})
	return o, err
}

// ChangeRule applies change to a rule. A priority that is taken moves the others
// down, in the same transaction.
func (s *Service) ChangeRule(ctx context.Context, actor ledger.Actor, server, policy, id string, change func(*Rule) error) (o ledger.Object[Rule], err error) {
	defer fault.Wrap(&err, "change access rule %q", id)
	err = s.update(ctx, actor, "change access rule "+id, func(tx *ledger.Tx) error {
		if o, err = ruleOf(tx, server, policy, id); err != nil {
			return err
		}
		was := o.Value
		if err := change(&o.Value); err != nil {
			return err
		}
		if err := hookOfTokens(tx, &o.Value); err != nil {
			return err
		}
		o.Value.Server, o.Value.Policy, o.Value.System = was.Server, was.Policy, was.System
		o.Value = o.Value.fill()
		o, err = putAt(tx, Rules, o, was.Policy, was.Priority, func(r *Rule) *int { return &r.Priority })
		return err
	})
	if err != nil {
		return o, err
	}
	s.record(ctx, actor, ruleUpdated, "Update policy rule", ruleEntity(o))
	return o, nil
}

// DeleteRule removes a rule.
func (s *Service) DeleteRule(ctx context.Context, actor ledger.Actor, server, policy, id string) (err error) {
	defer fault.Wrap(&err, "delete access rule %q", id)
	var o ledger.Object[Rule]
	err = s.update(ctx, actor, "delete access rule "+id, func(tx *ledger.Tx) error {
		if o, err = ruleOf(tx, server, policy, id); err != nil {
			return err
		}
		if o.Value.System {
			return fault.New(fault.Denied, "the rule %s belongs to the server and cannot be deleted", o.Value.Name).WithReason(ReasonSystem)
		}
		return Rules.Delete(tx, o.ID, 0)
	})
	if err != nil {
		return err
	}
	s.record(ctx, actor, ruleDeleted, "Delete policy rule", ruleEntity(o))
	return nil
}

func ruleEntity(o ledger.Object[Rule]) audit.Entity {
	return audit.Entity{ID: o.ID, Type: "PolicyRule", DisplayName: o.Value.Name}
}

// putAt writes an object that stood at the priority was. When it wants another
// one it first steps aside, so that makeRoom finds its old place free and no two
// ever stand at one place.
func putAt[T any](tx *ledger.Tx, kind *ledger.Kind[T], o ledger.Object[T], parent string, was int, priority func(*T) *int) (ledger.Object[T], error) {
	wanted := *priority(&o.Value)
	if wanted == 0 || wanted == was {
		*priority(&o.Value) = was
		return kind.Put(tx, o)
	}
	aside, err := freePlace(tx, kind, parent, was, wanted, priority)
	if err != nil {
		return o, err
	}
	*priority(&o.Value) = aside
	if o, err = kind.Put(tx, o); err != nil {
		return o, err
	}
	if wanted, err = makeRoom(tx, kind, parent, wanted, priority); err != nil {
		return o, err
	}
	*priority(&o.Value) = wanted
	return kind.Put(tx, o)
}

// freePlace returns the last priority that nothing stands at and that nothing is
// moved to when room is made at the wanted one.
func freePlace[T any](tx *ledger.Tx, kind *ledger.Kind[T], parent string, was, wanted int, priority func(*T) *int) (int, error) {
	taken := map[int]bool{}
	for o, err := range kind.All(tx, ledger.Query{By: "priority", Equal: []string{parent}}) {
		if err != nil {
			return 0, err
		}
		taken[*priority(&o.Value)] = true
	}
	end := wanted // where the last of those that make room comes to stand
	for end != was && taken[end] {
		end++
	}
	for place := MaxPriority; place >= 1; place-- {
		if !taken[place] && place != end {
			return place, nil
		}
	}
	return 0, fault.New(fault.Invalid, "all %d priorities are taken: delete something first", MaxPriority)
}
