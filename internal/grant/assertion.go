package grant

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/keys"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// assertionType is the one value of client_assertion_type (RFC 7523 section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Bounds of a client assertion.
const (
	maxAssertion     = 16 << 10         // bytes
	maxAssertionLife = time.Hour        // from now to exp
	assertionLeeway  = 30 * time.Second // between two clocks
	maxTokenID       = 512              // bytes of jti
)

// assertionPurpose names the marks of used assertions.
const assertionPurpose = "client_assertion"

// byAssertion authenticates with private_key_jwt or client_secret_jwt (RFC 7523,
// OpenID Connect Core section 9); which of them is the app's setting. What is wrong is said only once the signature has been found good:
// before that, everything is the same refusal after the same work.
func (c *Clients) byAssertion(ctx context.Context, cred credentials, t *Target, endpoint string) (*access.AppView, string, *assertion, error) {
	jws, err := verify.Parse([]byte(cred.assertion), maxAssertion)
	if err != nil {
		return nil, cred.id, nil, Refuse("client_assertion_invalid_jwt", err)
	}
	claims, err := readAssertion(jws.Payload)
	if err != nil {
		return nil, cred.id, nil, Refuse("client_assertion_invalid_jwt", err)
	}
	id := claims.Subject
	app, known, err := c.find(ctx, t, id, endpoint)
	if err != nil {
		return nil, id, nil, err
	}
	if !known || app.AuthMethod != access.AuthPrivateKey && app.AuthMethod != access.AuthSecretJWT {
		app, known = c.decoy, false
	}
	genuine, err := c.genuine(ctx, t, app, jws, cred.assertion)
	if err != nil {
		return nil, id, nil, err
	}
	sameName := claims.Issuer == id && (cred.id == "" || cred.id == id)
	if !genuine || !known || !sameName || app.Status != access.Active || !assertionTyp(jws.Type) {
		return nil, id, nil, Refuse("invalid_client", nil)
	}
	if claims.ID == "" && orgServer(t) {
		// Okta's SDKs send no jti: the assertion as a whole can be used once, under
		// either of the signatures that are as good as each other.
		claims.ID = verify.TokenHash([]byte(cred.assertion))
		if twin := verify.TwinHash([]byte(cred.assertion)); twin != "" {
			claims.ID = min(claims.ID, twin)
		}
	}
	if t.Server.Holds(app) && (!fapi2Algorithm(jws.Algorithm) || claims.audienceList || !slices.Equal(claims.Audience, []string{t.Issuer()})) {
		return nil, id, nil, Refuse("profile_assertion", nil)
	}
	if wrong := claims.wrong(c.now(), t, endpoint); wrong != "" {
		return nil, id, nil, Refuse("client_assertion_"+wrong, nil)
	}
	return app, id, claims, nil
}

// use marks an assertion as used; a nil one is none. A mark outlives the assertion by the
// leeway, so that it is refused for as long as it would be accepted.
func (c *Clients) use(ctx context.Context, t *Target, app *access.AppView, a *assertion) error {
	if a == nil {
		return nil
	}
	mark := keys.Hash(app.ID + "\x00" + a.ID)
	first, err := c.single.Use(tenant.With(ctx, t.Tenant), assertionPurpose, mark, a.Expires.Add(assertionLeeway))
	if err != nil {
		return Refuse("temporarily_unavailable", err)
	}
	if !first {
		return Refuse("client_assertion_already_used", nil)
	}
	return nil
}

// genuine reports whether an assertion is signed as the app signs. What it says of its
// algorithm never turns a public key into a secret, nor a secret into a key.
func (c *Clients) genuine(ctx context.Context, t *Target, app *access.AppView, jws *verify.JWS, raw string) (bool, error) {
	if app.AuthMethod == access.AuthSecretJWT {
		secrets, err := app.SharedSecrets(t.Tenant, c.sealer)
		if err != nil {
			return false, err
		}
		found := false
		for _, s := range secrets {
			found = keys.VerifyHS256(s, raw[:strings.LastIndexByte(raw, '.')], jws.Signature) || found
		}
		return found && jws.Algorithm == "HS256", nil
	}
	source, known := app.PublicKeys(), true
	if source == nil {
		source, known = c.decoy.PublicKeys(), false
	}
	key, err := source.Key(ctx, jws.KeyID, jws.Algorithm)
	if err != nil {
		known = false
		if key, err = c.decoy.PublicKeys().Key(ctx, "", jws.Algorithm); err != nil {
			return false, nil //nolint:nilerr // no key of ours could have made it
		}
	}
	return jws.Verify(key) && known, nil
}

