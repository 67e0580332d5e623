package expression

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/fault"
)

// person is an Environment.
type person struct {
	attributes map[string]any
	groups     []Group
	broken     error
}

func (p *person) Attribute(path string) (any, bool) {
	v, ok := p.attributes[path]
	return v, ok
}

func (p *person) Groups() ([]Group, error) { return p.groups, p.broken }

func ana() *person {
	return &person{
		attributes: map[string]any{
			"user.firstName": "Ana", "user.department": "Sales", "user.email": "ana@acme.test", "user.salary": 10, "user.none": nil,
			"user.tags": []string{"a", "b"}, "user.$id": "00u1", "user.$status": "ACTIVE",
		},
		groups: []Group{{ID: "00g1", Name: "employees", Type: "OKTA_GROUP"}, {ID: "00g2", Name: "West Coast", Description: "sunny"}},
	}
}

func TestEvaluate(t *testing.T) {
	tests := map[string]any{
		`"a" + 'b'`:                              "ab",
		`'it''s'`:                                "it's",
		`"XDOMAIN\"`:                             `XDOMAIN\`,
		`1 + 2`:                                  3.0,
		`user.salary - 1`:                        9.0,
		`-user.salary`:                           -10.0,
		`"x" + null + 1.5`:                       "x1.5",
		`1 == 1.0`:                               true,
		`"1" == 1`:                               false,
		`null == user.none`:                      true,
		`user.none < 10`:                         false,
		`"a" < "b"`:                              true,
		`true AND false or TRUE`:                 true,
		`false && nosuch.thing`:                  false,
		`true || nosuch.thing`:                   true,
		`!true`:                                  false,
		`not (1 eq 2)`:                           true,
		`user.firstName == "Ana" ? "yes" : "no"`: "yes",
		`false ? 1 : true ? 2 : 3`:               2.0,
		`user.none ?: "none"`:                    "none",
		`"" ?: "empty"`:                          "empty",
		`{1, "a", true}`:                         []any{1.0, "a", true},
		`user.tags`:                              []any{"a", "b"},
		`String.startsWith(user.firstName,"An")`: true,
		`String.startsWith(user.firstName,"an")`: false,
		`String.startsWith(user.none,"an")`:      false,
		`String.startsWith(user.firstName,String.toLowerCase("bOb"))`:                     false,
		`String.stringContains(user.email,"@acme")`:                                       true,
		`String.substringAfter(user.email, "@")`:                                          "acme.test",
		`String.substringBefore(user.email, "@")`:                                         "ana",
		`String.substringBefore(user.email, "#")`:                                         "ana@acme.test",
		`substringAfter(user.email, "#")`:                                                 "",
		`String.substring("abc", 1, 2)`:                                                   "b",
		`String.len("a😀")`:                                                                3.0,
		`String.replace("aXbX", "X", "-")`:                                                "a-b-",
		`String.replaceFirst("aXbX", "X", "-")`:                                           "a-bX",
		`String.replace("a", "", "-")`:                                                    "a",
		`String.join(",", "a", null, "b")`:                                                "a,,b",
		`String.append("a", "b")`:                                                         "ab",
		`String.removeSpaces("a b c")`:                                                    "abc",
		`String.stringSwitch("hello", "none", "x", "1", "ell", "2")`:                      "2",
		`String.toUpperCase(null)`:                                                        nil,
		`Arrays.contains({10, 20}, 20)`:                                                   true,
		`Arrays.contains("10, 20", "20")`:                                                 true,
		`Arrays.size(user.none)`:                                                          0.0,
		`Arrays.isEmpty({})`:                                                              true,
		`isMemberOfAnyGroup("00g9", "00g2")`:                                              true,
		`isMemberOfGroup("00g9")`:                                                         false,
		`isMemberOfGroup("")`:                                                             false,
		`isMemberOfGroupName("employees")`:                                                true,
		`isMemberOfGroupNameStartsWith("West")`:                                           true,
		`isMemberOfGroupNameContains("Coast")`:                                            true,
		`user.getInternalProperty("status")`:                                              "ACTIVE",
		`user.email matches "(?i).*@ACME\.test"`:                                          true,
		`user.email matches "ana"`:                                                        false,
		`Iso3166Convert.toAlpha2("usa")`:                                                  "US",
		`Iso3166Convert.toName("IND")`:                                                    "India",
		`Iso3166Convert.toNumeric("DE")`:                                                  "276",
		`Iso3166Convert.toAlpha3("xx")`:                                                   nil,
		`Iso3166Convert.toAlpha3("# ")`:                                                   nil,
		`Iso3166Convert.toAlpha3("") ?: "none"`:                                           "none",
		`Iso3166Convert.toName(user.none)`:                                                nil,
		`user.getGroups({'group.id': '00g2'}).![description]`:                             []any{"sunny"},
		`user.getGroups({"group.profile.name": "emp"}) .![type]`:                          []any{"OKTA_GROUP"},
		`user.getGroups({'group.profile.name': user.none ?: ''})`:                         []any{},
		`user.getGroups({'group.source.id': '0oa1'})`:                                     []any{},
		`user.isMemberOf({'group.id': {'00g9', '00g1'}}, {'group.profile.name': 'West'})`: false,
		`hasDirectoryUser() ? findDirectoryUser() : "none"`:                               "none",
	}
	for text, want := range tests {
		e, err := Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := e.Evaluate(ana())
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestCompileSaysWhereItIsWrong(t *testing.T) {
	tests := map[string]string{
		``:                     "character 1",
		`1 +`:                  "character 4",
		`"abc`:                 "character 1",
		`1 == 2 == 3`:          "character 8",
		`user.`:                "character 6",
		`exec("x")`:            "no function exec",
		`String.len()`:         "number of arguments",
		`T(java.lang.Runtime)`: "no function T",
		`user.firstName[0]`:    "character 15",
		`1x`:                   "digits alone",
		`a matches b`:          "pattern",
		`a matches "("`:        "RE2",
		`#root`:                "character 1",
		`{'a': 1}`:             "user.getGroups and user.isMemberOf alone",
		`user.getGroups()`:     "number of arguments",
		`user.getGroups("x")`:  "takes maps",
		`user.getGroups({'group.id': {'a': 'b'}})`:                     "a map is for",
		`user.getGroups({'group.owner': 'x'})`:                         "not by group.owner",
		`user.getGroups({'group.id': 'x', 'group.type': 'y'})`:         "names one thing",
		`user.getGroups({'operator': 'EXACT'})`:                        "names one thing",
		`user.getGroups({'group.id': 'x', 'operator': 'STARTS_WITH'})`: "operator",
		`user.getGroups({'group.id': 'x', 'group.id': 'y'})`:           "each once",
		`user.getGroups({1: 'x'})`:                                     "texts as keys",
		`user.getGroups({'group.id': 'x'}).![members]`:                 "no attribute members",
		`user.getGroups({'group.id': 'x'}).![id].![id]`:                "expected an operator",
		`user.isMemberOf({'group.id': 'x'}).![id]`:                     "behind user.getGroups alone",
		`user.getGroups({'group.id': 'x'}).size()`:                     "expected !",
		`isMemberOfGroup("x").![id]`:                                   "behind user.getGroups alone",
		`{1,2}.?[true]`:                                                "expected an operator",
		strings.Repeat("(", 100) + "1":                                 "nested",
		strings.Repeat("1+", 1000) + "1":                               "too large",
		strings.Repeat("x", 5000):                                      "4096",
		"\"\xff\"":                                                     "not text",
	}
	for text, want := range tests {
		_, err := Compile(text)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %s", text, err, want)
		}
	}
}

