package access

import (
	"context"
	"slices"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// CreatePolicy adds a policy to a server. Priority 0 means last; a priority that
// is taken moves the policies from there on one down, in the same transaction.
func (s *Service) CreatePolicy(ctx context.Context, actor ledger.Actor, p Policy) (id string, err error) {
	defer fault.Wrap(&err, "make access policy %q", p.Name)
	p.System = false
	err = s.update(ctx, actor, "make access policy "+p.Name, func(tx *ledger.Tx) error {
		p := p
		if err := resolveClients(tx, &p); err != nil {
			return err
		}
		var err error
		p.Priority, err = makeRoom(tx, Policies, p.Server, p.Priority, func(p *Policy) *int { return &p.Priority })
		if err != nil {
			return err
		}
		o, err := Policies.Create(tx, p.fill())
		id = o.ID
		return err
	})
	return id, err
}

// CreateRule adds a rule to a policy. The server of the rule is that of the
// policy; priorities work as for policies.
func (s *Service) CreateRule(ctx context.Context, actor ledger.Actor, r Rule) (id string, err error) {
	defer fault.Wrap(&err, "make access rule %q", r.Name)
	r.System = false
	err = s.update(ctx, actor, "make access rule "+r.Name, func(tx *ledger.Tx) error {
		r := r
		policy, err := Policies.Get(tx, r.Policy)
		if err != nil {
			return err
		}
		r.Server = policy.Value.Server
		if err := hookOfTokens(tx, &r); err != nil {
			return err
		}
		r.Priority, err = makeRoom(tx, Rules, r.Policy, r.Priority, func(r *Rule) *int { return &r.Priority })
		if err != nil {
			return err
		}
		o, err := Rules.Create(tx, r.fill())
		id = o.ID
		return err
	})
	return id, err
}

// SetPolicyStatus puts a policy in or out of force.
func (s *Service) SetPolicyStatus(ctx context.Context, actor ledger.Actor, id string, status Status) (err error) {
	defer fault.Wrap(&err, "change access policy %q", id)
	return s.update(ctx, actor, "access policy "+id+" is "+string(status), func(tx *ledger.Tx) error {
		o, err := Policies.Get(tx, id)
		if err != nil {
			return err
		}
		o.Value.Status = status
		_, err = Policies.Put(tx, o)
		return err
	})
}

// SetRuleStatus puts a rule in or out of force.
func (s *Service) SetRuleStatus(ctx context.Context, actor ledger.Actor, id string, status Status) (err error) {
	defer fault.Wrap(&err, "change access rule %q", id)
	return s.update(ctx, actor, "access rule "+id+" is "+string(status), func(tx *ledger.Tx) error {
		o, err := Rules.Get(tx, id)
		if err != nil {
			return err
		}
		o.Value.Status = status
		_, err = Rules.Put(tx, o)
		return err
	})
}

// makeRoom returns the priority that a new object of the parent gets, after it
// has moved down those that stand at it and directly behind.
func makeRoom[T any](tx *ledger.Tx, kind *ledger.Kind[T], parent string, wanted int, priority func(*T) *int) (int, error) {
	var list []ledger.Object[T] // in the order of priority
	for o, err := range kind.All(tx, ledger.Query{By: "priority", Equal: []string{parent}}) {
		if err != nil {
			return 0, err
		}
		list = append(list, o)
	}
	last := 0
	if len(list) > 0 {
		last = *priority(&list[len(list)-1].Value)
	}
	if wanted == 0 || wanted > last {
		if last >= MaxPriority && wanted == 0 {
			return 0, fault.New(fault.Invalid, "there is no priority behind %d: lower the others first", MaxPriority)
		}
		if wanted == 0 {
			wanted = last + 1
		}
		return wanted, nil
	}
	// Those that have to move are the run without a gap that begins at the wanted
	// place; the last moves first, so that no two ever stand at one place.
	next, run := wanted, 0
	first := -1
	for i := range list {
		p := *priority(&list[i].Value)
		if p < wanted {
			continue
		}
		if p != next {
			break
		}
		if first < 0 {
			first = i
		}
		run++
		next++
	}
	for i := first + run - 1; run > 0 && i >= first; i-- {
		*priority(&list[i].Value)++
		if _, err := kind.Put(tx, list[i]); err != nil {
			return 0, err
		}
	}
	return wanted, nil
}

// resolveClients turns the client ids that a policy names into the ids of their
// apps, by which it refers to them. What is no client id is left to the check of
// references.
func resolveClients(tx *ledger.Tx, p *Policy) error {
	out := slices.Clone(p.Conditions.Clients.Include)
	for i, id := range out {
		if id == AllClients {
			continue
		}
		o, err := Apps.Find(tx, ledger.By("client_id", id))
		switch {
		case err == nil:
			out[i] = o.ID
		case !fault.Is(err, fault.NotFound):
			return err
		}
	}
	p.Conditions.Clients.Include = out
	return nil
}
