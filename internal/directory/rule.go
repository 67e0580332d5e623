package directory

import (
	"context"
	"slices"
	"strings"

	"gatehouse/internal/expression"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// RuleStatus says whether a group rule fills its groups.
type RuleStatus string

// The statuses of a group rule. One whose groups are gone is invalid.
const (
	RuleActive   RuleStatus = "ACTIVE"
	RuleInactive RuleStatus = "INACTIVE"
	RuleInvalid  RuleStatus = "INVALID"
)

// GroupRule puts the users for whom an expression holds into groups.
type GroupRule struct {
	Name          string     `json:"name"` // unique
	Status        RuleStatus `json:"status"`
	Expression    string     `json:"expression"`
	Groups        []string   `json:"groups"` // ids
	ExcludeUsers  []string   `json:"excludeUsers,omitempty"`
	ExcludeGroups []string   `json:"excludeGroups,omitempty"`
}

// ReasonRuleActive is the reason of a fault about changing a rule that is in force.
const ReasonRuleActive = "rule_active"

const maxRuleGroups = 100

// GroupRules are unique by name.
var GroupRules = ledger.NewKind(ledger.Spec[GroupRule]{
	Name: "group_rule", IDPrefix: "0pr", SharesPrefix: true,
	Keys:  func(r GroupRule) []ledger.Key { return []ledger.Key{ledger.By("name", r.Name)} },
	Index: func(r GroupRule) []ledger.Key { return []ledger.Key{ledger.By("status", string(r.Status))} },
	Check: func(r GroupRule) error {
		var fields []fault.Field
		wrong := func(bad bool, path, message string) {
			if bad {
				fields = append(fields, fault.Field{Path: path, Message: message})
			}
		}
		wrong(strings.TrimSpace(r.Name) == "" || len(r.Name) > 50 || strings.ContainsFunc(r.Name, control), "name", "must be 1 to 50 bytes without control characters")
		wrong(!slices.Contains([]RuleStatus{RuleActive, RuleInactive, RuleInvalid}, r.Status), "status", "is not a status of a rule")
		wrong(len(r.Groups) == 0 || len(r.Groups) > maxRuleGroups, "actions.assignUserToGroups.groupIds", "must name 1 to 100 groups")
		wrong(len(r.ExcludeUsers) > 100 || len(r.ExcludeGroups) > 100, "conditions.people", "excludes more than 100")
		if _, err := expression.Compile(r.Expression); err != nil {
			wrong(true, "conditions.expression.value", fault.Of(err).Message)
		}
		if len(fields) > 0 {
			return fault.New(fault.Invalid, "the group rule is not valid").WithFields(fields...)
		}
		return nil
	},
})

// ListRules returns a page of group rules whose names begin with prefix.
func (s *Service) ListRules(ctx context.Context, prefix, after string, limit int) (p ledger.Page[GroupRule], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = GroupRules.Select(tx, ledger.Query{After: after, Limit: limit}, func(o ledger.Object[GroupRule]) bool {
			return strings.HasPrefix(strings.ToLower(o.Value.Name), strings.ToLower(prefix))
		})
		return err
	})
	return p, err
}

// Rule returns a group rule by id, or fault.NotFound.
func (s *Service) Rule(ctx context.Context, id string) (o ledger.Object[GroupRule], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = GroupRules.Get(tx, id)
		return err
	})
	return o, err
}

// CreateRule adds a group rule, which is inactive until it is activated.
func (s *Service) CreateRule(ctx context.Context, actor ledger.Actor, r GroupRule) (o ledger.Object[GroupRule], err error) {
	defer fault.Wrap(&err, "make group rule %q", r.Name)
	_, err = s.cfg.Ledger.Update(ctx, actor, "make group rule "+r.Name, func(tx *ledger.Tx) error {
		r := r
		r.Status = RuleInactive
		if err := ruleTargets(tx, r.Groups); err != nil {
			return err
		}
		o, err = GroupRules.Create(tx, r)
		return err
	})
	return o, err
}

// roleKind is the kind of the assignments of administrator roles, which refer to
// groups.
const roleKind = "role_assignment"

// MayHaveRoles refuses administrator roles to a group that everybody is in or that
// a rule fills: whoever can write an attribute of a user would make them an
// administrator.
func MayHaveRoles(tx *ledger.Tx, group string) error {
	g, err := Groups.Get(tx, group)
	if err != nil {
		return err
	}
	if g.Value.BuiltIn {
		return fault.New(fault.Denied, "everybody is in the group %s: it cannot have administrator roles", g.Value.Name).WithReason(ReasonBuiltIn)
	}
	for o, err := range GroupRules.All(tx, ledger.Query{}) {
		if err != nil {
			return err
		}
		if slices.Contains(o.Value.Groups, group) {
			return fault.New(fault.Denied, "the group rule %s fills the group: it cannot have administrator roles", o.Value.Name).WithReason(ReasonBuiltIn)
		}
	}
	return nil
}

