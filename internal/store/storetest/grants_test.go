package storetest_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/issued"
	"gatehouse/internal/tenant"

	"github.com/google/go-cmp/cmp"
)

// grantOf is a grant of a user to an app.
func grantOf(id, user, client string) issued.Grant {
	return issued.Grant{
		ID: id, Server: "aus1", Client: client, User: user, Session: "s-" + user, Issuer: "https://id.test", Scopes: []string{"openid", "orders:read"},
		Created: at(0), Updated: at(0), Terms: issued.Terms{AuthTime: at(-9), AMR: []string{"pwd"}, Nonce: "n", GrantType: "authorization_code"},
	}
}

// atOnce calls f 32 times at once and returns how often it was true.
func atOnce(t *testing.T, f func(i int) (bool, error)) int32 {
	t.Helper()
	var wg sync.WaitGroup
	var winners atomic.Int32
	for i := range 32 {
		wg.Go(func() {
			ok, err := f(i)
			if err != nil {
				t.Error(err)
			}
			if ok {
				winners.Add(1)
			}
		})
	}
	wg.Wait()
	return winners.Load()
}

// made is an access token, and a refresh token unless its hash is empty.
func made(token, refresh string) issued.Made {
	m := issued.Made{Token: issued.Token{ID: token, Expires: at(3600)}}
	if refresh != "" {
		m.Refresh = &issued.Refresh{Hash: refresh, Created: at(1), IdleUntil: at(9000)}
	}
	return m
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// redeemed stores a grant and redeems its code; all ids are made of the id.
func (b bench) redeemed(t *testing.T, id, user, client string) {
	t.Helper()
	ctx := in(t, "acme")
	must(t, b.db.AddCode(ctx, grantOf(id, user, client), issued.Code{Hash: id, Grant: id, Created: at(0), Expires: at(60)}))
	ok, err := b.db.RedeemCode(ctx, issued.Code{Hash: id, Grant: id}, made("jti"+id, "r"+id), at(1))
	if must(t, err); !ok {
		t.Fatal("not redeemed")
	}
}

// attack identity 19: of 32 redemptions at once exactly one wins, and only the
// winner's tokens exist.
func TestCodes(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		g := grantOf("oar1", "ana", "app1")
		c := issued.Code{Hash: "h1", Grant: "oar1", RedirectURI: "https://a.test/cb", CodeChallenge: "x", Created: at(0), Expires: at(60)}
		must(t, b.db.AddCode(ctx, g, c))
		gotCode, gotGrant, err := b.db.Code(ctx, "h1")
		if d := cmp.Diff(c, gotCode) + cmp.Diff(g, gotGrant); d != "" || err != nil {
			t.Errorf("%s %v", d, err)
		}
		if _, _, err := b.db.Code(in(t, "bravo"), "h1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("of another tenant: %v", err)
		}
		if n := atOnce(t, func(i int) (bool, error) {
			return b.db.RedeemCode(ctx, c, made(fmt.Sprint("jti", i), fmt.Sprint("r", i)), at(5))
		}); n != 1 {
			t.Errorf("%d of 32 redeemed the code", n)
		}
		list, err := b.db.Grants(ctx, issued.Selection{User: "ana"}, "", 10, at(6))
		if err != nil || len(list) != 1 || !list[0].LastUsed.Equal(at(5)) || !list[0].Updated.Equal(at(1)) {
			t.Errorf("%+v, %v", list, err)
		}
		_, tokens, err := b.db.RevokeGrants(ctx, issued.Selection{Grant: "oar1"}, at(7))
		if err != nil || len(tokens) != 1 {
			t.Errorf("losers left tokens behind: %v, %v", tokens, err)
		}

		must(t, b.db.AddCode(ctx, grantOf("oar2", "ana", "app1"), issued.Code{Hash: "h2", Grant: "oar2", Created: at(0), Expires: at(60)}))
		if ok, err := b.db.RedeemCode(ctx, issued.Code{Hash: "h2", Grant: "oar2"}, made("j", ""), at(60)); ok || err != nil {
			t.Errorf("a code that is over: %t, %v", ok, err)
		}
		must(t, b.db.AddGrant(ctx, grantOf("oar3", "bob", "app1"), made("direct", "")))
		if _, tokens, err := b.db.RevokeGrants(ctx, issued.Selection{User: "bob"}, at(7)); len(tokens) != 1 || err != nil {
			t.Errorf("a grant without a code: %v, %v", tokens, err)
		}
	})
}

