package login

import (
	"context"
	"embed"
	"log/slog"

	"gatehouse/internal/audit"
	"gatehouse/internal/colour"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/mail"
	"gatehouse/internal/tenant"
)

// Letters sends letters; *mail.Outbox does.
type Letters interface {
	Post(l *mail.Letter) error
}

//go:embed words/*.json
var wordFiles embed.FS

// Words returns the texts of this room's pages and letters, for the page kit.
func Words() embed.FS { return wordFiles }

// letterForm is how many paragraphs a letter has before and behind its link; their
// texts are letter_NAME_1 and so on, letter_NAME_link, letter_NAME_after_1.
type letterForm struct {
	name          string
	before, after int
	link          bool
}

// letterForms are the letters that are written.
func letterForms() []letterForm {
	return []letterForm{
		{"reset", 1, 2, true},          // somebody has forgotten the password, and asks
		{"reset_admin", 1, 1, true},    // an administrator has reset it
		{"welcome", 1, 1, true},        // an account was made
		{"email", 1, 1, true},          // is this address the person's?
		{"email_changed", 1, 1, false}, // to the old address
		{"register", 1, 1, true},       // somebody wants an account with this address
		{"exists", 1, 1, true},         // the same, and there is one
		{"password", 1, 1, false},
		{"code", 1, 1, false}, // a second factor
		{"factor_added", 1, 1, false},
		{"factor_removed", 1, 1, false},
		{"factors_reset", 1, 1, false},
		{"codes_made", 1, 1, false},
		{"code_used", 1, 1, false},
		{"sign_in", 1, 1, false},
	}
}

// letter is one to be written: by name, to a person, in a language.
type letter struct {
	name string
	to   string // empty: the person's address
	lang string
	link string
	code string
	fill []any // places and values, besides site and login
}

// send writes the letter and hands it over. fault.Unsupported when there is no mail.
func (s *Server) send(ctx context.Context, site Site, u *ledger.Object[directory.User], l letter) error {
	if s.cfg.Letters == nil {
		return errNoMail()
	}
	for _, form := range letterForms() {
		if form.name == l.name {
			return s.cfg.Letters.Post(s.compose(ctx, site, u, l, form))
		}
	}
	return fault.New(fault.Internal, "there is no letter %q", l.name)
}

func (s *Server) compose(ctx context.Context, site Site, u *ledger.Object[directory.User], l letter, form letterForm) *mail.Letter {
	words := s.cfg.Kit.Words()
	fill := append([]any{"site", site.name(), "login", u.Value.Profile.Login}, l.fill...)
	say := func(key string) string { return words.Say(l.lang, "letter_"+l.name+key, fill...) }
	t, _ := tenant.From(ctx)
	out := &mail.Letter{
		Tenant: t, To: l.to, Purpose: l.name, Lang: l.lang, Subject: say("_subject"), Link: l.link, Code: l.code,
		Person: audit.Entity{ID: u.ID, Type: "User", AlternateID: u.Value.Profile.Login, DisplayName: u.Value.Profile.DisplayName()},
	}
	brand := s.cfg.Kit.Brand(ctx)
	out.Site, out.Support = site.Name, brand.SupportIn(l.lang)
	if brand.Accent != (colour.Accent{}) {
		out.Accent = brand.Accent.Light.String()
	}
	if out.To == "" {
		out.To = u.Value.Profile.Email
	}
	for i := range form.before {
		out.Before = append(out.Before, say("_"+string(rune('1'+i))))
	}
	if form.link {
		out.Label = say("_link")
	}
	for i := range form.after {
		out.After = append(out.After, say("_after_"+string(rune('1'+i))))
	}
	return out
}

// name is what the site is called in letters.
func (s Site) name() string {
	if s.Name != "" {
		return s.Name
	}
	return hostOf(s.URL)
}

// ReasonNoMail is the reason of a fault about letters that cannot be sent.
const ReasonNoMail = "no_mail"

func errNoMail() error {
	return fault.New(fault.Invalid, "no mail server is configured: say sendEmail=false for the link itself, or set server.mail").
		WithReason(ReasonNoMail)
}

// languageOf is the language for a person: what their profile says, else what the
// page is in that they are reading.
func (s *Server) languageOf(u directory.User, otherwise string) string {
	var tags []string
	for _, name := range []string{"preferredLanguage", "locale"} {
		if tag, ok := u.Profile.Attributes[name].(string); ok {
			tags = append(tags, underscores(tag))
		}
	}
	if lang := s.cfg.Kit.Words().Match(tags, ""); lang != "" {
		return lang
	}
	return otherwise
}

// underscores turns de_AT, as Okta's locales are written, into de-AT.
func underscores(tag string) string {
	out := []byte(tag)
	for i, c := range out {
		if c == '_' {
			out[i] = '-'
		}
	}
	return string(out)
}

// job is work that goes on while the answer has been given.
type job func(ctx context.Context)

// later does something in the background, in the order of asking. It reports false
// when too much waits already.
func (s *Server) later(f job) bool {
	select {
	case s.jobs <- f:
		return true
	default:
		return false
	}
}

// Run does what pages leave for later, until ctx ends.
func (s *Server) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-s.jobs:
			f(ctx)
		}
	}
}

// failed logs what went wrong in the background: there is nobody to tell.
func (s *Server) failed(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.LogAttrs(ctx, slog.LevelError, "a letter was not written", slog.String("for", what), slog.Any("error", err))
	}
}
