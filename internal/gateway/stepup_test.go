package gateway

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/spec"
	"gatehouse/verify"
)

func stepUpSnapshot() spec.Snapshot {
	return OrdersSnapshot(
		spec.Route{Method: "GET", Path: "/mfa", MFA: spec.Duration(5 * time.Minute)},
		spec.Route{Method: "GET", Path: "/acr", ACR: []string{"phr", "phrh"}},
		spec.Route{Method: "GET", Path: "/amr", AMR: []string{"hwk", "pop"}},
		spec.Route{Method: "GET", Path: "/age", MaxAge: spec.Duration(time.Hour)},
		spec.Route{Method: "GET", Path: "/both", MFA: spec.Duration(time.Hour), MaxAge: spec.Duration(time.Minute), ACR: []string{"phr"}, Scopes: [][]string{{"orders:write"}}},
		spec.Route{Method: "GET", Path: "/plain"},
	)
}

// What was achieved decides, and how long ago: attack gateway 75 (no acr or amr),
// attack gateway 76 (auth_time missing, old, in the future, in milliseconds), attack gateway
// 77 (a refreshed token is new, its sign-in is not) and attack gateway 78 (a lower class
// was achieved than was asked for).
func TestStepUp(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	began := time.Now()
	c := ConfigFor(t, iss)
	c.Now = func() time.Time { return began } // nobody's sign-in grows old meanwhile
	g := newTestGateway(t, c, stepUpSnapshot())
	now := began.Unix()
	mfa := []string{"pwd", "mfa"}
	for _, x := range []struct {
		name, path string
		claims     Claims
		status     int
	}{
		{"a second factor a minute ago", "/mfa", Claims{"amr": mfa, "auth_time": now - 60}, 200},
		{"nothing said", "/mfa", nil, 401},
		{"no time", "/mfa", Claims{"amr": mfa}, 401},
		{"time zero", "/mfa", Claims{"amr": mfa, "auth_time": 0}, 401},
		{"time null", "/mfa", Claims{"amr": mfa, "auth_time": nil}, 401},
		{"too old", "/mfa", Claims{"amr": mfa, "auth_time": now - 301}, 401},
		{"not quite too old", "/mfa", Claims{"amr": mfa, "auth_time": now - 290}, 200},
		{"a clock that is a little fast", "/mfa", Claims{"amr": mfa, "auth_time": now + 10}, 200},
		{"the future", "/mfa", Claims{"amr": mfa, "auth_time": now + 3600}, 401},
		{"milliseconds", "/mfa", Claims{"amr": mfa, "auth_time": (now - 60) * 1000}, 401},
		{"before 1970", "/mfa", Claims{"amr": mfa, "auth_time": int64(-60)}, 401},
		{"a password alone", "/mfa", Claims{"amr": []string{"pwd"}, "auth_time": now}, 401},
		{"two things that are known", "/mfa", Claims{"amr": []string{"pwd", "pin", "kba"}, "auth_time": now}, 401},
		{"where and how risky", "/mfa", Claims{"amr": []string{"pwd", "geo", "rba"}, "auth_time": now}, 401},
		{"no method", "/mfa", Claims{"amr": []string{}, "auth_time": now}, 401},
		{"another case", "/mfa", Claims{"amr": []string{"MFA"}, "auth_time": now}, 401},
		{"one-time password", "/mfa", Claims{"amr": []string{"pwd", "otp"}, "auth_time": now}, 200},
		{"security key", "/mfa", Claims{"amr": []string{"hwk"}, "auth_time": now}, 200},
		{"two factors by class", "/mfa", Claims{"acr": "urn:okta:loa:2fa:any", "auth_time": now}, 200},
		{"two factors if it could be", "/mfa", Claims{"acr": "urn:okta:loa:2fa:any:ifpossible", "auth_time": now}, 401},
		{"a refreshed token", "/mfa", Claims{"amr": mfa, "iat": now, "exp": now + 600, "auth_time": now - 3600}, 401},

		{"the class", "/acr", Claims{"acr": "phr"}, 200},
		{"the other class", "/acr", Claims{"acr": "phrh"}, 200},
		{"no class", "/acr", nil, 401},
		{"a lower class", "/acr", Claims{"acr": "urn:okta:loa:1fa:any"}, 401},
		{"part of a class", "/acr", Claims{"acr": "ph"}, 401},
		{"both classes at once", "/acr", Claims{"acr": "phr phrh"}, 401},
		{"the empty class", "/acr", Claims{"acr": ""}, 401},

		{"all methods", "/amr", Claims{"amr": []string{"pop", "pwd", "hwk"}}, 200},
		{"one of the methods", "/amr", Claims{"amr": []string{"hwk"}}, 401},

		{"young enough", "/age", Claims{"auth_time": now - 3000}, 200},
		{"an hour and more", "/age", Claims{"auth_time": now - 3700}, 401},
		{"no sign-in", "/age", nil, 401},

		{"everything", "/both", Claims{"scp": []string{"orders:write"}, "acr": "phr", "amr": mfa, "auth_time": now}, 200},
		{"the shorter age counts", "/both", Claims{"scp": []string{"orders:write"}, "acr": "phr", "amr": mfa, "auth_time": now - 120}, 401},
		{"everything but the factor", "/both", Claims{"scp": []string{"orders:write"}, "acr": "phr", "amr": []string{"pwd"}, "auth_time": now}, 401},
		{"a token that would not do anyway", "/both", nil, 403},

		{"not asked for", "/plain", nil, 200},
	} {
		l := newLane("GET", x.path, "Authorization", "Bearer "+iss.Token(t, x.claims))
		g.ServeExchange(l)
		if l.status != x.status {
			t.Errorf("%s: %d %s, want %d", x.name, l.status, l.reason(), x.status)
		}
		reason := ReasonStepUpRequired
		if at, ok := x.claims["auth_time"].(int64); ok && (at < 0 || at > 1e12) {
			reason = ReasonTokenMalformed // no time that an issuer can mean
		}
		if x.status == 401 && (l.reason() != reason || l.fields["Gatehouse-Decision"][0] != "challenge; reason="+reason) {
			t.Errorf("%s: %s, %s", x.name, l.reason(), l.fields["Gatehouse-Decision"])
		}
	}
}

