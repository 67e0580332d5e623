package app

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/store"
)

// useKept is how often the use of an API token is written down: what it decides is
// counted in days.
const useKept = time.Hour

// tokenUse knows when API tokens were used last. It implements okta.TokenUse.
type tokenUse struct {
	db  *store.DB
	now func() time.Time

	mu   sync.Mutex
	kept map[string]time.Time // id of a token to when its use was written down last
}

func newTokenUse(db *store.DB, now func() time.Time) *tokenUse {
	return &tokenUse{db: db, now: now, kept: map[string]time.Time{}}
}

// LastUse implements okta.TokenUse.
func (u *tokenUse) LastUse(ctx context.Context, token string) (time.Time, error) {
	s, err := u.db.KeyState(ctx, token)
	return s.LastUsed, err
}

// use writes down that a token is used, unless that was done a short while ago. It
// returns an Unauthenticated fault for one that was not used for too long.
func (u *tokenUse) use(ctx context.Context, o ledger.Object[access.APIToken]) error {
	now := u.now()
	u.mu.Lock()
	fresh := now.Sub(u.kept[o.ID]) < useKept
	u.mu.Unlock()
	if fresh {
		return nil
	}
	used, err := u.LastUse(ctx, o.ID)
	if err != nil {
		return err
	}
	if !now.Before(o.Value.Ends(used)) {
		return errAPIToken()
	}
	if err := u.db.SaveKeyStates(ctx, []store.KeyState{{ID: o.ID, LastUsed: now, Uses: 1}}); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.kept) >= maxTokensKept {
		clear(u.kept)
	}
	u.kept[o.ID] = now
	return nil
}

// maxTokensKept bounds how many tokens are remembered at a time.
const maxTokensKept = 10000

func errAPIToken() error { return fault.New(fault.Unauthenticated, "the API token is not valid") }

// addressOf returns the address that a request came from. It is that of the
// connection: what a header says is not believed.
func addressOf(r *http.Request) netip.Addr {
	if r == nil {
		return netip.Addr{}
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr().Unmap()
}
