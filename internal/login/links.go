package login

import (
	"context"
	"encoding/json"
	"net/netip"
	"net/url"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/session"
)

// purpose is what a link in a letter is good for; nothing else.
type purpose struct {
	name    string        // what the store calls it
	path    string        // of its page; Okta's where Okta has one
	lasting time.Duration // Okta's defaults
}

// The purposes.
func linkReset() purpose   { return purpose{"link-reset", "/reset_password/", time.Hour} }
func linkWelcome() purpose { return purpose{"link-welcome", "/welcome/", 7 * 24 * time.Hour} }
func linkEmail() purpose   { return purpose{"link-email", "/confirm_email/", time.Hour} }

// linkData is what is kept of a link. Of its token there is a hash.
type linkData struct {
	User string `json:"user"`
	// Email is where the letter went, and Stamp when the password was set last (for a
	// welcome: when the status changed). A link is good as long as both are so: one that
	// was used, or overtaken by another, or sent to an address that was taken away, is not.
	Email string    `json:"email"`
	Stamp time.Time `json:"stamp,omitzero"`
	Next  string    `json:"next,omitempty"` // the address to be confirmed
}

// link is one that somebody has opened.
type link struct {
	purpose purpose
	data    linkData
	wait    session.Waiting
	user    ledger.Object[directory.User]
}

// stampOf is what a link of the purpose is bound to.
func (p purpose) stampOf(u directory.User) time.Time {
	if p.name == linkWelcome().name {
		return u.StatusChanged
	}
	return u.PasswordChanged
}

// newLink returns the address and the token of a fresh link for the user, and until when
// it is good.
func (s *Server) newLink(ctx context.Context, site Site, p purpose, u *ledger.Object[directory.User], next string) (address, token string, until time.Time, err error) {
	if p.name == linkReset().name {
		d, err := s.passwordPolicy(ctx, u.ID, netip.Addr{})
		if err != nil {
			return "", "", until, err
		}
		p.lasting = d.LinkTime()
	}
	data, err := json.Marshal(linkData{User: u.ID, Email: u.Value.Profile.Email, Stamp: p.stampOf(u.Value), Next: next})
	if err != nil {
		return "", "", until, err
	}
	token, err = s.cfg.Waiting.Add(ctx, p.name, "", data, p.lasting)
	return site.URL + p.path + url.PathEscape(token), token, s.cfg.Now().Add(p.lasting), err
}

// openLink returns what a token stands for, without using it up: mail programs and
// scanners open links on their own. It is fault.NotFound for one that is not good,
// for whatever reason.
func (s *Server) openLink(ctx context.Context, p purpose, token string) (*link, error) {
	w, err := s.cfg.Waiting.Find(ctx, p.name, token)
	if err != nil {
		return nil, err
	}
	l := &link{purpose: p, wait: w}
	if err := json.Unmarshal(w.Data, &l.data); err != nil {
		return nil, err
	}
	if l.user, err = s.cfg.People.User(ctx, l.data.User); err != nil {
		return nil, err
	}
	return l, l.good(l.user.Value)
}

// good reports by its error whether the link is good for the user as they are now.
func (l *link) good(u directory.User) error {
	statuses := map[string][]directory.Status{
		linkReset().name:   {directory.Active, directory.PasswordExpired, directory.Recovery, directory.LockedOut},
		linkWelcome().name: {directory.Provisioned},
		linkEmail().name:   {directory.Active, directory.PasswordExpired},
	}
	for _, status := range statuses[l.purpose.name] {
		if u.Status == status && u.Profile.Email == l.data.Email && l.purpose.stampOf(u).Equal(l.data.Stamp) {
			return nil
		}
	}
	return errLink()
}

// take uses the link up: of any number of callers one is first.
func (l *link) take(room *session.Room) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		first, err := room.Take(ctx, &l.wait)
		if err == nil && !first {
			err = errLink()
		}
		return err
	}
}

func errLink() error {
	return fault.New(fault.NotFound, "the link is not good, or not any more")
}

// byLink is whom history names for what the holder of a link does. It is not the
// person: their tokens end, as with a password that somebody else has set.
func byLink() ledger.Actor {
	return ledger.Actor{Type: "link", ID: "letter", Name: "a link by e-mail"}
}
