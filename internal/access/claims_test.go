package access

import (
	"encoding/json"
	"testing"

	"gatehouse/internal/directory"
	"gatehouse/internal/expression"
	"gatehouse/internal/fault"

	"github.com/google/go-cmp/cmp"
)

// winston is the user of the expressions that Okta documents.
func winston() *Facts {
	return &Facts{
		App:    &AppView{ID: "0oaC", App: App{OIDC: OIDC{Display: map[string]any{"profile": map[string]any{"groupallowlist": []any{"00garwpuyxHaWOkdV0g4", "00gZZ"}}}}}},
		Scopes: []string{"openid", "email"},
		Person: &Person{
			ID: "00u1", UserName: "wc@corp",
			User: directory.User{Status: directory.Active, Profile: directory.Profile{
				Login: "winston.churchill@gmail.com", Email: "winston.churchill@gmail.com", FirstName: "Winston", LastName: "Churchill",
				Attributes: map[string]any{
					"nums": []any{10.0, 20.0, 30.0}, "groupCode": 123.0, "salary": 1200000.0, "isContractor": false, "department": "Sales EMEA",
					"title": "Engineer", "nick": "",
				},
			}},
			Groups: []directory.MemberOf{
				{ID: "00gak46y5hydV6NdM0g4", Name: "Everyone", Type: "BUILT_IN"},
				{ID: "00g1emaKYZTWRYYRRTSK", Name: "West Coast Users", Type: "OKTA_GROUP"},
				{ID: "00garwpuyxHaWOkdV0g4", Name: "West Coast Admins", Type: "OKTA_GROUP"},
				{ID: "00gjitX9HqABSoqTB0g3", Name: "Engineering Users", Type: "APP_GROUP"},
			},
		},
	}
}

// The expressions of Okta's documentation and of recorded traffic, as claims.
func TestExpressionsOfClaims(t *testing.T) {
	for text, want := range map[string]any{
		`String.append("This is", " a test")`:                     "This is a test",
		`String.join(",", "This", "is", "a", "test")`:             "This,is,a,test",
		`String.len("This")`:                                      4.0,
		`String.removeSpaces("This is a test")`:                   "Thisisatest",
		`String.replace("This is a test", "is", "at")`:            "That at a test",
		`String.replaceFirst("This is a test", "is", "at")`:       "That is a test",
		`String.substring("This is a test", 2, 9)`:                "is is a",
		`String.substringAfter("abc@okta.com", "@")`:              "okta.com",
		`String.stringContains("This is a test", "doesn'tExist")`: false,
		`String.stringSwitch("First match wins", "default", "absent", "value1", "wins", "value2", "match", "value3")`: "value2",
		`String.stringSwitch("Substrings count", "default", "ring", "value1")`:                                        "value1",
		`Arrays.contains({10, 20, 30}, 50)`:                                                                           false,
		`Arrays.size(NULL)`:                                                                                           0.0,
		`Arrays.isEmpty(NULL)`:                                                                                        true,
		`Arrays.toCsvString({"This", "is", " a ", "test"})`:                                                           "This,is, a ,test",
		`Arrays.flatten(10, {20, 30}, 40)`:                                                                            []any{10.0, 20.0, 30.0, 40.0},
		`Arrays.add(user.nums, 40)`:                                                                                   []any{10.0, 20.0, 30.0, 40.0},
		`Iso3166Convert.toAlpha3("840")`:                                                                              "USA",
		`user.getGroups({'group.type': {'OKTA_GROUP'}}, {'group.profile.name': {'Everyone', 'West Coast Admins'}})`: []any{
			expression.Group{ID: "00garwpuyxHaWOkdV0g4", Name: "West Coast Admins", Type: "OKTA_GROUP"},
		},
		`user.isMemberOf({'group.profile.name': 'West Coast', 'operator': 'EXACT'})`: false,
		`user.isMemberOf({'group.profile.name': 'West Coast'})`:                      true,
		`user.getGroups({'group.profile.name': 'West Coast.*'}).![profile.name]`:     []any{"West Coast Users", "West Coast Admins"},
		`user.getGroups({'group.id': {'00gak46y5hydV6NdM0g4', '00gNone'}}).![id]`:    []any{"00gak46y5hydV6NdM0g4"},
		`Arrays.toCsvString(user.getGroups({'group.type': 'APP_GROUP'}))`:            "00gjitX9HqABSoqTB0g3",
		`Convert.toInt(123.6)`: 124.0,
		`substring(user.firstName, 0, 1) + substring(user.lastName, 0, 6)`:                                            "WChurch",
		`toLowerCase(substring(user.firstName, 0, 1)) + "." + toLowerCase(user.lastName)`:                             "w.churchill",
		`toUpperCase(substringBefore(substringAfter(user.email, "@"), ".")) + "\" + substringBefore(user.email, "@")`: `GMAIL\winston.churchill`,
		`user.groupCode == 123 ? 'Sales' : 'Other'`:                                                                   "Sales",
		`(appuser != null) ? appuser.userName : app.clientId`:                                                         "wc@corp",
		`String.replace(Arrays.toCsvString(access.scope),","," ")`:                                                    "openid email",
		`String.startsWith(user.firstName,String.toLowerCase("bOb"))`:                                                 false,
		`user.salary > 1000000 AND !user.isContractor`:                                                                true,
		`user.middleName != "" AND user.middleName != null ? user.middleName : user.lastName`:                         "Churchill",
		`String.substringAfter(user.email, "@") == "example.com"`:                                                     false,
		`getFilteredGroups(app.profile.groupallowlist, "group.name", 40)`:                                             []any{"West Coast Admins"},
		`Groups.startsWith("OKTA", "TEST", 100) ?: {}`:                                                                []any{},
		`isMemberOfAnyGroup("00gZZ", "00g1emaKYZTWRYYRRTSK")`:                                                         true,
		`user.nick ?: "none"`:                  "none",
		`true OR false AND false`:              true,
		`1 + 2 + "a" + 1 + 2`:                  "3a12",
		`user.title matches 'Engin'`:           false,
		`'it''s' == "it's" && "1" != 1`:        true,
		`Groups.startsWith("OKTA", "West", 1)`: []any{"West Coast Users"},
		`Groups.endsWith("OKTA", "Users", 10)`: []any{"West Coast Users", "Engineering Users"},
		`Arrays.get(user.nums, 1)`:             20.0,
		`Arrays.remove(user.nums, 20)`:         []any{10.0, 30.0},
		`Convert.toInt(-1.6)`:                  -2.0,
		`Convert.toNum("1.5")`:                 1.5,
	} {
		e, err := expression.Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := e.Evaluate(facts{winston()})
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%s: %s %v", text, d, err)
		}
	}
	alone := &Facts{App: winston().App}
	e, err := expression.Compile(DefaultSubject)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.Evaluate(facts{alone}); got != "0oaC" || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// attack identity 59: what an expression must not be able to say, and what must