// ruleTargets refuses groups that are not there, that everybody is in, or that
// have administrator roles.
func ruleTargets(tx *ledger.Tx, ids []string) error {
	for _, id := range ids {
		g, err := Groups.Get(tx, id)
		switch {
		case fault.Is(err, fault.NotFound):
			return fault.New(fault.Invalid, "the group rule is not valid").
				WithFields(fault.Field{Path: "actions.assignUserToGroups.groupIds", Message: "there is no group " + id})
		case err != nil:
			return err
		case g.Value.BuiltIn:
			return errEveryone()
		}
		admins, err := tx.ReferredBy(Groups.Name(), id, roleKind)
		if err != nil {
			return err
		}
		if admins {
			return fault.New(fault.Invalid, "the group rule is not valid").
				WithFields(fault.Field{Path: "actions.assignUserToGroups.groupIds", Message: "a group with administrator roles cannot be filled by a rule: " + id})
		}
	}
	return nil
}

// ChangeRule applies change to a rule, which must not be in force.
func (s *Service) ChangeRule(ctx context.Context, actor ledger.Actor, id string, change func(*GroupRule) error) (o ledger.Object[GroupRule], err error) {
	defer fault.Wrap(&err, "change group rule %q", id)
	_, err = s.cfg.Ledger.Update(ctx, actor, "change group rule "+id, func(tx *ledger.Tx) error {
		if o, err = GroupRules.Get(tx, id); err != nil {
			return err
		}
		if o.Value.Status == RuleActive {
			return fault.New(fault.Denied, "the group rule is active: deactivate it first").WithReason(ReasonRuleActive)
		}
		if err := change(&o.Value); err != nil {
			return err
		}
		o.Value.Status = RuleInactive
		if err := ruleTargets(tx, o.Value.Groups); err != nil {
			return err
		}
		o, err = GroupRules.Put(tx, o)
		return err
	})
	return o, err
}

