package decide

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/gateway"
)

// deciderFunc is a Decider.
type deciderFunc func(r *http.Request) gateway.Answer

// Decide implements Decider.
func (f deciderFunc) Decide(r *http.Request) gateway.Answer { return f(r) }

// traefik is a question in the words of Traefik and Caddy; more replaces headers, an
// empty list removes one.
func traefik(more http.Header) *http.Request {
	return question(http.Header{
		"X-Forwarded-Method": {"PUT"}, "X-Forwarded-Uri": {"/hr/a?b=c"}, "X-Forwarded-Proto": {"https"},
		"X-Forwarded-Host": {"api.test"}, "X-Forwarded-For": {"192.0.2.9"},
	}, more)
}

// nginx is the same question in the words that nginx is configured to use.
func nginx(more http.Header) *http.Request {
	return question(http.Header{
		"X-Original-Method": {"PUT"}, "X-Original-Uri": {"/hr/a?b=c"}, "X-Forwarded-Proto": {"https"},
		"X-Forwarded-Host": {"api.test"}, "X-Forwarded-For": {"192.0.2.9"},
	}, more)
}

func question(header, more http.Header) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/authz/forward", http.NoBody)
	r.RemoteAddr = "127.0.0.1:4000"
	r.Header = header
	for name, values := range more {
		r.Header[name] = values
		if len(values) == 0 {
			delete(r.Header, name)
		}
	}
	return r
}

// ask sends the question and returns the answer, and what the decider was asked, nil when it was not.
func ask(r *http.Request, answer gateway.Answer) (*httptest.ResponseRecorder, *http.Request) {
	var got *http.Request
	h := NewForward(Config{Decider: deciderFunc(func(r *http.Request) gateway.Answer {
		got = r
		return answer
	})})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w, got
}

func TestTheQuestionBecomesTheClientsRequest(t *testing.T) {
	for name, r := range map[string]*http.Request{
		"traefik and caddy": traefik(http.Header{"Authorization": {"Bearer x"}, "X-Real-Ip": {"10.0.0.1"}, "Forwarded": {"for=10.0.0.1"}}),
		"nginx":             nginx(http.Header{"Authorization": {"Bearer x"}, "X-Forwarded-Prefix": {"/p"}, "X-Original-Host": {"evil.test"}}),
	} {
		w, got := ask(r, gateway.Answer{Status: 200})
		if w.Code != 200 || got == nil {
			t.Fatalf("%s: %d %s", name, w.Code, w.Body)
		}
		have := []any{got.Method, got.RequestURI, got.Host, got.RemoteAddr, got.TLS != nil, got.Header}
		want := []any{"PUT", "/hr/a?b=c", "api.test", "192.0.2.9:0", true, http.Header{"Authorization": {"Bearer x"}}}
		if d := cmp.Diff(want, have); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
	}
}

// Attack gateway 54: the client's X-Forwarded-For is kept before the address that
// the proxy has seen, where the gateway's walk from the right finds it last.
func TestOnlyTheLastAddressIsTheProxysWord(t *testing.T) {
	for _, lines := range [][]string{{"10.0.0.1, 192.0.2.9"}, {"10.0.0.1", "192.0.2.9"}, {"10.0.0.1,192.0.2.9:4711"}} {
		_, got := ask(traefik(http.Header{"X-Forwarded-For": lines}), gateway.Answer{Status: 200})
		if got == nil || got.RemoteAddr != "192.0.2.9:0" || got.Header.Get("X-Forwarded-For") != "10.0.0.1" {
			t.Errorf("%q: %+v", lines, got)
		}
	}
}

// Attack gateway 54: what could be the client's word is not believed: nothing that
// the proxy has not set, has set beside another, or says in the other spelling.
func TestUnclearQuestionsAreNotDecided(t *testing.T) {
	for name, r := range map[string]*http.Request{
		"no method":                     traefik(http.Header{"X-Forwarded-Method": nil}),
		"two addresses":                 traefik(http.Header{"X-Forwarded-Uri": {"/hr/health", "/hr/a"}}),
		"no host":                       traefik(http.Header{"X-Forwarded-Host": nil}),
		"two hosts":                     nginx(http.Header{"X-Forwarded-Host": {"a.test", "b.test"}}),
		"no scheme":                     nginx(http.Header{"X-Forwarded-Proto": nil}),
		"a strange scheme":              nginx(http.Header{"X-Forwarded-Proto": {"gopher"}}),
		"no client":                     nginx(http.Header{"X-Forwarded-For": nil}),
		"a client without an address":   nginx(http.Header{"X-Forwarded-For": {"192.0.2.9, unknown"}}),
		"the other address beside":      nginx(http.Header{"X-Forwarded-Uri": {"/hr/health"}}),
		"the other method beside":       nginx(http.Header{"X-Forwarded-Method": {"GET"}}),
		"nginx's address in Traefik's":  traefik(http.Header{"X-Original-Uri": {"/hr/health"}}),
		"nginx's method, Traefik's URI": traefik(http.Header{"X-Forwarded-Method": nil, "X-Original-Method": {"GET"}}),
		"nginx without its method":      nginx(http.Header{"X-Original-Method": nil}),
	} {
		if w, got := ask(r, gateway.Answer{Status: 200}); w.Code != http.StatusBadRequest || got != nil {
			t.Errorf("%s: %d, decided: %v", name, w.Code, got != nil)
		}
	}
}

func TestStrangersMayNotAsk(t *testing.T) {
	for peer, want := range map[string]int{
		"127.0.0.1:1": 200, "[::1]:1": 200, "[::ffff:127.0.0.1]:1": 200,
		"10.1.2.3:1": 403, "192.0.2.1:1": 403, "[2001:db8::1]:1": 403, "": 403, "@": 403,
	} {
		r := traefik(nil)
		r.RemoteAddr = peer
		if w, got := ask(r, gateway.Answer{Status: 200}); w.Code != want || (got != nil) != (want == 200) {
			t.Errorf("%q: %d, want %d", peer, w.Code, want)
		}
	}
}

func TestTheAnswerIsTheGateways(t *testing.T) {
	for _, c := range []struct{ status, traefik, nginx int }{
		{200, 200, 200}, {401, 401, 401}, {403, 403, 403}, {404, 404, 403}, {405, 405, 403}, {429, 429, 403}, {500, 500, 500}, {503, 503, 503},
	} {
		answer := gateway.Answer{Status: c.status, Header: http.Header{"X-User-Id": {""}, "Www-Authenticate": {"Bearer"}}, Body: []byte("why")}
		for _, q := range []struct {
			r    *http.Request
			want int
		}{{traefik(nil), c.traefik}, {nginx(nil), c.nginx}} {
			w, _ := ask(q.r, answer)
			res := w.Result()
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if w.Code != q.want || string(body) != "why" || !cmp.Equal(res.Header["X-User-Id"], []string{""}) || res.Header.Get("Www-Authenticate") != "Bearer" {
				t.Errorf("%d: %d %v %s, want %d", c.status, w.Code, res.Header, body, q.want)
			}
		}
	}
}
