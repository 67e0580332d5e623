// Package mail sends letters to people: it composes them, keeps those that wait in
// a bounded queue, hands them to a server by SMTP, and says in the system log what
// became of each. It must not know why a letter is written, nor what a link in it
// opens.
package mail

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"html/template"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// Letter is what a person is to read. Everything in it is plain text: what is text
// for a reader is text in the letter, whatever it holds.
type Letter struct {
	Tenant  tenant.ID
	To      string       // address
	Person  audit.Entity // whom the letter is about, for the system log
	Purpose string       // a word for the system log, such as "recovery"
	Lang    string       // of the texts, such as "en"

	Subject string
	Before  []string // paragraphs before the link or code
	Link    string   // an address of ours; may be empty
	Label   string   // of the link
	Code    string   // to be typed; may be empty
	After   []string // paragraphs behind it
	Support string   // a last one, whom to ask; may be empty

	Site   string // whose letter it is, above all; may be empty
	Accent string // colour of the link, such as #2a52d0, legible under white; empty: that
}

// CheckAddress reports what is wrong with the address of a mailbox, such as
// ana@example.com (RFC 5321 section 4.1.2, the part that servers agree on).
func CheckAddress(s string) error {
	parsed, err := mail.ParseAddress(s)
	if err != nil || parsed.Address != s || parsed.Name != "" || len(s) > 254 || !ascii(s) || strings.ContainsAny(s, "\"<>()[]\\, ") {
		return fault.New(fault.Invalid, "%q is not an e-mail address such as ana@example.com", clip(s))
	}
	return nil
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= 0x20 || r > 0x7e })
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80]
	}
	return s
}

// ParseSender reads who letters are from: an address, or a name and an address such
// as Acme <no-reply@acme.test>.
func ParseSender(s string) (mail.Address, error) {
	a, err := mail.ParseAddress(s)
	if err != nil || strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return mail.Address{}, fault.New(fault.Invalid, "a sender is an address such as no-reply@acme.test, or Acme <no-reply@acme.test>")
	}
	return *a, CheckAddress(a.Address)
}

// text is the letter as plain text.
func (l *Letter) text() string {
	var b strings.Builder
	for _, p := range l.Before {
		b.WriteString(oneLine(p) + "\n\n")
	}
	if l.Code != "" {
		b.WriteString("    " + oneLine(l.Code) + "\n\n")
	}
	if l.Link != "" {
		b.WriteString(oneLine(l.Link) + "\n\n")
	}
	for _, p := range l.After {
		b.WriteString(oneLine(p) + "\n\n")
	}
	if l.Support != "" {
		b.WriteString(oneLine(l.Support) + "\n\n")
	}
	return b.String()
}

// oneLine keeps what strangers chose, such as a name, from adding paragraphs.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// page is the letter as HTML. Mail programs know no style sheets and no dark mode
// that can be relied on: colours are said where they are needed and nowhere else.
const page = `<!doctype html>
<html lang="{{.Lang}}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>{{.Subject}}</title></head>
<body style="margin:0;padding:24px 16px;font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;font-size:16px;line-height:1.5">
<div style="max-width:480px;margin:0 auto">
{{if .Site}}<p style="margin:0 0 24px;font-size:18px;font-weight:650">{{.Site}}</p>
{{end}}{{range .Before}}<p style="margin:0 0 16px">{{.}}</p>
{{end}}{{if .Code}}<p style="margin:0 0 16px;font-family:ui-monospace,Menlo,monospace;font-size:26px;letter-spacing:4px">{{.Code}}</p>
{{end}}{{if .Link}}<p style="margin:0 0 16px"><a href="{{.Link}}" style="display:inline-block;padding:10px 18px;border-radius:10px;background:{{.Button}};color:#ffffff;text-decoration:none;font-weight:600">{{.Label}}</a></p>
{{end}}{{range .After}}<p style="margin:0 0 16px;font-size:14px">{{.}}</p>
{{end}}{{if .Support}}<p style="margin:24px 0 0;font-size:14px">{{.Support}}</p>
{{end}}</div>
</body>
</html>
`

// Button is the colour of the link.
func (l *Letter) Button() string {
	if l.Accent == "" {
		return "#2a52d0"
	}
	return l.Accent
}

// check refuses a letter that could not be sent, or that would lead elsewhere.
func (l *Letter) check() error {
	if err := CheckAddress(l.To); err != nil {
		return err
	}
	if l.Link != "" {
		u, err := url.Parse(l.Link)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return fault.New(fault.Internal, "the link of a letter is not an address")
		}
	}
	return nil
}

// Compose returns the letter as it goes over the wire (RFC 5322): text and HTML, both
// quoted-printable. Nothing in the letter can add a header: each is encoded.
func Compose(l *Letter, from mail.Address, now time.Time) ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	html := template.Must(template.New("letter").Parse(page))
	var rich bytes.Buffer
	if err := html.Execute(&rich, l); err != nil {
		return nil, fault.Because(err, fault.Internal, "the letter cannot be composed")
	}
	var out, body bytes.Buffer
	parts := multipart.NewWriter(&body)
	for _, p := range []struct{ kind, content string }{
		{"text/plain; charset=utf-8", l.text()}, {"text/html; charset=utf-8", rich.String()}, // the last one is preferred (RFC 2046 section 5.1.4)
	} {
		w, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {p.kind}, "Content-Transfer-Encoding": {"quoted-printable"}})
		if err != nil {
			return nil, err
		}
		q := quotedprintable.NewWriter(w)
		if _, err := q.Write([]byte(p.content)); err != nil {
			return nil, err
		}
		if err := q.Close(); err != nil {
			return nil, err
		}
	}
	if err := parts.Close(); err != nil {
		return nil, err
	}
	to := mail.Address{Address: l.To}
	for _, h := range [][2]string{
		{"From", from.String()},
		{"To", to.String()},
		{"Subject", mime.QEncoding.Encode("utf-8", oneLine(l.Subject))},
		{"Date", now.Format(time.RFC1123Z)},
		{"Message-ID", messageID(from.Address)},
		{"MIME-Version", "1.0"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: nobody's absence answers it
		{"Content-Type", mime.FormatMediaType("multipart/alternative", map[string]string{"boundary": parts.Boundary()})},
	} {
		fmt.Fprintf(&out, "%s: %s\r\n", h[0], h[1])
	}
	out.WriteString("\r\n")
	out.Write(body.Bytes())
	return out.Bytes(), nil
}

func messageID(from string) string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	return "<" + base64.RawURLEncoding.EncodeToString(raw[:]) + from[strings.LastIndexByte(from, '@'):] + ">"
}
