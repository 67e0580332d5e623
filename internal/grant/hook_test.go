package grant

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func ops(t testing.TB, text string) (out []hookOp) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestHooksChangeClaims(t *testing.T) {
	const claims = `{"iss":"https://x","exp":9007199254740993,"team":"a","deep":{"a":1,"b/c":2},"list":["x"]}`
	for text, want := range map[string]string{
		`[]`: claims,
		`[{"op":"add","path":"/claims/new","value":{"x":[1,null]}}]`:                                                     `{"deep":{"a":1,"b/c":2},"exp":9007199254740993,"iss":"https://x","list":["x"],"new":{"x":[1,null]},"team":"a"}`,
		`[{"op":"replace","path":"/claims/team","value":"b"},{"op":"remove","path":"/claims/list"}]`:                     `{"deep":{"a":1,"b/c":2},"exp":9007199254740993,"iss":"https://x","team":"b"}`,
		`[{"op":"remove","path":"/claims/deep/b~1c"},{"op":"add","path":"/claims/deep/d","value":12345678901234567890}]`: `{"deep":{"a":1,"d":12345678901234567890},"exp":9007199254740993,"iss":"https://x","list":["x"],"team":"a"}`,
	} {
		var lifetime time.Duration
		got, err := patched([]byte(claims), ops(t, text), &lifetime)
		if d := cmp.Diff(want, string(got)); d != "" || err != nil || lifetime != 0 {
			t.Errorf("%s: %v %s", text, err, d)
		}
	}
	lifetime := time.Hour
	if _, err := patched([]byte(claims), ops(t, `[{"op":"replace","path":"/token/lifetime/expiration","value":600}]`), &lifetime); err != nil || lifetime != 10*time.Minute {
		t.Errorf("lifetime %v, %v", lifetime, err)
	}
}

// Who issued a token, for whom, for what and how long is not for hooks to say, and
// what they say wrongly is not taken in part.
func TestHooksCannotChange(t *testing.T) {
	const claims = `{"iss":"https://x","sub":"ana","scp":["a"],"team":"a","deep":{"a":1},"list":["x"]}`
	for _, text := range []string{
		`[{"op":"replace","path":"/claims/iss","value":"https://evil"}]`, `[{"op":"add","path":"/claims/scp","value":["admin"]}]`,
		`[{"op":"replace","path":"/claims/sub","value":"root"}]`, `[{"op":"remove","path":"/claims/sub"}]`, `[{"op":"add","path":"/claims/cnf","value":{}}]`,
		`[{"op":"add","path":"/claims/aud","value":"x"}]`, `[{"op":"add","path":"/claims/exp","value":1}]`, `[{"op":"add","path":"/claims/client_id","value":"x"}]`,
		`[{"op":"add","path":"/claims/is~0s","value":1},{"op":"add","path":"/claims/","value":1}]`, `[{"op":"add","path":"/claims","value":{}}]`,
		`[{"op":"add","path":"/iss","value":"x"}]`, `[{"op":"add","path":"claims/x","value":"x"}]`, `[{"op":"replace","path":"/claims/none","value":1}]`,
		`[{"op":"remove","path":"/claims/none"}]`, `[{"op":"move","path":"/claims/team","value":1}]`, `[{"op":"add","path":"/claims/list/0","value":1}]`,
		`[{"op":"add","path":"/claims/none/x","value":1}]`, `[{"op":"add","path":"/claims/x"}]`,
		`[{"op":"replace","path":"/token/lifetime/expiration","value":86401}]`, `[{"op":"replace","path":"/token/lifetime/expiration","value":-1}]`,
		`[{"op":"replace","path":"/token/lifetime/expiration","value":"1h"}]`, `[{"op":"add","path":"/token/lifetime/expiration","value":600}]`,
		`[` + strings.Repeat(`{"op":"add","path":"/claims/x","value":1},`, maxHookOps) + `{"op":"add","path":"/claims/x","value":1}]`,
	} {
		var lifetime time.Duration
		if got, err := patched([]byte(claims), ops(t, text), &lifetime); err == nil {
			t.Errorf("%.120s: %s", text, got)
		}
	}
}

// Whatever a hook answers, the claims of the protocol are what they were.
func FuzzHookOps(f *testing.F) {
	f.Add(`[{"op":"add","path":"/claims/x/y","value":{"a":[1]}}]`)
	f.Add(`[{"op":"replace","path":"/token/lifetime/expiration","value":600}]`)
	f.Add(`[{"op":"remove","path":"/claims/team~1"}]`)
	f.Fuzz(func(t *testing.T, text string) {
		var list []hookOp
		if json.Unmarshal([]byte(text), &list) != nil {
			return
		}
		var lifetime time.Duration
		got, err := patched([]byte(`{"iss":"i","sub":"s","scp":["a"],"exp":1,"team":"a","deep":{}}`), list, &lifetime)
		if err != nil {
			return
		}
		var exact map[string]json.RawMessage
		if json.Unmarshal(got, &exact) != nil || lifetime != 0 && (lifetime < minHookLifetime || lifetime > maxHookLifetime) {
			t.Fatalf("%q: %s, %v", text, got, lifetime)
		}
		for name, want := range map[string]string{"iss": `"i"`, "sub": `"s"`, "scp": `["a"]`, "exp": "1"} {
			if string(exact[name]) != want {
				t.Fatalf("%q: %s", text, got)
			}
		}
	})
}

func TestTextOfARefusalIsBounded(t *testing.T) {
	if got := hookRefusal("no \"way\"\n\x00é").text(); got != "no ?way????" {
		t.Errorf("%q", got)
	}
	if got := hookRefusal(strings.Repeat("x", 1000)).text(); len(got) != 200 {
		t.Errorf("%d characters", len(got))
	}
	if got := hookRefusal("").text(); got == "" {
		t.Error("no text")
	}
}
