package credential

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/fault"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		headers []string
		scheme  Scheme
		token   string
		wrong   string // part of the refusal
	}{
		{[]string{"SSWS abc"}, SSWS, "abc", ""},
		{[]string{"ssws abc "}, SSWS, "abc", ""},
		{[]string{"Bearer a.b.c"}, Bearer, "a.b.c", ""},
		{[]string{"dpop a.b.c"}, DPoP, "a.b.c", ""},
		{nil, "", "", "one header"},
		{[]string{"SSWS a", "SSWS a"}, "", "", "one header"},
		{[]string{"SSWS " + strings.Repeat("a", maxToken)}, "", "", "one header"},
		{[]string{"Bearer"}, "", "", "missing"},
		{[]string{"Bearer   "}, "", "", "missing"},
		{[]string{"Basic YTpi"}, "", "", "scheme"},
		{[]string{"BearerX a.b.c"}, "", "", "scheme"},
		{[]string{""}, "", "", "scheme"},
	} {
		got, err := Of(http.Header{"Authorization": c.headers})
		if got != (Credential{c.scheme, c.token}) || (err == nil) != (c.wrong == "") {
			t.Errorf("%.40q: %v, %v", c.headers, got, err)
		}
		if err != nil && (!fault.Is(err, fault.Unauthenticated) || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%.40q: %v, want one with %q", c.headers, err, c.wrong)
		}
	}
}

// What a challenge says of a wrong proof stays inside of its quotes.
func TestChallenge(t *testing.T) {
	c := Credential{DPoP, "a.b.c"}
	if got := c.Challenge(`realm="x"`, fault.New(fault.Unauthenticated, "a secret")); got != `DPoP realm="x", error="invalid_token", error_description="The access token is invalid."` {
		t.Error(got)
	}
	err := fault.New(fault.Unauthenticated, `the "htu" is wrong`).WithReason(ReasonProof)
	if got := c.Challenge(`realm="x"`, err); got != `DPoP realm="x", error="invalid_dpop_proof", error_description="the 'htu' is wrong"` {
		t.Error(got)
	}
}
