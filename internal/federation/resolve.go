package federation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

func refused(reason, text string) error { return &Refused{Reason: reason, Text: text} }

func errUnverified() error {
	return refused("UNVERIFIED_ADDRESS", "Your address has not been verified there. Verify it and try again.")
}

// resolve returns the user whom somebody at a provider is here.
//
// Who is linked is that user, by the provider's own name for them and by nothing else. An
// account that is here already is linked on the provider's word only where the operator has
// made the provider the authority for the address, and never one of an administrator;
// else the person signs in to it first. E-mail that the provider merely says to be
// verified proves an address for a new account, and no account (attack identity 68).
func (s *Service) resolve(ctx context.Context, o ledger.Object[Provider], who someone) (user ledger.Object[directory.User], pending *Pending, err error) {
	if who.withheld() {
		return user, nil, refused("TOO_MANY_GROUPS", "Your account there cannot be used here.")
	}
	link, err := s.linked(ctx, o.ID, who.subject)
	if err == nil {
		user, err = s.welcome(ctx, o, who, link.Value.User)
		return user, nil, err
	}
	if !fault.Is(err, fault.NotFound) {
		return user, nil, err
	}
	name, err := who.username()
	if err != nil {
		return user, nil, err
	}
	if name == "" || !who.passes(name) {
		return user, nil, refused("NOT_ELIGIBLE", "Your account there cannot be used here.")
	}
	user, by, err := s.match(ctx, o.Value, who, name)
	if fault.Is(err, fault.NotFound) {
		user, err = s.create(ctx, o, who, name)
		return user, nil, err
	}
	if err != nil {
		return user, nil, err
	}
	l := Link{Provider: o.ID, Subject: who.subject, User: user.ID, Name: name}
	direct, err := s.mayLink(ctx, o.Value, who, user, by)
	if err != nil {
		return user, nil, err
	}
	if !direct {
		return user, &Pending{Provider: Choice{ID: o.ID, Name: o.Value.Name}, Link: l}, nil
	}
	if _, err := s.AddLink(ctx, actor(o), l); err != nil {
		return user, nil, err
	}
	user, err = s.welcome(ctx, o, who, user.ID)
	return user, nil, err
}

// actor is the provider as the one who changes something.
func actor(o ledger.Object[Provider]) ledger.Actor {
	return ledger.Actor{Type: "system", ID: o.ID, Name: o.Value.Name}
}

func (s *Service) linked(ctx context.Context, provider, subject string) (l ledger.Object[Link], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		l, err = Links.Find(tx, ledger.By("subject", provider, subject))
		return err
	})
	return l, err
}

// match returns the user who is here already, and the address or name by which they are
// found; fault.NotFound when there is none.
func (s *Service) match(ctx context.Context, p Provider, who someone, name string) (user ledger.Object[directory.User], by string, err error) {
	err = fault.New(fault.NotFound, "there is no such user")
	if p.Match != MatchEmail {
		if user, err = s.cfg.People.FindUser(ctx, name); !fault.Is(err, fault.NotFound) {
			return user, name, err
		}
	}
	email := who.text("email")
	if p.Match == MatchUsername || domainOf(email) == "" {
		return user, "", err
	}
	page, err := s.cfg.People.ListUsers(ctx, directory.UserList{
		Where: []directory.Condition{{Attribute: "email", Text: email}}, Limit: 2,
		Match: func(u ledger.Object[directory.User]) bool { return strings.EqualFold(u.Value.Profile.Email, email) },
	})
	switch {
	case err != nil:
		return user, "", err
	case len(page.Items) == 0:
		return user, "", fault.New(fault.NotFound, "there is no such user")
	case len(page.Items) > 1:
		return user, "", refused("AMBIGUOUS", "More than one account has your address. Ask an administrator to link yours.")
	}
	return page.Items[0], email, nil
}

// mayLink reports whether an account may be linked without its owner's consent; the error
// is a Refused when it may not be linked at all.
func (s *Service) mayLink(ctx context.Context, p Provider, who someone, user ledger.Object[directory.User], by string) (direct bool, err error) {
	const text = "Your account here cannot be connected with that one. Ask an administrator."
	if !who.proved(by) {
		// As if there were no account: who merely claims an address learns nothing of it.
		return false, errUnverified()
	}
	if p.Link != Auto {
		return false, refused("LINKING_DISABLED", text)
	}
	if !user.Value.MayAct() {
		return false, refused(string(user.Value.Status), text)
	}
	if len(p.LinkGroups) > 0 {
		groups, err := s.cfg.People.UserGroups(ctx, user.ID)
		if err != nil {
			return false, err
		}
		if !slices.ContainsFunc(groups, func(g ledger.Object[directory.Group]) bool { return slices.Contains(p.LinkGroups, g.ID) }) {
			return false, refused("NOT_IN_GROUP", text)
		}
	}
	privileged, err := s.cfg.Privileged(ctx, user.ID)
	if err != nil {
		return false, err
	}
	if who.authority(by) && !privileged {
		return true, nil
	}
	if user.Value.Password == "" {
		return false, refused("CANNOT_CONFIRM", text)
	}
	return false, nil
}