// A time in milliseconds is refused with the token; if it came through, it would
// lie in the future here.
func TestRecentReadsSeconds(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for at, want := range map[int64]bool{
		now.Unix(): true, now.Unix() - 60: true, now.Unix() - 61: false, now.Unix() + 30: true, now.Unix() + 31: false,
		now.UnixMilli(): false, now.UnixMicro(): false, 0: false, -now.Unix(): false, 1<<63 - 1: false, -1 << 63: false,
	} {
		if got := recent(&verify.Token{AuthTime: at}, now, time.Minute); got != want {
			t.Errorf("auth_time %d at %d: %v", at, now.Unix(), got)
		}
	}
}

// The challenge says what would do (RFC 9470 section 3).
func TestStepUpChallenge(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	g := newTestGateway(t, ConfigFor(t, iss), stepUpSnapshot())
	for path, want := range map[string]string{
		"/mfa":  `acr_values="urn:okta:loa:2fa:any", max_age="300", `,
		"/acr":  `acr_values="phr phrh", `,
		"/amr":  ``,
		"/age":  `max_age="3600", `,
		"/both": `acr_values="phr", max_age="60", `,
	} {
		l := newLane("GET", path, "Authorization", "Bearer "+iss.Token(t, Claims{"scp": []string{"orders:write"}}))
		g.ServeExchange(l)
		full := `Bearer error="insufficient_user_authentication", ` + want + `resource_metadata="http://api.test/.well-known/oauth-protected-resource"`
		if got := strings.Join(l.fields["WWW-Authenticate"], "|"); got != full {
			t.Errorf("%s:\n%s\n%s", path, got, full)
		}
	}
}

func TestStepUpIsExplained(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	s := stepUpSnapshot()
	s.Sources = map[string]string{spec.PathRoute("orders", "GET", "/both", "mfa"): "g.yaml:7:9"}
	g := newTestGateway(t, ConfigFor(t, iss), s)
	week := 7 * 24 * time.Hour
	for _, x := range []struct {
		h   Hypothetical
		had string
		ok  bool
	}{
		{Hypothetical{User: "ana"}, "no auth_time; no acr; no amr", false},
		{Hypothetical{User: "ana", SignIn: &week, ACR: "phr", AMR: []string{"pwd", "otp"}}, "a sign-in 168h0m0s ago; acr phr; amr pwd otp", false},
		{Hypothetical{User: "ana", SignIn: new(time.Duration), ACR: "phr", AMR: []string{"otp"}}, "a sign-in 0s ago; acr phr; amr otp", true},
		{Hypothetical{Token: iss.Token(t, Claims{"scp": "orders:write", "auth_time": int64(4e9)})}, "auth_time 4000000000, which lies in the future; no acr; no amr", false},
	} {
		x.h.Path, x.h.Scopes = "/both", []string{"orders:write"}
		x.h.At = time.Now().Truncate(time.Second)
		tr, err := g.Explain(t.Context(), x.h)
		if err != nil {
			t.Fatal(err)
		}
		var got TraceStep
		for _, st := range tr.Steps {
			if st.Name == "step-up" {
				got = st
			}
		}
		if got.Had != x.had || tr.Allowed != x.ok || got.Source != "g.yaml:7:9" ||
			got.Needed != "a second factor used at most 1h0m0s ago; a sign-in at most 1m0s old; acr phr" {
			t.Errorf("%+v (allowed %v), want had %q", got, tr.Allowed, x.had)
		}
	}
}
