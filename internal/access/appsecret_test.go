package access

import (
	"strings"
	"testing"

	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
)

// Secrets of apps are readable for those who may, sealed at rest, and bound to
// their app.
func TestSealedSecrets(t *testing.T) {
	r := newRoom(t)
	sealer, err := keys.NewSealer(keys.SealKey{ID: "k", Secret: [32]byte{1}})
	must(t, err)
	r.service.sealer = sealer
	o, secret, err := r.service.AddApp(r.ctx, r.admin, App{Label: "one"}, "", nil)
	must(t, err)
	if got, err := r.service.CurrentSecret(r.ctx, o); err != nil || got != secret {
		t.Errorf("read again: %q %v", got, err)
	}
	history, err := r.ledger.History(r.ctx, ledger.HistoryQuery{Kind: "app", ID: o.ID})
	must(t, err)
	for _, c := range history {
		if strings.Contains(string(c.After), secret) {
			t.Error("the secret stands in the ledger")
		}
	}
	other, _, err := r.service.AddApp(r.ctx, r.admin, App{Label: "two"}, "", nil)
	must(t, err)
	if got, _ := r.service.OpenSecret(r.ctx, other.ID, o.Value.Secrets[0]); got != "" {
		t.Error("a sealed secret opens in another app")
	}
	// What a caller sends replaces the newest one, unless it is one of them.
	keep := func(a *App) error { return nil }
	same, err := r.service.ChangeApp(r.ctx, r.admin, o.ID, AppChange{Secret: secret, Change: keep})
	must(t, err)
	if same.Value.Secrets[0].ID != o.Value.Secrets[0].ID {
		t.Error("the same secret is a new one")
	}
	next, err := r.service.ChangeApp(r.ctx, r.admin, o.ID, AppChange{Secret: "a secret of the caller", Change: keep})
	must(t, err)
	if got, err := r.service.CurrentSecret(r.ctx, next); err != nil || got != "a secret of the caller" || len(next.Value.Secrets) != 1 {
		t.Errorf("replaced: %q, %d secrets, %v", got, len(next.Value.Secrets), err)
	}
	if next.Value.Secrets[0].Hash != keys.Hash("a secret of the caller") {
		t.Error("what is shown is not what is compared")
	}
	// A secret of the native API is shown once.
	made, err := r.service.CreateApp(r.ctx, r.admin, NewApp{Label: "three"})
	must(t, err)
	if len(made.App.Secrets) != 1 || made.App.Secrets[0].Sealed != "" {
		t.Error("a secret that is shown once was kept")
	}
}
