package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"

	"golang.org/x/oauth2"
)

// attack identity 70: flows at the same time, of several people in several browsers with
// one app, share nothing: each gets the answer to what it asked.
func TestFlowsInParallel(t *testing.T) {
	p := start(t, "")
	config := p.nativeApp(`"http://127.0.0.1/cb"`)
	config.Scopes = []string{"openid"}
	config.RedirectURL = "http://127.0.0.1:49152/cb"
	people := p.Ready().Demo.Users
	subjects := make([]string, len(people))
	for i := range people {
		subjects[i], _ = p.okta("GET", "/api/v1/users/"+people[i].Login, "").json(t)["id"].(string)
	}
	var work sync.WaitGroup
	for i := range 16 {
		work.Go(func() {
			who := people[i%len(people)]
			f := flow{config: config, state: fmt.Sprintf("state %d", i), name: who.Login, password: who.Password}
			subject, err := f.run(t.Context())
			if err != nil || subject != subjects[i%len(people)] {
				t.Errorf("flow %d of %s ends as %q: %v", i, who.Login, subject, err)
			}
		})
	}
	work.Wait()
}

// flow is a sign-in with a browser of its own.
type flow struct {
	config                oauth2.Config
	state, name, password string
}

func (f flow) run(ctx context.Context) (subject string, err error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	stay := func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), f.config.RedirectURL) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	browser := &http.Client{Jar: jar, CheckRedirect: stay}
	verifier := oauth2.GenerateVerifier()
	page, body, err := get(ctx, browser, f.config.AuthCodeURL(f.state, oauth2.S256ChallengeOption(verifier)), nil)
	if err != nil {
		return "", err
	}
	m := formToken.FindStringSubmatch(body)
	if m == nil {
		return "", fmt.Errorf("%d: no form on %s", page.StatusCode, page.Request.URL)
	}
	page, body, err = get(ctx, browser, page.Request.URL.String(), url.Values{"token": {m[1]}, "step": {"signin"}, "identifier": {f.name}, "password": {f.password}})
	if err != nil {
		return "", err
	}
	to, err := page.Location()
	if err != nil {
		return "", fmt.Errorf("%d: %w\n%s", page.StatusCode, err, body)
	}
	if got := to.Query().Get("state"); got != f.state {
		return "", fmt.Errorf("the answer to %q", got)
	}
	token, err := f.config.Exchange(ctx, to.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return "", err
	}
	var info struct{ Sub string }
	_, body, err = get(ctx, f.config.Client(ctx, token), strings.Replace(f.config.Endpoint.TokenURL, "/token", "/userinfo", 1), nil)
	if err == nil {
		err = json.Unmarshal([]byte(body), &info)
	}
	return info.Sub, err
}

// get asks for an address, by POST when there is a form.
func get(ctx context.Context, c *http.Client, address string, form url.Values) (*http.Response, string, error) {
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, "", err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := c.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}
