// Package ldaptest starts OpenLDAP's server for tests, with people in it. It must not be
// imported by anything that is not a test.
package ldaptest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// The names of the directory.
const (
	Suffix   = "dc=acme,dc=test"
	People   = "ou=people," + Suffix
	Groups   = "ou=groups," + Suffix
	Searcher = "cn=searcher," + Suffix
	Password = "ask me anything" // of Searcher
)

const root, rootPassword = "cn=root," + Suffix, "of the tests"

// Server is a running slapd. Anybody may bind with an empty password there, as servers of old do.
type Server struct {
	LDAPS, LDAP string // addresses
	CA          string // PEM file with the authority of its certificate
	Roots       *x509.CertPool

	t      testing.TB
	ip     net.IP
	folder string
	cmd    *exec.Cmd
	done   chan struct{}
	log    bytes.Buffer
}

// Start starts one that ends with the test; the test is skipped where there is no slapd.
func Start(t testing.TB) *Server {
	t.Helper()
	program, err := exec.LookPath("slapd")
	if err != nil {
		program = "/usr/sbin/slapd"
	}
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("GATEHOUSE_REQUIRE_SERVICES") != "" {
			t.Fatal("slapd is missing: scripts/services installs it")
		}
		t.Skip("slapd is missing: scripts/services installs it")
	}
	s := &Server{t: t}
	if s.folder, err = os.MkdirTemp("", "gatehouse-slapd-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		_ = os.RemoveAll(s.folder)
	})
	s.ip = net.IPv4(127, 1+unlikely()%254, unlikely(), 1+unlikely()%254)
	s.LDAPS, s.LDAP = "ldaps://"+s.freePort(), "ldap://"+s.freePort()
	s.configure()
	s.Run()
	s.fill()
	return s
}

// unlikely is a byte of an address of this machine that nobody else listens on: a port that
// is free there is free a moment later, and while the server is stopped.
func unlikely() byte {
	var b [1]byte
	_, _ = rand.Read(b[:]) // never fails
	return b[0]
}

func (s *Server) freePort() string {
	s.t.Helper()
	l, err := new(net.ListenConfig).Listen(s.t.Context(), "tcp", net.JoinHostPort(s.ip.String(), "0"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // it has told its port
	return l.Addr().String()
}

const configuration = `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
allow bind_anon_cred bind_anon_dn
TLSCertificateFile FOLDER/cert.pem
TLSCertificateKeyFile FOLDER/key.pem
TLSVerifyClient never
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="` + Searcher + `" read by * none
database mdb
suffix "` + Suffix + `"
rootdn "` + root + `"
rootpw "` + rootPassword + `"
directory FOLDER/db
`

func (s *Server) configure() {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "slapd"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), s.ip}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	s.CA, s.Roots = filepath.Join(s.folder, "cert.pem"), x509.NewCertPool()
	s.Roots.AppendCertsFromPEM(certificate)
	for name, text := range map[string][]byte{
		"cert.pem": certificate, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		"slapd.conf": []byte(strings.ReplaceAll(configuration, "FOLDER", s.folder)),
	} {
		if err := os.WriteFile(filepath.Join(s.folder, name), text, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(s.folder, "db"), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

// unprivileged returns how to start the server as nobody when we are root, and gives it
// its files.
func (s *Server) unprivileged() *syscall.SysProcAttr {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		s.t.Fatal(err)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32) // the system's own numbers
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	err = filepath.WalkDir(s.folder, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, int(uid), int(gid))) // #nosec G122 -- a folder of this test alone
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// Run starts the server, anew after Stop, and waits until it answers.
func (s *Server) Run() {
	s.t.Helper()
	// #nosec G204 -- a test's own choice
	s.cmd = exec.CommandContext(context.Background(), "/usr/sbin/slapd", "-d", "0", "-h", s.LDAPS+"/ "+s.LDAP+"/", "-f", filepath.Join(s.folder, "slapd.conf"))
	s.cmd.SysProcAttr, s.cmd.Stderr, s.cmd.Stdout = s.unprivileged(), &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.done = make(chan struct{})
	go func() {
		_ = s.cmd.Wait() // Stop waits for it; how it ended is in the log
		close(s.done)
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); ; <-tick.C {
		c, err := s.dial()
		if err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-s.done:
			s.t.Fatalf("slapd ended: %s", s.log.String())
		default:
		}
		if time.Now().After(end) {
			s.t.Fatalf("slapd does not answer: %v", err)
		}
	}
}

// Stop ends the server.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	<-s.done
	s.cmd = nil
}

