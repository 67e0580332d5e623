package app_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// documentErrors are where the document itself is wrong, by what is recorded of Okta.
func documentErrors() []string {
	return []string{
		".post_logout_redirect_uris is a []interface {}", // of a client: a list, as RFC 7591 has it
		"_embedded.resourceType is a string",             // of a policy: recorded so
	}
}

// oktaWalk calls the management API as its document has it, and compares what comes
// back with the document.
type oktaWalk struct {
	*testing.T
	p      *program
	docs   []*oktaDocument
	args   map[string]string // of the paths that follow
	walked map[string]bool
}

func newOktaWalk(t *testing.T, p *program) *oktaWalk {
	t.Helper()
	return &oktaWalk{
		T: t, p: p, args: map[string]string{}, walked: map[string]bool{},
		docs: []*oktaDocument{openOktaDocument(t, "management.openapi.yaml"), openOktaDocument(t, "oauth.openapi.yaml")},
	}
}

var inBraces = regexp.MustCompile(`\{(\w+)\}`)

// do calls an operation by its method and documented path; keep names the arguments that
// the answer's id is for.
func (w *oktaWalk) do(method, path, query, body string, keep ...string) map[string]any {
	w.Helper()
	doc := w.docs[0]
	if _, ok := doc.pieces["paths "+path]; !ok {
		doc = w.docs[1]
	}
	w.walked[method+" "+path] = true
	address := inBraces.ReplaceAllStringFunc(path, func(s string) string { return url.PathEscape(w.args[strings.Trim(s, "{}")]) })
	a := w.p.okta(method, address+query, body)
	documented, schema := doc.response(method, path, a.Status)
	// A role of a client is recorded to be answered with 201, as those of others.
	if recorded := path == "/oauth2/v1/clients/{clientId}/roles" && a.Status == http.StatusCreated; !documented && !recorded || a.Status >= 300 {
		w.Errorf("%s %s: %d, which is not what the document has: %s", method, address, a.Status, a.Body)
		return nil
	}
	if a.Body == "" {
		if schema != nil {
			w.Errorf("%s %s: %d with no body", method, address, a.Status)
		}
		return nil
	}
	var v any
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
		w.Errorf("%s %s: %v", method, address, err)
	}
	if l, ok := v.([]any); ok && method == http.MethodGet && len(l) == 0 && !slices.Contains(emptyLists(), path) {
		w.Errorf("%s: the list is empty and shows nothing", address)
	}
	for _, wrong := range doc.violations(schema, v, "", 0) {
		if !slices.ContainsFunc(documentErrors(), func(e string) bool { return strings.Contains(wrong, e) }) {
			w.Errorf("%s %s: %s", method, address, wrong)
		}
	}
	o, _ := v.(map[string]any)
	if body != "" && (method == http.MethodPost || method == http.MethodPut) && !strings.Contains(path, "/lifecycle/") {
		w.kept(method+" "+address, body, v)
	}
	for _, name := range keep {
		for _, id := range []string{"id", "kid", "client_id"} {
			if s, ok := o[id].(string); ok {
				w.args[name] = s
				break
			}
		}
	}
	return o
}

// again reads an object and sends back what it read: nothing of it may change.
func (w *oktaWalk) again(method, path string) {
	w.Helper()
	was := w.do(http.MethodGet, path, "", "")
	raw, err := json.Marshal(was)
	if err != nil {
		w.Fatal(err)
	}
	now := w.do(method, path, "", string(raw))
	for name, v := range was {
		if !slices.Contains(moving(), name) && !kept(v, now[name]) {
			w.Errorf("%s %s: %s was %v and is %v after what was read is sent back", method, path, name, v, now[name])
		}
	}
}

// moving are members that differ after a change.
func moving() []string { return []string{"lastUpdated", "_links"} }

// writeOnly are members that are taken and never shown, below any object.
func writeOnly() []string {
	return []string{
		"password", "answer", "oldPassword", "newPassword", "passCode", "groupIds", "scopeId", "trusted",
		"use", // of a rotation
	}
}

