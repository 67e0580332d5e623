package ledger

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/fault"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The encoding of keys keeps the order of their parts, keeps different keys
// apart, and never holds what an engine refuses.
func TestKeysSortLikeTheirParts(t *testing.T) {
	part := rapid.StringOf(rapid.SampledFrom([]rune{0, 1, 2, 3, 'a', 'b', ' ', 'é', '\U0010FFFE'}))
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOfN(part, 1, 3).Draw(t, "a"), rapid.SliceOfN(part, 1, 3).Draw(t, "b")
		x, err1 := By("k", a...).encode()
		y, err2 := By("k", b...).encode()
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if strings.Contains(x, "\x00") {
			t.Fatalf("%q holds NUL", x)
		}
		if got, want := cmp.Compare(x, y), slices.Compare(a, b); got != want {
			t.Fatalf("%q and %q compare as %d, their keys as %d", a, b, want, got)
		}
		// The first parts are a prefix, and the bounds of a query hold exactly those keys.
		n := rapid.IntRange(0, len(b)).Draw(t, "n")
		low, high, err := Query{Equal: b[:n]}.bounds()
		if err != nil {
			t.Fatal(err)
		}
		if in, want := x >= low && x < high, len(a) >= n && slices.Equal(a[:n], b[:n]); in != want {
			t.Fatalf("%q within %q: %t, want %t", a, b[:n], in, want)
		}
		if n < len(b) {
			low, high, err = Query{Equal: b[:n], Prefix: b[n]}.bounds()
			if err != nil {
				t.Fatal(err)
			}
			want := len(a) >= n && slices.Equal(a[:n], b[:n]) && (b[n] == "" || len(a) > n && strings.HasPrefix(a[n], b[n]))
			if in := x >= low && x < high; in != want {
				t.Fatalf("%q begins with %q: %t, want %t", a, b, in, want)
			}
		}
	})
}

func TestSortableNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		if cmp.Compare(Sortable(a), Sortable(b)) != cmp.Compare(a, b) {
			t.Fatalf("%d and %d", a, b)
		}
	})
}

// sample is a change with every field set.
func sample() Change {
	return Change{
		Tenant: "acme", Revision: 7, Part: 1, Parts: 2, Time: time.UnixMicro(1_700_000_000_000_001), Actor: Actor{"user", "u1", "Ada"},
		Reason: "because", Kind: "team", ID: "tea1", Op: Updated, Created: time.UnixMicro(1_600_000_000_000_000), Owner: "f.yaml",
		Before: json.RawMessage(`{"a":1}`), After: json.RawMessage(`{"a":2}`), Previous: "00ff",
	}
}