// fail when it is evaluated.
func TestExpressionsOfClaimsThatFail(t *testing.T) {
	for _, text := range []string{
		`T(java.lang.Runtime).getRuntime().exec("id")`, `new java.util.Date()`, `user.email = "x"`, `''.getClass().forName("x")`, `#root`,
		`@bean`, `user.n++`, `{1,2,3}.?[true]`, `user.email instanceof T(String)`, `a == b == c`, `getFilteredGroups({}, user.email, 3)`,
	} {
		if _, err := expression.Compile(text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s was compiled: %v", text, err)
		}
	}
	for _, text := range []string{
		`cool`, `Groups.startsWith("OKTA", "", 101)`, `Groups.contains("OKTA", "x", 0)`, `getFilteredGroups("x", "group.name", 10)`,
		`Arrays.get({1}, 5)`, `Convert.toInt("12x")`, `app.secrets`, `appuser`, `user.getInternalProperty("password")`,
	} {
		f := winston()
		if text == "appuser" {
			f.Person, text = nil, `appuser.userName`
		}
		e, err := expression.Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if v, err := e.Evaluate(facts{f}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, %v", text, v, err)
		}
	}
}

// attack identity 60: claims of one's own do not reach what the protocol says, even
// where an old object has such a name.
func TestClaimsOfServer(t *testing.T) {
	claims := map[string]Claim{}
	add := func(c Claim) {
		c.Server, c.Status = "aus1", Active
		claims[c.Name+c.ClaimType] = c
	}
	for _, name := range []string{"iss", "sub", "aud", "exp", "scp", "cid", "uid", "cnf", "auth_time", "nonce"} {
		add(Claim{Name: name, ClaimType: ClaimResource, ValueType: ValueExpression, Value: `"forged"`})
		add(Claim{Name: name, ClaimType: ClaimIdentity, ValueType: ValueExpression, Value: `"forged"`, AlwaysInclude: true})
	}
	add(Claim{Name: "department", ClaimType: ClaimResource, ValueType: ValueExpression, Value: "user.department"})
	add(Claim{Name: "nobody", ClaimType: ClaimResource, ValueType: ValueExpression, Value: "user.middleName"})
	add(Claim{Name: "none", ClaimType: ClaimResource, ValueType: ValueExpression, Value: "{}"})
	add(Claim{Name: "other", ClaimType: ClaimResource, ValueType: ValueExpression, Value: "cool", Scopes: []string{"orders:read"}})
	add(Claim{Name: "teams", ClaimType: ClaimResource, ValueType: ValueGroups, Value: "West", GroupFilter: FilterStartsWith})
	add(Claim{Name: "email", ClaimType: ClaimIdentity, ValueType: ValueSystem, System: true, Scopes: []string{"email"}, AlwaysInclude: true})
	add(Claim{Name: "family_name", ClaimType: ClaimIdentity, ValueType: ValueSystem, System: true, Scopes: []string{"email"}})
	s := &ServerView{ID: "aus1", claims: compileClaims(claims, "aus1")}
	check := func(want string, got []Value, err error) {
		t.Helper()
		raw, _ := json.Marshal(got)
		if string(raw) != want || err != nil {
			t.Errorf("%s, %v, want %s", raw, err, want)
		}
	}
	got, err := s.ResourceClaims(winston())
	check(`[{"Name":"department","Value":"Sales EMEA"},{"Name":"teams","Value":["West Coast Users","West Coast Admins"]}]`, got, err)
	got, err = s.IdentityClaims(winston(), false)
	check(`[{"Name":"email","Value":"winston.churchill@gmail.com"}]`, got, err)
	got, err = s.IdentityClaims(winston(), true)
	check(`[{"Name":"email","Value":"winston.churchill@gmail.com"},{"Name":"family_name","Value":"Churchill"}]`, got, err)

	// A claim that cannot be evaluated ends the request, but only where it is meant.
	f := winston()
	f.Scopes = []string{"orders:read"}
	if _, err := s.ResourceClaims(f); fault.Of(err) == nil || fault.Of(err).Reason != ReasonUserClaim {
		t.Errorf("a broken claim: %v", err)
	}
	for i := range 200 {
		f.Person.Groups = append(f.Person.Groups, directory.MemberOf{Name: "West" + string(rune('A'+i))})
	}
	f.Scopes = nil
	if _, err := s.ResourceClaims(f); fault.Of(err) == nil || fault.Of(err).Reason != ReasonTooManyGroups {
		t.Errorf("too many groups: %v", err)
	}
}
