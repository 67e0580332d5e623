// Package ldap asks a directory server about people: who somebody is there, which groups
// they are in, and whether a password is theirs. It changes nothing there. It must not
// know what that means here: accounts, sessions, HTTP.
package ldap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/fault"

	"github.com/go-ldap/ldap/v3"
)

// Config is what a Source needs.
type Config struct {
	URL   string         // ldaps://host:636, or ldap://host:389, which is never spoken without StartTLS
	Roots *x509.CertPool // nil: those of the system
	User  string         // DN that searches; empty: nobody, where the server lets anybody search
	// Password is that of User.
	Password string

	Base   string // below which people are
	Filter string // of people; {login} is what somebody typed, {name} what of it is in front of the @
	ID     string // attribute that names an entry for good, such as entryUUID or objectGUID
	// Attributes are those that are read of a person, besides ID.
	Attributes []string

	GroupBase   string // empty: no groups are read
	GroupFilter string // of the groups of a person; {dn} is theirs, {name} as above
	GroupName   string // attribute with the name of a group
	// Nested makes people members of the groups, too, that their groups are members of: {dn}
	// of GroupFilter is then also the name of a group.
	Nested bool

	Timeout time.Duration // of a conversation; 0: five seconds
	Most    int           // conversations at a time; 0: eight
}

// Bounds of answers.
const (
	mostGroups = 1000
	mostAtOnce = 50 // groups whose groups are asked for in one message
	mostValues = 100
	maxValue   = 2048
)

// A Source is a directory server. It keeps no connection: each conversation has one of its
// own, so that nobody is ever asked about with what another one has left behind.
type Source struct {
	cfg   Config
	tls   *tls.Config
	turns chan struct{}
}

// New returns a Source. fault.Invalid says what is wrong with the configuration.
func New(c Config) (*Source, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "ldaps" && u.Scheme != "ldap" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, fault.New(fault.Invalid, "the address must be ldaps://HOST or ldap://HOST, with a port where it is another than 636 or 389")
	}
	if _, err := ldap.ParseDN(c.Base); err != nil || c.Base == "" {
		return nil, fault.New(fault.Invalid, "base must be the name of an entry, such as ou=people,dc=acme,dc=test")
	}
	if !strings.Contains(c.Filter, "{login}") && !strings.Contains(c.Filter, "{name}") {
		return nil, fault.New(fault.Invalid, "filter must say {login} or {name}: else it finds everybody")
	}
	for _, f := range []string{c.Filter, c.GroupFilter} {
		if _, err := ldap.CompileFilter(fill(f, "a@b", "cn=a")); err != nil && f != "" {
			return nil, fault.New(fault.Invalid, "%s is not a filter", f)
		}
	}
	if c.Nested && !strings.Contains(c.GroupFilter, "{dn}") {
		return nil, fault.New(fault.Invalid, "the filter of groups must say {dn} where they are nested: a group has no other name in it")
	}
	if c.ID == "" || (c.User == "") != (c.Password == "") || c.GroupBase != "" && (c.GroupFilter == "" || c.GroupName == "") {
		return nil, fault.New(fault.Invalid, "the attribute of the id is missing, or a user without a password, or groups without a filter and a name")
	}
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Most <= 0 {
		c.Most = 8
	}
	return &Source{
		cfg: c, turns: make(chan struct{}, c.Most),
		tls: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots, ServerName: u.Hostname()},
	}, nil
}

// fill puts what somebody typed into a filter: as text, whatever it is (RFC 4515
// section 3).
func fill(filter, login, dn string) string {
	name, _, _ := strings.Cut(login, "@")
	return strings.NewReplacer("{login}", ldap.EscapeFilter(login), "{name}", ldap.EscapeFilter(name), "{dn}", ldap.EscapeFilter(dn)).Replace(filter)
}

// Person is somebody's entry.
type Person struct {
	ID     string // for good
	Values map[string][]string
	Groups []string // names, once they were read

	dn, login string
}

// Claim returns a value of an attribute, or a list where there are more. Names of
// OpenID Connect stand for the usual attributes; groups for the groups. That an address
// is verified is nothing that a directory says.
func (p *Person) Claim(name string) (any, bool) {
	switch name {
	case "groups":
		return p.Groups, true
	case "email_verified":
		return nil, false
	}
	if a := attributeOf[name]; a != "" {
		name = a
	}
	switch v := p.Values[strings.ToLower(name)]; len(v) {
	case 0:
		return nil, false
	case 1:
		return v[0], true
	default:
		return v, true
	}
}