// The apps that have refresh tokens: of a person, and of a server; each once, none whose
// grants have ended, and none of another tenant.
func TestGrantClients(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		for i, of := range [][2]string{{"ana", "app2"}, {"ana", "app2"}, {"ana", "app1"}, {"bob", "app2"}, {"bob", "app3"}, {"cleo", "app4"}} {
			b.redeemed(t, fmt.Sprint("oar", i), of[0], of[1])
		}
		must(t, b.db.AddGrant(ctx, grantOf("direct", "ana", "app5"), made("direct", ""))) // without a refresh token
		_, _, err := b.db.RevokeGrants(ctx, issued.Selection{User: "cleo"}, at(2))
		must(t, err)
		for _, x := range []struct {
			tenant, user, server string
			limit                int
			want                 []string
		}{
			{"acme", "ana", "", 10, []string{"app1", "app2"}},
			{"acme", "", "aus1", 10, []string{"app1", "app2", "app3"}},
			{"acme", "", "aus1", 2, []string{"app1", "app2"}},
			{"acme", "", "aus2", 10, nil},
			{"acme", "bob", "aus1", 10, []string{"app2", "app3"}},
			{"acme", "cleo", "", 10, nil},
			{"bravo", "", "aus1", 10, nil},
		} {
			got, err := b.db.GrantClients(in(t, tenant.ID(x.tenant)), x.user, x.server, x.limit, at(3))
			if d := cmp.Diff(x.want, got); d != "" || err != nil {
				t.Errorf("%+v: %v %s", x, err, d)
			}
		}
	})
}

// A code whose grant has ended gives nothing: the person, or an administrator, has
// taken it back between the two requests.
func TestRevokedGrants(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		b.redeemed(t, "oar0", "ana", "app0")
		b.redeemed(t, "oar1", "ana", "app1")
		b.redeemed(t, "oar2", "bob", "app2")
		must(t, b.db.AddCode(ctx, grantOf("late", "ana", "app9"), issued.Code{Hash: "late", Grant: "late", Created: at(0), Expires: at(60)}))
		n, tokens, err := b.db.RevokeGrants(ctx, issued.Selection{User: "ana"}, at(2))
		want := []cluster.Revocation{
			{Tenant: "acme", Kind: cluster.TokenID, Issuer: "https://id.test", Value: "jtioar0", Expires: at(3600)},
			{Tenant: "acme", Kind: cluster.TokenID, Issuer: "https://id.test", Value: "jtioar1", Expires: at(3600)},
		}
		if d := cmp.Diff(want, tokens); d != "" || n != 3 || err != nil {
			t.Errorf("%d grants, %v: %s", n, err, d)
		}
		if stored, err := b.db.Revocations(ctx, 0, at(2), 10); len(stored) != 2 || err != nil {
			t.Errorf("stored %v, %v", stored, err)
		}
		for name, try := range map[string]func() (bool, error){
			"redeem": func() (bool, error) {
				return b.db.RedeemCode(ctx, issued.Code{Hash: "late", Grant: "late"}, made("j", "r"), at(3))
			},
			"rotate": func() (bool, error) {
				return b.db.RotateRefresh(ctx, issued.Refresh{Hash: "roar0", Grant: "oar0"}, "s", made("j", "r2"), at(3))
			},
			"renew": func() (bool, error) {
				return b.db.RenewRefresh(ctx, issued.Refresh{Hash: "roar0", Grant: "oar0"}, made("j", ""), at(3))
			},
		} {
			if ok, err := try(); ok || err != nil {
				t.Errorf("%s after the end: %t, %v", name, ok, err)
			}
		}
		// The same again tells the same: whoever asked first may not have got as far as
		// the bus.
		if n, again, err := b.db.RevokeGrants(ctx, issued.Selection{User: "ana"}, at(3)); n != 0 || len(again) != 2 || err != nil {
			t.Errorf("%d, %v, %v", n, again, err)
		}
		for sel, want := range map[issued.Selection]int{
			{User: "bob"}: 1, {Client: "app2"}: 1, {User: "bob", Client: "app1"}: 0, {Session: "s-bob"}: 1, {Grant: "oar2", User: "ana"}: 0,
			{User: "ana"}: 0, {Client: "app2", Server: "aus2"}: 0,
		} {
			if got, err := b.db.Grants(ctx, sel, "", 10, at(3)); len(got) != want || err != nil {
				t.Errorf("%+v: %v, %v", sel, got, err)
			}
		}
		if got, err := b.db.Grants(in(t, "bravo"), issued.Selection{User: "bob"}, "", 10, at(3)); len(got) != 0 || err != nil {
			t.Errorf("of another tenant: %v, %v", got, err)
		}
	})
}