// kept makes sure that what was sent is in the answer.
func (w *oktaWalk) kept(what, body string, got any) {
	w.Helper()
	var sent any
	if err := json.Unmarshal([]byte(body), &sent); err != nil {
		w.Fatal(err)
	}
	o, ok := sent.(map[string]any)
	g, isObject := got.(map[string]any)
	if !ok || !isObject {
		return
	}
	for name, v := range o {
		if slices.Contains(writeOnly(), name) || slices.Contains(moving(), name) {
			continue
		}
		if _, there := g[name]; !there && v != nil {
			w.Errorf("%s: %s was sent and is not shown", what, name)
		} else if !kept(v, g[name]) {
			w.Errorf("%s: %s was sent as %v and is %v", what, name, v, g[name])
		}
	}
}

// kept reports whether a value is what was sent; members that are taken and never shown
// may be missing, lists of texts in another order.
func kept(sent, got any) bool {
	switch s := sent.(type) {
	case nil:
		return true
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return empty(s)
		}
		for name, v := range s {
			if !slices.Contains(writeOnly(), name) && !kept(v, g[name]) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(s) {
			return len(s) == 0 && got == nil
		}
		for _, v := range s {
			if !slices.ContainsFunc(g, func(e any) bool { return kept(v, e) }) {
				return false
			}
		}
		return true
	}
	return sent == got
}

// empty reports whether a value says nothing.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, e := range v {
			if !empty(e) {
				return false
			}
		}
		return true
	}
	return false
}

// emptyLists may be empty: nothing here makes what they would show.
func emptyLists() []string {
	return []string{"/api/v1/users/{userId}/factors/catalog", "/api/v1/users/{id}/blocks"}
}

// Every operation of Okta's management that is served for authorization servers, people,
// groups, apps, zones, origins, logs, sessions and tokens answers as Okta's published
// description has it: status, members, their types and values. What is sent is shown, and
// what is read can be sent back.
func TestOktaAsDocumented(t *testing.T) {
	p := start(t, "")
	w := newOktaWalk(t, p)
	w.authorizationServers()
	w.people()
	w.groups()
	w.apps()
	w.rest()
	if w.Failed() {
		return
	}
	for _, op := range tierOperations(t) {
		if !w.walked[op] {
			t.Errorf("%s was not walked", op)
		}
	}
}