var attributeOf = map[string]string{"email": "mail", "given_name": "givenName", "family_name": "sn", "name": "displayName"}

// Attributes returns the usual ones, which Claim knows by other names too.
func Attributes() []string { return []string{"mail", "givenName", "sn", "displayName", "cn", "uid"} }

// Talk is a conversation: all that is asked within one turn, on one connection.
type Talk struct {
	source *Source
	conn   *ldap.Conn
	stop   func() bool
	asUser bool // somebody else than the searching user is bound
}

// Open begins a conversation, which ends with Close. fault.Unavailable when the server cannot be
// reached, is not who it should be, or does not know the searching user; fault.Timeout
// when too many talk already.
func (s *Source) Open(ctx context.Context) (*Talk, error) {
	turn := time.NewTimer(s.cfg.Timeout)
	defer turn.Stop()
	select {
	case s.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, fault.Because(ctx.Err(), fault.Timeout, "the directory has no turn for this one")
	case <-turn.C:
		return nil, fault.New(fault.Timeout, "the directory has no turn for this one")
	}
	t, err := s.dial(ctx)
	if err != nil {
		<-s.turns
		return nil, fault.Because(err, fault.Unavailable, "the directory cannot be asked")
	}
	return t, nil
}

func (s *Source) dial(ctx context.Context) (*Talk, error) {
	conn, err := ldap.DialURL(s.cfg.URL, ldap.DialWithDialer(&net.Dialer{Timeout: s.cfg.Timeout}), ldap.DialWithTLSConfig(s.tls))
	if err != nil {
		return nil, err
	}
	conn.SetTimeout(s.cfg.Timeout)
	t := &Talk{source: s, conn: conn, stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}
	if strings.HasPrefix(s.cfg.URL, "ldap:") {
		err = conn.StartTLS(s.tls)
	}
	if err == nil {
		err = t.bindSearcher()
	}
	if err != nil {
		t.stop()
		_ = conn.Close() // it is not used
		return nil, err
	}
	return t, nil
}

func (t *Talk) bindSearcher() error {
	t.asUser = false
	if t.source.cfg.User == "" {
		return nil
	}
	return t.conn.Bind(t.source.cfg.User, t.source.cfg.Password)
}

// Close ends the conversation.
func (t *Talk) Close() {
	t.stop()
	_ = t.conn.Close() // it is over either way
	<-t.source.turns
}

// Find returns who is meant by what somebody typed, or fault.NotFound: also when more than
// one is.
func (t *Talk) Find(login string) (*Person, error) {
	if login == "" || len(login) > 200 || !utf8.ValidString(login) || strings.ContainsFunc(login, unicode.IsControl) {
		return nil, errNobody()
	}
	return t.person(fill(t.source.cfg.Filter, login, ""), login)
}

// Get returns a person by id, or fault.NotFound: also for one whom the filter of people
// does not find any more, such as one who is disabled. login is what they are called here.
func (t *Talk) Get(id, login string) (*Person, error) {
	raw := []byte(id)
	if h, binary := strings.CutPrefix(id, "\\x"); binary {
		b, err := hex.DecodeString(h)
		if err != nil {
			return nil, errNobody()
		}
		raw = b
	}
	var value strings.Builder
	for _, b := range raw {
		value.WriteString("\\" + hex.EncodeToString([]byte{b}))
	}
	return t.person("(&("+t.source.cfg.ID+"="+value.String()+")"+anybody(t.source.cfg.Filter)+")", login)
}

// anybody returns the filter of people for whatever somebody typed.
func anybody(filter string) string {
	return strings.NewReplacer("{login}", "*", "{name}", "*").Replace(filter)
}

func errNobody() error { return fault.New(fault.NotFound, "the directory knows nobody of that name") }

