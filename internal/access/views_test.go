package access

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"gatehouse/internal/expression"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// A view that followed change by change is the view that is read whole.
func TestFollowedViewIsTheWholeView(t *testing.T) {
	r := newRoom(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		mine := tenant.ID(fmt.Sprint("t", n))
		r.ctx = tenant.With(context.Background(), mine)
		_, err := r.views.Get(r.ctx, mine)
		must(t, err)
		var apps, servers, scopes, policies []string
		for i := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			_, err := r.ledger.Update(r.ctx, r.admin, "step", func(tx *ledger.Tx) error {
				return step(rt, tx, i, &apps, &servers, &scopes, &policies)
			})
			must(t, err)
			if rapid.Bool().Draw(rt, "look") {
				_, err := r.views.Get(r.ctx, mine)
				must(t, err)
			}
		}
		followed, err := r.views.Get(r.ctx, mine)
		must(t, err)
		whole, err := NewViews(ViewsConfig{Ledger: r.ledger, Now: r.views.cfg.Now}).Get(r.ctx, mine)
		must(t, err)
		opts := cmp.Options{
			cmp.AllowUnexported(View{}, ServerView{}, AppView{}, policyView{}, ruleView{}, claimViews{}, claimView{}),
			cmp.Comparer(func(a, b *expression.Expression) bool { return a.String() == b.String() }),
			cmpopts.EquateEmpty(),
		}
		if d := cmp.Diff(whole, followed, opts); d != "" {
			rt.Fatal(d)
		}
	})
}

// step makes, changes or deletes something.
func step(rt *rapid.T, tx *ledger.Tx, i int, apps, servers, scopes, policies *[]string) error {
	name := fmt.Sprint("n", i)
	pick := func(list *[]string) (string, bool) {
		if len(*list) == 0 {
			return "", false
		}
		k := rapid.IntRange(0, len(*list)-1).Draw(rt, "which")
		id := (*list)[k]
		return id, true
	}
	switch rapid.SampledFrom([]string{"app", "app off", "app gone", "server", "server gone", "scope", "scope gone", "policy", "rule", "claim"}).Draw(rt, "what") {
	case "app":
		o, err := Apps.Create(tx, App{Label: name}.fill())
		*apps = append(*apps, o.ID)
		return err
	case "app off":
		if id, ok := pick(apps); ok {
			o, err := Apps.Get(tx, id)
			if err != nil {
				return err
			}
			o.Value.Status = Inactive
			_, err = Apps.Put(tx, o)
			return err
		}
	case "app gone":
		if id, ok := pick(apps); ok {
			*apps = without(*apps, id)
			return Apps.Delete(tx, id, 0)
		}
	case "server":
		o, err := Servers.Create(tx, Server{Name: name, Audiences: []string{"x"}}.fill())
		*servers = append(*servers, o.ID)
		return err
	case "server gone":
		if id, ok := pick(servers); ok {
			*servers, *scopes, *policies = without(*servers, id), nil, nil
			return Servers.Delete(tx, id, 0)
		}
	case "scope":
		if id, ok := pick(servers); ok {
			o, err := Scopes.Create(tx, Scope{Server: id, Name: name, Default: rapid.Bool().Draw(rt, "default")}.fill())
			*scopes = append(*scopes, o.ID)
			return err
		}
	case "scope gone":
		if id, ok := pick(scopes); ok {
			*scopes = without(*scopes, id)
			return Scopes.Delete(tx, id, 0)
		}
	case "policy":
		if id, ok := pick(servers); ok {
			o, err := Policies.Create(tx, Policy{Server: id, Name: name, Priority: i + 1, Conditions: PolicyContexts{Clients: include(AllClients)}}.fill())
			*policies = append(*policies, o.ID)
			return err
		}
	case "claim":
		if id, ok := pick(servers); ok {
			_, err := Claims.Create(tx, Claim{Server: id, Name: name, ClaimType: ClaimResource, ValueType: ValueExpression, Value: `"x"`}.fill())
			return err
		}
	case "rule":
		if id, ok := pick(policies); ok {
			p, err := Policies.Get(tx, id)
			if err != nil {
				return err
			}
			_, err = Rules.Create(tx, Rule{
				Server: p.Value.Server, Policy: id, Name: name, Priority: i + 1,
				Conditions: RuleConditions{GrantTypes: include(GrantClientCredentials), Scopes: include(AnyScope)},
			}.fill())
			return err
		}
	}
	return nil
}

