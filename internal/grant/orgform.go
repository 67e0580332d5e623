package grant

import (
	"net/http"

	"gatehouse/internal/access"
)

// readTokenRequest is ReadForm with the one liberty that Okta's SDKs take: to get a
// token for the management API by private_key_jwt, they POST nothing and put the
// parameters into the address. It is given to the org server alone, and to
// assertions alone: one can be used once, so that a log of addresses holds nothing
// that opens anything. A secret in an address is refused as everywhere.
func readTokenRequest(x *exchange) (Form, error) {
	if !orgServer(x.target) || x.r.Method != http.MethodPost || x.r.ContentLength != 0 || x.r.URL.RawQuery == "" || len(x.r.URL.RawQuery) > maxBody {
		return ReadForm(x.w, x.r)
	}
	f, err := parseForm(x.r.URL.RawQuery)
	if err != nil {
		return Form{}, err
	}
	if f.Get("grant_type") != access.GrantClientCredentials || !f.Has("client_assertion") || f.Has("client_secret") {
		return Form{}, Refuse("client_credentials_in_query", nil)
	}
	return f, nil
}

// orgServer reports whether the target is the server of the management API.
func orgServer(t *Target) bool { return t.Server.Path() == "" }
