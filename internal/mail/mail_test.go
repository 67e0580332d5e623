package mail_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	gmail "gatehouse/internal/mail"
	"gatehouse/internal/mail/mailtest"
	"gatehouse/internal/tenant"
)

var sender = mail.Address{Name: "Acmé", Address: "no-reply@acme.test"}

func letter() *gmail.Letter {
	return &gmail.Letter{
		Tenant: tenant.Default, To: "ana@example.com", Purpose: "recovery", Lang: "en", Subject: "Choose a new password",
		Before: []string{"Hello Ana,", "somebody asked for it."}, Link: "https://id.acme.test/reset_password/canary-token?a=b&c=d", Label: "Choose a password",
		After: []string{"The link is good for an hour."},
	}
}

// Whose letter it is, and in which colour.
func TestBrandOfALetter(t *testing.T) {
	l := letter()
	l.Site, l.Accent, l.Support = "Acme <&>", "#0b6b53", "Call 4711."
	raw, err := gmail.Compose(l, sender, time.Unix(0, 0).UTC())
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := gmail.Read(raw)
	if err != nil || !strings.HasSuffix(strings.TrimSpace(text), "Call 4711.") {
		t.Errorf("%v %q", err, text)
	}
	for _, want := range []string{"background:#0b6b53", "Acme &lt;&amp;&gt;", "Call 4711."} {
		if plain := strings.NewReplacer("=\r\n", "", "=3D", "=").Replace(string(raw)); !strings.Contains(plain, want) {
			t.Errorf("the letter lacks %s", want)
		}
	}
	l.Accent = "red;} x{"
	if raw, err = gmail.Compose(l, sender, time.Unix(0, 0).UTC()); err != nil || strings.Contains(string(raw), "x{") {
		t.Errorf("%v %s", err, raw)
	}
}

// The whole conversation, with a password, over TLS of both kinds.
func TestSendsBySMTP(t *testing.T) {
	for name, cfg := range map[string]mailtest.Config{
		"plain on loopback": {}, "STARTTLS": {StartTLS: true, User: "gate", Password: "p w"}, "TLS": {TLS: true, User: "gate", Password: "p w"},
	} {
		t.Run(name, func(t *testing.T) {
			server := mailtest.Start(t, cfg)
			scheme := "smtp://"
			if cfg.TLS {
				scheme = "smtps://"
			}
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(server.CA)
			s, err := gmail.NewSMTP(gmail.SMTPConfig{URL: scheme + server.Address, User: cfg.User, Password: cfg.Password, Authorities: pool})
			if err != nil {
				t.Fatal(err)
			}
			raw, err := gmail.Compose(letter(), sender, time.Unix(0, 0).UTC())
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Send(t.Context(), sender.Address, "ana@example.com", raw); err != nil {
				t.Fatal(err)
			}
			got := <-server.Letters
			if got.Secure != (cfg.TLS || cfg.StartTLS) || got.User != cfg.User || got.From != "no-reply@acme.test" || got.To != "ana@example.com" {
				t.Errorf("%+v", got)
			}
			subject, text, err := gmail.Read(got.Raw)
			if err != nil || subject != "Choose a new password" || !strings.Contains(text, "https://id.acme.test/reset_password/canary-token?a=b&c=d") {
				t.Errorf("%q %q %v", subject, text, err)
			}
		})
	}
}