func (t *Talk) person(filter, login string) (*Person, error) {
	c := t.source.cfg
	found, err := t.search(c.Base, filter, append([]string{c.ID}, c.Attributes...), 2)
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, errNobody()
	}
	e := found[0]
	p := &Person{ID: idOf(e.GetRawAttributeValue(c.ID)), Values: map[string][]string{}, dn: e.DN, login: login}
	if p.ID == "" || p.dn == "" {
		return nil, fault.New(fault.Unavailable, "the directory's entry has no %s", c.ID)
	}
	for _, a := range e.Attributes {
		for _, v := range a.Values {
			if len(v) <= maxValue && utf8.ValidString(v) && len(p.Values[strings.ToLower(a.Name)]) < mostValues {
				p.Values[strings.ToLower(a.Name)] = append(p.Values[strings.ToLower(a.Name)], v)
			}
		}
	}
	return p, nil
}

// idOf returns an id as text: of a binary one, such as objectGUID, its digits.
func idOf(raw []byte) string {
	if utf8.Valid(raw) && !strings.ContainsFunc(string(raw), func(r rune) bool { return r < 0x21 || r > 0x7e || r == '\\' }) {
		return string(raw)
	}
	return "\\x" + hex.EncodeToString(raw)
}

// ReadGroups reads the groups of a person. It is apart from Find so that as much is said
// about nobody as about somebody until a password was right.
func (t *Talk) ReadGroups(p *Person) error {
	c := t.source.cfg
	p.Groups = nil
	if c.GroupBase == "" {
		return nil
	}
	seen := map[string]bool{} // names of entries: groups may be in one another
	for next := []string{p.dn}; len(next) > 0; {
		found, err := t.groupsOf(p.login, next[:min(len(next), mostAtOnce)])
		if err != nil {
			return err
		}
		next = next[min(len(next), mostAtOnce):]
		for _, g := range found {
			if dn := strings.ToLower(g.DN); seen[dn] {
				continue
			} else if seen[dn] = true; len(seen) > mostGroups {
				return fault.New(fault.Unavailable, "the person is in more than %d groups of the directory", mostGroups)
			}
			if name := g.GetEqualFoldAttributeValue(c.GroupName); name != "" && !slices.Contains(p.Groups, name) {
				p.Groups = append(p.Groups, name)
			}
			if c.Nested {
				next = append(next, g.DN)
			}
		}
	}
	return nil
}

// groupsOf returns the groups of which one of the entries is a member.
func (t *Talk) groupsOf(login string, entries []string) ([]*ldap.Entry, error) {
	c := t.source.cfg
	filter := ""
	for _, dn := range entries {
		filter += fill(c.GroupFilter, login, dn)
	}
	if len(entries) > 1 {
		filter = "(|" + filter + ")"
	}
	return t.search(c.GroupBase, filter, []string{c.GroupName}, mostGroups)
}

// search returns entries. References to other servers are not followed: nobody has said
// that they may say who is who.
func (t *Talk) search(base, filter string, attributes []string, most int) ([]*ldap.Entry, error) {
	if t.asUser {
		if err := t.bindSearcher(); err != nil {
			return nil, fault.Because(err, fault.Unavailable, "the directory cannot be asked")
		}
	}
	r, err := t.conn.Search(ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, most, int(t.source.cfg.Timeout/time.Second), false, filter, attributes, nil))
	switch {
	case ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) && most == 2:
		return nil, errNobody() // more than one
	case ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject):
		return nil, fault.Because(err, fault.Unavailable, "the directory has no %s", base)
	case err != nil:
		return nil, fault.Because(err, fault.Unavailable, "the directory cannot be searched")
	}
	return r.Entries, nil
}

// Check reports whether it is the person's password; nil is nobody, and takes as many
// messages. An empty one is nobody's: servers take it for a wish to be anonymous and say
// that all is well (RFC 4513 section 5.1.2).
func (t *Talk) Check(p *Person, password string) (bool, error) {
	if password == "" || len(password) > 1024 {
		return false, nil
	}
	dn := "cn=nobody," + t.source.cfg.Base
	if p != nil {
		dn = p.dn
	}
	t.asUser = true
	err := t.conn.Bind(dn, password)
	switch {
	case err == nil:
		return p != nil, nil
	case ldap.IsErrorAnyOf(err, refusals...):
		return false, nil
	}
	return false, fault.Because(err, fault.Unavailable, "the directory cannot be asked about a password")
}

// refusals are what a server answers to a password that is wrong, or right and of no use:
// of an entry that is gone, locked, expired or may not sign in.
var refusals = []uint16{
	ldap.LDAPResultInvalidCredentials, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultInappropriateAuthentication,
	ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultConstraintViolation,
}