// The encoding is for ever: chains that exist must verify with every later
// version.
func TestDigestNeverChanges(t *testing.T) {
	c := sample()
	const want = "b07c0bcd689251fbe58511045740f2f88ebbbbfe7e05a413f1095f5f776910e0"
	if got := c.Digest(); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

func TestDigestHoldsEveryField(t *testing.T) {
	base := sample()
	seen := map[string]string{base.Digest(): "the change itself"}
	for name, edit := range map[string]func(*Change){
		"tenant": func(c *Change) { c.Tenant = "bravo" }, "revision": func(c *Change) { c.Revision++ },
		"part": func(c *Change) { c.Part++ }, "parts": func(c *Change) { c.Parts++ },
		"time": func(c *Change) { c.Time = c.Time.Add(time.Microsecond) }, "actor type": func(c *Change) { c.Actor.Type = "app" },
		"actor id": func(c *Change) { c.Actor.ID = "u2" }, "actor name": func(c *Change) { c.Actor.Name = "" },
		"reason": func(c *Change) { c.Reason = "" }, "kind": func(c *Change) { c.Kind = "note" }, "id": func(c *Change) { c.ID = "tea2" },
		"operation": func(c *Change) { c.Op = Created }, "created": func(c *Change) { c.Created = c.Time }, "owner": func(c *Change) { c.Owner = "" },
		"before": func(c *Change) { c.Before = c.After }, "no before": func(c *Change) { c.Before = nil },
		"empty before": func(c *Change) { c.Before = json.RawMessage{} }, "after": func(c *Change) { c.After = c.Before },
		"no after": func(c *Change) { c.After = nil }, "previous": func(c *Change) { c.Previous = "" },
		// The same bytes, divided in another way.
		"shifted": func(c *Change) { c.Kind, c.ID = "teamt", "ea1" }, "shifted reason": func(c *Change) { c.Actor.Name, c.Reason = "Adab", "ecause" },
	} {
		c := sample()
		edit(&c)
		d := c.Digest()
		if other, ok := seen[d]; ok {
			t.Errorf("%s does not change the digest of %s", name, other)
		}
		seen[d] = name
	}
}

type inner struct {
	A string `json:"a,omitempty"`
}

type embedded struct {
	E string `json:"e,omitempty"`
}

type doc struct {
	embedded
	Name   string            `json:"name"`
	Plain  int               `json:",omitempty"`
	Inner  inner             `json:"inner,omitzero"`
	Ptr    *inner            `json:"ptr,omitempty"`
	List   []inner           `json:"list,omitempty"`
	Free   map[string]string `json:"free,omitempty"`
	When   time.Time         `json:"when,omitzero"`
	Hidden string            `json:"-"`
}

func TestDocumentKeepsWhatTheKindDoesNotKnow(t *testing.T) {
	core := NewKind(Spec[doc]{Name: "doc", IDPrefix: "doc"}).core
	for name, tc := range map[string]struct {
		stored string
		value  doc
		more   string
		want   string
	}{
		"new":               {"", doc{Name: "<a>", Free: map[string]string{"z": "1", "a": "2"}}, "", `{"free":{"a":"2","z":"1"},"name":"<a>"}`},
		"kept":              {`{"name":"a","x":{"y":[1,2.50]}}`, doc{Name: "b"}, "", `{"name":"b","x":{"y":[1,2.50]}}`},
		"known is emptied":  {`{"name":"a","Plain":3,"e":"x","when":"2020-01-01T00:00:00Z"}`, doc{Name: "b"}, "", `{"name":"b"}`},
		"in any case":       {`{"NAME":"a","plain":3,"E":"x"}`, doc{Name: "b"}, "", `{"name":"b"}`},
		"inside a struct":   {`{"name":"a","inner":{"a":"1","b":"2"}}`, doc{Name: "a", Inner: inner{A: "9"}}, "", `{"inner":{"a":"9","b":"2"},"name":"a"}`},
		"inside a pointer":  {`{"name":"a","ptr":{"b":"2"}}`, doc{Name: "a", Ptr: &inner{}}, "", `{"name":"a","ptr":{"b":"2"}}`},
		"struct taken away": {`{"name":"a","ptr":{"b":"2"}}`, doc{Name: "a"}, "", `{"name":"a"}`},
		"a list is a whole": {`{"name":"a","list":[{"b":"2"}]}`, doc{Name: "a", List: []inner{{A: "1"}}}, "", `{"list":[{"a":"1"}],"name":"a"}`},
		"a map is a whole":  {`{"name":"a","free":{"gone":"1"}}`, doc{Name: "a", Free: map[string]string{"b": "2"}}, "", `{"free":{"b":"2"},"name":"a"}`},
		"extensions":        {`{"name":"a","x":1,"y":2,"z":3}`, doc{Name: "a"}, `{"x":9,"y":null,"NAME":"evil","w":{"b":1,"a":2}}`, `{"name":"a","w":{"a":2,"b":1},"x":9,"z":3}`},
		"a hidden name":     {`{"name":"a","Hidden":"x"}`, doc{Name: "a", Hidden: "no"}, "", `{"Hidden":"x","name":"a"}`},
	} {
		var stored []byte
		if tc.stored != "" {
			stored = []byte(tc.stored)
		}
		var more map[string]json.RawMessage
		if tc.more != "" {
			if err := json.Unmarshal([]byte(tc.more), &more); err != nil {
				t.Fatal(err)
			}
		}
		got, err := core.document(tc.value, stored, more)
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, tc.want)
		}
	}
}

func TestUnknownFieldsAreExtensions(t *testing.T) {
	got, err := shapeOf(reflect.TypeFor[doc]()).unknown([]byte(`{"name":"a","E":"b","x":[1]}`))
	if d := gocmp.Diff(map[string]json.RawMessage{"x": json.RawMessage(`[1]`)}, got); d != "" || err != nil {
		t.Errorf("%s %v", d, err)
	}
	free, err := shapeOf(reflect.TypeFor[map[string]int]()).unknown([]byte(`{"a":1}`))
	if free != nil || err != nil {
		t.Errorf("a map knows every name: %v %v", free, err)
	}
}

