package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"net/url"
	"time"

	"gatehouse/internal/fault"
)

// SMTPConfig is what an SMTP needs.
type SMTPConfig struct {
	// URL is smtps://host:465, or smtp://host:587 for a server that is asked for TLS
	// (STARTTLS, RFC 3207). Without TLS nothing is sent but to this machine.
	URL            string
	User, Password string // empty: the server asks for none
	Authorities    *x509.CertPool
	Timeout        time.Duration // of one letter; 0 means 30 s
}

// SMTP hands letters to a server.
type SMTP struct {
	cfg            SMTPConfig
	host, address  string
	implicit, bare bool
}

// NewSMTP returns an SMTP, or what is wrong with its address.
func NewSMTP(cfg SMTPConfig) (*SMTP, error) {
	u, err := ParseServer(cfg.URL)
	if err != nil {
		return nil, err
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	s := &SMTP{cfg: cfg, host: u.Hostname(), address: u.Host, implicit: u.Scheme == "smtps"}
	s.bare = !s.implicit && loopback(s.host)
	return s, nil
}

// ParseServer reads the address of a mail server; the port that is left out is added.
func ParseServer(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	ports := map[string]string{"smtp": "587", "smtps": "465"}
	if err != nil || ports[u.Scheme] == "" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return nil, fault.New(fault.Invalid, "a mail server is an address such as smtps://mail.acme.test:465 or smtp://mail.acme.test:587, without user and password")
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), ports[u.Scheme])
	}
	return u, nil
}

// loopback reports whether the host is this machine by its address or by the name
// that is never looked up elsewhere (RFC 6761 section 6.3).
func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Send hands over one letter. A fault.Invalid says that the server will not take it,
// however often it is sent (RFC 5321 section 4.2.1: a reply of the class 5).
func (s *SMTP) Send(ctx context.Context, from, to string, raw []byte) (err error) {
	defer fault.Wrap(&err, "send a letter by %s", s.address)
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	// The client of the standard library knows no context: closing is what ends it.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := s.converse(ctx, conn, from, to, raw); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return permanent(err)
	}
	return nil
}

func (s *SMTP) converse(ctx context.Context, conn net.Conn, from, to string, raw []byte) error {
	tlsConfig := &tls.Config{ServerName: s.host, RootCAs: s.cfg.Authorities, MinVersion: tls.VersionTLS12}
	if s.implicit {
		secured := tls.Client(conn, tlsConfig)
		if err := secured.HandshakeContext(ctx); err != nil {
			return err
		}
		conn = secured
	}
	c, err := smtp.NewClient(conn, s.host)
	if err != nil {
		return err
	}
	if ok, _ := c.Extension("STARTTLS"); ok && !s.implicit {
		if err := c.StartTLS(tlsConfig); err != nil {
			return err
		}
	}
	if _, secure := c.TLSConnectionState(); !secure && !s.bare {
		return errors.New("the server offers no TLS, and letters hold links that open accounts: use smtps, or a server with STARTTLS")
	}
	if s.cfg.User != "" {
		if ok, _ := c.Extension("AUTH"); !ok {
			return errors.New("the server takes no password on this connection")
		}
		if err := c.Auth(smtp.PlainAuth("", s.cfg.User, s.cfg.Password, s.host)); err != nil {
			return err
		}
	}
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(raw); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit() // it has taken the letter; whether it says goodbye changes nothing
	return nil
}

// permanent marks what trying again does not change.
func permanent(err error) error {
	var reply *textproto.Error
	if errors.As(err, &reply) && reply.Code >= 500 {
		return fault.Because(err, fault.Invalid, "the mail server refuses: %s", fmt.Sprint(reply.Code))
	}
	return err
}