// ActivateRule puts a rule in force: in the same transaction every user is put
// where the rule says.
func (s *Service) ActivateRule(ctx context.Context, actor ledger.Actor, id string) (err error) {
	defer fault.Wrap(&err, "activate group rule %q", id)
	_, err = s.cfg.Ledger.Update(ctx, actor, "activate group rule "+id, func(tx *ledger.Tx) error {
		o, err := GroupRules.Get(tx, id)
		if err != nil {
			return err
		}
		if err := ruleTargets(tx, o.Value.Groups); err != nil {
			return err
		}
		o.Value.Status = RuleActive
		if _, err := GroupRules.Put(tx, o); err != nil {
			return err
		}
		for u, err := range Users.All(tx, ledger.Query{Limit: 1000}) {
			if err != nil {
				return err
			}
			if err := applyRules(tx, u); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// DeactivateRule ends a rule; whom it has put into groups stays there.
func (s *Service) DeactivateRule(ctx context.Context, actor ledger.Actor, id string) (err error) {
	defer fault.Wrap(&err, "deactivate group rule %q", id)
	_, err = s.cfg.Ledger.Update(ctx, actor, "deactivate group rule "+id, func(tx *ledger.Tx) error {
		o, err := GroupRules.Get(tx, id)
		if err != nil {
			return err
		}
		o.Value.Status = RuleInactive
		_, err = GroupRules.Put(tx, o)
		return err
	})
	return err
}

// DeleteRule removes a rule that is not in force, and on request the memberships
// that exist because of it alone; the others become direct ones.
func (s *Service) DeleteRule(ctx context.Context, actor ledger.Actor, id string, removeUsers bool) (err error) {
	defer fault.Wrap(&err, "delete group rule %q", id)
	_, err = s.cfg.Ledger.Update(ctx, actor, "delete group rule "+id, func(tx *ledger.Tx) error {
		o, err := GroupRules.Get(tx, id)
		if err != nil {
			return err
		}
		if o.Value.Status == RuleActive {
			return fault.New(fault.Denied, "the group rule is active: deactivate it first").WithReason(ReasonRuleActive)
		}
		var made []ledger.Object[Membership]
		for m, err := range Memberships.All(tx, ledger.Query{By: "rule", Equal: []string{id}}) {
			if err != nil {
				return err
			}
			made = append(made, m)
		}
		for _, m := range made {
			m.Value.Direct = m.Value.Direct || !removeUsers
			if err := forget(tx, m, id); err != nil {
				return err
			}
		}
		return GroupRules.Delete(tx, id, 0)
	})
	return err
}

// forget takes a rule out of the reasons of a membership, which ends without any.
func forget(tx *ledger.Tx, m ledger.Object[Membership], rule string) error {
	m.Value.Rules = slices.DeleteFunc(slices.Clone(m.Value.Rules), func(id string) bool { return id == rule })
	if len(m.Value.Rules) > 0 || m.Value.Direct {
		_, err := Memberships.Put(tx, m)
		return err
	}
	if err := Memberships.Delete(tx, m.ID, 0); err != nil {
		return err
	}
	return membersChanged(tx, m.Value.Group)
}

// invalidateRules ends the rules that fill a group which goes.
func invalidateRules(tx *ledger.Tx, group string) error {
	for o, err := range GroupRules.All(tx, ledger.Query{}) {
		if err != nil {
			return err
		}
		if !slices.Contains(o.Value.Groups, group) {
			continue
		}
		o.Value.Status = RuleInvalid
		if _, err := GroupRules.Put(tx, o); err != nil {
			return err
		}
	}
	return nil
}

// rounds bounds how often rules that depend on the groups of others are tried.
const rounds = 3

// applyRules puts a user where the active rules say, and takes them out where
// none does any more. A rule that fails on the user does not match.
func applyRules(tx *ledger.Tx, u ledger.Object[User]) error {
	var active []ledger.Object[GroupRule]
	for o, err := range GroupRules.All(tx, ledger.Query{By: "status", Equal: []string{string(RuleActive)}}) {
		if err != nil {
			return err
		}
		active = append(active, o)
	}
	for range rounds {
		changed := false
		for _, r := range active {
			c, err := applyRule(tx, u, r)
			if err != nil {
				return err
			}
			changed = changed || c
		}
		if !changed {
			return nil
		}
	}
	return nil
}

// applyRule reports whether a membership of the user changed by one rule.
func applyRule(tx *ledger.Tx, u ledger.Object[User], r ledger.Object[GroupRule]) (changed bool, err error) {
	matches, err := ruleMatches(tx, u, r.Value)
	if err != nil {
		return false, err
	}
	for _, g := range r.Value.Groups {
		if _, err := Groups.Get(tx, g); fault.Is(err, fault.NotFound) {
			continue // deleted since: the rule goes on for its other groups
		}
		m, err := Memberships.Find(tx, ledger.By("pair", g, u.ID))
		there := err == nil
		if err != nil && !fault.Is(err, fault.NotFound) {
			return false, err
		}
		by := there && slices.Contains(m.Value.Rules, r.ID)
		switch {
		case matches && !there:
			if _, err := Memberships.Create(tx, Membership{Group: g, User: u.ID, Rules: []string{r.ID}}); err != nil {
				return false, err
			}
			if err := membersChanged(tx, g); err != nil {
				return false, err
			}
			changed = true
		case matches && !by:
			m.Value.Direct = m.Value.Direct || len(m.Value.Rules) == 0
			m.Value.Rules = append(m.Value.Rules, r.ID)
			if _, err := Memberships.Put(tx, m); err != nil {
				return false, err
			}
		case !matches && by:
			if err := forget(tx, m, r.ID); err != nil {
				return false, err
			}
			changed = true
		}
	}
	return changed, nil
}

func ruleMatches(tx *ledger.Tx, u ledger.Object[User], r GroupRule) (bool, error) {
	if u.Value.Status == Deprovisioned || slices.Contains(r.ExcludeUsers, u.ID) {
		return false, nil
	}
	env := &ruleUser{tx: tx, user: u}
	if len(r.ExcludeGroups) > 0 {
		groups, err := env.Groups()
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(groups, func(g expression.Group) bool { return slices.Contains(r.ExcludeGroups, g.ID) }) {
			return false, nil
		}
	}
	e, err := expression.Compile(r.Expression)
	if err != nil {
		return false, err
	}
	ok, err := e.Bool(env)
	if fault.Is(err, fault.Invalid) {
		return false, nil
	}
	return ok, err
}

// ruleUser is what the expression of a rule sees. It implements
// expression.Environment.
type ruleUser struct {
	tx   *ledger.Tx
	user ledger.Object[User]
}

// Attribute implements expression.Environment: what a profile does not have is
// null.
func (r *ruleUser) Attribute(path string) (any, bool) {
	name, ok := strings.CutPrefix(path, "user.")
	if !ok {
		return nil, false
	}
	switch name {
	case "$id":
		return r.user.ID, true
	case "$status":
		return string(r.user.Value.Status), true
	}
	v, _ := r.user.Value.Profile.Attribute(strings.TrimPrefix(name, "profile."))
	if v == "" {
		v = nil
	}
	return v, true
}

// Groups implements expression.Environment.
func (r *ruleUser) Groups() ([]expression.Group, error) {
	all, err := GroupsIn(r.tx, r.user.ID)
	out := make([]expression.Group, len(all))
	for i, g := range all {
		out[i] = expression.Group(AsMember(g))
	}
	return out, err
}
