package policy

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"gatehouse/internal/spec"
)

// Ten thousand operations with a condition each, under fifty policies, one of which
// is for one operation only, are compiled in the time of a reload and a little memory.
func TestManyOperations(t *testing.T) {
	s := &spec.Snapshot{APIs: []spec.API{{Name: "big", BasePath: "/big"}}}
	for i := range 10_000 {
		when := ""
		if i%2 == 0 {
			when = "resource.user == principal.login"
		}
		s.APIs[0].Routes = append(s.APIs[0].Routes, spec.Route{Method: "GET", Path: fmt.Sprintf("/r%d/{user}", i), When: when})
	}
	for i := range 50 {
		head := "principal, action, resource"
		if i == 0 {
			head = `principal, action == Action::"GET /big/r7/{user}", resource`
		}
		s.Policies = append(s.Policies, spec.Policy{Name: fmt.Sprint("p", i), Text: fmt.Sprintf("forbid (%s) when { context.hour == %d };", head, i)})
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	c, problems := Compile(s)
	if len(problems) > 0 {
		t.Fatal(problems[0])
	}
	sets := make([]*Set, len(s.APIs[0].Routes))
	for i := range s.APIs[0].Routes {
		sets[i] = c.For(&s.APIs[0], &s.APIs[0].Routes[i])
	}
	took := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	mib := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 20
	t.Logf("%s, %d MiB", took, mib)
	if took > 30*time.Second || mib > 64 { // a busy machine takes seconds
		t.Errorf("compiling took %s and keeps %d MiB", took, mib)
	}
	if n := len(sets[7].Rules()); n != 50 {
		t.Errorf("the operation that a policy names has %d rules", n)
	}
	if n := len(sets[9].Rules()); n != 49 {
		t.Errorf("another has %d", n)
	}
	runtime.KeepAlive(c)
}
