package scim

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gatehouse/internal/fault"
	"gatehouse/internal/scimfilter"
)

const ent = schemaEnterprise

// parsed returns JSON as a resource.
func parsed(t testing.TB, text string) resource {
	t.Helper()
	var v resource
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// The operations of RFC 7644 section 3.5.2 on one person, and what Okta and Entra make
// of them.
func TestPatch(t *testing.T) {
	const person = `{"userName":"a","name":{"givenName":"A","familyName":"B"},"emails":[{"value":"w","type":"work","primary":true},{"value":"h","type":"home"}]}`
	for _, c := range []struct{ name, operations, want string }{
		{"replace a value", `{"op":"replace","path":"title","value":"x"}`, `{"title":"x"}`},
		{"the case of names", `{"op":"REPLACE","path":"TITLE","value":"x"}`, `{"title":"x"}`},
		{"with the URN", `{"op":"add","path":"urn:ietf:params:scim:schemas:core:2.0:User:title","value":"x"}`, `{"title":"x"}`},
		{"replace a part", `{"op":"replace","path":"name.givenName","value":"X"}`, `{"name":{"givenName":"X","familyName":"B"}}`},
		{"a complex value leaves its other parts", `{"op":"replace","path":"name","value":{"givenName":"X"}}`, `{"name":{"givenName":"X","familyName":"B"}}`},
		{"a null part goes", `{"op":"replace","path":"name","value":{"givenName":null}}`, `{"name":{"familyName":"B"}}`},
		{"remove a part", `{"op":"remove","path":"name.familyName"}`, `{"name":{"givenName":"A"}}`},
		{"remove all", `{"op":"remove","path":"emails"}`, `{"emails":null}`},
		{"an empty text is no value", `{"op":"replace","path":"name.givenName","value":""}`, `{"name":{"familyName":"B"}}`},
		{"one element", `{"op":"replace","path":"emails[type eq \"home\"].value","value":"x"}`, `{"emails":[{"value":"w","type":"work","primary":true},{"value":"x","type":"home"}]}`},
		{"remove an element", `{"op":"remove","path":"emails[value sw \"h\" and not (primary eq true)]"}`, `{"emails":[{"value":"w","type":"work","primary":true}]}`},
		{"a new primary is the only one", `{"op":"replace","path":"emails[type eq \"home\"].primary","value":true}`, `{"emails":[{"value":"w","type":"work"},{"value":"h","type":"home","primary":true}]}`},
		{"add one of a type", `{"op":"add","path":"emails","value":[{"value":"x","type":"work"}]}`, `{"emails":[{"value":"h","type":"home"},{"value":"x","type":"work"}]}`},
		{"what is there is not there twice", `{"op":"add","path":"emails","value":{"value":"h","type":"home"}}`, `{}`},
		{"remove by value", `{"op":"remove","path":"emails","value":[{"value":"h"}]}`, `{"emails":[{"value":"w","type":"work","primary":true}]}`},
		{"add to what is not there", `{"op":"add","path":"phoneNumbers[type eq \"work\"].value","value":"1"}`, `{"phoneNumbers":[{"type":"work","value":"1"}]}`},
		{"replace what is not there, as Entra does", `{"op":"Replace","path":"phoneNumbers[type eq \"mobile\"].value","value":"1"}`, `{"phoneNumbers":[{"type":"mobile","value":"1"}]}`},
		{"a name with a condition", `{"op":"Replace","value":{"emails[type eq \"work\"].value":"x","phoneNumbers[type eq \"work\"].value":"1"}}`, `{"emails":[{"value":"x","type":"work","primary":true},{"value":"h","type":"home"}],"phoneNumbers":[{"type":"work","value":"1"}]}`},
		{"a boolean as text in a condition", `{"op":"Replace","path":"emails[primary eq \"True\"].value","value":"x"}`, `{"emails":[{"value":"x","type":"work","primary":true},{"value":"h","type":"home"}]}`},
		{"what is made of others", `{"op":"Add","path":"name.formatted","value":"X"},{"op":"Remove","path":"name.formatted"}`, `{}`},
		{"all elements", `{"op":"replace","path":"emails.value","value":"x"}`, `{"emails":[{"value":"x","type":"work","primary":true},{"value":"x","type":"home"}]}`},
		{"without a path", `{"op":"add","value":{"title":"x","name":{"givenName":"X"},"active":"False","id":"y","unknown":1}}`, `{"title":"x","name":{"givenName":"X","familyName":"B"},"active":false}`},
		{"an extension", `{"op":"add","path":"` + ent + `:department","value":"D"}`, `{"` + ent + `":{"department":"D"}}`},
		{"a whole extension", `{"op":"add","path":"` + ent + `","value":{"department":"D","manager":"m"}}`, `{"` + ent + `":{"department":"D","manager":{"value":"m"}}}`},
		{"an extension goes", `{"op":"add","path":"` + ent + `:department","value":"D"},{"op":"remove","path":"` + ent + `"}`, `{"` + ent + `":null}`},
		{"a part of an extension without a path", `{"op":"replace","value":{"` + ent + `:costCenter":"C"}}`, `{"` + ent + `":{"costCenter":"C"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			ops, err := readPatch([]byte(`{"Operations":[` + c.operations + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			res, want := parsed(t, person), parsed(t, person)
			for name, v := range parsed(t, c.want) {
				if want[name] = v; v == nil {
					delete(want, name)
				}
			}
			u := userType()
			for _, o := range ops {
				if err := u.apply(res, o); err != nil {
					t.Fatal(err)
				}
			}
			if d := cmp.Diff(want, res, cmpopts.EquateEmpty()); d != "" {
				t.Error(d)
			}
		})
	}
}

// Whatever the text is, it is a filter or refused with the place where it is wrong; and
// what is a filter can be asked of a person without a panic.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{
		`userName eq "x"`, `a.b co "\u00e4\"" and not (c pr or d gt 1.5e3)`, `emails[type eq "work" and value ew "@x"].value ne null`, `(((a pr)))`,
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "x"`, `a[b[c pr]]`, `not(a pr)`, `a eq`, `"x" eq a`, `members[value eq "1"]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseFilter(text)
		if err != nil {
			if e := fault.Of(err); e == nil || e.Reason != invalidFilter {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if got == nil {
			return
		}
		for _, kind := range resourceTypes() {
			res := resource{"userName": "x", "active": true, "emails": []any{resource{"value": "v", "type": "work"}}, "members": []any{resource{"value": "1"}}}
			if got.check(&kind) == nil {
				yes := got.match(inResource{&kind, res})
				if no := (&filter{Op: "not", Parts: []*scimfilter.Filter{(*scimfilter.Filter)(got)}}).match(inResource{&kind, res}); yes == no {
					t.Fatalf("%q and its contrary are both %v", text, yes)
				}
			}
			_ = got.conditions()
			_, _ = got.mentioned(&kind)
		}
	})
}

// Whatever the path and the value are, an operation changes a person or is refused with a
// scimType, never what the server gives.
func FuzzPatch(f *testing.F) {
	for _, s := range [][3]string{
		{"replace", `emails[type eq "work"].value`, `"x"`},
		{"add", "name.givenName", `"x"`},
		{"remove", "emails[value pr]", "null"},
		{"add", "", `{"id":"x","name":{}}`},
		{"replace", ent + ":manager", `"x"`},
		{"add", "emails", `[{"value":1},"x",null]`},
		{"replace", "emails.primary", `"True"`},
		{"add", "meta", `{}`},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, op, path, value string) {
		raw, err := json.Marshal(map[string]any{"op": op, "path": path})
		if err != nil {
			return
		}
		body := fmt.Sprintf(`{"Operations":[%s,"value":%s}]}`, raw[:len(raw)-1], value)
		ops, err := readPatch([]byte(body))
		if err != nil {
			return
		}
		u := userType()
		res := parsed(t, `{"id":"1","userName":"a","emails":[{"value":"w","type":"work","primary":true}],"meta":{"version":"v"}}`)
		for _, o := range ops {
			if err := u.apply(res, o); err != nil && fault.Of(err) == nil {
				t.Fatalf("%s: %v", body, err)
			}
		}
		m, _ := res["meta"].(resource)
		if res["id"] != "1" || m["version"] != "v" {
			t.Fatalf("%s changed what the server gives: %v", body, res)
		}
	})
}
