package app_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/ldap/ldaptest"

	"github.com/go-ldap/ldap/v3"
)

// withDirectory is a program whose directory server judges the people of acme.test.
func withDirectory(t *testing.T) (*program, *ldaptest.Server) {
	t.Helper()
	s := ldaptest.Start(t)
	file := write(t, fmt.Sprintf(`version: 1
server:
  people:
    ldap:
      url: %s
      ca: %s
      user: %s
      password: ${env:LDAP_PASSWORD}
      base: %s
      filter: "(&(objectClass=inetOrgPerson)(!(employeeType=gone))(|(uid={name})(mail={login})))"
      domains: acme.test
      attributes: { department: departmentNumber }
      groups: { base: "%s", follow: [staff, payroll] }
      sync: 1s
`, s.LDAPS, s.CA, ldaptest.Searcher, ldaptest.People, ldaptest.Groups))
	return start(t, file, withEnv(map[string]string{"LDAP_PASSWORD": ldaptest.Password})), s
}

// enters tries to sign in on the page, and returns the page that came.
func (b *browser) enters(login, password string) *seen {
	b.t.Helper()
	return b.signIn(b.get("/account"), login, password)
}

func (p *program) groupNames(user string) string {
	p.t.Helper()
	var groups []struct{ Profile struct{ Name string } }
	if err := json.Unmarshal([]byte(p.okta("GET", "/api/v1/users/"+user+"/groups", "").Body), &groups); err != nil {
		p.t.Fatal(err)
	}
	return fmt.Sprint(groups)
}

// People of a directory server sign in with their passwords there, on our page; they get
// an account, attributes and groups, which follow the directory, and they are out when
// they are out there.
func TestDirectoryServer(t *testing.T) {
	p, s := withDirectory(t)
	s.Person("cleo", "cleo@acme.test", "departmentNumber", "7")
	s.Group("staff", "ana", "ben", "cleo")
	for _, c := range []struct {
		login, password string
		status          int
	}{
		{"cleo@acme.test", "pw of ben", 401},
		{"cleo@acme.test", "", 422},
		{"nobody@acme.test", "pw of cleo", 401},
		{"*@acme.test", "pw of ana", 401},
		{"cleo)(uid=*@acme.test", "pw of cleo", 401},
		{"cleo@acme.test", "pw of cleo", 200},
		{"CLEO@Acme.test", "pw of cleo", 200},
		{"cleo", "pw of cleo", 200}, // has an account by now
	} {
		b := p.browser(t)
		page := b.enters(c.login, c.password)
		if who := b.whoIs(); page.StatusCode != c.status || (who == "cleo@acme.test") != (c.status == 200) {
			t.Fatalf("%q with %q: %d, signed in as %q\n%s", c.login, c.password, page.StatusCode, who, page.body)
		}
	}
	u := p.okta("GET", "/api/v1/users/cleo@acme.test", "").json(t)
	if at(u, "profile", "firstName") != "Cleo" || at(u, "profile", "department") != "7" || !strings.Contains(p.groupNames("cleo@acme.test"), "staff") {
		t.Errorf("the account %v in %v", u, p.groupNames("cleo@acme.test"))
	}

	// A look around: a change arrives, who has gone is out at once, who is back is let in.
	b := p.browser(t)
	b.enters("cleo@acme.test", "pw of cleo").has(t, 200)
	s.Group("staff", "ana")
	eventually(t, "the group follows", func() bool { return !strings.Contains(p.groupNames("cleo@acme.test"), "staff") })
	employee := func(kind ...string) {
		r := ldap.NewModifyRequest(ldaptest.DN("cleo"), nil)
		r.Replace("employeeType", kind)
		s.Do(func(c *ldap.Conn) error { return c.Modify(r) })
	}
	employee("gone")
	if page := p.browser(t).enters("cleo@acme.test", "pw of cleo"); page.StatusCode != 401 {
		t.Errorf("who has gone: %d", page.StatusCode)
	}
	eventually(t, "the session ends", func() bool { return b.whoIs() == "" })
	employee()
	eventually(t, "they are back", func() bool {
		return p.okta("GET", "/api/v1/users/cleo@acme.test", "").json(t)["status"] == "ACTIVE"
	})

	// When it is down, nobody judges in its place: not even where a password is here.
	p.okta("POST", "/api/v1/users/cleo@acme.test", `{"credentials":{"password":{"value":"a local password 9"}}}`)
	if page := p.browser(t).enters("cleo@acme.test", "a local password 9"); page.StatusCode != 401 {
		t.Errorf("a password of ours: %d", page.StatusCode)
	}
	s.Stop()
	for _, password := range []string{"pw of cleo", "a local password 9", "wrong"} {
		for _, login := range []string{"cleo@acme.test", "cleo", "zoe@acme.test"} {
			b := p.browser(t)
			page := b.enters(login, password)
			page.has(t, 503, "The directory that knows your password does not answer")
			if page.Header.Get("Retry-After") == "" || b.whoIs() != "" {
				t.Errorf("%s with %q: signed in as %q", login, password, b.whoIs())
			}
		}
	}
	demo := p.Ready().Demo.Users[1]
	p.browser(t).enters(demo.Login, demo.Password).has(t, 200)
}