// attack identity 25: of 32 rotations at once exactly one makes a successor.
func TestRotation(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		b.redeemed(t, "oar1", "ana", "app1")
		if n := atOnce(t, func(i int) (bool, error) {
			m := made(fmt.Sprint("j1-", i), fmt.Sprint("r1-", i))
			m.Refresh.Expires = at(5000)
			return b.db.RotateRefresh(ctx, issued.Refresh{Hash: "roar1", Grant: "oar1"}, fmt.Sprint("salt", i), m, at(2))
		}); n != 1 {
			t.Errorf("%d of 32 rotated the token", n)
		}
		old, g, err := b.db.Refresh(ctx, "roar1")
		if err != nil || !old.Replaced.Equal(at(2)) || len(old.Salt) < 5 || g.ID != "oar1" || !g.Expires.Equal(at(5000)) {
			t.Fatalf("%+v %+v %v", old, g, err)
		}
		next, _, err := b.db.Refresh(ctx, "r1-"+old.Salt[4:])
		if err != nil || !next.Replaced.IsZero() || !next.IdleUntil.Equal(at(9000)) {
			t.Errorf("the successor: %+v %v", next, err)
		}
		kept := issued.Made{Token: issued.Token{ID: "j2", Expires: at(4000)}, Kept: true, Refresh: &issued.Refresh{Created: at(3), IdleUntil: at(9500), Expires: at(9900)}}
		if ok, err := b.db.RenewRefresh(ctx, next, kept, at(3)); !ok || err != nil {
			t.Fatal(ok, err)
		}
		next, g, err = b.db.Refresh(ctx, next.Hash)
		if err != nil || !next.Used.Equal(at(3)) || !next.IdleUntil.Equal(at(9500)) || !g.Expires.Equal(at(9900)) {
			t.Errorf("renewed: %+v %+v %v", next, g, err)
		}

		_, err = b.db.PruneGrants(t.Context(), at(2).Add(3*time.Minute))
		must(t, err)
		if old, _, err := b.db.Refresh(ctx, "roar1"); err != nil || old.Salt != "" {
			t.Errorf("the salt is still there: %+v %v", old, err)
		}
		_, err = b.db.PruneGrants(t.Context(), at(0).Add(60*24*time.Hour))
		must(t, err)
		for _, hash := range []string{"roar1", next.Hash} {
			if _, _, err := b.db.Refresh(ctx, hash); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s is still there: %v", hash, err)
			}
		}
	})
}

