package introspect

import (
	"testing"
	"time"
)

// Whatever an endpoint says, an answer is facts or a refusal that ends within
// its time, or it is none; and facts are never of somebody who said "not active".
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"active":true,"sub":"a","exp":9999999999,"aud":["x"],"scope":"a b"}`, `{"active":false}`, `{"active":true,"active":false}`, `{}`, `null`,
		`{"active":true,"cnf":{"jkt":"x"},"token_type":"DPoP"}`, `{"active":true,"exp":1e9,"nbf":-1}`, "{\"active\":true,\"sub\":\"\\ud800\"}",
	} {
		f.Add([]byte(s))
	}
	c, err := New(Config{Issuer: "https://x.test", ClientID: "a", Secret: "b", HTTP: nobody{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		now := time.Now()
		e, err := c.read(body, now, nil)
		if err != nil {
			if e != nil {
				t.Fatal("an answer and none")
			}
			return
		}
		if (e.token == nil) == (e.err == nil) {
			t.Fatal("facts and a refusal, or neither")
		}
		if until := time.Unix(0, e.until); until.After(now.Add(MaxLife)) {
			t.Fatalf("it counts until %s", until)
		}
		if e.token == nil {
			return
		}
		if v, _ := e.token.Claim("active"); v != true || e.token.Issuer != "https://x.test" || e.token.Expires == 0 || e.token.Algorithm != "" {
			t.Fatalf("%+v", e.token)
		}
	})
}
