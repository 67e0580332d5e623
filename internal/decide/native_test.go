package decide

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/client"
	"gatehouse/internal/gateway"
)

func record(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func posted(path, body string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:4000"
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

const asked = `{"method":"PUT","scheme":"https","host":"api.test","path":"/hr/a?b=c","client_ip":"192.0.2.9",
	"headers":{"authorization":["Bearer x"],"x-role":["a"],"X-Role":["b"],"X-Forwarded-For":["10.0.0.1"]}}`

func TestAQuestionInItsOwnWords(t *testing.T) {
	var got *http.Request
	h := NewNative(Config{Trust: Trust{Token: knows}, Decider: deciderFunc(func(r *http.Request) gateway.Answer {
		got = r
		return gateway.Answer{Status: 401, Header: http.Header{
			"Gatehouse-Decision": {"challenge; reason=no_token"}, "X-Request-Id": {"id1"}, "Www-Authenticate": {"Bearer"},
		}, Body: []byte("why")}
	})})
	w := record(h, posted("/gatehouse/v1/authz", asked, "Authorization", "Bearer "+secret))
	if w.Code != 200 || got == nil {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	// Two spellings of a name are two lines of one header; the client's word about where it is is not passed on.
	roles := got.Header["X-Role"]
	if got.Method != "PUT" || got.RequestURI != "/hr/a?b=c" || got.Host != "api.test" || got.RemoteAddr != "192.0.2.9:0" || got.TLS == nil ||
		len(roles) != 2 || got.Header.Get("Authorization") != "Bearer x" || got.Header.Get("X-Forwarded-For") != "" {
		t.Errorf("decided about %+v", got)
	}
	var answer client.AuthzAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	want := client.AuthzAnswer{Decision: "challenge", Status: 401, Reason: "no_token", RequestID: "id1", Body: "why", Headers: map[string]string{
		"Gatehouse-Decision": "challenge; reason=no_token", "X-Request-Id": "id1", "Www-Authenticate": "Bearer",
	}}
	if d := cmp.Diff(want, answer); d != "" {
		t.Error(d)
	}
}

func TestQuestionsThatAreNotDecided(t *testing.T) {
	h := NewNative(Config{Trust: Trust{Token: knows}, Decider: deciderFunc(func(*http.Request) gateway.Answer {
		t.Error("decided")
		return gateway.Answer{Status: 200}
	})})
	ok := []string{"Authorization", "Bearer " + secret}
	for name, c := range map[string]struct {
		r    *http.Request
		want int
	}{
		"no token":         {posted("/", asked), 401},
		"a wrong token":    {posted("/", asked, "Authorization", "Bearer x"), 401},
		"another scheme":   {posted("/", asked, "Authorization", "SSWS "+secret), 401},
		"a form":           {posted("/", asked, append(ok, "Content-Type", "text/plain")...), 415},
		"no JSON":          {posted("/", "x", ok...), 400},
		"two documents":    {posted("/", asked+asked, ok...), 400},
		"an unknown word":  {posted("/", `{"methods":"GET"}`, ok...), 400},
		"no client":        {posted("/", `{"method":"GET","host":"a","path":"/"}`, ok...), 400},
		"no host":          {posted("/", `{"method":"GET","path":"/","client_ip":"192.0.2.9"}`, ok...), 400},
		"a strange scheme": {posted("/", `{"method":"GET","host":"a","path":"/","client_ip":"192.0.2.9","scheme":"ftp"}`, ok...), 400},
		"too much":         {posted("/", `{"path":"`+strings.Repeat("x", maxQuestion)+`"}`, ok...), 413},
	} {
		if w := record(h, c.r); w.Code != c.want {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
