package app

import (
	"context"
	"crypto/x509"
	"embed"
	"fmt"
	"net/http"
	netmail "net/mail"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/issued"
	"gatehouse/internal/login"
	"gatehouse/internal/mail"
	"gatehouse/internal/web"
)

// post is how letters leave; a nil transport for nowhere.
type post struct {
	transport mail.Transport
	from      netmail.Address
}

// mailboxPath is where letters are shown on a developer's machine.
const mailboxPath = "/mailbox"

// openPost reads how letters leave: by the server that the settings name, else, on a
// developer's machine, into a mailbox that the console listener shows.
func (a *App) openPost() error {
	m := a.settings.Mail
	if m.Server == "" {
		if a.config.Dev {
			a.mailbox = mail.NewMailbox(100, time.Now)
			a.post = post{a.mailbox, netmail.Address{Name: "Gatehouse", Address: "no-reply@gatehouse.test"}}
			a.addresses.Mailbox = a.addresses.Console + mailboxPath
		}
		return nil
	}
	from, err := mail.ParseSender(m.From)
	if err != nil {
		return err
	}
	var authorities *x509.CertPool
	if m.CA != "" {
		pem, err := os.ReadFile(m.CA)
		if err != nil {
			return fmt.Errorf("the authorities of the mail server cannot be read: %w", err)
		}
		authorities = x509.NewCertPool()
		if !authorities.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s holds no certificate: server.mail.ca names authorities in PEM form", m.CA)
		}
	}
	smtp, err := mail.NewSMTP(mail.SMTPConfig{URL: m.Server, User: m.User, Password: m.Password, Authorities: authorities})
	a.post = post{smtp, from}
	return err
}

//go:embed mailbox.html
var mailboxFile embed.FS

// mailboxPage is what the page shows.
type mailboxPage struct{ Letters []mailboxLetter }

type mailboxLetter struct {
	ID, To, Subject string
	Time            time.Time
	Lines           []mailboxLine
}

// mailboxLine is a line of a letter; the one with a link has it.
type mailboxLine struct{ Text, Link string }

// mailboxHandler shows the letters of a developer's machine, nil where they are sent.
// Links in them are for the identity listener, whatever else they say.
func (a *App) mailboxHandler() http.Handler {
	if a.mailbox == nil {
		return nil
	}
	kit := web.New(web.Config{URL: a.addresses.Console, Log: a.log, Now: time.Now})
	page := web.NewPage[mailboxPage](kit, mailboxFile, "mailbox.html")
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+web.AssetPath, kit.ServeAsset)
	mux.HandleFunc("GET "+mailboxPath, func(w http.ResponseWriter, r *http.Request) {
		var v mailboxPage
		for _, l := range a.mailbox.List() {
			shown := mailboxLetter{ID: l.ID, To: l.To, Subject: l.Subject, Time: l.Time}
			for _, line := range strings.Split(l.Text, "\n") {
				line = strings.TrimSpace(line)
				one := mailboxLine{Text: line}
				if strings.HasPrefix(line, a.addresses.Identity+"/") {
					one.Link = line
				}
				if line != "" {
					shown.Lines = append(shown.Lines, one)
				}
			}
			v.Letters = append(v.Letters, shown)
		}
		page.Write(r.Context(), w, http.StatusOK, web.Head{Title: "Mailbox", Wide: true}, v)
	})
	return mux
}

// told records events, and has people told of those that concern them.
type told struct {
	*audit.Writer
	pages atomic.Pointer[login.Server] // nil until there are pages
}

// Record implements audit.Recorder.
func (t *told) Record(e audit.Event) {
	t.Writer.Record(e)
	if p := t.pages.Load(); p != nil {
		p.Notice(e)
	}
}

// held returns what was granted to apps by a user, and with what and from where they have
// signed in, for the file with all that is held about a person.
func (id *identity) held(ctx context.Context, user string) (map[string]any, error) {
	type grant struct {
		App     string    `json:"app"`
		Server  string    `json:"server"`
		Scopes  []string  `json:"scopes"`
		Created time.Time `json:"created"`
		Expires time.Time `json:"expires,omitzero"`
		Revoked time.Time `json:"revoked,omitzero"`
	}
	var grants []grant
	for after := ""; ; {
		page, next, err := id.grants.List(ctx, issued.Selection{User: user}, after, 200)
		if err != nil {
			return nil, err
		}
		for _, g := range page {
			grants = append(grants, grant{g.Client, g.Server, g.Scopes, g.Created, g.Until, g.Revoked})
		}
		if next == "" || len(grants) >= 10_000 {
			places, err := id.placesOf(ctx, user)
			return map[string]any{"grants": grants, "places": places}, err
		}
		after = next
	}
}

// place is one with and from which a person has signed in. The browser's name is left
// out: it is the hash of a secret.
type place struct {
	Network   string    `json:"network"`
	Country   string    `json:"country,omitempty"`
	Latitude  float64   `json:"latitude,omitempty"`
	Longitude float64   `json:"longitude,omitempty"`
	Last      time.Time `json:"last"`
}

func (id *identity) placesOf(ctx context.Context, user string) ([]place, error) {
	known, err := id.db.KnownPlaces(ctx, user)
	out := make([]place, len(known))
	for i, v := range known {
		out[i] = place{v.Network, v.Country, v.Latitude, v.Longitude, v.Last}
	}
	return out, err
}