func TestEvaluateRefusesToGuess(t *testing.T) {
	for _, text := range []string{
		`cool`, `user.nosuch == "x"`, `"true" && true`, `user.none ? 1 : 2`, `1 < "a"`, `"a" - "b"`, `-"a"`, `!1`,
		`String.len(1)`, `String.substring("abc", 2, 9)`, `user.getInternalProperty("password")`, `String.replace({1}, "a", "b")`,
		`user.getGroups({'group.id': 1})`, `Iso3166Convert.toName(840)`, `user.getGroups({'group.id': '00g1'}) < 1`,
	} {
		e, err := Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if v, err := e.Evaluate(ana()); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, %v", text, v, err)
		}
	}
}

func TestEvaluateIsBounded(t *testing.T) {
	big := &person{attributes: map[string]any{"user.x": strings.Repeat("x", 40<<10)}}
	for _, text := range []string{`user.x + user.x`, `String.append(user.x, user.x)`, `String.replace(user.x, "x", "xx")`} {
		e, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Evaluate(big); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestErrorsOfTheEnvironmentArePassedOn(t *testing.T) {
	p := ana()
	p.broken = errors.New("the store is down")
	e, err := Compile(`isMemberOfGroup("00g1")`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Bool(p); !errors.Is(err, p.broken) {
		t.Error(err)
	}
}

func FuzzExpression(f *testing.F) {
	for _, s := range []string{`a.b == "c" AND !d`, `{1,{2}}`, `x ?: y ? 1 : 2`, `String.replace(user.firstName,"A","AAAA")`, `"''"`, `1 matches "("`, `user.getGroups({'group.id': {'a', 'b'}}, {'group.profile.name': 'x', 'operator': 'EXACT'}).![profile.name]`, `Iso3166Convert.toName("DE")`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Compile(text)
		if err == nil {
			_, err = e.Evaluate(ana())
		}
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