func (s *Server) dial() (*ldap.Conn, error) {
	c, err := ldap.DialURL(s.LDAPS, ldap.DialWithTLSConfig(&tls.Config{RootCAs: s.Roots, ServerName: "127.0.0.1"}))
	if err != nil {
		return nil, err
	}
	return c, c.Bind(root, rootPassword)
}

// Do changes the directory.
func (s *Server) Do(what func(*ldap.Conn) error) {
	s.t.Helper()
	c, err := s.dial()
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // the change has been made
	if err := what(c); err != nil {
		s.t.Fatal(err)
	}
}

// DN returns the name of a person's entry.
func DN(uid string) string { return "uid=" + ldap.EscapeDN(uid) + "," + People }

// Person adds a person whose password is "pw of UID".
func (s *Server) Person(uid, mail string, more ...string) {
	s.t.Helper()
	r := ldap.NewAddRequest(DN(uid), nil)
	r.Attribute("objectClass", []string{"inetOrgPerson"})
	for name, value := range map[string]string{"uid": uid, "cn": uid, "sn": "Of Acme", "givenName": strings.ToUpper(uid[:1]) + uid[1:], "mail": mail, "userPassword": "pw of " + uid} {
		r.Attribute(name, []string{value})
	}
	for i := 0; i+1 < len(more); i += 2 {
		r.Attribute(more[i], []string{more[i+1]})
	}
	s.Do(func(c *ldap.Conn) error { return c.Add(r) })
}

// Group adds a group, or takes the place of the one that is there.
func (s *Server) Group(name string, uids ...string) {
	s.t.Helper()
	dn := "cn=" + ldap.EscapeDN(name) + "," + Groups
	r := ldap.NewAddRequest(dn, nil)
	r.Attribute("objectClass", []string{"groupOfNames"})
	members := []string{root}
	for _, u := range uids {
		members = append(members, DN(u))
	}
	r.Attribute("member", members)
	s.Do(func(c *ldap.Conn) error {
		_ = c.Del(ldap.NewDelRequest(dn, nil)) // it may not be there
		return c.Add(r)
	})
}

func (s *Server) fill() {
	s.t.Helper()
	s.Do(func(c *ldap.Conn) error {
		for _, e := range []struct {
			dn, class, name, value string
		}{{Suffix, "dcObject organization", "dc", "acme"}, {People, "organizationalUnit", "ou", "people"}, {Groups, "organizationalUnit", "ou", "groups"}, {Searcher, "organizationalRole simpleSecurityObject", "cn", "searcher"}} {
			r := ldap.NewAddRequest(e.dn, nil)
			r.Attribute("objectClass", strings.Fields(e.class))
			r.Attribute(e.name, []string{e.value})
			switch e.name {
			case "dc":
				r.Attribute("o", []string{"Acme"})
			case "cn":
				r.Attribute("userPassword", []string{Password})
			}
			if err := c.Add(r); err != nil {
				return fmt.Errorf("%s: %w", e.dn, err)
			}
		}
		return nil
	})
	s.Person("ana", "ana@acme.test")
	s.Person("ben", "ben@acme.test")
	s.Group("staff", "ana", "ben")
	s.Group("payroll", "ana")
}