// assertionTyp reports whether the typ header may stand on a client assertion:
// none, JWT, or that of RFC 7523bis. An access token is none (RFC 8725 section 3.11).
func assertionTyp(typ string) bool {
	switch strings.ToLower(strings.TrimPrefix(strings.ToLower(typ), "application/")) {
	case "", "jwt", "client-authentication+jwt":
		return true
	}
	return false
}

// assertion is what a client assertion says.
type assertion struct {
	Issuer, Subject, ID        string
	Audience                   []string
	Expires, NotBefore, Issued time.Time
	hasExpires                 bool
	audienceList               bool // it stands as a list, even of one
}

// fapi2Algorithm reports whether FAPI 2.0 has the algorithm (section 5.4.1).
func fapi2Algorithm(alg verify.Algorithm) bool {
	return slices.Contains(access.FAPI2Algorithms(), string(alg))
}

// wrong applies the rules for the claims of a genuine assertion, and returns the end
// of the reason to refuse it; empty: there is none.
func (a *assertion) wrong(now time.Time, t *Target, endpoint string) string {
	// One audience and no other: an assertion that another server would accept
	// too could have been taken from there.
	if len(a.Audience) != 1 || a.Audience[0] != t.Endpoint(endpoint) && a.Audience[0] != t.Endpoint("token") && a.Audience[0] != t.Issuer() {
		return "invalid_audience"
	}
	switch {
	case !a.hasExpires:
		return "expiration_required"
	case now.Add(-assertionLeeway).After(a.Expires):
		return "expired_token"
	case a.Expires.After(now.Add(maxAssertionLife + assertionLeeway)):
		return "expires_too_far"
	case a.Issued.After(now.Add(assertionLeeway)), a.NotBefore.After(now.Add(assertionLeeway)):
		return "issued_at_in_future"
	case a.ID == "" || len(a.ID) > maxTokenID:
		return "jti_required"
	}
	return ""
}

// readAssertion reads the claims. Names are compared as they stand, and a name
// that occurs twice is refused.
func readAssertion(payload []byte) (*assertion, error) {
	members, err := readObject(payload)
	if err != nil {
		return nil, err
	}
	var a assertion
	for name, to := range map[string]*string{"iss": &a.Issuer, "sub": &a.Subject, "jti": &a.ID} {
		if raw, ok := members[name]; ok {
			if err := json.Unmarshal(raw, to); err != nil {
				return nil, err
			}
		}
	}
	if raw, ok := members["aud"]; ok {
		if err := readAudience(raw, &a.Audience); err != nil {
			return nil, err
		}
		a.audienceList = raw[0] == '['
	}
	for name, to := range map[string]*time.Time{"exp": &a.Expires, "nbf": &a.NotBefore, "iat": &a.Issued} {
		raw, ok := members[name]
		if !ok {
			continue
		}
		if *to, err = readTime(raw); err != nil {
			return nil, err
		}
		a.hasExpires = a.hasExpires || name == "exp"
	}
	return &a, nil
}

func readAudience(raw json.RawMessage, to *[]string) error {
	if len(raw) > 0 && raw[0] == '[' {
		return json.Unmarshal(raw, to)
	}
	var one string
	if err := json.Unmarshal(raw, &one); err != nil {
		return err
	}
	*to = []string{one}
	return nil
}

// readTime reads a NumericDate (RFC 7519 section 2) between 1970 and 2242: what
// lies beyond cannot be meant and would not fit a time.
func readTime(raw json.RawMessage) (time.Time, error) {
	var seconds float64
	if err := json.Unmarshal(raw, &seconds); err != nil || bytes.Equal(raw, []byte("null")) {
		return time.Time{}, errors.New("a time claim is not a number")
	}
	if seconds < 0 || seconds > 1<<33 {
		return time.Time{}, errors.New("a time claim is out of range")
	}
	return time.Unix(int64(seconds), 0), nil
}

// readObject reads one JSON object whose names are all different.
func readObject(raw []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("the claims are not a JSON object")
	}
	out := map[string]json.RawMessage{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		if _, twice := out[name]; twice {
			return nil, errors.New("a claim occurs twice")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		out[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the claims")
	}
	return out, nil
}