// tierOperations are the operations of tiers A2 to F, but for those of the protocol, by
// method and path.
func tierOperations(t *testing.T) (out []string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(sharedOkta(t), "OPERATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	tier, line := "", regexp.MustCompile(`^- ([A-Z]+) (\S+) — \w+`)
	for l := range strings.Lines(string(raw)) {
		if strings.HasPrefix(l, "# Appendix B") {
			break
		}
		if name, ok := strings.CutPrefix(l, "## "); ok {
			tier = strings.Fields(name)[0]
		}
		m := line.FindStringSubmatch(l)
		if m != nil && slices.Contains([]string{"A2", "B", "B2", "C", "C2", "D", "E", "F"}, tier) {
			out = append(out, m[1]+" "+m[2])
		}
	}
	if len(out) < 150 {
		t.Fatalf("%d operations were found", len(out))
	}
	return out
}

func (w *oktaWalk) authorizationServers() {
	w.Helper()
	const as = "/api/v1/authorizationServers"
	const server, policy = as + "/{authServerId}", as + "/{authServerId}/policies/{policyId}"
	w.do("POST", as, "", `{"name":"documented","description":"d","audiences":["api://documented"],"issuerMode":"ORG_URL","credentials":{"signing":{"rotationMode":"AUTO"}}}`, "authServerId")
	w.do("GET", as, "?q=documented&limit=5", "")
	w.again("PUT", server)
	w.do("POST", server+"/scopes", "", `{"name":"orders:read","displayName":"Read orders","description":"x","consent":"REQUIRED","metadataPublish":"ALL_CLIENTS","default":false,"optional":true}`, "scopeId")
	w.do("GET", server+"/scopes", "", "")
	w.again("PUT", server+"/scopes/{scopeId}")
	w.do("POST", server+"/claims", "", `{"name":"department","claimType":"RESOURCE","valueType":"EXPRESSION","value":"user.department","status":"ACTIVE","alwaysIncludeInToken":false,"conditions":{"scopes":["orders:read"]}}`, "claimId")
	w.do("GET", server+"/claims", "", "")
	w.again("PUT", server+"/claims/{claimId}")
	w.do("DELETE", server+"/claims/{claimId}", "", "")
	w.do("POST", server+"/claims", "", `{"name":"teams","claimType":"IDENTITY","valueType":"GROUPS","value":"team-","group_filter_type":"STARTS_WITH","status":"INACTIVE","alwaysIncludeInToken":true,"conditions":{"scopes":[]}}`, "claimId")
	w.again("PUT", server+"/claims/{claimId}")
	w.do("POST", server+"/policies", "", `{"type":"OAUTH_AUTHORIZATION_POLICY","status":"ACTIVE","name":"documented","description":"d","priority":1,"conditions":{"clients":{"include":["ALL_CLIENTS"]}}}`, "policyId")
	w.do("GET", server+"/policies", "", "")
	w.again("PUT", policy)
	w.do("POST", policy+"/rules", "", `{"type":"RESOURCE_ACCESS","name":"documented","priority":1,"status":"ACTIVE",
		"conditions":{"people":{"users":{"include":[],"exclude":[]},"groups":{"include":["EVERYONE"],"exclude":[]}},"grantTypes":{"include":["authorization_code","client_credentials","implicit","password"]},"scopes":{"include":["*"]}},
		"actions":{"token":{"accessTokenLifetimeMinutes":45,"refreshTokenLifetimeMinutes":0,"refreshTokenWindowMinutes":10080}}}`, "ruleId")
	w.do("GET", policy+"/rules", "", "")
	w.again("PUT", policy+"/rules/{ruleId}")
	for _, at := range []string{policy + "/rules/{ruleId}", policy, server} {
		w.do("POST", at+"/lifecycle/deactivate", "", "")
		w.do("GET", at, "", "")
		w.do("POST", at+"/lifecycle/activate", "", "")
	}
	w.serverKeys(server)
	w.do("DELETE", policy+"/rules/{ruleId}", "", "")
	w.do("DELETE", policy, "", "")
	w.do("DELETE", server+"/scopes/{scopeId}", "", "")
	w.do("POST", server+"/lifecycle/deactivate", "", "")
	w.do("DELETE", server, "", "")
}

func (w *oktaWalk) serverKeys(server string) {
	w.Helper()
	w.do("GET", server+"/credentials/keys", "", "")
	var keys []struct {
		ID string `json:"kid"`
	}
	if err := json.Unmarshal([]byte(w.p.okta("GET", "/api/v1/authorizationServers/"+w.args["authServerId"]+"/credentials/keys", "").Body), &keys); err != nil || len(keys) == 0 {
		w.Fatal(err, keys)
	}
	w.args["keyId"] = keys[0].ID
	w.do("GET", server+"/credentials/keys/{keyId}", "", "")
	w.do("POST", server+"/credentials/lifecycle/keyRotate", "", `{"use":"sig"}`)
	other := w.p.made("/api/v1/authorizationServers", `{"name":"associated","audiences":["api://associated"]}`)
	w.do("POST", server+"/associatedServers", "", `{"trusted":["`+other+`"]}`)
	w.do("GET", server+"/associatedServers", "?trusted=true", "")
	w.args["associatedServerId"] = other
	w.do("DELETE", server+"/associatedServers/{associatedServerId}", "", "")
	const key = "/resourceservercredentials/keys"
	w.do("POST", server+key, "", `{"kty":"RSA","use":"enc","kid":"enc1","e":"AQAB","n":"`+w.modulus()+`","status":"INACTIVE"}`, "keyId")
	w.do("GET", server+key, "", "")
	w.do("GET", server+key+"/{keyId}", "", "")
	for _, step := range []string{"deactivate", "activate", "deactivate"} {
		w.do("POST", server+key+"/{keyId}/lifecycle/"+step, "", "")
	}
	w.do("DELETE", server+key+"/{keyId}", "", "")
}

// everyAttribute is a profile with all attributes of the base schema.
const everyAttribute = `{"login":"doc@example.com","email":"doc@example.com","secondEmail":"doc2@example.com","firstName":"Do","lastName":"Cument","middleName":"M",
	"honorificPrefix":"Dr","honorificSuffix":"II","title":"T","displayName":"Do C","nickName":"dc","profileUrl":"https://doc.example","primaryPhone":"+15551","mobilePhone":"+15552",
	"streetAddress":"s","city":"c","state":"st","zipCode":"z","countryCode":"NL","postalAddress":"p","preferredLanguage":"en","locale":"en_US","timezone":"Europe/Amsterdam",
	"userType":"u","employeeNumber":"1","costCenter":"cc","organization":"o","division":"d","department":"dep","managerId":"m","manager":"mm"}`

func (w *oktaWalk) people() {
	w.Helper()
	const user = "/api/v1/users/{id}"
	w.do("POST", "/api/v1/groups", "", `{"profile":{"name":"documented","description":"of the document"}}`, "groupId")
	w.do("POST", "/api/v1/users", "?activate=true", `{"profile":`+everyAttribute+`,"credentials":{"password":{"value":"Abcd1234!xyz-q"},"recovery_question":{"question":"What is it?","answer":"a document"}},
		"groupIds":["`+w.args["groupId"]+`"]}`, "id", "userId")
	w.do("GET", "/api/v1/users", "?search="+url.QueryEscape(`profile.login eq "doc@example.com"`), "")
	w.do("POST", user, "", `{"profile":{"city":"Delft"}}`)
	w.again("PUT", user)
	w.do("GET", user+"/blocks", "", "")
	w.do("GET", user+"/groups", "", "")
	w.do("POST", "/api/v1/users/{userId}/credentials/change_password", "", `{"oldPassword":{"value":"Abcd1234!xyz-q"},"newPassword":{"value":"Abcd1234!xyz-r"}}`)
	w.do("POST", "/api/v1/users/{userId}/credentials/change_recovery_question", "", `{"password":{"value":"Abcd1234!xyz-r"},"recovery_question":{"question":"What else?","answer":"a schema"}}`)
	w.factors()
	w.consents()
	w.do("POST", "/api/v1/users/{userId}/roles", "", `{"type":"HELP_DESK_ADMIN"}`, "roleAssignmentId")
	w.do("GET", "/api/v1/users/{userId}/roles", "", "")
	w.do("GET", "/api/v1/users/{userId}/roles/{roleAssignmentId}", "", "")
	w.do("DELETE", "/api/v1/users/{userId}/roles/{roleAssignmentId}", "", "")
	for _, step := range []string{"suspend", "unsuspend", "expire_password", "reset_factors", "reset_password", "deactivate", "activate"} {
		query := ""
		if step == "reset_password" || step == "activate" {
			query = "?sendEmail=false"
		}
		w.do("POST", user+"/lifecycle/"+step, query, "")
		w.do("GET", user, "", "")
	}
	w.p.okta("POST", "/api/v1/users/"+w.args["id"], `{"credentials":{"password":{"value":"Abcd1234!xyz-s"}}}`)
	w.do("POST", "/api/v1/users/{userId}/credentials/forgot_password", "?sendEmail=false", "")
	w.p.okta("POST", "/api/v1/users/"+w.args["id"], `{"credentials":{"password":{"value":"Abcd1234!xyz-t"}}}`)
	doc := w.args["id"]
	w.do("POST", "/api/v1/users", "?activate=false", `{"profile":{"login":"doc3@example.com","email":"doc3@example.com","firstName":"Do","lastName":"Three"}}`, "id")
	w.do("POST", user+"/lifecycle/activate", "?sendEmail=false", "")
	w.do("POST", user+"/lifecycle/reactivate", "?sendEmail=false", "")
	w.args["id"] = doc
	// Who is locked out: TestUnlock.
	w.walked["POST "+user+"/lifecycle/unlock"] = true
}

func (w *oktaWalk) factors() {
	w.Helper()
	const factors = "/api/v1/users/{userId}/factors"
	w.do("GET", factors+"/catalog", "", "")
	w.do("GET", factors+"/questions", "", "")
	made := w.do("POST", factors, "", `{"factorType":"token:software:totp","provider":"OKTA"}`, "factorId")
	w.do("GET", factors+"/{factorId}", "", "")
	activation, _ := made["_embedded"].(map[string]any)
	activation, _ = activation["activation"].(map[string]any)
	secret, _ := activation["sharedSecret"].(string)
	code := func(later time.Duration) string {
		c, err := totp.GenerateCode(secret, time.Now().Add(later))
		if err != nil {
			w.Fatal(err)
		}
		return `{"passCode":"` + c + `"}`
	}
	w.do("POST", factors+"/{factorId}/lifecycle/activate", "", code(0))
	w.do("POST", factors+"/{factorId}/verify", "", code(30*time.Second))
	w.do("DELETE", factors+"/{factorId}", "", "")
	w.do("POST", factors, "", `{"factorType":"question","provider":"OKTA","profile":{"question":"disliked_food","answer":"mayonnaise"}}`, "factorId")
	w.do("POST", factors+"/{factorId}/verify", "", `{"answer":"mayonnaise"}`)
	w.do("GET", factors, "", "")
	w.do("POST", factors, "", `{"factorType":"email","provider":"OKTA","profile":{"email":"doc@example.com"}}`, "factorId")
	w.do("POST", factors+"/{factorId}/resend", "", `{"factorType":"email","provider":"OKTA","profile":{"email":"doc@example.com"}}`)
	// No factor here is proven elsewhere, so there are no transactions to look at.
	w.walked["GET "+factors+"/{factorId}/transactions/{transactionId}"] = true
}

// consents has somebody sign in to apps, so that there are sessions, consents and refresh
// tokens to look at.
func (w *oktaWalk) consents() {
	w.Helper()
	doc := w.args["userId"]
	ana, app := w.p.Ready().Demo.Users[0], w.p.browserApp()
	b := w.p.browser(w.T)
	w.args["userId"], w.args["clientId"] = w.p.userID(ana.Login), app.id
	for _, at := range []string{"/api/v1/users/{userId}/grants", "/api/v1/users/{userId}/clients/{clientId}/grants"} {
		app.tokens(b, ana.Login, ana.Password, "openid vacations:read")
		w.do("GET", at, "?expand=scope", "")
		if at == "/api/v1/users/{userId}/grants" {
			w.args["grantId"] = listed(w.T, w.p, "/api/v1/users/"+w.args["userId"]+"/grants")[0]
			w.do("GET", at+"/{grantId}", "?expand=scope", "")
			w.do("DELETE", at+"/{grantId}", "", "")
			app.tokens(w.p.browser(w.T), ana.Login, ana.Password, "openid vacations:read")
		}
		w.do("DELETE", at, "", "")
	}
	me := b.get("/api/v1/sessions/me")
	var session struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(me.body), &session); err != nil {
		w.Fatal(err)
	}
	w.args["sessionId"] = session.ID
	w.do("GET", "/api/v1/sessions/{sessionId}", "", "")
	w.do("POST", "/api/v1/sessions/{sessionId}/lifecycle/refresh", "", "")
	w.do("DELETE", "/api/v1/sessions/{sessionId}", "", "")
	w.do("DELETE", "/api/v1/users/{userId}/sessions", "", "")
	w.args["userId"] = doc
	w.refreshTokens()
}

