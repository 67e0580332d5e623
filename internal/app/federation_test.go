package app_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/federation"
	"gatehouse/internal/relying/issuertest"
)

// provider makes an identity provider; more is laid into its JSON.
func (p *program) provider(name, issuer, client, secret, more string) string {
	p.t.Helper()
	return p.made("/api/v1/idps", fmt.Sprintf(`{"name":%q,"type":"OIDC","protocol":{"type":"OIDC","issuer":{"url":%q},"scopes":["openid","profile","email"],
		"credentials":{"client":{"client_id":%q,"client_secret":%q}}}%s}`, name, issuer, client, secret, more))
}

var providerAddress = regexp.MustCompile(`href="(/signin/[^"]+/with/[^"]+)"`)

// away follows the sign-in page's way to the provider, and returns where the browser is
// sent from here.
func (b *browser) away(page *seen) string {
	b.t.Helper()
	m := providerAddress.FindStringSubmatch(page.body)
	if m == nil {
		b.t.Fatalf("%s has no way to a provider:\n%s", page.at, page.body)
	}
	got := b.get(strings.ReplaceAll(m[1], "&amp;", "&"))
	to := got.Header.Get("Location")
	if got.StatusCode != http.StatusSeeOther || to == "" {
		b.t.Fatalf("%s: %d\n%s", got.at, got.StatusCode, got.body)
	}
	return to
}

// partners are two programs: down signs people in at up, where Cleo is.
func partners(t *testing.T) (up, down *program, user, idp string) {
	t.Helper()
	up, down = start(t, ""), start(t, "")
	app := up.okta("POST", "/api/v1/apps", `{"name":"oidc_client","label":"downstream","signOnMode":"OPENID_CONNECT","credentials":{"oauthClient":{"token_endpoint_auth_method":"client_secret_basic"}},
		"settings":{"oauthClient":{"application_type":"web","grant_types":["authorization_code"],"response_types":["code"],"consent_method":"TRUSTED","redirect_uris":["`+down.Ready().Identity+federation.CallbackPath+`"],"post_logout_redirect_uris":["`+down.Ready().Identity+federation.SignedOutPath+`"]}}}`).json(t)
	id, _ := app["id"].(string)
	secret, _ := at(app, "credentials", "oauthClient", "client_secret").(string)
	user = up.made("/api/v1/users", `{"profile":{"login":"cleo@partner.example","email":"cleo@partner.example","firstName":"Cleo","lastName":"Ray"},"credentials":{"password":{"value":"correct horse 8"}}}`)
	up.okta("POST", "/api/v1/apps/"+id+"/users", `{"id":"`+user+`","scope":"USER"}`)
	group := down.made("/api/v1/groups", `{"profile":{"name":"partners"}}`)
	idp = down.provider("Partner", up.Ready().Identity+"/oauth2/default", id, secret, `,"domains":["partner.example"],"mapping":{"nickName":"idpuser.name"},
		"policy":{"provisioning":{"action":"AUTO","groups":{"action":"ASSIGN","assignments":["`+group+`"]}},"subject":{"userNameTemplate":{"template":"idpuser.preferred_username"}}}`)
	return up, down, user, idp
}