// A server that offers no TLS gets nothing, unless it is this machine; nor does one
// whose certificate is another's.
func TestNothingIsSentInTheClear(t *testing.T) {
	server := mailtest.Start(t, mailtest.Config{StartTLS: true})
	s, err := gmail.NewSMTP(gmail.SMTPConfig{URL: "smtp://" + server.Address})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), "a@b.test", "c@d.test", []byte("x")); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
	for text, ok := range map[string]bool{
		"smtp://127.0.0.1:25": true, "smtp://mail.acme.test": true, "smtps://mail.acme.test": true, "https://mail.acme.test": false,
		"smtp://user:secret@mail.acme.test": false, "mail.acme.test:25": false, "smtp://": false, "smtp://h/path": false,
	} {
		if _, err := gmail.NewSMTP(gmail.SMTPConfig{URL: text}); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Nothing that somebody chose can add a header, a recipient or a line of the
// conversation.
func TestHeadersCannotBeInjected(t *testing.T) {
	evil := "x\r\nBcc: everybody@example.com\r\n\r\n.\r\nMAIL FROM:<a@b>"
	l := letter()
	l.Subject, l.Before, l.After, l.Label = evil, []string{evil}, []string{"<script>alert(1)</script>" + evil}, evil
	raw, err := gmail.Compose(l, mail.Address{Name: evil, Address: sender.Address}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil || m.Header.Get("Bcc") != "" || len(m.Header) != 8 {
		t.Errorf("%v %v", m.Header, err)
	}
	if _, html, _ := bytes.Cut(raw, []byte("text/html")); bytes.Contains(html, []byte("<script>")) || !bytes.Contains(html, []byte("&lt;script&gt;")) {
		t.Errorf("the HTML holds what was text:\n%s", html)
	}
	for _, to := range []string{"a@b\r\nRCPT TO:<c@d>", "a@b, c@d", "Ana <a@b.test>", "a b@c", "ä@b.test", "@b", "a@", "", strings.Repeat("a", 250) + "@b.test", `"a b"@c`} {
		l := letter()
		l.To = to
		if _, err := gmail.Compose(l, sender, time.Unix(0, 0)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", to, err)
		}
	}
	for _, s := range []string{"Acme\r\nBcc: x@y <a@b>", "a", "<>", "Acme <a@b.test>, c@d.test"} {
		if _, err := gmail.ParseSender(s); err == nil {
			t.Errorf("a sender %q", s)
		}
	}
}

func FuzzCompose(f *testing.F) {
	f.Add("Subject", "Ana", "text\r\n.\r\n", "ana@example.com")
	f.Fuzz(func(t *testing.T, subject, label, text, to string) {
		l := &gmail.Letter{To: to, Subject: subject, Label: label, Link: "https://id.test/", Before: []string{text}, Code: text}
		raw, err := gmail.Compose(l, sender, time.Unix(0, 0))
		if err != nil {
			return
		}
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil || len(m.Header) != 8 {
			t.Fatalf("%d headers: %v\n%q", len(m.Header), err, raw)
		}
		if list, err := m.Header.AddressList("To"); err != nil || len(list) != 1 || list[0].Address != to {
			t.Fatalf("to %v: %v", list, err)
		}
		if _, _, err := gmail.Read(raw); err != nil {
			t.Fatalf("%v\n%q", err, raw)
		}
	})
}

// transport is what a test makes of sending.
type transport func(ctx context.Context, to string, raw []byte) error

func (f transport) Send(ctx context.Context, _, to string, raw []byte) error { return f(ctx, to, raw) }

// notes keeps events.
type notes struct {
	mu  sync.Mutex
	all []audit.Event
}

func (n *notes) Record(e audit.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, e)
}

func TestOutboxTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log notes
		var tries []time.Duration
		begin := time.Now()
		o := gmail.New(gmail.Config{From: sender, Audit: &log, Now: time.Now, Transport: transport(func(_ context.Context, to string, _ []byte) error {
			switch to {
			case "slow@example.com":
				tries = append(tries, time.Since(begin))
				if len(tries) < 3 {
					return errors.New("come back later")
				}
			case "never@example.com":
				return fault.New(fault.Invalid, "no such mailbox")
			case "down@example.com":
				return errors.New("no answer")
			}
			return nil
		})})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); o.Run(ctx) }()
		for _, to := range []string{"slow@example.com", "never@example.com", "down@example.com", "good@example.com"} {
			l := letter()
			l.To, l.Person = to, audit.Entity{ID: to}
			if err := o.Post(l); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(time.Hour) // of the test's own clock
		stop()
		<-done
		want := map[string]string{"slow@example.com": "3", "never@example.com": "NOT_DELIVERED 1", "down@example.com": "NOT_DELIVERED 5", "good@example.com": "1"}
		for _, e := range log.all {
			got := strings.TrimSpace(e.Outcome.Reason + " " + e.Debug["attempts"])
			if got != want[e.Targets[0].ID] || e.Debug["purpose"] != "recovery" {
				t.Errorf("%s: %s", e.Targets[0].ID, got)
			}
			delete(want, e.Targets[0].ID)
		}
		if len(want) > 0 || len(tries) != 3 || tries[1] != 5*time.Second || tries[2] != 35*time.Second {
			t.Errorf("missing %v; tries %v", want, tries)
		}
	})
}

func TestOutboxIsBounded(t *testing.T) {
	var log notes
	o := gmail.New(gmail.Config{From: sender, Audit: &log, Now: time.Now, Waiting: 2, Transport: transport(func(context.Context, string, []byte) error { return nil })})
	for i := range 3 {
		if err := o.Post(letter()); (err == nil) != (i < 2) {
			t.Errorf("letter %d: %v", i, err)
		}
	}
	if len(log.all) != 1 || log.all[0].Outcome.Reason != "QUEUE_FULL" {
		t.Errorf("%+v", log.all)
	}
}

func TestMailboxKeepsTheLast(t *testing.T) {
	m := gmail.NewMailbox(2, time.Now)
	for _, to := range []string{"a@b.test", "c@d.test", "e@f.test"} {
		l := letter()
		l.To = to
		raw, err := gmail.Compose(l, sender, time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Send(t.Context(), "", to, raw); err != nil {
			t.Fatal(err)
		}
	}
	got := m.List()
	if len(got) != 2 || got[0].To != "e@f.test" || got[1].To != "c@d.test" || !strings.Contains(got[0].Text, "canary-token") {
		t.Errorf("%+v", got)
	}
}
