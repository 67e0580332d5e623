package federation

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ldap"
	"gatehouse/internal/ledger"
)

// LDAP is the type of the directory server that the configuration names. It is a provider
// for whom people stay on our own sign-in page: their password is asked about there.
const LDAP = "LDAP"

// Directory is that server, and what is made of its people.
type Directory struct {
	Source  *ldap.Source
	URL     string
	Domains []string          // whose addresses are its people's
	Mapping map[string]string // attributes of the profile, and of entries
	Groups  []string          // names of groups that follow those of the same name there
	Every   time.Duration     // how often all are looked at; 0: never
}

const directoryName = "LDAP directory"

func errDeclared() error {
	return fault.New(fault.Invalid, "the identity provider is not valid").
		WithFields(fault.Field{Path: "type", Message: "is declared by server.people.ldap of the configuration, and only activated and deactivated here"})
}

// free refuses a change of what is declared, except of whether it is active.
func free(was, now Provider) error {
	was.Status = now.Status
	if (was.Type == LDAP || now.Type == LDAP) && !reflect.DeepEqual(was, now) {
		return errDeclared()
	}
	return nil
}

// Declare makes the provider that stands for the configured directory server, and groups that
// are missing; one that is not configured any more signs nobody in.
func (s *Service) Declare(ctx context.Context) (err error) {
	defer fault.Wrap(&err, "declare the directory server")
	d := s.cfg.Directory
	p := Provider{Name: directoryName, Type: LDAP, Status: Active, Link: Auto, Create: Auto, Master: true, Username: DefaultUsername, Match: MatchEither, GroupAction: GroupsNone}
	if d != nil {
		p.Issuer, p.Domains, p.Mapping = d.URL, d.Domains, map[string]string{}
		for name, attribute := range d.Mapping {
			p.Mapping[name] = "idpuser." + attribute
		}
		for _, name := range d.Groups {
			id, err := s.groupOf(ctx, name)
			if err != nil {
				return err
			}
			p.GroupAction, p.GroupClaim, p.GroupIDs = GroupsSync, "groups", append(p.GroupIDs, id)
		}
	}
	found, err := s.directory(ctx)
	switch {
	case fault.Is(err, fault.NotFound) && d == nil:
		return nil
	case err != nil && !fault.Is(err, fault.NotFound):
		return err
	case err == nil && d == nil:
		p = found.Value
		p.Status = Inactive
	case err == nil:
		p.Status = found.Value.Status
	}
	if reflect.DeepEqual(p, found.Value) {
		return nil
	}
	_, err = s.cfg.Ledger.Update(ctx, ledger.System("configuration"), "declare the directory server", func(tx *ledger.Tx) error {
		if found.ID == "" {
			_, err := Providers.Create(tx, p)
			return err
		}
		found.Value = p
		_, err := Providers.Put(tx, found)
		return err
	})
	return err
}

func (s *Service) groupOf(ctx context.Context, name string) (string, error) {
	g, err := s.cfg.People.FindGroup(ctx, name)
	if fault.Is(err, fault.NotFound) {
		g, err = s.cfg.People.CreateGroup(ctx, ledger.System("configuration"), directory.Group{Name: name})
	}
	return g.ID, err
}

// directory returns the provider that stands for the directory server, or fault.NotFound.
func (s *Service) directory(ctx context.Context) (found ledger.Object[Provider], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		for o, err := range Providers.All(tx, ledger.Query{By: "name"}) {
			if err != nil {
				return err
			}
			if o.Value.Type == LDAP {
				found = o
				return nil
			}
		}
		return fault.New(fault.NotFound, "there is no directory server")
	})
	return found, err
}

// Asked is a password that the directory server is to be asked about. It is to be closed.
type Asked struct {
	// Counter names the attempts at whom is meant, the same for all that they are called:
	// directories fold case, spaces and more (attack identity 69). Empty: nobody is meant.
	Counter string

	provider ledger.Object[Provider]
	talk     *ldap.Talk
	person   *ldap.Person // nil: nobody
}