// attack identity 29: a device authorization is decided once and used once, and
// polls that come too early make the interval longer.
func TestDevices(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		d := issued.Device{
			Hash: "d1", UserCode: "u1", Server: "aus1", Client: "app1", Scopes: []string{"openid"}, State: issued.DevicePending, Resources: []string{"api://a", "api://b"},
			Interval: 5 * time.Second, Created: at(0), Expires: at(600),
		}
		must(t, b.db.AddDevice(ctx, d))
		other := d
		other.Hash = "d2"
		if err := b.db.AddDevice(ctx, other); !fault.Is(err, fault.Conflict) {
			t.Errorf("a user code twice: %v", err)
		}
		got, err := b.db.DeviceByUserCode(ctx, "u1")
		if diff := cmp.Diff(d, got); diff != "" || err != nil {
			t.Errorf("%s %v", diff, err)
		}
		for _, p := range []struct {
			at    int
			early bool
		}{{1, false}, {3, true}, {12, true}, {27, false}} {
			if _, _, early, err := b.db.PollDevice(ctx, "d1", at(p.at)); early != p.early || err != nil {
				t.Errorf("poll at %d: early=%t, %v", p.at, early, err)
			}
		}
		if n := atOnce(t, func(i int) (bool, error) {
			g := grantOf(fmt.Sprint("oar", i), "ana", "app1")
			return b.db.DecideDevice(ctx, "u1", &g, at(30))
		}); n != 1 {
			t.Errorf("%d of 32 decided", n)
		}
		if ok, err := b.db.DecideDevice(ctx, "u1", nil, at(31)); ok || err != nil {
			t.Errorf("denied after it was approved: %t %v", ok, err)
		}
		got, g, _, err := b.db.PollDevice(ctx, "d1", at(60))
		if err != nil || got.State != issued.DeviceApproved || g.User != "ana" {
			t.Errorf("%+v %+v %v", got, g, err)
		}
		if n := atOnce(t, func(i int) (bool, error) { return b.db.RedeemDevice(ctx, got, made(fmt.Sprint("j", i), ""), at(61)) }); n != 1 {
			t.Errorf("%d of 32 used the device code", n)
		}
		if _, _, _, err := b.db.PollDevice(in(t, "bravo"), "d1", at(90)); !fault.Is(err, fault.NotFound) {
			t.Errorf("of another tenant: %v", err)
		}
	})
}

// A token that was made of another hangs on the same grant, and ends with it.
func TestTokensOfAGrant(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		g := issued.Grant{ID: "oar1", Server: "aus1", Client: "app1", User: "ana", Issuer: "https://id.test", Scopes: []string{"a"}, Created: at(0)}
		must(t, b.db.AddGrant(ctx, g, made("j1", "")))
		found, err := b.db.TokenGrant(ctx, "j1")
		if err != nil || found.ID != g.ID || found.User != "ana" {
			t.Errorf("%+v %v", found, err)
		}
		for _, id := range []string{"j2", ""} {
			if _, err := b.db.TokenGrant(ctx, id); !fault.Is(err, fault.NotFound) {
				t.Errorf("%q: %v", id, err)
			}
		}
		if _, err := b.db.TokenGrant(in(t, "bravo"), "j1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("another tenant's: %v", err)
		}
		if ok, err := b.db.AddToken(ctx, g.ID, issued.Token{ID: "j2", Expires: at(600)}, at(1)); !ok || err != nil {
			t.Fatal(ok, err)
		}
		_, tokens, err := b.db.RevokeGrants(ctx, issued.Selection{Grant: g.ID}, at(2))
		if err != nil || len(tokens) != 2 {
			t.Errorf("%v %v", tokens, err)
		}
		if ok, err := b.db.AddToken(ctx, g.ID, issued.Token{ID: "j3", Expires: at(600)}, at(3)); ok || err != nil {
			t.Errorf("a token of a grant that has ended: %v %v", ok, err)
		}
	})
}
