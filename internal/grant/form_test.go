package grant

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What ours accepts, net/url understands alike; what ours refuses either
// net/url refuses too or holds a parameter twice or too many of them.
func FuzzParseForm(f *testing.F) {
	for _, s := range []string{"", "a=b", "a=b&c=d", "a=%41+b", "%61=1&a=2", "a&b=&=c", "a=%", "a=%4", "a=%zz", "a=1&&b=2", "x=;y", "a==b", "%00=%ff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		form, err := parseForm(body)
		theirs, theirErr := url.ParseQuery(body)
		if err != nil {
			if theirErr != nil || len(theirs) > maxParameters {
				return
			}
			for _, v := range theirs {
				if len(v) > 1 {
					return
				}
			}
			t.Fatalf("%q is refused (%v) but net/url reads %v", body, err, theirs)
		}
		if strings.Contains(body, ";") {
			return // net/url refuses it; to us it is a character of a value
		}
		if theirErr != nil {
			t.Fatalf("%q is accepted but net/url says %v", body, theirErr)
		}
		ours := map[string][]string{}
		for _, p := range form.pairs {
			ours[p.name] = []string{p.value}
		}
		if d := cmp.Diff(map[string][]string(theirs), ours); d != "" {
			t.Fatalf("%q: %s", body, d)
		}
	})
}

// A JSON string of ours is the text again for any reader of JSON.
func FuzzAppendJSON(f *testing.F) {
	for _, s := range []string{"", "plain", `"\`, "\x00\x1f\x7f", "<script>&", "é\u2028 😀", "\xff\xfea"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := appendJSON(nil, s)
		var back string
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatalf("%q became %s: %v", s, out, err)
		}
		theirs, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var want string
		if err := json.Unmarshal(theirs, &want); err != nil {
			t.Fatal(err)
		}
		if back != want {
			t.Fatalf("%q came back as %q, encoding/json says %q", s, back, want)
		}
		if strings.ContainsAny(string(out), "<>&") {
			t.Fatalf("%s holds HTML", out)
		}
	})
}

// identity 43: no Authorization header makes the parser panic, and what it
// accepts is what was encoded.
func FuzzParseBasic(f *testing.F) {
	for _, s := range []string{"", "Basic", "Basic ", "Basic YTpi", "basic YTpi", "Basic YQ==", "Basic Og==", "Basic YTpi ", "Basic\tYTpi", "Bearer x", "Basic YTpiOmM=", "Basic %%%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		id, secret, hasSecret, ok := parseBasic(header)
		if !ok {
			return
		}
		if id == "" || hasSecret != (secret != "") {
			t.Fatalf("%q: id %q, secret %q, %v", header, id, secret, hasSecret)
		}
		again := "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
		id2, secret2, _, ok2 := parseBasic(again)
		if !ok2 || id2 != id || secret2 != secret {
			t.Fatalf("%q does not come back: %q %q", header, id2, secret2)
		}
	})
}

func TestParseBasic(t *testing.T) {
	enc := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	tests := []struct {
		name, header, id, secret string
		hasSecret, ok            bool
	}{
		{"plain", enc("id:secret"), "id", "secret", true, true},
		{"colon in the secret", enc("id:se:cret"), "id", "se:cret", true, true},
		{"form-encoded", enc("i%3Ad:s%25+x"), "i:d", "s% x", true, true},
		{"no colon, as okta-auth-js revokes", enc("id"), "id", "", false, true},
		{"empty secret", enc("id:"), "id", "", false, true},
		{"scheme in another case", "bAsIc" + enc("id:x")[5:], "id", "x", true, true},
		{"empty id", enc(":secret"), "", "", false, false},
		{"bad escape", enc("id:%zz"), "", "", false, false},
		{"no space", "BasicaWQ6eA==", "", "", false, false},
		{"two values", enc("a:b") + ", " + enc("c:d"), "", "", false, false},
		{"trailing bits", "Basic aWQ6eB==", "", "", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, secret, hasSecret, ok := parseBasic(tt.header)
			if id != tt.id || secret != tt.secret || hasSecret != tt.hasSecret || ok != tt.ok {
				t.Errorf("got %q %q %v %v", id, secret, hasSecret, ok)
			}
		})
	}
}

// identity 39: an assertion's claims are read as they stand, or not at all.
func FuzzReadAssertion(f *testing.F) {
	for _, s := range []string{`{}`, `{"iss":"a","sub":"a","aud":"x","exp":1,"jti":"j"}`, `{"aud":["x"]}`, `{"a":1,"a":2}`, `[]`, `{"exp":1e30}`, `{"exp":-1}`, `{"exp":"1"}`, `{"iss":1}`, `{} {}`, `{"exp":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		a, err := readAssertion(payload)
		if err != nil {
			return
		}
		var m map[string]any
		if err := json.Unmarshal(payload, &m); err != nil {
			t.Fatalf("%q is accepted but is no JSON object: %v", payload, err)
		}
		if iss, ok := m["iss"].(string); ok && iss != a.Issuer {
			t.Fatalf("%q: iss %q", payload, a.Issuer)
		}
		if a.hasExpires && (a.Expires.Unix() < 0 || a.Expires.Year() > 2300) {
			t.Fatalf("%q: exp %s", payload, a.Expires)
		}
	})
}

func TestSplitScopes(t *testing.T) {
	for list, want := range map[string][]string{
		"": nil, "a": {"a"}, "b a b": {"b", "a"}, "  a   b ": {"a", "b"},
	} {
		got, err := splitScopes(list)
		if err != nil {
			t.Errorf("%q: %v", list, err)
		}
		if len(got)+len(want) > 0 {
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%q: %s", list, d)
			}
		}
	}
	for _, bad := range []string{"a\tb", "a\nb", "ä", `a"`, strings.Repeat("x", 101)} {
		if got, err := splitScopes(bad); err == nil {
			t.Errorf("%q was read as %q", bad, got)
		}
	}
}

// Every reason that the room uses has an answer, and every answer is well formed.
func TestRefusals(t *testing.T) {
	for reason, r := range refusals {
		err := Refuse(reason, nil, "x")
		if ReasonOf(err) != reason {
			t.Errorf("%s is answered as %s", reason, ReasonOf(err))
		}
		if r.status < 400 || r.code == "" || r.text == "" || strings.Contains(r.text, "\n") {
			t.Errorf("%s: %+v", reason, r)
		}
	}
	if got := ReasonOf(Refuse("no such reason", nil)); got != "server_error" {
		t.Errorf("an unknown reason is answered as %s", got)
	}
}