// Whose accounts the directory server does not judge: administrators, whom it could else
// take; what it is called, and that it is the configuration's, cannot be changed. Attempts
// are counted for the person, whatever they are called (attack identity 63, 69).
func TestDirectoryServerIsBounded(t *testing.T) {
	p, s := withDirectory(t)
	boss := p.hire("boss", "ORG_ADMIN")
	if a := p.okta("POST", "/api/v1/users/"+boss.id, `{"profile":{"login":"boss@acme.test","email":"boss@acme.test"},"credentials":{"password":{"value":"of the chief 9"}}}`); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	s.Person("boss", "boss@acme.test")
	b := p.browser(t)
	if page := b.enters("boss@acme.test", "pw of boss"); page.StatusCode != 401 || b.whoIs() != "" {
		t.Errorf("an administrator by the directory: %d %q", page.StatusCode, b.whoIs())
	}
	if page := b.enters("boss@acme.test", "of the chief 9"); b.whoIs() != "boss@acme.test" {
		t.Errorf("an administrator by their own password: %d", page.StatusCode)
	}
	var idps []struct{ ID, Type string }
	if err := json.Unmarshal([]byte(p.okta("GET", "/api/v1/idps", "").Body), &idps); err != nil || len(idps) != 1 || idps[0].Type != "LDAP" {
		t.Fatalf("providers %v %v", idps, err)
	}
	for _, c := range []struct{ method, path, body string }{
		{"PUT", "/api/v1/idps/" + idps[0].ID, `{"name":"LDAP directory","type":"LDAP","domains":["evil.test"]}`},
		{"DELETE", "/api/v1/idps/" + idps[0].ID, ""},
		{"POST", "/api/v1/idps", `{"name":"other","type":"LDAP"}`},
	} {
		if a := p.okta(c.method, c.path, c.body); a.Status != 400 {
			t.Errorf("%s %s: %d %s", c.method, c.path, a.Status, a.Body)
		}
	}
	if page := p.browser(t).get("/account"); strings.Contains(page.body, "/with/") {
		t.Error("the sign-in page leads to the directory server")
	}
	// Ten attempts over all that the directory takes for the same name.
	s.Person("bob", "bobby.lee@acme.test")
	for i := range 10 {
		if page := p.browser(t).enters([]string{"bob@acme.test", "bobby.lee@acme.test"}[i%2], "guess"); page.StatusCode != 401 {
			t.Fatalf("attempt %d: %d", i, page.StatusCode)
		}
	}
	b = p.browser(t)
	if page := b.enters("BOB@acme.test", "pw of bob"); page.StatusCode != 401 || b.whoIs() != "" {
		t.Errorf("after ten attempts: %d %q", page.StatusCode, b.whoIs())
	}
	// Out of use, it judges nobody.
	p.okta("POST", "/api/v1/idps/"+idps[0].ID+"/lifecycle/deactivate", "")
	if page := p.browser(t).enters("ana@acme.test", "pw of ana"); page.StatusCode != 401 {
		t.Errorf("deactivated: %d", page.StatusCode)
	}
}
