package app_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

func TestOktaFactors(t *testing.T) {
	p := start(t, "")
	const users = "/api/v1/users/ben@example.com"
	var questions []struct {
		Question string `json:"question"`
		Text     string `json:"questionText"`
	}
	if err := json.Unmarshal([]byte(p.okta("GET", users+"/factors/questions", "").Body), &questions); err != nil || len(questions) != 20 {
		t.Fatalf("%d questions, %v", len(questions), err)
	}
	a := p.okta("POST", users+"/factors", `{"factorType":"token:software:totp","provider":"GOOGLE"}`)
	f := a.json(t)
	id, _ := f["id"].(string)
	embedded, _ := f["_embedded"].(map[string]any)
	activation, _ := embedded["activation"].(map[string]any)
	secret, _ := activation["sharedSecret"].(string)
	if a.Status != http.StatusOK || f["status"] != "PENDING_ACTIVATION" || secret == "" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	path := users + "/factors/" + id
	send := func(where, code string) answer {
		return p.okta("POST", path+where, `{"passCode":"`+code+`"}`)
	}
	code := func(at time.Time) string {
		c, err := totp.GenerateCode(secret, at)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	expect := func(what string, a answer, status int, errorCode string) {
		t.Helper()
		if a.Status != status || errorCode != "" && a.json(t)["errorCode"] != errorCode {
			t.Errorf("%s: %d %s", what, a.Status, a.Body)
		}
	}
	now := time.Now()
	expect("before activation", send("/verify", code(now)), 403, "E0000079")
	expect("a code of long ago", send("/lifecycle/activate", code(now.Add(-time.Hour))), 403, "E0000068")
	expect("activate", send("/lifecycle/activate", code(now)), 200, "")
	expect("the same code", send("/verify", code(now)), 403, "E0000082")
	// The next step is taken already, by a clock that is ahead; once.
	expect("the next code", send("/verify", code(now.Add(30*time.Second))), 200, "")
	expect("the next code again", send("/verify", code(now.Add(30*time.Second))), 403, "E0000082")
	if a := p.okta("GET", path, ""); a.Status != http.StatusOK || a.json(t)["_embedded"] != nil {
		t.Errorf("the secret is shown again: %s", a.Body)
	}
	expect("a second one", p.okta("POST", users+"/factors", `{"factorType":"token:software:totp","provider":"GOOGLE"}`), 400, "E0000001")
	expect("another user's", p.okta("GET", "/api/v1/users/me/factors/"+id, ""), 404, "E0000007")
	expect("sms", p.okta("POST", users+"/factors", `{"factorType":"sms","provider":"OKTA","profile":{"phoneNumber":"+1"}}`), 400, "E0000001")

	a = p.okta("POST", users+"/factors", `{"factorType":"question","provider":"OKTA","profile":{"question":"first_award","answer":"Swimming"}}`)
	q, _ := a.json(t)["id"].(string)
	expect("question", a, 200, "")
	expect("right", p.okta("POST", users+"/factors/"+q+"/verify", `{"answer":" swimming "}`), 200, "")
	expect("wrong", p.okta("POST", users+"/factors/"+q+"/verify", `{"answer":"running"}`), 403, "E0000068")
	expect("reset", p.okta("POST", users+"/lifecycle/reset_factors", ""), 200, "")
	if got := p.okta("GET", users+"/factors", "").Body; got != "[]" {
		t.Errorf("after the reset: %s", got)
	}
}

func TestOktaPasswords(t *testing.T) {
	p := start(t, "")
	id := p.made("/api/v1/users", `{"profile":{"login":"eve@example.com","email":"eve@example.com"},
		"credentials":{"password":{"value":"correct horse 4"},"recovery_question":{"question":"Who?","answer":"Rosebud"}}}`)
	path := "/api/v1/users/" + id
	change := func(old, next string) int {
		return p.okta("POST", path+"/credentials/change_password", `{"oldPassword":{"value":"`+old+`"},"newPassword":{"value":"`+next+`"}}`).Status
	}
	if a := p.okta("POST", path+"/credentials/forgot_password", `{"password":{"value":"battery staple 5"},"recovery_question":{"answer":"no idea"}}`); a.Status != http.StatusForbidden || a.json(t)["errorCode"] != "E0000087" {
		t.Errorf("a wrong answer: %d %s", a.Status, a.Body)
	}
	if a := p.okta("POST", path+"/credentials/forgot_password", `{"password":{"value":"battery staple 5"},"recovery_question":{"answer":"rosebud"}}`); a.Status != http.StatusOK {
		t.Errorf("the right one: %d %s", a.Status, a.Body)
	}
	if got := change("correct horse 4", "x y z x y z"); got != http.StatusForbidden {
		t.Errorf("the old password is good: %d", got)
	}
	a := p.okta("POST", path+"/lifecycle/expire_password?tempPassword=true", "")
	temporary, _ := a.json(t)["tempPassword"].(string)
	if a.Status != http.StatusOK || len(temporary) < 16 || p.okta("GET", path, "").json(t)["status"] != "PASSWORD_EXPIRED" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if got := change(temporary, "a third one 6"); got != http.StatusOK {
		t.Errorf("the temporary password is not good: %d", got)
	}
}

func TestOktaAppLinksAndPatch(t *testing.T) {
	p := start(t, "")
	app := p.made("/api/v1/apps", `{"name":"oidc_client","label":"intranet","signOnMode":"OPENID_CONNECT","settings":{"oauthClient":{"application_type":"web","grant_types":["authorization_code"],"response_types":["code"],"redirect_uris":["https://in.example/cb"]}}}`)
	group := mustEveryone(p)
	if a := p.okta("PUT", "/api/v1/apps/"+app+"/groups/"+group, `{"priority":3}`); a.Status != http.StatusOK {
		t.Fatal(a.Body)
	}
	var links []struct {
		Label string `json:"label"`
	}
	if err := json.Unmarshal([]byte(p.okta("GET", "/api/v1/users/ben@example.com/appLinks", "").Body), &links); err != nil || len(links) != 1 || links[0].Label != "intranet" {
		t.Errorf("%v %v", links, err)
	}
	a := p.okta("PATCH", "/api/v1/apps/"+app+"/groups/"+group, `[{"op":"replace","path":"/priority","value":0},{"op":"add","path":"/profile/team","value":"x"}]`)
	if a.Status != http.StatusOK || a.json(t)["priority"] != 0.0 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := p.okta("PATCH", "/api/v1/apps/"+app+"/groups/"+group, `[{"op":"replace","path":"/id","value":"x"}]`); a.Status != http.StatusBadRequest {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
