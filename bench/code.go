//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// codeRate measures authorization codes exchanged for an access token, a refresh
// token and an ID token. A code is good once and for a minute, so that each round begins
// with new ones, from a browser that stays signed in.
func (b *bench) codeRate(ctx context.Context, e engine, s *server, r ready, t *table) error {
	app, err := r.webApp(ctx)
	if err != nil {
		return err
	}
	if err := app.signIn(ctx); err != nil {
		return err
	}
	count, file := 2000, ""
	if b.short {
		count = 50
	}
	identity, err := url.Parse(r.Identity)
	if err != nil {
		return err
	}
	rows, err := b.contest(ctx, "code exchanges with refresh and ID token ES256, "+e.name, contestant{
		name: ours, server: s,
		before: func(ctx context.Context) (err error) {
			lines := make([]string, count)
			for i := range lines {
				if lines[i], err = app.exchange(ctx); err != nil {
					return err
				}
			}
			file, err = b.lines("codes", lines...)
			return err
		},
		run: func(ctx context.Context, _ time.Duration) (load, error) {
			return b.generate(ctx, job{Address: identity.Host, File: file, Connections: 16, Count: count})
		},
	})
	if err != nil {
		return err
	}
	b.atRate(e, t, rows, 600)
	return nil
}

// webApp is a confidential app that a person of the demo signs in to, and that person's browser.
type webApp struct {
	ready
	id, basic string
	http      *http.Client
}

const callback = "http://127.0.0.1:49152/callback"

// webApp registers the app, as one that needs no consent, and assigns the first person of the demo.
func (r ready) webApp(ctx context.Context) (*webApp, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	w := &webApp{ready: r, http: &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(req.URL.String(), callback) {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
	var made struct {
		ID          string `json:"id"`
		Credentials struct {
			OAuthClient struct {
				ClientID string `json:"client_id"`
				Secret   string `json:"client_secret"`
			} `json:"oauthClient"`
		} `json:"credentials"`
	}
	if err := w.manage(ctx, http.MethodPost, "/api/v1/apps", map[string]any{
		"name": "oidc_client", "label": "Benchmark", "signOnMode": "OPENID_CONNECT",
		"credentials": map[string]any{"oauthClient": map[string]any{"token_endpoint_auth_method": "client_secret_basic"}},
		"settings": map[string]any{"oauthClient": map[string]any{
			"application_type": "web", "redirect_uris": []string{callback}, "response_types": []string{"code"},
			"grant_types": []string{"authorization_code", "refresh_token"}, "consent_method": "TRUSTED",
		}},
	}, &made); err != nil {
		return nil, err
	}
	client := made.Credentials.OAuthClient
	w.id, w.basic = client.ClientID, "Basic "+base64.StdEncoding.EncodeToString([]byte(client.ClientID+":"+client.Secret))
	var person struct {
		ID string `json:"id"`
	}
	if err := w.manage(ctx, http.MethodGet, "/api/v1/users/"+url.PathEscape(r.Demo.Users[0].Login), nil, &person); err != nil {
		return nil, err
	}
	return w, w.manage(ctx, http.MethodPost, "/api/v1/apps/"+made.ID+"/users", map[string]any{"id": person.ID, "scope": "USER"}, &person)
}

// manage calls the management API with an administrator's token.
func (w *webApp) manage(ctx context.Context, method, path string, body, into any) error {
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, w.Identity+path, &sent)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "SSWS "+w.APIToken)
	a, err := w.do(req)
	if err != nil {
		return err
	}
	return json.Unmarshal(a.body, into)
}

// answer is what came back, after redirects: from where, where else it leads, and its body.
type answer struct {
	from *url.URL
	to   string
	body []byte
}

// do sends a request; an answer of 400 or above is an error.
func (w *webApp) do(req *http.Request) (a answer, err error) {
	res, err := w.http.Do(req) //nolint:gosec // to the server that the benchmark started
	if err != nil {
		return a, err
	}
	a.from, a.to = res.Request.URL, res.Header.Get("Location")
	a.body, err = io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return a, err
	}
	if res.StatusCode >= http.StatusBadRequest {
		return a, fmt.Errorf("%s %s: %s\n%s", req.Method, a.from, res.Status, a.body)
	}
	return a, nil
}

// authorize sends the browser to the authorization endpoint.
func (w *webApp) authorize(ctx context.Context, prompt string) (answer, error) {
	q := url.Values{
		"client_id": {w.id}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid offline_access " + scope},
		"state": {"state"}, "nonce": {"nonce"}, "prompt": {prompt},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.Demo.Issuer+"/v1/authorize?"+q.Encode(), http.NoBody)
	if err != nil {
		return answer{}, err
	}
	return w.do(req)
}

var formToken = regexp.MustCompile(`name="token" value="([^"]+)"`)

// signIn gives the name and the password of the demo's first person.
func (w *webApp) signIn(ctx context.Context) error {
	page, err := w.authorize(ctx, "login")
	if err != nil {
		return err
	}
	token := formToken.FindSubmatch(page.body)
	if token == nil {
		return fmt.Errorf("%s is no page to sign in:\n%s", page.from, page.body)
	}
	who := w.Demo.Users[0]
	form := url.Values{"token": {string(token[1])}, "step": {"signin"}, "identifier": {who.Login}, "password": {who.Password}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, page.from.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	_, err = w.do(req)
	return err
}

// exchange returns the request that exchanges a new code.
func (w *webApp) exchange(ctx context.Context) (string, error) {
	a, err := w.authorize(ctx, "none")
	if err != nil {
		return "", err
	}
	back, err := url.Parse(a.to)
	if err != nil {
		return "", err
	}
	code := back.Query().Get("code")
	if code == "" {
		return "", fmt.Errorf("no code: %s led to %q\n%s", a.from, back, a.body)
	}
	endpoint, err := url.Parse(w.Demo.Issuer + "/v1/token")
	if err != nil {
		return "", err
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}}
	return "POST " + endpoint.Path + "\tAuthorization: " + w.basic + "\t" + form.Encode(), nil
}
