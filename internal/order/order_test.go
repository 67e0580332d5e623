package order

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestOrder(t *testing.T) {
	type pair struct{ key, at int }
	byKey := func(a, b pair) int { return cmp.Compare(a.key, b.key) }
	r := rand.New(rand.NewPCG(1, 2)) // #nosec G404 -- a test's choice
	for range 50 {
		list := make([]pair, r.IntN(200))
		for i := range list {
			list[i] = pair{r.IntN(10), i}
		}
		want := slices.Clone(list)
		slices.SortStableFunc(want, byKey)
		stable, other := slices.Clone(list), slices.Clone(list)
		Stable(stable, byKey)
		By(other, byKey)
		if !slices.Equal(stable, want) {
			t.Fatalf("%v became %v", list, stable)
		}
		if !slices.IsSortedFunc(other, byKey) {
			t.Fatalf("%v became %v", list, other)
		}
	}
}
