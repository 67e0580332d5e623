package mail

import (
	"bytes"
	"context"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/fault"
)

// Caught is a letter in a Mailbox.
type Caught struct {
	ID      string
	Time    time.Time
	To      string
	Subject string
	Text    string // the plain part
	Raw     []byte // as it would have gone over the wire
}

// Mailbox keeps letters in place of sending them: for a developer's machine. It
// holds the last ones, in memory.
type Mailbox struct {
	now func() time.Time
	max int

	mu    sync.Mutex
	next  int           // of letters so far
	list  []Caught      // the newest last
	fresh chan struct{} // closed when a letter comes
}

// NewMailbox returns a Mailbox that holds at most so many letters.
func NewMailbox(letters int, now func() time.Time) *Mailbox {
	return &Mailbox{now: now, max: letters, fresh: make(chan struct{})}
}

// Send implements Transport.
func (m *Mailbox) Send(_ context.Context, _, to string, raw []byte) error {
	subject, text, err := Read(raw)
	if err != nil {
		return fault.Because(err, fault.Invalid, "the letter cannot be read")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next++
	m.list = append(m.list, Caught{ID: strconv.Itoa(m.next), Time: m.now(), To: to, Subject: subject, Text: text, Raw: raw})
	if extra := len(m.list) - m.max; extra > 0 {
		m.list = slices.Delete(m.list, 0, extra)
	}
	close(m.fresh)
	m.fresh = make(chan struct{})
	return nil
}

// List returns the letters, the newest first.
func (m *Mailbox) List() []Caught {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := slices.Clone(m.list)
	slices.Reverse(out)
	return out
}

// Wait returns when so many letters have come in all, with those that are kept, the
// newest first.
func (m *Mailbox) Wait(ctx context.Context, letters int) ([]Caught, error) {
	for {
		m.mu.Lock()
		n, fresh := m.next, m.fresh
		m.mu.Unlock()
		if n >= letters {
			return m.List(), nil
		}
		select {
		case <-fresh:
		case <-ctx.Done():
			return m.List(), fault.Because(context.Cause(ctx), fault.Timeout, "%d letters have come, and not %d", n, letters)
		}
	}
}

// Read returns the subject and the plain text of a letter that Compose has made.
func Read(raw []byte) (subject, text string, err error) {
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return "", "", err
	}
	if subject, err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil {
		return "", "", err
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		return "", "", err
	}
	part, err := multipart.NewReader(msg.Body, params["boundary"]).NextPart()
	if err != nil {
		return "", "", err
	}
	plain, err := io.ReadAll(part) // the reader undoes quoted-printable
	return subject, strings.ReplaceAll(string(plain), "\r\n", "\n"), err
}
