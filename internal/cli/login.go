package cli

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/client"
)

// The command line as a client of the org authorization server (RFC 8252, RFC 8628).
const (
	terminalClient = "gatehouse-cli"
	terminalScopes = "openid offline_access gatehouse.manage"
)

func newLogin(s *session) *cobra.Command {
	var name string
	var device bool
	c := &cobra.Command{
		Use:   "login URL",
		Short: "Sign in to a server, so that commands use it as you",
		Long: "URL is that of the server's identity listener. The address that is printed is to be opened in a browser on this machine; with --device, in\n" +
			"one on any machine. The tokens are kept in a file that only you can read, and renewed when they are used. You need to be a super administrator.",
		Example: "  gatehouse login https://id.example.com\n  gatehouse login https://id.example.com --device --name prod",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			base, err := serverAddress(args[0])
			if err != nil {
				return exit{exitUsage, err}
			}
			all, err := s.contexts()
			if err != nil {
				return err
			}
			t := terminal{base: base, http: &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
			var got *tokens
			if device {
				got, err = t.byDevice(cmd.Context(), s)
			} else {
				got, err = t.byBrowser(cmd.Context(), s)
			}
			if err != nil {
				return err
			}
			if name == "" {
				u, _ := url.Parse(base)
				name = u.Host
			}
			all.All[name], all.Current = got.place(base), name
			if err := all.save(); err != nil {
				return err
			}
			s.say("signed in to %s; commands use it from now on (context %s)", base, name)
			return nil
		},
	}
	c.Flags().StringVar(&name, "name", "", "name of the context (default: the server's host)")
	c.Flags().BoolVar(&device, "device", false, "show a code that is entered in a browser elsewhere")
	return c
}

func newLogout(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "Give up the tokens of a context, at the server and here",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := s.contexts()
			if err != nil {
				return err
			}
			name, at, err := s.named(all)
			if err != nil {
				return err
			}
			if at == nil {
				return exit{exitUsage, errors.New("no context is in use; name one with --context")}
			}
			t := terminal{base: at.URL, http: &http.Client{Timeout: 30 * time.Second}}
			_, gone := t.post(cmd.Context(), "/oauth2/v1/revoke", url.Values{"token": {at.Refresh}, "token_type_hint": {"refresh_token"}})
			delete(all.All, name)
			if all.Current == name {
				all.Current = ""
			}
			if err := all.save(); err != nil {
				return err
			}
			if gone != nil {
				return fmt.Errorf("the tokens are deleted here, and the server could not be told: %w", gone)
			}
			s.say("signed out of %s", at.URL)
			return nil
		},
	}
}

// serverAddress checks the address of a server: tokens travel over https, or on this
// machine.
func serverAddress(text string) (string, error) {
	u, err := url.Parse(strings.TrimRight(text, "/"))
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" {
		return "", fmt.Errorf("%q is not the address of a server, such as https://id.example.com", text)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return "", fmt.Errorf("%q is not https: tokens would travel in the clear", text)
	}
	return u.String(), nil
}

// terminal talks to the org authorization server of one Gatehouse.
type terminal struct {
	base string
	http *http.Client
}

// tokens is what the token endpoint answers.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Life    int64  `json:"expires_in"`
}

func (t *tokens) place(base string) *place {
	return &place{URL: base, Access: t.Access, Refresh: t.Refresh, Expires: time.Now().Add(time.Duration(t.Life) * time.Second)}
}

// refusedByServer is an error of the protocol (RFC 6749 section 5.2).
type refusedByServer struct {
	Code string `json:"error"`
	Text string `json:"error_description"`
}

func (r *refusedByServer) Error() string {
	return strings.TrimSuffix("the server refuses: "+r.Code+": "+r.Text, ": ")
}

// post sends a form and returns the answer of a 200.
func (t *terminal) post(ctx context.Context, path string, form url.Values) ([]byte, error) {
	form.Set("client_id", terminalClient)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	res, err := t.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", client.ErrUnreachable, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusOK {
		return body, nil
	}
	r := &refusedByServer{}
	if json.Unmarshal(body, r) != nil || r.Code == "" {
		return nil, fmt.Errorf("%s answers %d: is it the identity listener of Gatehouse?", t.base, res.StatusCode)
	}
	return nil, r
}

func (t *terminal) token(ctx context.Context, form url.Values) (*tokens, error) {
	body, err := t.post(ctx, "/oauth2/v1/token", form)
	if err != nil {
		return nil, err
	}
	got := &tokens{}
	if err := json.Unmarshal(body, got); err != nil || got.Access == "" {
		return nil, errors.New("the server's answer has no token")
	}
	return got, nil
}