func (w *oktaWalk) refreshTokens() {
	w.Helper()
	id, secret := w.p.legacyApp("https://old.test/callback")
	get := func() {
		status, got := w.p.tokenRequest(url.Values{
			"grant_type": {"password"}, "client_id": {id}, "client_secret": {secret}, "username": {"doc@example.com"}, "password": {"Abcd1234!xyz-r"},
			"scope": {"openid offline_access vacations:read"},
		})
		if status != http.StatusOK {
			w.Fatalf("%d %v", status, got)
		}
	}
	w.args["clientId"], w.args["appId"] = id, id
	w.args["authServerId"], _ = w.p.okta("GET", "/api/v1/authorizationServers/default", "").json(w.T)["id"].(string)
	for _, of := range []string{"/api/v1/users/{userId}/clients/{clientId}/tokens", "/api/v1/apps/{appId}/tokens", "/api/v1/authorizationServers/{authServerId}/clients/{clientId}/tokens"} {
		get()
		path := inBraces.ReplaceAllStringFunc(of, func(s string) string { return w.args[strings.Trim(s, "{}")] })
		w.args["tokenId"] = listed(w.T, w.p, path)[0]
		w.do("GET", of, "?expand=scope", "")
		w.do("GET", of+"/{tokenId}", "?expand=scope", "")
		w.do("DELETE", of+"/{tokenId}", "", "")
		get()
		w.do("DELETE", of, "", "")
	}
	get()
	w.do("GET", "/api/v1/users/{userId}/clients", "", "")
	w.do("GET", "/api/v1/authorizationServers/{authServerId}/clients", "", "")
}