// create makes a user of somebody whom nobody here knows.
func (s *Service) create(ctx context.Context, o ledger.Object[Provider], who someone, name string) (user ledger.Object[directory.User], err error) {
	if o.Value.Create != Auto {
		return user, refused("NO_ACCOUNT", "There is no account for you here.")
	}
	email := who.text("email")
	if email == "" && domainOf(name) != "" {
		email = name
	}
	// Else somebody could wait in an account with another person's address.
	if !who.proved(email) || domainOf(name) != "" && !who.proved(name) {
		return user, errUnverified()
	}
	if err := s.elsewhere(ctx, o.ID, email, name); err != nil {
		return user, err
	}
	n := directory.NewUser{Status: directory.Active, Profile: directory.Profile{Login: name, Email: email}}
	if err := who.onto(&n.Profile); err != nil {
		return user, err
	}
	if user, err = s.cfg.People.CreateUser(ctx, actor(o), n); err != nil {
		return user, err
	}
	if _, err := s.AddLink(ctx, actor(o), Link{Provider: o.ID, Subject: who.subject, User: user.ID, Name: name}); err != nil {
		return user, err
	}
	return s.welcome(ctx, o, who, user.ID)
}

// onto lays what the provider says over a profile.
func (p someone) onto(to *directory.Profile) error {
	for claim, field := range map[string]*string{"given_name": &to.FirstName, "family_name": &to.LastName} {
		if v := p.text(claim); v != "" {
			*field = v[:min(len(v), 50)]
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.provider.Mapping)) {
		v, err := p.evaluate(p.provider.Mapping[name])
		if err != nil {
			return err
		}
		switch text, isText := v.(string); {
		case v == nil:
		case name == "firstName" && isText:
			to.FirstName = text
		case name == "lastName" && isText:
			to.LastName = text
		default:
			if to.Attributes == nil {
				to.Attributes = map[string]any{}
			}
			to.Attributes[name] = v
		}
	}
	return nil
}

// welcome brings a linked user up to date and returns them; a Refused for one who may not
// act.
func (s *Service) welcome(ctx context.Context, o ledger.Object[Provider], who someone, id string) (user ledger.Object[directory.User], err error) {
	if user, err = s.cfg.People.User(ctx, id); err != nil {
		return user, err
	}
	if !user.Value.MayAct() {
		return user, refused(string(user.Value.Status), "Your account here is not active. Ask an administrator.")
	}
	if o.Value.Master {
		next := clone(user.Value.Profile)
		if err := who.onto(&next); err != nil {
			return user, err
		}
		if !same(next, user.Value.Profile) {
			if user, err = s.cfg.People.ChangeUser(ctx, actor(o), id, directory.UserChange{Profile: func(p *directory.Profile) error { return who.onto(p) }}); err != nil {
				return user, err
			}
		}
	}
	return user, s.groups(ctx, o, who, id)
}

func clone(p directory.Profile) directory.Profile {
	p.Attributes = maps.Clone(p.Attributes)
	return p
}

func same(a, b directory.Profile) bool { return fmt.Sprintf("%#v", a) == fmt.Sprintf("%#v", b) }

// groups puts a user into the groups that the provider's policy says, of those that it
// names and of no others.
func (s *Service) groups(ctx context.Context, o ledger.Object[Provider], who someone, id string) error {
	p := o.Value
	if p.GroupAction == GroupsNone {
		return nil
	}
	named := who.named()
	for _, g := range p.GroupIDs {
		group, err := s.cfg.People.Group(ctx, g)
		if err != nil {
			return err
		}
		switch in := named[group.Value.Name]; {
		case p.GroupAction == GroupsAssign || in:
			err = s.cfg.People.AddMember(ctx, actor(o), g, id)
		case p.GroupAction == GroupsSync:
			err = s.cfg.People.RemoveMember(ctx, actor(o), g, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// named returns the names of groups in the provider's claim; Keycloak's are paths, of which
// that of a group that is in no other one is its name.
func (p someone) named() map[string]bool {
	out := map[string]bool{}
	v, _ := p.claims.Claim(p.provider.GroupClaim)
	add := func(name string) { out[name], out[strings.TrimPrefix(name, "/")] = true, true }
	switch v := v.(type) {
	case string:
		add(v)
	case []string:
		for _, g := range v {
			add(g)
		}
	case []any:
		for _, g := range v {
			if s, ok := g.(string); ok {
				add(s)
			}
		}
	}
	return out
}

// Confirmed reports whether a link that has waited was made.
func (s *Service) Confirmed(ctx context.Context, p Pending) (bool, error) {
	l, err := s.linked(ctx, p.Provider.ID, p.Link.Subject)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && l.Value.User == p.Link.User, err
}

// Confirm makes a link that has waited: the person has signed in to the account.
func (s *Service) Confirm(ctx context.Context, p Pending) error {
	o, err := s.Provider(ctx, p.Provider.ID)
	if err == nil && o.Value.Status != Active {
		err = fault.New(fault.NotFound, "the identity provider is not active")
	}
	if err != nil {
		return err
	}
	_, err = s.AddLink(ctx, ledger.Actor{Type: "user", ID: p.Link.User, Name: p.Link.Name}, p.Link)
	return err
}
