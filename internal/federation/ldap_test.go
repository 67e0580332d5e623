package federation

import (
	"context"
	"fmt"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ldap"
	"gatehouse/internal/ldap/ldaptest"
	"gatehouse/internal/ledger"
	"gatehouse/internal/store/storetest"
	"gatehouse/internal/tenant"

	asked "github.com/go-ldap/ldap/v3"
)

// quiet forgets the system log.
type quiet struct{}

func (quiet) Record(audit.Event) {}

// entered returns a service over a directory server that everybody has signed in by.
func entered(ctx context.Context, t *testing.T, s *ldaptest.Server, names []string) (*Service, *directory.Service) {
	t.Helper()
	source, err := ldap.New(ldap.Config{
		URL: s.LDAPS, Roots: s.Roots, User: ldaptest.Searcher, Password: ldaptest.Password, Base: ldaptest.People,
		Filter: "(&(objectClass=inetOrgPerson)(!(employeeType=gone))(mail={login}))", ID: "entryUUID", Attributes: Attributes(nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	l := storetest.Ledger(t, append(Kinds(), directory.Kinds()...)...)
	people := directory.NewService(directory.Config{Ledger: l, Audit: quiet{}})
	service := NewService(Config{
		Ledger: l, People: people, Audit: quiet{}, Now: time.Now, Directory: &Directory{Source: source, URL: s.LDAPS, Domains: []string{"acme.test"}},
		Privileged: func(context.Context, string) (bool, error) { return false, nil },
	})
	t.Cleanup(service.Close)
	if err := people.EnsureTenant(ctx, ledger.System("test")); err != nil {
		t.Fatal(err)
	}
	if err := service.Declare(ctx); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		a, err := service.Directory(ctx, name+"@acme.test", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = service.Enter(ctx, a, "pw of "+name)
		a.Close()
		if err != nil {
			t.Fatal(name, err)
		}
	}
	return service, people
}

// Where more than ten people, and more than half, would go at once, it is the filter or
// the server that has changed: nobody goes, until as few are missing as may have left.
func TestMostPeopleDoNotGoAtOnce(t *testing.T) {
	ctx := tenant.With(t.Context(), tenant.Default)
	s := ldaptest.Start(t)
	names := make([]string, 22)
	for i := range names {
		names[i] = fmt.Sprintf("p%02d", i)
		s.Person(names[i], names[i]+"@acme.test")
	}
	service, people := entered(ctx, t, s, names)
	for _, c := range []struct {
		what string
		gone int    // people who are not found
		want Synced // zero: refused
		out  int    // people who are suspended then
	}{
		{"nobody is missing", 0, Synced{Seen: 22}, 0},
		{"twelve of 22", 12, Synced{}, 0},
		{"all of them", 22, Synced{}, 0},
		{"half of them", 11, Synced{Seen: 11, Suspended: 11}, 11},
		{"ten of the eleven who are left", 21, Synced{Seen: 1, Suspended: 10}, 21},
		{"all are back", 0, Synced{Seen: 22, Restored: 21}, 0},
	} {
		s.Do(func(conn *asked.Conn) error {
			for i, name := range names {
				var kind []string
				if i < c.gone {
					kind = []string{"gone"}
				}
				r := asked.NewModifyRequest(ldaptest.DN(name), nil)
				r.Replace("employeeType", kind)
				if err := conn.Modify(r); err != nil {
					return err
				}
			}
			return nil
		})
		got, err := service.Sync(ctx)
		if refused := c.want == (Synced{}); fault.Is(err, fault.Conflict) != refused || !refused && (err != nil || got != c.want) {
			t.Errorf("%s: %+v, want %+v; %v", c.what, got, c.want, err)
		}
		out := 0
		for _, name := range names {
			u, err := people.FindUser(ctx, name+"@acme.test")
			if err != nil {
				t.Fatal(err)
			}
			if u.Value.Status == directory.Suspended {
				out++
			}
		}
		if out != c.out {
			t.Errorf("%s: %d people are suspended, want %d", c.what, out, c.out)
		}
	}
}