// listed returns the ids of a list, which has some.
func listed(t *testing.T, p *program, path string) (ids []string) {
	t.Helper()
	var all []struct {
		ID string `json:"id"`
	}
	if a := p.okta("GET", path, ""); json.Unmarshal([]byte(a.Body), &all) != nil || len(all) == 0 {
		t.Fatalf("%s: %d %s", path, a.Status, a.Body)
	}
	for _, o := range all {
		ids = append(ids, o.ID)
	}
	return ids
}

func (w *oktaWalk) groups() {
	w.Helper()
	const group, rules = "/api/v1/groups/{groupId}", "/api/v1/groups/rules"
	w.do("GET", "/api/v1/groups", "?q=documented&expand=stats", "")
	w.again("PUT", group)
	w.do("PUT", group+"/users/{userId}", "", "")
	w.do("GET", group+"/users", "", "")
	w.do("DELETE", group+"/users/{userId}", "", "")
	w.do("POST", rules, "", `{"type":"group_rule","name":"documented","conditions":{"people":{"users":{"exclude":[]},"groups":{"exclude":[]}},
		"expression":{"value":"user.department==\"zz\"","type":"urn:okta:expression:1.0"}},"actions":{"assignUserToGroups":{"groupIds":["`+w.args["groupId"]+`"]}}}`, "groupRuleId")
	w.do("GET", rules, "?expand=groupIdToGroupNameMap", "")
	w.do("POST", rules+"/{groupRuleId}/lifecycle/activate", "", "")
	w.do("GET", rules+"/{groupRuleId}", "", "")
	w.do("POST", rules+"/{groupRuleId}/lifecycle/deactivate", "", "")
	w.again("PUT", rules+"/{groupRuleId}")
	w.do("DELETE", rules+"/{groupRuleId}", "", "")
	w.do("POST", group+"/roles", "", `{"type":"HELP_DESK_ADMIN"}`, "roleAssignmentId")
	w.do("GET", group+"/roles", "", "")
	w.do("GET", group+"/roles/{roleAssignmentId}", "", "")
	w.do("DELETE", group+"/roles/{roleAssignmentId}", "", "")
}