func TestSecrets(t *testing.T) {
	core := NewKind(Spec[map[string]any]{Name: "doc", IDPrefix: "doc", Secrets: []string{"secret", "idp.secret", "keys.*.private", "map.*"}}).core
	sealed := SealedPrefix + "k1:" + strings.Repeat("A", 40)
	for raw, where := range map[string]string{
		`{}`: "", `{"secret":""}`: "", `{"secret":null}`: "", `{"secret":"` + sealed + `"}`: "", `{"other":"plain"}`: "",
		`{"secret":"hunter2"}`: "secret", `{"SECRET":"hunter2"}`: "SECRET", `{"secret":42}`: "secret", `{"secret":["hunter2"]}`: "secret",
		`{"secret":"sealed:v1:"}`: "secret", `{"secret":"sealed:v1:hunter2"}`: "secret", `{"secret":"` + sealed + ` hunter2"}`: "secret",
		`{"idp":{"secret":"hunter2"}}`: "idp.secret", `{"idp":"hunter2"}`: "idp", `{"idp":[{"secret":"hunter2"}]}`: "idp.0.secret",
		`{"keys":[{"private":"` + sealed + `"},{"private":"hunter2"}]}`: "keys.1.private", `{"keys":{"a":{"private":"hunter2"}}}`: "keys.a.private",
		`{"map":{"a":"` + sealed + `","b":"hunter2"}}`: "map.b",
	} {
		err := core.checkSecrets([]byte(raw))
		if where == "" {
			if err != nil {
				t.Errorf("%s: %v", raw, err)
			}
			continue
		}
		f := fault.Of(err)
		if f == nil || f.Code != fault.Invalid || len(f.Fields) != 1 || f.Fields[0].Path != where || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want a fault at %s", raw, err, where)
		}
	}
}

func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	var counts [256]int
	for range 5000 {
		id := NewID("scp")
		if len(id) != 20 || !strings.HasPrefix(id, "scp") || !validID(id) || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
		for _, c := range []byte(id[3:]) {
			counts[c]++
		}
	}
	for _, c := range []byte(base62) { // 85,000 characters: 1,371 of each, give or take 37
		if counts[c] < 1150 || counts[c] > 1600 {
			t.Errorf("%c came %d times", c, counts[c])
		}
	}
	a := DeclaredID("acme", "api", "api", By("name", "orders"))
	if a != DeclaredID("acme", "api", "api", By("name", "orders")) || len(a) != 20 {
		t.Errorf("declared id %s", a)
	}
	for _, other := range []string{
		DeclaredID("bravo", "api", "api", By("name", "orders")), DeclaredID("acme", "plan", "api", By("name", "orders")),
		DeclaredID("acme", "api", "api", By("host", "orders")), DeclaredID("acme", "api", "api", By("name", "order", "s")),
	} {
		if a == other {
			t.Errorf("%s twice", a)
		}
	}
}

func TestRegistryRefuses(t *testing.T) {
	k := func(name, prefix string) AnyKind { return NewKind(Spec[inner]{Name: name, IDPrefix: prefix}) }
	for name, kinds := range map[string][]AnyKind{
		"registered twice": {k("a", "aaa"), k("a", "bbb")},
		"is taken by":      {k("a", "aaa"), k("b", "aaa")},
		"must be 3":        {k("a", "aa")},
		"lower-case":       {k("A", "aaa")},
	} {
		if _, err := NewRegistry(kinds...); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, err := NewRegistry(k("b", "bbb"), k("a", "aaa"))
	if err != nil || !slices.Equal(r.Kinds(), []string{"a", "b"}) {
		t.Errorf("%v %v", r, err)
	}
}

func TestCursorsAreChecked(t *testing.T) {
	p := Position{Value: "a\x01b", ID: "tea1", Set: true}
	if got, err := parseCursor(cursor(p)); got != p || err != nil {
		t.Errorf("%+v %v", got, err)
	}
	for _, s := range []string{"", "!", "AAAA", cursor(Position{Value: "a\x00b", ID: "x"}), cursor(Position{ID: "a/b"}), cursor(Position{ID: "a", Value: strings.Repeat("x", 2000)})} {
		if _, err := parseCursor(s); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
}
