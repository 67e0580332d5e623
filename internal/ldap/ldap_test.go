package ldap

import (
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/ldap/ldaptest"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"
)

func settings(s *ldaptest.Server) Config {
	return Config{
		Timeout: time.Minute, URL: s.LDAPS, Roots: s.Roots, User: ldaptest.Searcher, Password: ldaptest.Password,
		Base: ldaptest.People, Filter: "(&(objectClass=inetOrgPerson)(|(uid={name})(mail={login})))", ID: "entryUUID", Attributes: append(Attributes(), "departmentNumber"),
		GroupBase: ldaptest.Groups, GroupFilter: "(member={dn})", GroupName: "cn",
	}
}

// open begins a conversation with a server that is there.
func open(t *testing.T, c Config) *Talk {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	talk, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(talk.Close)
	return talk
}

func TestAsk(t *testing.T) {
	server := ldaptest.Start(t)
	for _, url := range []string{server.LDAPS, server.LDAP} { // with StartTLS
		c := settings(server)
		c.URL = url
		talk := open(t, c)
		p, err := talk.Find("ANA@acme.test")
		if err != nil {
			t.Fatal(err)
		}
		if err := talk.ReadGroups(p); err != nil {
			t.Fatal(err)
		}
		slices.Sort(p.Groups)
		email, _ := p.Claim("email")
		given, _ := p.Claim("given_name")
		if d := cmp.Diff([]any{"ana@acme.test", "Ana", []string{"payroll", "staff"}}, []any{email, given, p.Groups}); d != "" || len(p.ID) != 36 {
			t.Errorf("%s: %s", p.ID, d)
		}
		for password, want := range map[string]bool{"pw of ana": true, "pw of ben": false, "": false, "PW OF ANA": false, strings.Repeat("x", 2000): false} {
			if ok, err := talk.Check(p, password); ok != want || err != nil {
				t.Errorf("%q: %v %v", password, ok, err)
			}
			if ok, err := talk.Check(nil, password); ok || err != nil {
				t.Errorf("nobody with %q: %v %v", password, ok, err)
			}
		}
		again, err := talk.Get(p.ID, "ana@acme.test")
		if err != nil || again.dn != p.dn {
			t.Errorf("by id: %v %v", again, err)
		}
	}
}

// Who is in a group is in those that it is in, where the operator says so: however deep,
// once for each, and not for ever where two are in one another.
func TestNestedGroups(t *testing.T) {
	server := ldaptest.Start(t)
	in := func(parent, child string) {
		r := ldap.NewModifyRequest("cn="+ldap.EscapeDN(parent)+","+ldaptest.Groups, nil)
		r.Add("member", []string{"cn=" + ldap.EscapeDN(child) + "," + ldaptest.Groups})
		server.Do(func(c *ldap.Conn) error { return c.Modify(r) })
	}
	odd := "all (of *), Acme"
	server.Group("everybody")
	server.Group(odd)
	server.Group("nobody's")
	in("everybody", "staff")
	in("everybody", "payroll")
	in(odd, "everybody")
	in("staff", odd) // a circle
	for i := range 2 * mostAtOnce {
		name := fmt.Sprintf("team %d", i)
		server.Group(name)
		in(name, "payroll")
	}
	in("nobody's", fmt.Sprintf("team %d", 2*mostAtOnce-1))
	for _, c := range []struct {
		name, who string
		nested    bool
		want      int
		has, not  string
	}{
		{"as before", "ana", false, 2, "payroll", "everybody"},
		{"all", "ana", true, 2*mostAtOnce + 5, "nobody's", ""},
		{"not those of others", "ben", true, 3, odd, "payroll"},
	} {
		set := settings(server)
		set.Nested = c.nested
		talk := open(t, set)
		p, err := talk.Find(c.who)
		if err == nil {
			err = talk.ReadGroups(p)
		}
		if err != nil || len(p.Groups) != c.want || !slices.Contains(p.Groups, c.has) || slices.Contains(p.Groups, c.not) {
			t.Errorf("%s: %d groups, %v, %v", c.name, len(p.Groups), p.Groups, err)
		}
	}
}

// What somebody types is text, never a part of the filter (attack identity 69), and an
// entry of that name or nobody.
func TestFiltersAreNotInjected(t *testing.T) {
	server := ldaptest.Start(t)
	server.Person("odd)(uid=*", "odd@acme.test")
	talk := open(t, settings(server))
	for login, want := range map[string]bool{
		"*": false, "a*": false, "*@acme.test": false, "ana)(uid=*": false, "ana)(|(uid=*": false, `\2a`: false, "x)(objectClass=*))(&(uid=*": false,
		"ana\x00": false, "ana\xff": false, "": false, strings.Repeat("a", 500): false, "odd)(uid=*": true, "ana": true,
	} {
		p, err := talk.Find(login)
		if (err == nil) != want || err != nil && !fault.Is(err, fault.NotFound) {
			t.Errorf("%q finds %v, %v", login, p, err)
		}
	}
	for _, id := range []string{"*", "", `\xzz`, `\x2a`, "a)(uid=*"} {
		if p, err := talk.Get(id, ""); err == nil {
			t.Errorf("the id %q is %v", id, p)
		}
	}
}

