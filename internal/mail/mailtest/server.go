// Package mailtest is a mail server for tests: it speaks SMTP on loopback, with
// STARTTLS or TLS from the beginning, takes a password, and keeps what it is given.
// It must not be part of a program that is not a test.
package mailtest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"
)

// Config says how the server behaves. The zero value speaks plainly and takes
// everything.
type Config struct {
	TLS            bool // from the beginning
	StartTLS       bool
	User, Password string
	// Refuse returns the reply to a recipient in place of 250; nil or empty accepts.
	Refuse func(to string) string
}

// Letter is what the server was given.
type Letter struct {
	From, To string
	Raw      []byte
	Secure   bool   // it came over TLS
	User     string // who has authenticated
}

// Server is a mail server on loopback.
type Server struct {
	Address string // host:port
	CA      []byte // PEM, of the certificate that it shows
	Letters chan Letter

	cfg  Config
	tls  *tls.Config
	ln   net.Listener
	work sync.WaitGroup
}

// Start starts a server that ends with the test.
func Start(t testing.TB, cfg Config) *Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a listener on loopback opens at once
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Address: ln.Addr().String(), Letters: make(chan Letter, 100), cfg: cfg, ln: ln}
	if cert, pemCA, err := certificate(); err != nil {
		t.Fatal(err)
	} else {
		s.tls, s.CA = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, pemCA
	}
	s.work.Go(s.accept)
	t.Cleanup(func() {
		_ = ln.Close()
		s.work.Wait()
	})
	return s
}

func certificate() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

func (s *Server) accept() {
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.work.Go(func() {
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			c := &conversation{server: s, conn: conn}
			if s.cfg.TLS {
				c.secure()
			}
			c.run()
		})
	}
}

// conversation is one connection of a client.
type conversation struct {
	server *Server
	conn   net.Conn
	in     *bufio.Reader
	letter Letter
}

func (c *conversation) secure() {
	c.conn = tls.Server(c.conn, c.server.tls)
	c.letter.Secure = true
}

func (c *conversation) say(line string) { _, _ = io.WriteString(c.conn, line+"\r\n") }

func (c *conversation) run() {
	c.in = bufio.NewReader(c.conn)
	c.say("220 mail.test ESMTP")
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if !c.answer(strings.ToUpper(verb), rest) {
			return
		}
	}
}

// answer answers a command, and reports whether the conversation goes on.
func (c *conversation) answer(verb, rest string) bool {
	cfg := c.server.cfg
	switch verb {
	case "EHLO":
		c.say("250-mail.test")
		if cfg.StartTLS && !c.letter.Secure {
			c.say("250-STARTTLS")
		}
		if cfg.User != "" {
			c.say("250-AUTH PLAIN")
		}
		c.say("250 8BITMIME")
	case "STARTTLS":
		c.say("220 go ahead")
		c.secure()
		c.in = bufio.NewReader(c.conn)
	case "AUTH":
		c.authenticate(strings.TrimPrefix(rest, "PLAIN "))
	case "MAIL":
		if cfg.User != "" && c.letter.User == "" {
			c.say("530 authenticate first")
			break
		}
		c.letter.From = path(rest)
		c.say("250 ok")
	case "RCPT":
		c.letter.To = path(rest)
		if cfg.Refuse != nil {
			if reply := cfg.Refuse(c.letter.To); reply != "" {
				c.say(reply)
				break
			}
		}
		c.say("250 ok")
	case "DATA":
		c.say("354 go ahead")
		raw, err := textproto.NewReader(c.in).ReadDotBytes()
		if err != nil {
			return false
		}
		c.letter.Raw = raw
		c.server.Letters <- c.letter
		c.say("250 taken")
	case "QUIT":
		c.say("221 bye")
		return false
	default:
		c.say("502 not known")
	}
	return true
}

func (c *conversation) authenticate(given string) {
	raw, _ := base64.StdEncoding.DecodeString(given)
	part := strings.Split(string(raw), "\x00")
	if len(part) == 3 && part[1] == c.server.cfg.User && part[2] == c.server.cfg.Password {
		c.letter.User = part[1]
		c.say("235 ok")
		return
	}
	c.say("535 no")
}

// path returns the address of FROM:<a@b> or TO:<a@b>.
func path(s string) string {
	_, s, _ = strings.Cut(s, "<")
	s, _, _ = strings.Cut(s, ">")
	return s
}
