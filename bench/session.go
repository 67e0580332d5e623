//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const oursSession = "Gatehouse, browser session, scope, limit"

// authorize sends the browser straight back, as an issuer does whose own session
// is still good. The code is the nonce, so that nothing has to be remembered.
func (i *issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back := url.Values{"code": {q.Get("nonce")}, "state": {q.Get("state")}}
	w.Header().Set("Location", q.Get("redirect_uri")+"?"+back.Encode())
	w.WriteHeader(http.StatusSeeOther)
}

// exchange answers every code with tokens of one person (OpenID Connect Core 1.0 section 3.1.3.3).
func (i *issuer) exchange(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	id, err := i.mint("ES256", "JWT", 0, map[string]any{"aud": introspector, "nonce": r.FormValue("code"), "auth_time": time.Now().Unix()})
	access, err2 := i.token("ES256", 3_000_000)
	if err := errors.Join(err, err2); err != nil {
		http.Error(w, "signing failed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"access_token":%q,"id_token":%q,"token_type":"Bearer","expires_in":7200,"scope":%q}`, access, id, scope)
}

// signIn goes through a sign-in as a browser does, and returns the cookies that it has then.
func (s *server) signIn(ctx context.Context, path string) (string, error) {
	client := &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	jar := map[string]string{}
	cookies := func() string {
		var list []string
		for name, value := range jar {
			list = append(list, name+"="+value)
		}
		return strings.Join(list, "; ")
	}
	at := &url.URL{Scheme: "http", Host: s.address, Path: path}
	for range 6 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), http.NoBody)
		if err != nil {
			return "", err
		}
		for name, value := range map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none", "Accept": "text/html", "Cookie": cookies()} {
			req.Header.Set(name, value)
		}
		res, err := client.Do(req)
		if err != nil {
			return "", err
		}
		said, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
		if err := errors.Join(err, res.Body.Close()); err != nil {
			return "", err
		}
		for _, c := range res.Cookies() {
			jar[c.Name] = c.Value
			if c.MaxAge < 0 {
				delete(jar, c.Name)
			}
		}
		if res.StatusCode != http.StatusSeeOther {
			if res.StatusCode == http.StatusOK {
				return cookies(), nil
			}
			return "", fmt.Errorf("the sign-in stopped at %s: %s\n%s", at, res.Status, said)
		}
		if at, err = at.Parse(res.Header.Get("Location")); err != nil {
			return "", err
		}
	}
	return "", errors.New("the sign-in goes round and round")
}