// Two entries of one name are nobody: which of them has signed in is not to be known.
func TestTwoOfOneNameAreNobody(t *testing.T) {
	server := ldaptest.Start(t)
	server.Person("anna", "ana@acme.test")
	if p, err := open(t, settings(server)).Find("ana@acme.test"); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v %v", p, err)
	}
}

// Nobody is asked whom the operator has not named: references to other servers are not
// followed, neither of people nor when a password is checked.
func TestReferralsAreNotFollowed(t *testing.T) {
	server := ldaptest.Start(t)
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 8)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := other.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
			asked <- struct{}{}
		}
	})
	r := ldap.NewAddRequest("cn=elsewhere,"+ldaptest.People, []ldap.Control{ldap.NewControlManageDsaIT(true)})
	r.Attribute("objectClass", []string{"referral", "extensibleObject"})
	r.Attribute("ref", []string{"ldap://" + other.Addr().String() + "/" + ldaptest.People})
	server.Do(func(c *ldap.Conn) error { return c.Add(r) })
	talk := open(t, settings(server))
	if p, err := talk.Find("ana@acme.test"); err != nil || p == nil {
		t.Errorf("beside a reference: %v %v", p, err)
	}
	if _, err := talk.Find("zoe@acme.test"); !fault.Is(err, fault.NotFound) {
		t.Errorf("only a reference: %v", err)
	}
	if ok, err := talk.Check(&Person{dn: "cn=elsewhere," + ldaptest.People}, "x"); ok {
		t.Errorf("a password was checked elsewhere: %v", err)
	}
	_ = other.Close()
	wg.Wait()
	if len(asked) > 0 {
		t.Error("the other server was asked")
	}
}

// A server that is not there, is another one, or says nothing is Unavailable, never
// "wrong password".
func TestServerIsDown(t *testing.T) {
	server := ldaptest.Start(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	for name, change := range map[string]func(*Config){
		"another authority":      func(c *Config) { c.Roots = x509.NewCertPool() },
		"StartTLS, another one":  func(c *Config) { c.URL, c.Roots = server.LDAP, x509.NewCertPool() },
		"another password":       func(c *Config) { c.Password = "wrong" },
		"nobody listens":         func(c *Config) { c.URL = "ldaps://127.0.0.1:1" },
		"it says nothing":        func(c *Config) { c.URL, c.Timeout = "ldaps://"+silent.Addr().String(), 200*time.Millisecond },
		"it says nothing, plain": func(c *Config) { c.URL, c.Timeout = "ldap://"+silent.Addr().String(), 200*time.Millisecond },
	} {
		c := settings(server)
		change(&c)
		s, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if talk, err := s.Open(t.Context()); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v %v", name, talk, err)
		}
	}
	talk := open(t, settings(server))
	p, err := talk.Find("ana")
	if err != nil {
		t.Fatal(err)
	}
	server.Stop()
	if ok, err := talk.Check(p, "pw of ana"); ok || !fault.Is(err, fault.Unavailable) {
		t.Errorf("it went in between: %v %v", ok, err)
	}
	if _, err := talk.Find("ana"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("it went in between: %v", err)
	}
}

// No more talk than the bound, and who has no turn is told so.
func TestTurns(t *testing.T) {
	server := ldaptest.Start(t)
	c := settings(server)
	c.Most = 1
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.cfg.Timeout = 20 * time.Millisecond // of the wait alone: it does not get further
	if _, err := s.Open(t.Context()); !fault.Is(err, fault.Timeout) {
		t.Errorf("a second one: %v", err)
	}
	s.cfg.Timeout = c.Timeout
	first.Close()
	second, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
}

func TestNew(t *testing.T) {
	good := Config{URL: "ldaps://ldap.acme.test", Base: "dc=acme,dc=test", Filter: "(uid={name})", ID: "entryUUID"}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"no address": func(c *Config) { c.URL = "" }, "another protocol": func(c *Config) { c.URL = "https://a" }, "a password in the address": func(c *Config) { c.URL = "ldaps://a:b@c" },
		"no base": func(c *Config) { c.Base = "" }, "no name": func(c *Config) { c.Base = "people" }, "everybody": func(c *Config) { c.Filter = "(uid=*)" },
		"no filter": func(c *Config) { c.Filter = "(uid={name}" }, "no id": func(c *Config) { c.ID = "" }, "no password": func(c *Config) { c.User = "cn=a" },
		"nested groups by another name": func(c *Config) {
			c.GroupBase, c.GroupName, c.GroupFilter, c.Nested = "dc=acme", "cn", "(memberUid={name})", true
		},
		"groups without a filter": func(c *Config) { c.GroupBase = "dc=acme" }, "groups by no filter": func(c *Config) { c.GroupFilter = "member" },
	} {
		c := good
		change(&c)
		if _, err := New(c); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever somebody types, the filter has the form that the operator wrote, with what was
// typed as one value (attack identity 69).
func FuzzFill(f *testing.F) {
	for _, s := range []string{"ana", "*", ")(uid=*", "\x00", `\2a`, "ä", "{dn}", "{login}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ldap.CompileFilter(fill("(&(objectClass=person)(mail={login}))", s, "cn=a"))
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Children) != 2 || got.Tag != ldap.FilterAnd || got.Children[1].Tag != ldap.FilterEqualityMatch {
			t.Fatalf("%q changes the filter", s)
		}
		if v := got.Children[1].Children[1].Data.String(); v != s {
			t.Fatalf("%q is asked for as %q", s, v)
		}
	})
}
