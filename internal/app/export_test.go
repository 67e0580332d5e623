package app

import (
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/ledger"
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
