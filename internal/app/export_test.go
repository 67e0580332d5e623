package app

import (
	"context"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/ledger"
	"gatehouse/internal/mail"
	"gatehouse/internal/store"
)

// NewAPIToken makes an API token of a user of a running program.
func NewAPIToken(t testing.TB, a *App, name, user string, expires time.Time) (token string) {
	t.Helper()
	_, err := a.current().ledger.Update(withTenant(t.Context()), ledger.System("test"), "a token", func(tx *ledger.Tx) (err error) {
		token, err = access.CreateAPIToken(tx, name, user, expires)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// NewOldAPIToken makes an API token that was made, and used last, some time ago.
func NewOldAPIToken(t testing.TB, a *App, name, user string, created, used time.Time) (token string) {
	t.Helper()
	token = NewAPIToken(t, a, name, user, time.Time{})
	r := a.current()
	var id string
	_, err := r.ledger.Update(withTenant(t.Context()), ledger.System("test"), "an old token", func(tx *ledger.Tx) error {
		o, err := access.FindAPIToken(tx, token)
		if err != nil {
			return err
		}
		id = o.ID
		o.Value.Created = created
		_, err = access.APITokens.Put(tx, o)
		return err
	})
	if err == nil && !used.IsZero() {
		err = r.db.SaveKeyStates(withTenant(t.Context()), []store.KeyState{{ID: id, LastUsed: used, Uses: 1}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// AssignedTo reports whether a user of a running program may use the app with the
// client id.
func AssignedTo(t testing.TB, a *App, user, client string) bool {
	t.Helper()
	p, err := a.current().access.Person(withTenant(t.Context()), user, client)
	if err != nil {
		t.Fatal(err)
	}
	return p.Assigned
}

// FlushLog has every event that a running program has recorded in the system log.
func FlushLog(t testing.TB, a *App) {
	t.Helper()
	if err := a.current().audit.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Letters waits until so many letters have come into the mailbox of a running program,
// and returns those that are kept, the newest first.
func Letters(t testing.TB, a *App, n int) []mail.Caught {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	list, err := a.mailbox.Wait(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// KnownPlaces returns how many places a running program remembers of a user.
func KnownPlaces(t testing.TB, a *App, user string) int {
	t.Helper()
	list, err := a.current().db.KnownPlaces(withTenant(t.Context()), user)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// Verifier returns that of a user's password in a running program.
func Verifier(t testing.TB, a *App, user string) string {
	t.Helper()
	u, err := a.current().people.User(withTenant(t.Context()), user)
	if err != nil {
		t.Fatal(err)
	}
	return u.Value.Password
}