func without(list []string, s string) []string {
	var out []string
	for _, x := range list {
		if x != s {
			out = append(out, x)
		}
	}
	return out
}

// SECURITY, "when something is down": with the store gone, what was known is
// served on; a tenant that was never read is not.
func TestViewWithoutStore(t *testing.T) {
	r := newRoom(t)
	must(t, r.service.EnsureTenant(r.ctx, r.admin))
	made, err := r.service.CreateApp(r.ctx, r.admin, NewApp{Label: "job"})
	must(t, err)
	before, err := r.views.Get(r.ctx, tenant.Default)
	must(t, err)
	must(t, r.db.Close())
	r.views.Revised(r.ctx, tenant.Default, before.Revision()+1)
	for range 2 {
		v, err := r.views.Get(r.ctx, tenant.Default)
		must(t, err)
		if _, ok := v.App(made.ID); !ok {
			t.Error("the app is not known any more")
		}
	}
	if _, err := r.views.Get(r.ctx, "other"); err == nil {
		t.Error("a tenant that cannot be read has a view")
	}
}

// attack gateway 68: what one tenant has, another does not see.
func TestTenantsAreApart(t *testing.T) {
	r := newRoom(t)
	must(t, r.service.EnsureTenant(r.ctx, r.admin))
	made, err := r.service.CreateApp(r.ctx, r.admin, NewApp{Label: "job"})
	must(t, err)
	other := tenant.With(r.ctx, "other")
	must(t, r.service.EnsureTenant(other, r.admin))
	v, err := r.views.Get(other, "other")
	must(t, err)
	if _, ok := v.App(made.ID); ok {
		t.Error("the app is in the other tenant")
	}
	mine, err := r.views.Get(r.ctx, tenant.Default)
	must(t, err)
	for _, s := range mine.Servers() {
		if _, ok := v.Server(s.ID); ok {
			t.Errorf("server %s is in both tenants", s.ID)
		}
	}
	if _, err := r.service.RotateSecret(other, r.admin, made.ID); err == nil {
		t.Error("the other tenant rotated the secret")
	}
}

// hanging is a store whose reads wait.
type hanging struct {
	ledger.Store
	wait atomic.Pointer[chan struct{}]
}

func (h *hanging) Read(ctx context.Context, t tenant.ID, f func(ledger.Reader) error) error {
	if wait := h.wait.Load(); wait != nil {
		select {
		case <-*wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return h.Store.Read(ctx, t, f)
}

// A store that hangs costs the requests of one second some time, and none after.
func TestViewWithHangingStore(t *testing.T) {
	r := newRoom(t)
	must(t, r.service.EnsureTenant(r.ctx, r.admin))
	h := &hanging{Store: r.db.Ledger()}
	l, err := ledger.New(ledger.Config{Store: h, Registry: r.ledger.Registry()})
	must(t, err)
	views := NewViews(ViewsConfig{Ledger: l, Now: time.Now})
	before, err := views.Get(r.ctx, tenant.Default)
	must(t, err)
	wait := make(chan struct{})
	h.wait.Store(&wait)
	_, err = r.service.CreateApp(r.ctx, r.admin, NewApp{Label: "job"})
	must(t, err)
	views.Revised(r.ctx, tenant.Default, before.Revision()+1)
	var first sync.WaitGroup
	first.Go(func() {
		if v, err := views.Get(r.ctx, tenant.Default); err != nil || v.Revision() == before.Revision() {
			t.Errorf("the one who catches up gets %v, %v", v, err)
		}
	})
	tv := views.of(tenant.Default)
	for len(tv.turn) == 0 || tv.began.Load() == 0 {
		runtime.Gosched()
	}
	var others sync.WaitGroup
	for range 8 {
		others.Go(func() {
			if v, err := views.Get(r.ctx, tenant.Default); err != nil || v != before {
				t.Errorf("one who waits gets %v, %v", v, err)
			}
		})
	}
	others.Wait()
	for range 1000 { // patience is over: nobody waits any more
		if v, err := views.Get(r.ctx, tenant.Default); err != nil || v != before {
			t.Fatalf("%v, %v", v, err)
		}
	}
	if waited := time.Since(time.Unix(0, tv.began.Load())); waited < patience || waited > 10*patience {
		t.Errorf("the requests took %s", waited)
	}
	close(wait)
	first.Wait()
}
