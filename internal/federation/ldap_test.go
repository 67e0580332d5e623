package federation

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
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

// source asks the server at an address.
func source(t *testing.T, s *ldaptest.Server, address string) *ldap.Source {
	t.Helper()
	source, err := ldap.New(ldap.Config{
		Timeout: time.Minute, URL: address, Roots: s.Roots, User: ldaptest.Searcher, Password: ldaptest.Password, Base: ldaptest.People,
		Filter: "(&(objectClass=inetOrgPerson)(!(employeeType=gone))(mail={login}))", ID: "entryUUID", Attributes: Attributes(nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// entered returns a service over a directory server that everybody has signed in by.
func entered(ctx context.Context, t *testing.T, s *ldaptest.Server, names []string) (*Service, *directory.Service) {
	t.Helper()
	l := storetest.Ledger(t, append(Kinds(), directory.Kinds()...)...)
	people := directory.NewService(directory.Config{Ledger: l, Audit: quiet{}})
	service := NewService(Config{
		Ledger: l, People: people, Audit: quiet{}, Now: time.Now, Directory: &Directory{Source: source(t, s, s.LDAPS), URL: s.LDAPS, Domains: []string{"acme.test"}},
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
		employed(s, names, func(i int) bool { return i < c.gone })
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

// employed says of people whether they have gone, as the filter of people sees it.
func employed(s *ldaptest.Server, names []string, gone func(i int) bool) {
	s.Do(func(conn *asked.Conn) error {
		for i, name := range names {
			var kind []string
			if gone(i) {
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
}

// cutter passes connections on to a server, and cuts each after so many of its answers.
func cutter(t *testing.T, to string, after int) (address string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(to, "ldaps://"))
			if err != nil {
				_ = near.Close()
				continue
			}
			wg.Go(func() {
				_, _ = io.Copy(far, near) // ends with either
				_ = far.Close()
			})
			buffer := make([]byte, 16<<10)
			for range after {
				n, err := far.Read(buffer)
				if err != nil {
					break
				}
				_, _ = near.Write(buffer[:n])
			}
			_ = near.Close()
		}
	})
	return "ldaps://" + l.Addr().String()
}

// A connection that is lost on the way, wherever that is, makes nobody one who has gone; and
// whom the server did not come to is looked at the next time.
func TestALostConnectionSuspendsNobody(t *testing.T) {
	ctx := tenant.With(t.Context(), tenant.Default)
	s := ldaptest.Start(t)
	names := []string{"pia", "rob", "sue"}
	for _, name := range names {
		s.Person(name, name+"@acme.test")
	}
	service, people := entered(ctx, t, s, names)
	employed(s, names, func(i int) bool { return i != 1 })
	out := func() (n int) {
		for _, name := range names {
			u, err := people.FindUser(ctx, name+"@acme.test")
			if err != nil {
				t.Fatal(err)
			}
			if u.Value.Status == directory.Suspended {
				n++
			}
		}
		return n
	}
	lost := 0
	for after := 0; ; after++ {
		service.cfg.Directory.Source = source(t, s, cutter(t, s.LDAPS, after))
		got, err := service.Sync(ctx)
		if err != nil {
			if lost++; !fault.Is(err, fault.Unavailable) || out() != 0 {
				t.Fatalf("cut after %d answers: %d are suspended, %v", after, out(), err)
			}
			continue
		}
		if got != (Synced{Seen: 1, Suspended: 2}) || out() != 2 {
			t.Errorf("with %d answers: %+v, %d are suspended", after, got, out())
		}
		break
	}
	if lost < 4 { // the handshake, the bind, and people
		t.Errorf("only %d connections were lost", lost)
	}
}