// byBrowser signs in with a browser on this machine: a code that comes to a port that is
// open for this moment, worth nothing without the verifier (RFC 8252, RFC 7636).
func (t *terminal) byBrowser(ctx context.Context, s *session) (*tokens, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	redirect := "http://" + ln.Addr().String() + "/callback"
	state, verifier := rand.Text()+rand.Text(), rand.Text()+rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"client_id": {terminalClient}, "response_type": {"code"}, "redirect_uri": {redirect}, "scope": {terminalScopes}, "state": {state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	came := make(chan url.Values, 1)
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: callback(state, came)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ln)
	}()
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = server.Shutdown(end)
		<-done
	}()
	s.say("Open this address in a browser on this machine:\n\n  %s\n", t.base+"/oauth2/v1/authorize?"+q.Encode())
	wait, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	select {
	case <-wait.Done():
		return nil, fmt.Errorf("nobody has signed in: %w", wait.Err())
	case q = <-came:
	}
	// Whose answer it is (RFC 9207): this server names itself in every one.
	if q.Get("iss") != t.base {
		return nil, fmt.Errorf("the answer is of %q and not of %s", q.Get("iss"), t.base)
	}
	if code := q.Get("error"); code != "" {
		return nil, &refusedByServer{code, q.Get("error_description")}
	}
	return t.token(ctx, url.Values{"grant_type": {"authorization_code"}, "code": {q.Get("code")}, "redirect_uri": {redirect}, "code_verifier": {verifier}})
}

// callback takes the first answer with the state; all else is nobody's.
func callback(state string, came chan<- url.Values) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.Method != http.MethodGet || r.URL.Path != "/callback" || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 {
			http.NotFound(w, r)
			return
		}
		select {
		case came <- q:
		default:
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		_, _ = io.WriteString(w, "You can close this page and go back to the terminal.\n")
	})
}

// byDevice signs in with a browser anywhere (RFC 8628).
func (t *terminal) byDevice(ctx context.Context, s *session) (*tokens, error) {
	body, err := t.post(ctx, "/oauth2/v1/device/authorize", url.Values{"scope": {terminalScopes}})
	if err != nil {
		return nil, err
	}
	var d struct {
		Device   string `json:"device_code"`
		User     string `json:"user_code"`
		Address  string `json:"verification_uri"`
		Expires  int64  `json:"expires_in"`
		Interval int64  `json:"interval"`
	}
	if err := json.Unmarshal(body, &d); err != nil || d.Device == "" {
		return nil, errors.New("the server's answer has no code")
	}
	s.say("Open %s in a browser, and enter the code\n\n  %s\n", d.Address, d.User)
	wait, cancel := context.WithTimeout(ctx, time.Duration(d.Expires)*time.Second)
	defer cancel()
	every := max(time.Duration(d.Interval)*time.Second, time.Second)
	for {
		tick := time.NewTimer(every)
		select {
		case <-wait.Done():
			tick.Stop()
			return nil, fmt.Errorf("nobody has entered the code: %w", wait.Err())
		case <-tick.C:
		}
		got, err := t.token(ctx, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {d.Device}})
		var r *refusedByServer
		switch {
		case errors.As(err, &r) && r.Code == "authorization_pending":
		case errors.As(err, &r) && r.Code == "slow_down":
			every += 5 * time.Second // RFC 8628 section 3.5
		default:
			return got, err
		}
	}
}

// earlier is how long before its end an access token is replaced.
const earlier = 30 * time.Second

// signedIn returns a client of the context that is in use, nil for none.
func (s *session) signedIn() (*client.Client, error) {
	all, err := s.contexts()
	if err != nil {
		return nil, err
	}
	name, at, err := s.named(all)
	if err != nil || at == nil {
		return nil, err
	}
	return client.New(client.Config{URL: at.URL, Access: func(ctx context.Context) (string, error) {
		if time.Until(at.Expires) > earlier {
			return at.Access, nil
		}
		t := terminal{base: at.URL, http: &http.Client{Timeout: 30 * time.Second}}
		got, err := t.token(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {at.Refresh}, "scope": {terminalScopes}})
		var r *refusedByServer
		if errors.As(err, &r) {
			return "", exit{exitNotAuthorized, fmt.Errorf("the sign-in to %s has ended (%w): \"gatehouse login %s\"", at.URL, r, at.URL)}
		}
		if err != nil {
			return "", err
		}
		if got.Refresh == "" {
			got.Refresh = at.Refresh
		}
		*at = *got.place(at.URL)
		// Another command may have changed another context meanwhile.
		now, err := s.contexts()
		if err != nil {
			return "", err
		}
		now.All[name] = at
		return at.Access, now.save()
	}}), nil
}