// The same in a real browser, whose rules for redirects, cookies and policies count.
func TestProviderInChromium(t *testing.T) {
	folder, chromium := needsChromium(t)
	up, down, _, _ := partners(t)
	told := filepath.Join(t.TempDir(), "told.json")
	raw := jsonOf(t, map[string]string{
		"start": down.Ready().Identity + "/account", "login": "cleo@partner.example", "password": "correct horse 8",
		"here": down.Ready().Identity, "there": up.Ready().Identity,
	})
	if err := os.WriteFile(told, []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := walkPages(t, folder, "providers.mjs", told, chromium); err != nil || !strings.Contains(out, "ok: ") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// One program signs people in at another one: a new person gets an account, with the
// groups and attributes that the provider says, and is known the next time whatever their
// address has become.
func TestSignInAtAnotherGatehouse(t *testing.T) {
	up, down, user, idp := partners(t)
	down.admitsAll()
	c := down.browserApp()
	var made string
	for round, login := range []string{"cleo@partner.example", "moved@partner.example"} {
		if round == 1 {
			up.okta("POST", "/api/v1/users/"+user, `{"profile":{"login":"moved@partner.example","email":"moved@partner.example"}}`)
		}
		b := down.browser(t)
		page := b.get(authorizePath + "?" + c.request().Encode())
		page.has(t, 200, "Continue with Partner", "Continue</button>")
		// The domain of the address decides where the person goes; no password is asked for.
		page = b.post(page, "step", "signin", "first", "1", "identifier", login)
		page.has(t, 200, "Sign in with Partner")
		if r := page.Header.Get("Refresh"); !strings.HasPrefix(r, "0;url=/signin/") {
			t.Errorf("Refresh %q", r)
		}
		to := b.away(page)
		b.base = up.Ready().Identity
		there := b.get(to)
		there.has(t, 200, "to continue to <strong>downstream</strong>")
		back := b.signIn(there, login, "correct horse 8").Header.Get("Location")
		b.base = down.Ready().Identity
		done := b.get(back)
		if round == 0 {
			done.has(t, 200, "Allow My HR to do this?")
			done = b.post(done, "step", "consent", "shown", "vacations:read")
		}
		if got := c.answer(t, done); got.Get("code") == "" {
			t.Fatalf("answer %v", got)
		}
		b.get(back).has(t, 404) // once
		links := down.okta("GET", "/api/v1/idps/"+idp+"/users", "").Body
		var list []struct{ ID, ExternalID string }
		if err := json.Unmarshal([]byte(links), &list); err != nil || len(list) != 1 || list[0].ExternalID != user {
			t.Fatalf("links: %s", links)
		}
		if made == "" {
			made = list[0].ID
		}
		if made != list[0].ID {
			t.Errorf("another account: %s and %s", made, list[0].ID)
		}
	}
	u := down.okta("GET", "/api/v1/users/"+made, "").json(t)
	if u["status"] != "ACTIVE" || at(u, "profile", "firstName") != "Cleo" || at(u, "profile", "login") != "cleo@partner.example" || at(u, "profile", "nickName") != "Cleo Ray" {
		t.Errorf("the account: %v", u)
	}
	if g := down.okta("GET", "/api/v1/users/"+made+"/groups", "").Body; !strings.Contains(g, `"partners"`) {
		t.Errorf("groups: %s", g)
	}
}

// only returns where an address leads, without going there.
func (b *browser) only(address string) string {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.send(r).Header.Get("Location")
}

// admitsAll lets everybody use the demo's app.
func (p *program) admitsAll() {
	p.t.Helper()
	var groups []struct{ ID string }
	a := p.okta("GET", "/api/v1/groups?q=Everyone", "")
	if err := json.Unmarshal([]byte(a.Body), &groups); err != nil || len(groups) != 1 {
		p.t.Fatalf("the group of all: %s", a.Body)
	}
	if a := p.okta("PUT", "/api/v1/apps/"+p.browserApp().id+"/groups/"+groups[0].ID, "{}"); a.Status != 200 {
		p.t.Fatalf("%d %s", a.Status, a.Body)
	}
}

// visited is a browser that has come back from a scripted provider.
func (p *program) visited(t *testing.T, issuer *issuertest.Issuer, change func(*issuertest.Script)) (*browser, *seen) {
	t.Helper()
	issuer.Set(change)
	b := p.browser(t)
	to := b.away(b.get(authorizePath + "?" + p.browserApp().request().Encode()))
	return b, b.get(to)
}

// Who signs in at a provider and has to show a second factor here sets one up behind a sign-in
// that is fresh there: one that the provider remembers from some time ago is not.
func TestSecondFactorOfWhoSignsInElsewhere(t *testing.T) {
	p := start(t, "")
	issuer, c := issuertest.New(t), p.browserApp()
	p.admitsAll()
	p.provider("Other", issuer.URL, issuer.ClientID, issuer.Secret, `,"domains":["authority.example"]`)
	claims := func(at time.Time) map[string]any {
		return map[string]any{"email": "ida@authority.example", "email_verified": true, "given_name": "Ida", "auth_time": at.Unix()}
	}
	b, _ := p.visited(t, issuer, says("ida", claims(time.Now().Add(-time.Hour))))
	if who := b.whoIs(); who != "ida@authority.example" {
		t.Fatalf("signed in as %q", who)
	}
	asked := b.get(authorizePath + "?" + c.request("acr_values", "urn:okta:loa:2fa:any", "scope", "openid").Encode())
	asked.has(t, 200, "/with/")
	issuer.Set(says("ida", claims(time.Now())))
	to := b.away(asked)
	if !strings.Contains(to, "prompt=login") {
		t.Errorf("the provider is not asked to see to it: %s", to)
	}
	shown := b.post(b.get(b.only(to)), "step", "enroll")
	c.answer(t, b.post(shown, "step", "enroll", "code", newPhone(p, shown).code()))
}

// whoIs returns the login of who is signed in with a browser; empty for nobody.
func (b *browser) whoIs() string {
	b.t.Helper()
	var v struct{ Login string }
	_ = json.Unmarshal([]byte(b.get("/api/v1/sessions/me").body), &v)
	return v.Login
}

// says makes a script of who somebody is there.
func says(sub string, claims map[string]any) func(*issuertest.Script) {
	return func(s *issuertest.Script) { *s = issuertest.Script{User: sub, ID: claims} }
}

// Whose account it is here is not decided by what a provider says of an address, unless
// it was made the authority for it (attack identity 68).
func TestProvidersDoNotTakeAccounts(t *testing.T) {
	p := start(t, "")
	issuer := issuertest.New(t)
	p.admitsAll()
	p.provider("Other", issuer.URL, issuer.ClientID, issuer.Secret, `,"domains":["authority.example"]`)
	p.provider("Second", "https://second.example", "c", "s", `,"domains":["second.example"]`)
	ben := p.Ready().Demo.Users[1]
	const refusedAddress = "Your address has not been verified there"
	hal := p.made("/api/v1/users", `{"profile":{"login":"hal@authority.example","email":"hal@authority.example"}}`)
	boss := p.hire("boss", "ORG_ADMIN")
	p.okta("POST", "/api/v1/users/"+boss.id, `{"profile":{"login":"boss@authority.example","email":"boss@authority.example"}}`)
	gone := p.made("/api/v1/users", `{"profile":{"login":"gone@authority.example","email":"gone@authority.example"}}`)
	p.okta("POST", "/api/v1/users/"+gone+"/lifecycle/deactivate", "")
	for _, c := range []struct {
		name, sub string
		claims    map[string]any
		status    int
		text, who string
	}{
		{"somebody else's address", "evil-1", map[string]any{"email": ben.Login}, 403, refusedAddress, ""},
		{"an address that is said not to be verified", "evil-2", map[string]any{"email": ben.Login, "email_verified": "false"}, 403, refusedAddress, ""},
		{"a verified address of an account here", "evil-3", map[string]any{"email": ben.Login, "email_verified": true}, 200, "Confirm", ""},
		{"nobody's address, not verified", "evil-4", map[string]any{"email": "free@example.com"}, 403, refusedAddress, ""},
		{"two addresses in one", "evil-5", map[string]any{"email": "x@evil.example@authority.example"}, 403, refusedAddress, ""},
		{"an address with a name", "evil-6", map[string]any{"email": "<x@evil.example>,y@authority.example"}, 403, "", ""},
		{"no address", "evil-7", map[string]any{}, 403, "cannot be used here", ""},
		{"a subject that is longer than any", strings.Repeat("x", 300), map[string]any{"email": "x@authority.example"}, 403, "cannot be accepted", ""},
		{"an administrator of the provider's own domain", "boss", map[string]any{"email": "boss@authority.example", "email_verified": true}, 200, "Confirm", ""},
		{"an address of its domain that it does not stand for", "free", map[string]any{"email": "hal@authority.example", "email_verified": false}, 403, refusedAddress, ""},
		{"a new address of its domain, the same", "free", map[string]any{"email": "new@authority.example", "email_verified": false}, 403, refusedAddress, ""},
		{"a new person with an address of another provider's domain", "early", map[string]any{"email": "early@second.example", "email_verified": true}, 403, "cannot be used here", ""},
		{"who was deactivated here", "gone", map[string]any{"email": "gone@authority.example"}, 403, "Ask an administrator", ""},
		{"an account of the provider's own domain", "hal", map[string]any{"email": "HAL@authority.example"}, 200, "Allow My HR", "hal@authority.example"},
		{"a new person of the provider's own domain", "ida", map[string]any{"email": "ida@authority.example", "given_name": "Ida"}, 200, "", "ida@authority.example"},
		{"a new person with a verified address", "joe", map[string]any{"email": "joe@elsewhere.example", "email_verified": true}, 200, "", "joe@elsewhere.example"},
		{"a linked subject, whatever the address is now", "joe", map[string]any{"email": ben.Login, "email_verified": true}, 200, "", "joe@elsewhere.example"},
	} {
		b, page := p.visited(t, issuer, says(c.sub, c.claims))
		if page.StatusCode != c.status || !strings.Contains(page.body, c.text) && c.text != "Confirm" {
			t.Errorf("%s: %d\n%s", c.name, page.StatusCode, page.body)
		}
		if c.text == "Confirm" && !strings.Contains(page.body, `type="password"`) {
			t.Errorf("%s: no password is asked for:\n%s", c.name, page.body)
		}
		if got := b.whoIs(); got != c.who {
			t.Errorf("%s: signed in as %q, want %q", c.name, got, c.who)
		}
	}
	_ = hal
}

// An account is connected when the person signs in to it: with its password, and not
// with another one's.
func TestProviderAccountIsConfirmed(t *testing.T) {
	p := start(t, "")
	issuer := issuertest.New(t)
	p.admitsAll()
	idp := p.provider("Other", issuer.URL, issuer.ClientID, issuer.Secret, "")
	ana, ben := p.Ready().Demo.Users[0], p.Ready().Demo.Users[1]
	claims := says("ben-there", map[string]any{"email": ben.Login, "email_verified": true})
	b, page := p.visited(t, issuer, claims)
	page = b.post(page, "step", "signin", "identifier", ana.Login, "password", ana.Password)
	if links := p.okta("GET", "/api/v1/idps/"+idp+"/users", "").Body; links != "[]" {
		t.Fatalf("linked to whoever signed in: %s %s", links, page.body)
	}
	b, page = p.visited(t, issuer, claims)
	b.post(page, "step", "signin", "identifier", ben.Login, "password", "not the password").has(t, 401)
	page = b.signIn(page, ben.Login, ben.Password)
	page.has(t, 200, "Connect your account?", ben.Login)
	b.post(page, "step", "link").has(t, 200, "Allow My HR to do this?")
	b, _ = p.visited(t, issuer, claims)
	if who := b.whoIs(); who != ben.Login {
		t.Errorf("signed in as %q", who)
	}
	// Unlinked, it is as before; deactivated, nobody comes by it, not even who is on the way.
	if a := p.okta("DELETE", "/api/v1/idps/"+idp+"/users/"+ben.Login, ""); a.Status != 204 {
		t.Errorf("unlink: %d %s", a.Status, a.Body)
	}
	b, _ = p.visited(t, issuer, claims)
	if who := b.whoIs(); who != "" {
		t.Errorf("after unlinking: signed in as %q", who)
	}
	b = p.browser(t)
	to := b.only(b.away(b.get(authorizePath + "?" + p.browserApp().request().Encode())))
	p.okta("POST", "/api/v1/idps/"+idp+"/lifecycle/deactivate", "")
	if got := b.get(to); got.StatusCode != 404 || b.whoIs() != "" {
		t.Errorf("a deactivated provider: %d", got.StatusCode)
	}
	if page := b.get(authorizePath + "?" + p.browserApp().request().Encode()); strings.Contains(page.body, "/with/") {
		t.Error("a deactivated provider is on the page")
	}
}

// A provider that lies, or somebody in its place, signs nobody in (attack identity 13,
// 31, 68).
func TestHostileProviderAnswers(t *testing.T) {
	p := start(t, "")
	issuer, stranger := issuertest.New(t), issuertest.New(t)
	p.admitsAll()
	p.provider("Other", issuer.URL, issuer.ClientID, issuer.Secret, `,"domains":["authority.example"]`)
	none := func(claims map[string]any) string {
		body, _ := json.Marshal(claims)
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(body) + "."
	}
	good := map[string]any{"email": "kim@authority.example"}
	with := func(claim string, v any) map[string]any {
		return map[string]any{"email": "kim@authority.example", claim: v}
	}
	for name, script := range map[string]issuertest.Script{
		"another nonce":             {ID: with("nonce", "n")},
		"no nonce":                  {ID: with("nonce", nil)},
		"another issuer":            {ID: with("iss", stranger.URL)},
		"another audience":          {ID: with("aud", "somebody")},
		"another authorized party":  {ID: with("azp", "somebody")},
		"it has expired":            {ID: with("exp", time.Now().Add(-time.Hour).Unix())},
		"it does not expire":        {ID: with("exp", nil)},
		"no algorithm":              {ID: good, SignID: none},
		"another issuer's key":      {ID: good, SignID: func(c map[string]any) string { return stranger.Sign("JWT", c) }},
		"not of this access token":  {ID: with("at_hash", "AAAA")},
		"the answer of another one": {ID: good, Answer: url.Values{"iss": {stranger.URL}}},
		"the answer of nobody":      {ID: good, Answer: url.Values{"iss": {}}},
		"an error":                  {ID: good, Answer: url.Values{"error": {"access_denied"}, "code": {}}},
		"another code":              {ID: good, Answer: url.Values{"code": {"code-x"}}},
		"no token":                  {ID: good, Fail: map[string]int{"/token": 500}},
		"another state":             {ID: good, Answer: url.Values{"state": {strings.Repeat("x", 43)}}},
		"no state":                  {ID: good, Answer: url.Values{"state": {}}},
	} {
		script.User = "kim"
		b, page := p.visited(t, issuer, func(s *issuertest.Script) { *s = script })
		if page.StatusCode < 400 || b.whoIs() != "" {
			t.Errorf("%s: %d, %q\n%s", name, page.StatusCode, b.whoIs(), page.body)
		}
		if strings.Contains(page.body, "kim@") || strings.Contains(page.body, issuer.URL) {
			t.Errorf("%s: the page tells the answer:\n%s", name, page.body)
		}
	}
	// The answer is for the browser that was sent, and for nobody to whom it is given.
	issuer.Set(says("kim", good))
	b, other := p.browser(t), p.browser(t)
	back := b.only(b.away(b.get(authorizePath + "?" + p.browserApp().request().Encode())))
	other.get(authorizePath + "?" + p.browserApp().request().Encode())
	if got := other.get(back); got.StatusCode != 404 || other.whoIs() != "" {
		t.Errorf("in another browser: %d", got.StatusCode)
	}
	b.get(back)
	if b.whoIs() != "kim@authority.example" {
		t.Errorf("the right browser is signed in as %q", b.whoIs())
	}
	// PKCE, nonce and state are there, and nothing that would outlive the sign-in.
	last := issuer.Logins()[len(issuer.Logins())-1]
	if last.Get("code_challenge_method") != "S256" || len(last.Get("nonce")) < 32 || len(last.Get("state")) < 32 || strings.Contains(last.Get("scope"), "offline") {
		t.Errorf("the request: %v", last)
	}
}

// A provider that leads browsers on to another one, to be given the code that this one makes,
// gets none where the other one has an address of its own (RFC 9700 section 4.4, attack
// identity 31).
func TestProvidersAreNotMixedUp(t *testing.T) {
	p := start(t, "")
	p.admitsAll()
	honest, evil := issuertest.New(t), issuertest.New(t)
	for _, i := range []*issuertest.Issuer{honest, evil} { // neither names itself
		i.Set(func(s *issuertest.Script) {
			*s = issuertest.Script{
				User: "kim", ID: map[string]any{"email": "kim@authority.example"}, Answer: url.Values{"iss": {}},
				Metadata: map[string]any{"authorization_response_iss_parameter_supported": false},
			}
		})
	}
	good := p.provider("Honest", honest.URL, honest.ClientID, honest.Secret, `,"domains":["authority.example"]`)
	bad := p.provider("Evil", evil.URL, evil.ClientID, evil.Secret, "")
	body := p.okta("GET", "/api/v1/idps/"+good, "").json(t)
	protocol, _ := body["protocol"].(map[string]any)
	protocol["settings"] = map[string]any{"ownCallback": true}
	own := p.Ready().Identity + "/oauth2/v1/authorize/" + good + "/callback"
	if a := p.okta("PUT", "/api/v1/idps/"+good, jsonOf(t, body)); a.Status != 200 || at(a.json(t), "_links", "callback", "href") != own {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	ask := func(b *browser, provider string) url.Values {
		q := p.browserApp().request()
		q.Set("idp", provider)
		to := b.get(authorizePath + "?" + q.Encode()).Header.Get("Location")
		u, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		return u.Query()
	}
	// The evil one has the browser ask the honest one, with the state of its own sign-in.
	b := p.browser(t)
	state := ask(b, bad).Get("state")
	mixed := ask(p.browser(t), good) // a request that the honest one takes
	if mixed.Get("redirect_uri") != own {
		t.Fatalf("asked with %v", mixed)
	}
	mixed.Set("state", state)
	back := b.only(honest.URL + "/authorize?" + mixed.Encode())
	if !strings.HasPrefix(back, own+"?") || !strings.Contains(back, state) {
		t.Fatalf("back by %s", back)
	}
	if page := b.get(back); page.StatusCode != 403 || b.whoIs() != "" || evil.Count("/token") != 0 {
		t.Errorf("%d, signed in as %q, the other provider was sent %d codes", page.StatusCode, b.whoIs(), evil.Count("/token"))
	}
	// Its own answer counts at its own address, and not at that of all.
	for _, move := range []bool{true, false} {
		b := p.browser(t)
		back := b.only(honest.URL + "/authorize?" + ask(b, good).Encode())
		if move {
			back = strings.Replace(back, own, p.Ready().Identity+federation.CallbackPath, 1)
		}
		if page := b.get(back); (b.whoIs() == "kim@authority.example") == move {
			t.Errorf("moved %v: %d, signed in as %q\n%s", move, page.StatusCode, b.whoIs(), page.body)
		}
	}
}

// How somebody has signed in there counts here when the provider is trusted with it, and
// is not claimed otherwise; when they did counts always.
func TestProviderFactorsAreTrustedOnlyWhenTold(t *testing.T) {
	p := start(t, "")
	issuer := issuertest.New(t)
	p.admitsAll()
	idp := p.provider("Other", issuer.URL, issuer.ClientID, issuer.Secret, `,"domains":["authority.example"]`)
	script := func(s *issuertest.Script) {
		*s = issuertest.Script{User: "lea", AMR: []string{"pwd", "mfa", "<script>"}, AuthAge: time.Hour, ID: map[string]any{"email": "lea@authority.example"}}
	}
	me := func(b *browser) map[string]any {
		var v map[string]any
		_ = json.Unmarshal([]byte(b.get("/api/v1/sessions/me").body), &v)
		return v
	}
	b, _ := p.visited(t, issuer, script)
	if v := me(b); strings.Contains(fmt.Sprint(v["amr"]), "mfa") || v["lastFactorVerification"] != nil {
		t.Errorf("not trusted: %v", v)
	}
	// max_age is asked for there, and held against what it says.
	page := b.get(authorizePath + "?" + p.browserApp().request("max_age", "600").Encode())
	page.has(t, 200, "Sign in with Other")
	issuer.Set(func(s *issuertest.Script) { s.AuthAge = time.Hour })
	if got := b.get(b.away(page)); got.StatusCode != 403 {
		t.Errorf("an old sign-in for a fresh one: %d", got.StatusCode)
	}
	if last := issuer.Logins()[len(issuer.Logins())-1]; last.Get("max_age") != "600" {
		t.Errorf("the request: %v", last)
	}
	a := p.okta("GET", "/api/v1/idps/"+idp, "")
	if strings.Contains(a.Body, issuer.Secret) || strings.Contains(a.Body, "sealed") {
		t.Error("the secret is shown")
	}
	trusting := strings.Replace(a.Body, `"trustClaims":false`, `"trustClaims":true`, 1)
	if a := p.okta("PUT", "/api/v1/idps/"+idp, trusting); a.Status != 200 || !strings.Contains(a.Body, `"trustClaims":true`) {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	b, _ = p.visited(t, issuer, script)
	if v := me(b); fmt.Sprint(v["amr"]) != "[pwd mfa]" || v["lastFactorVerification"] == nil {
		t.Errorf("trusted: %v", v)
	}
}

// Providers of each kind, with the claims that their tokens have: who is new gets an
// account with attributes and groups, which follow the provider; whose groups it has left
// out is not signed in with those of before.
func TestProvidersOfEachKind(t *testing.T) {
	p := start(t, "")
	p.admitsAll()
	staff, payroll := p.made("/api/v1/groups", `{"profile":{"name":"staff"}}`), p.made("/api/v1/groups", `{"profile":{"name":"payroll"}}`)
	for i, c := range []struct {
		kind           string
		first, second  map[string]any
		claim, mapping string
		third          map[string]any // refused
	}{
		{
			"OKTA_INTEGRATION",
			map[string]any{"email_verified": true, "preferred_username": "u0@k0.example", "given_name": "Uta", "family_name": "Zero", "zoneinfo": "Europe/Berlin", "groups": []string{"Everyone", "staff"}},
			map[string]any{"email_verified": true, "groups": []string{"payroll"}, "given_name": "Ute"},
			"groups", `{"timezone":"idpuser.zoneinfo"}`, nil,
		},
		{
			"MICROSOFT",
			map[string]any{"ver": "2.0", "tid": "8f2f", "oid": "b5a1", "acct": 0, "preferred_username": "u1@k1.example", "given_name": "Uta", "roles": []string{"staff"}, "ctry": "DE"},
			map[string]any{"ver": "2.0", "roles": []string{"payroll"}, "given_name": "Ute"},
			"roles", `{"countryCode":"idpuser.ctry"}`, nil,
		},
		{
			"OIDC", // Keycloak
			map[string]any{"typ": "ID", "email_verified": true, "preferred_username": "u2", "given_name": "Uta", "groups": []string{"/staff", "/else/payroll"}, "realm_access": map[string]any{"roles": []string{"x"}}},
			map[string]any{"email_verified": true, "groups": []string{"/payroll"}, "given_name": "Ute"},
			"groups", `{"nickName":"idpuser.preferred_username"}`,
			map[string]any{"email_verified": true, "_claim_names": map[string]any{"groups": "src1"}},
		},
	} {
		issuer, login := issuertest.New(t), fmt.Sprintf("u%d@k%d.example", i, i)
		idp := p.made("/api/v1/idps", fmt.Sprintf(`{"name":"K%d","type":%q,"domains":["k%d.example"],"mapping":%s,"protocol":{"issuer":{"url":%q},"credentials":{"client":{"client_id":%q,"client_secret":%q}}},
			"policy":{"provisioning":{"profileMaster":true,"groups":{"action":"SYNC","sourceAttributeName":%q,"filter":[%q,%q]}}}}`, i, c.kind, i, c.mapping, issuer.URL, issuer.ClientID, issuer.Secret, c.claim, staff, payroll))
		for round, claims := range []map[string]any{c.first, c.second, c.third} {
			if claims == nil {
				continue
			}
			claims["email"] = login
			b, page := p.visited(t, issuer, says("sub", claims))
			if want := []string{login, login, ""}[round]; b.whoIs() != want {
				t.Fatalf("%s, sign-in %d: %q, want %q\n%s", c.kind, round, b.whoIs(), want, page.body)
			}
			u := p.okta("GET", "/api/v1/users/"+login, "").json(t)
			if got, want := at(u, "profile", "firstName"), []string{"Uta", "Ute", "Ute"}[round]; got != want {
				t.Errorf("%s, sign-in %d: the name is %v, want %s", c.kind, round, got, want)
			}
			groups := p.groupNames(login)
			if in := [2]bool{strings.Contains(groups, "staff"), strings.Contains(groups, "payroll")}; in != [2]bool{round == 0, round > 0} {
				t.Errorf("%s, sign-in %d: in %s", c.kind, round, groups)
			}
			if round == 0 && !strings.Contains(fmt.Sprint(at(u, "profile")), []string{"Europe/Berlin", "DE", "nickName:u2"}[i]) {
				t.Errorf("%s: the profile %v", c.kind, at(u, "profile"))
			}
		}
		p.okta("POST", "/api/v1/idps/"+idp+"/lifecycle/deactivate", "") // else the page has more than one
	}
}

// What is managed is checked, and who may not manage it cannot.
func TestProvidersAreManaged(t *testing.T) {
	p := start(t, "")
	issuer := issuertest.New(t)
	p.admitsAll()
	body := func(old, fresh string) string {
		s := `{"name":"X","type":"OIDC","protocol":{"issuer":{"url":"` + issuer.URL + `"},"credentials":{"client":{"client_id":"c","client_secret":"s3cret"}}},"domains":["one.example"],"policy":{"subject":{"matchType":"USERNAME"}}}`
		if old != "" && !strings.Contains(s, old) {
			t.Fatalf("%s is not in the body", old)
		}
		return strings.Replace(s, old, fresh, 1)
	}
	id := p.made("/api/v1/idps", body("", ""))
	for name, bad := range map[string]string{
		"a name that is taken":            body("one.example", "two.example"),
		"a domain that is taken":          body(`"X"`, `"Y"`),
		"SAML":                            body(`"type":"OIDC"`, `"type":"SAML2"`),
		"no issuer":                       body(issuer.URL, ""),
		"an issuer with a query":          body(issuer.URL, issuer.URL+"?x"),
		"every tenant of Microsoft":       body(issuer.URL, "https://login.microsoftonline.com/{tenantid}/v2.0"),
		"the organizations of Microsoft":  body(issuer.URL, "https://login.microsoftonline.com/organizations/v2.0"),
		"Google elsewhere":                body(`"type":"OIDC"`, `"type":"GOOGLE"`),
		"a domain that is none":           body("one.example", "*.example"),
		"an expression that is none":      body(`"matchType"`, `"userNameTemplate":{"template":"idpuser."},"matchType"`),
		"an attribute that is not mapped": body(`"domains"`, `"mapping":{"login":"idpuser.x"},"domains"`),
		"a deactivated user is let in":    body(`"subject"`, `"provisioning":{"conditions":{"deprovisioned":{"action":"REACTIVATE"}}},"subject"`),
		"a group that is not there":       body(`"subject"`, `"provisioning":{"groups":{"action":"ASSIGN","assignments":["00g0"]}},"subject"`),
	} {
		if a := p.okta("POST", "/api/v1/idps", bad); a.Status != 400 {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	// A secret that is there is not sent to another issuer.
	if a := p.okta("PUT", "/api/v1/idps/"+id, strings.Replace(body(issuer.URL, "https://evil.example"), `,"client_secret":"s3cret"`, "", 1)); a.Status != 400 {
		t.Errorf("the secret goes elsewhere: %d %s", a.Status, a.Body)
	}
	for role, want := range map[string][2]int{"ORG_ADMIN": {403, 403}, "READ_ONLY_ADMIN": {200, 403}, "USER_ADMIN": {403, 403}} {
		who := p.hire("idp-"+strings.ToLower(role), role)
		got := [2]int{who.call("GET", "/api/v1/idps/"+id, "").Status, who.call("POST", "/api/v1/idps/"+id+"/lifecycle/deactivate", "").Status}
		if got != want {
			t.Errorf("%s: %v, want %v", role, got, want)
		}
	}
	if a := p.okta("GET", "/api/v1/idps?q=x&type=OIDC", ""); !strings.Contains(a.Body, id) {
		t.Errorf("list: %s", a.Body)
	}
	if a := p.okta("DELETE", "/api/v1/idps/"+id, ""); a.Status != 204 {
		t.Errorf("delete: %d %s", a.Status, a.Body)
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// An app says at which provider its people sign in, and who signs out here is signed out
// there, and led to where the app would have them.
func TestProviderByRequestAndSignOutThere(t *testing.T) {
	up, down, _, idp := partners(t)
	down.admitsAll()
	c := down.browserApp()
	ask := c.request()
	for _, bad := range []string{"0oanone", idp + "x", "../account"} {
		ask.Set("idp", bad)
		if got := c.answer(t, down.browser(t).get(authorizePath+"?"+ask.Encode())); got.Get("error") != "invalid_request" {
			t.Errorf("idp=%s: %v", bad, got)
		}
	}
	ask.Set("idp", idp)
	told := down.okta("GET", "/api/v1/idps/"+idp, "").json(t)
	protocol, _ := told["protocol"].(map[string]any)
	for _, participates := range []bool{false, true} {
		protocol["settings"] = map[string]any{"participateSlo": participates}
		if a := down.okta("PUT", "/api/v1/idps/"+idp, jsonOf(t, told)); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		b := down.browser(t)
		to := b.get(authorizePath + "?" + ask.Encode()).Header.Get("Location")
		if !strings.HasPrefix(to, up.Ready().Identity) {
			t.Fatalf("idp=%s leads to %q", idp, to)
		}
		b.base = up.Ready().Identity
		there := b.signIn(b.get(to), "cleo@partner.example", "correct horse 8").Header.Get("Location")
		atUp := up.browser(t) // both are at one host, whose cookies have no port: hers there is kept apart
		address, _ := url.Parse(up.Ready().Identity)
		atUp.http.Jar.SetCookies(address, b.http.Jar.Cookies(address))
		b.base = down.Ready().Identity
		b.get(there)
		if who := b.whoIs(); who != "cleo@partner.example" || atUp.whoIs() != who {
			t.Fatalf("signed in as %q, and %q there", who, atUp.whoIs())
		}
		page := b.get(logoutPath + "?" + url.Values{"client_id": {c.id}, "post_logout_redirect_uri": {"http://127.0.0.1:49152/"}, "state": {"s 1"}}.Encode())
		page.has(t, 200, "Sign out?")
		page = b.send(b.form("/signout", url.Values{"token": formToken.FindStringSubmatch(page.body)[1:], "return": {"http://127.0.0.1:49152/"}, "state": {"s 1"}}))
		if !participates {
			if page.Header.Get("Location") != "http://127.0.0.1:49152/?state=s+1" || atUp.whoIs() == "" {
				t.Errorf("without the setting: to %q, signed in there as %q", page.Header.Get("Location"), atUp.whoIs())
			}
			continue
		}
		page.has(t, 200, "Signing out at Partner")
		end, ok := strings.CutPrefix(page.Header.Get("Refresh"), "0;url=")
		if !ok || !strings.HasPrefix(end, up.Ready().Identity+"/oauth2/default/v1/logout?") || !strings.Contains(end, "id_token_hint=") {
			t.Fatalf("Refresh %q", page.Header.Get("Refresh"))
		}
		back := b.only(end)
		if !strings.HasPrefix(back, down.Ready().Identity+federation.SignedOutPath+"?state=") || atUp.whoIs() != "" || b.whoIs() != "" {
			t.Errorf("back by %q, signed in as %q and %q", back, b.whoIs(), atUp.whoIs())
		}
		if got := down.browser(t).only(back); got != "/signout" {
			t.Errorf("another browser is led to %q", got)
		}
		if got := b.only(back); got != "http://127.0.0.1:49152/?state=s+1" {
			t.Errorf("led to %q", got)
		}
		if got := b.only(back); got != "/signout" {
			t.Errorf("a second time led to %q", got)
		}
	}
}
