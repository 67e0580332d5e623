package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/app"
	"gatehouse/internal/okta"
)

// A token with a share of its own has that much of the limit, and the system log says
// once when it comes near it and once when it is beyond.
func TestShareOfTheLimit(t *testing.T) {
	p := start(t, "", timeStandsStill()) // the share is that of a minute
	ben := p.hire("ratty", "SUPER_ADMIN")
	me := ""
	var tokens []struct{ ID, Name string }
	if err := json.Unmarshal([]byte(p.okta(http.MethodGet, "/api/v1/api-tokens", "").Body), &tokens); err != nil {
		t.Fatal(err)
	}
	for _, x := range tokens {
		if x.Name == "ratty" {
			me = x.ID
		}
	}
	if a := p.okta(http.MethodPut, "/api/v1/rate-limit-settings/warning-threshold", `{"warningThreshold":50}`); a.Status != http.StatusOK || a.Body != `{"warningThreshold":50}` {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	id := p.made("/api/v1/principal-rate-limits", fmt.Sprintf(`{"principalType":"SSWS_TOKEN","principalId":%q,"defaultPercentage":1}`, me))
	const share = okta.DefaultLimit / 100
	var last answer
	for range share {
		if last = ben.call(http.MethodGet, "/api/v1/users/me", ""); last.Status != http.StatusOK {
			t.Fatalf("%d %s", last.Status, last.Body)
		}
	}
	if last.Header.Get("X-Rate-Limit-Limit") != fmt.Sprint(share) || last.Header.Get("X-Rate-Limit-Remaining") != "0" {
		t.Errorf("%v", last.Header)
	}
	for range 2 {
		if last = ben.call(http.MethodGet, "/api/v1/users/me", ""); last.Status != http.StatusTooManyRequests || !strings.Contains(last.Body, "E0000047") {
			t.Errorf("%d %s", last.Status, last.Body)
		}
	}
	app.FlushLog(t, p.App)
	for _, kind := range []string{"warning", "violation"} {
		log := p.okta(http.MethodGet, "/api/v1/logs?filter=eventType+eq+%22system.org.rate_limit."+kind+"%22", "")
		if n := strings.Count(log.Body, `"eventType":"system.org.rate_limit.`+kind); n != 1 {
			t.Errorf("%d events of a %s: %s", n, kind, log.Body)
		}
	}
	if a := p.okta(http.MethodGet, "/api/v1/users/me", ""); a.Status != http.StatusOK || a.Header.Get("X-Rate-Limit-Limit") != fmt.Sprint(okta.DefaultLimit) {
		t.Errorf("another token: %d %v", a.Status, a.Header)
	}
	list := p.okta(http.MethodGet, "/api/v1/principal-rate-limits?filter=principalType+eq+%22SSWS_TOKEN%22", "")
	if list.Status != http.StatusOK || !strings.Contains(list.Body, `"id":"`+id+`"`) || !strings.Contains(list.Body, `"defaultPercentage":1`) {
		t.Errorf("%d %s", list.Status, list.Body)
	}
	for path, body := range map[string]string{
		"POST /api/v1/principal-rate-limits":                  `{"principalType":"SSWS_TOKEN","principalId":"00Tnone"}`,
		"POST /api/v1/principal-rate-limits ":                 `{"principalType":"USER","principalId":"00u"}`,
		"PUT /api/v1/principal-rate-limits/" + id:             `{"defaultPercentage":0}`,
		"PUT /api/v1/principal-rate-limits/" + id + " ":       `{"principalId":"other","defaultPercentage":10}`,
		"GET /api/v1/principal-rate-limits":                   ``,
		"PUT /api/v1/rate-limit-settings/warning-threshold":   `{"warningThreshold":95}`,
		"PUT /api/v1/rate-limit-settings/per-client":          `{"defaultMode":"SOMETIMES"}`,
		"PUT /api/v1/rate-limit-settings/per-client ":         `{"defaultMode":"ENFORCE","useCaseModeOverrides":{"HOME_PAGE":"ENFORCE"}}`,
		"PUT /api/v1/rate-limit-settings/admin-notifications": `{}`,
	} {
		method, address, _ := strings.Cut(strings.TrimSpace(path), " ")
		if a := p.okta(method, address, body); a.Status != http.StatusBadRequest {
			t.Errorf("%s %s: %d %s", path, body, a.Status, a.Body)
		}
	}
}