// Close ends the conversation with the server.
func (a *Asked) Close() { a.talk.Close() }

// Directory returns what to ask the directory server; nil when the password is for us to
// judge. The server judges those who are linked to it, and all of its domains but
// administrators, who are linked by another one. Who it judges is not judged here
// when it is down: that is fault.Unavailable or fault.Timeout.
func (s *Service) Directory(ctx context.Context, identifier string, user *ledger.Object[directory.User]) (*Asked, error) {
	if s.cfg.Directory == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	o, err := s.directory(ctx)
	if err != nil || o.Value.Status != Active {
		return nil, err
	}
	name, subject, err := s.meant(ctx, o, identifier, user)
	if err != nil || name == "" {
		return nil, err
	}
	talk, err := s.cfg.Directory.Source.Open(ctx)
	if err != nil {
		return nil, err
	}
	a := &Asked{provider: o, talk: talk}
	if subject != "" {
		a.person, err = talk.Get(subject, name)
	} else {
		a.person, err = talk.Find(name)
	}
	if err == nil {
		a.Counter, err = s.counter(ctx, o, a.person)
	} else if fault.Is(err, fault.NotFound) {
		err = nil
		if user != nil {
			a.Counter = user.ID
		}
	}
	if err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// meant returns what the server is to find somebody by; empty when it does not judge them. Of
// who is linked it is their id there, whatever they are called by now.
func (s *Service) meant(ctx context.Context, o ledger.Object[Provider], identifier string, user *ledger.Object[directory.User]) (name, subject string, err error) {
	who := someone{provider: o.Value}
	if user == nil {
		if who.declared(identifier) {
			name = identifier
		}
		return name, "", nil
	}
	link, err := s.LinkOf(ctx, o.ID, user.ID)
	if err == nil {
		return user.Value.Profile.Login, link.Value.Subject, nil
	}
	if !fault.Is(err, fault.NotFound) {
		return "", "", err
	}
	i := slices.IndexFunc([]string{identifier, user.Value.Profile.Login, user.Value.Profile.Email}, who.declared)
	if i < 0 {
		return "", "", nil
	}
	if privileged, err := s.cfg.Privileged(ctx, user.ID); err != nil || privileged {
		return "", "", err
	}
	return []string{identifier, user.Value.Profile.Login, user.Value.Profile.Email}[i], "", nil
}

func (s *Service) counter(ctx context.Context, o ledger.Object[Provider], p *ldap.Person) (string, error) {
	l, err := s.linked(ctx, o.ID, p.ID)
	if fault.Is(err, fault.NotFound) {
		return "ldap-" + keys.Hash(o.ID+"\x00"+p.ID), nil
	}
	return l.Value.User, err
}

// Enter returns the user whose password it is, brought up to date, or made: fault.Denied,
// with a reason for the log, when it is nobody's or they are not let in.
func (s *Service) Enter(ctx context.Context, a *Asked, password string) (user ledger.Object[directory.User], err error) {
	denied := func(reason string) error {
		return fault.New(fault.Denied, "the directory does not let them in").WithReason(reason)
	}
	ok, err := a.talk.Check(a.person, password)
	if err != nil {
		return user, err
	}
	if !ok {
		return user, denied("INVALID_CREDENTIALS")
	}
	if err := a.talk.ReadGroups(a.person); err != nil {
		return user, err
	}
	user, pending, err := s.resolve(ctx, a.provider, someone{provider: a.provider.Value, claims: a.person, subject: a.person.ID})
	var refused *Refused
	switch {
	case errors.As(err, &refused):
		err = denied(refused.Reason)
	case err == nil && pending != nil:
		err = denied("CANNOT_CONFIRM")
	}
	return user, err
}

// Synced is what a look at all people of the directory server has come to.
type Synced struct{ Seen, Suspended, Restored int }

// Sync brings all who are linked to the directory server up to date, suspends who is not
// found there any more, and lets in again whom it had suspended. When more than half, and more than ten, would
// go at once, nobody does: then it is the configuration or the server that has changed.
func (s *Service) Sync(ctx context.Context) (n Synced, err error) {
	defer fault.Wrap(&err, "look at the people of the directory server")
	o, err := s.directory(ctx)
	if s.cfg.Directory == nil || fault.Is(err, fault.NotFound) || err == nil && o.Value.Status != Active {
		return n, nil
	}
	if err != nil {
		return n, err
	}
	talk, err := s.cfg.Directory.Source.Open(ctx)
	if err != nil {
		return n, err
	}
	defer talk.Close()
	var gone []ledger.Object[Link]
	for after := ""; ; {
		p, err := s.LinksOf(ctx, o.ID, after, 200)
		if err != nil {
			return n, err
		}
		for _, l := range p.Items {
			missing, err := s.look(ctx, o, talk, l, &n)
			if err != nil {
				return n, err
			}
			if missing {
				gone = append(gone, l)
			}
		}
		if after = p.Next; after == "" {
			break
		}
	}
	if len(gone) > 10 && len(gone) > n.Seen {
		return n, fault.New(fault.Conflict, "%d of %d people are not found any more: nobody is suspended before somebody has looked at it", len(gone), len(gone)+n.Seen)
	}
	for _, l := range gone {
		if err := s.leave(ctx, o, l); err != nil {
			return n, err
		}
		n.Suspended++
	}
	return n, nil
}

// look brings a user up to date; missing is who has just gone.
func (s *Service) look(ctx context.Context, o ledger.Object[Provider], talk *ldap.Talk, l ledger.Object[Link], n *Synced) (missing bool, err error) {
	user, err := s.cfg.People.User(ctx, l.Value.User)
	if fault.Is(err, fault.NotFound) {
		return false, nil // deleted meanwhile
	}
	if err != nil {
		return false, err
	}
	person, err := talk.Get(l.Value.Subject, user.Value.Profile.Login)
	if fault.Is(err, fault.NotFound) {
		return user.Value.MayAct(), nil // else they are out already, and not by us
	}
	if err == nil {
		err = talk.ReadGroups(person)
	}
	if err != nil {
		return false, err
	}
	n.Seen++
	if l.Value.Gone {
		if err := s.come(ctx, o, l, user); err != nil {
			return false, err
		}
		n.Restored++
	}
	_, err = s.welcome(ctx, o, someone{provider: o.Value, claims: person, subject: person.ID}, l.Value.User)
	if refused := new(Refused); errors.As(err, &refused) {
		err = nil // an administrator keeps them out
	}
	return false, err
}

// leave suspends who has gone.
func (s *Service) leave(ctx context.Context, o ledger.Object[Provider], l ledger.Object[Link]) error {
	err := s.cfg.People.SetStatus(ctx, actor(o), l.Value.User, directory.Suspended)
	if fault.Is(err, fault.Conflict) {
		return nil // there is no way from their status: they may not act as it is
	}
	if err != nil {
		return err
	}
	return s.mark(ctx, o, l, true)
}

// come lets in again who was suspended for having gone, unless somebody has decided
// otherwise meanwhile.
func (s *Service) come(ctx context.Context, o ledger.Object[Provider], l ledger.Object[Link], user ledger.Object[directory.User]) error {
	if user.Value.Status == directory.Suspended {
		if err := s.cfg.People.SetStatus(ctx, actor(o), user.ID, directory.Active); err != nil {
			return err
		}
	}
	return s.mark(ctx, o, l, false)
}

func (s *Service) mark(ctx context.Context, o ledger.Object[Provider], l ledger.Object[Link], gone bool) error {
	_, err := s.cfg.Ledger.Update(ctx, actor(o), "note that user "+l.Value.User+" has come or gone", func(tx *ledger.Tx) error {
		now, err := Links.Get(tx, l.ID)
		if err != nil {
			return err
		}
		now.Value.Gone = gone
		_, err = Links.Put(tx, now)
		return err
	})
	return err
}

// Attributes returns what is read of a directory's entries for a mapping.
func Attributes(mapping map[string]string) []string {
	return append(ldap.Attributes(), slices.Sorted(maps.Values(mapping))...)
}
