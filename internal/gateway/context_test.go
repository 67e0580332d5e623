package gateway

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gatehouse/verify"
)

// Whatever a token says, the context says the same in JSON, or nothing where it is too long.
func TestContextSaysWhatTheTokenSays(t *testing.T) {
	g := &Gateway{config: Config{IdentityURL: "https://id.test"}}
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{0,8}["\\<&\x00-\x1f\x7f]?[a-zé€😀]{0,4}`),
		rapid.Just(""), rapid.Just("\xff\xfe broken"), rapid.Just(strings.Repeat("x", maxClaim+1)))
	texts := rapid.SliceOfN(text, 0, 4)
	date := rapid.Int64Range(0, 1<<40)
	rapid.Check(t, func(t *rapid.T) {
		token := &verify.Token{
			Subject: text.Draw(t, "sub"), UserID: text.Draw(t, "uid"), ClientID: text.Draw(t, "client"), Issuer: text.Draw(t, "iss"),
			Scopes: texts.Draw(t, "scopes"), Groups: texts.Draw(t, "groups"), AMR: texts.Draw(t, "amr"),
			ACR: text.Draw(t, "acr"), ID: text.Draw(t, "jti"), AuthTime: date.Draw(t, "auth_time"), Expires: date.Draw(t, "exp"),
		}
		ex := &Exchange{course: course{gw: g, snap: &compiled{tenant: "acme"}, facts: facts{token: token}}}
		raw := ex.appendContext([]byte("before"), &api{name: `the "API"`})
		var got map[string]any
		if err := json.Unmarshal(raw[len("before"):], &got); err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		if id, _ := got["jti"].(string); len(id) < 20 {
			t.Errorf("jti is %q", id)
		}
		delete(got, "jti")
		want := map[string]any{"iss": "https://id.test", "aud": `the "API"`, "tenant": "acme"}
		want["iat"], want["exp"] = float64(ex.started.Unix()), float64(ex.started.Add(contextLife).Unix())
		for name, value := range map[string]string{
			"sub": token.Subject, "uid": token.UserID, "client_id": token.ClientID, "scope": strings.Join(token.Scopes, " "),
			"acr": token.ACR, "token_jti": token.ID,
		} {
			if value != "" && len(value) <= maxClaim {
				want[name] = strings.ToValidUTF8(value, "\ufffd")
			}
		}
		if token.Issuer != "" {
			want["token_iss"] = strings.ToValidUTF8(token.Issuer, "\ufffd")
		}
		for name, list := range map[string][]string{"groups": token.Groups, "amr": token.AMR} {
			if len(list) == 0 || len(strings.Join(list, ",")) > maxClaim {
				continue
			}
			all := make([]any, len(list))
			for i, v := range list {
				all[i] = strings.ToValidUTF8(v, "\ufffd")
			}
			want[name] = all
		}
		for name, date := range map[string]int64{"auth_time": token.AuthTime, "token_exp": token.Expires} {
			if date != 0 {
				want[name] = float64(date)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
