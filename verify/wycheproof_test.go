package verify

import (
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"
)

// vectors is one file of Project Wycheproof.
type vectors struct {
	TestGroups []struct {
		Comment string
		Public  json.RawMessage
		Private json.RawMessage
		Tests   []struct {
			TCID    int `json:"tcId"`
			Comment string
			JWS     json.RawMessage // a compact JWS, or an object in another form
			Result  string
			Flags   []string
		}
	}
}

// publicSet turns a key or a set of a vector into a set of public keys, as an
// issuer would publish it. Symmetric keys stay as they are.
func publicSet(t *testing.T, raw json.RawMessage) []byte {
	t.Helper()
	var doc obj
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	list, isSet := doc["keys"].([]any)
	if !isSet {
		list = []any{doc}
	}
	for _, k := range list {
		for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi"} {
			delete(k.(obj), secret)
		}
		// Private keys may sign; the public half of such a key verifies.
		if ops, ok := k.(obj)["key_ops"].([]any); ok {
			for i, op := range ops {
				if op == "sign" {
					ops[i] = "verify"
				}
			}
		}
	}
	return must(json.Marshal(obj{"keys": list}))
}

// attack gateway 22 and Project Wycheproof: none of the invalid signatures may be
// accepted. Of the valid ones all are, whose algorithm and key the package
// supports by policy.
func TestWycheproof(t *testing.T) {
	// The number of valid ones that the policy accepts; the rest are symmetric, have
	// an empty payload or a misspelt algorithm, or use a key for another algorithm.
	for file, least := range map[string]int{"json_web_signature_test.json": 26, "json_web_key_test.json": 1, "json_web_crypto_test.json": 2} {
		t.Run(file, func(t *testing.T) {
			raw, err := fs.ReadFile(wycheproof.TestVectors, file)
			if err != nil {
				t.Fatal(err)
			}
			var doc vectors
			if err := json.Unmarshal(raw, &doc); err != nil {
				t.Fatal(err)
			}
			var invalid, valid, accepted int
			for _, g := range doc.TestGroups {
				key := g.Public
				if key == nil {
					key = g.Private
				}
				set, setErr := ParseKeySet(publicSet(t, key))
				for _, c := range g.Tests {
					if c.JWS == nil {
						continue // a vector for encryption
					}
					compact := string(c.JWS)
					if compact[0] == '"' {
						must(0, json.Unmarshal(c.JWS, &compact))
					}
					ok, why := accepts(set, setErr, compact)
					switch {
					case c.Result == "invalid":
						invalid++
						if ok {
							t.Errorf("%s %d (%s, %v): an invalid signature was accepted", g.Comment, c.TCID, c.Comment, c.Flags)
						}
					case ok:
						valid++
						accepted++
					default:
						valid++
						t.Logf("valid but not accepted by policy: %s %d (%s): %s", g.Comment, c.TCID, c.Comment, why)
					}
				}
			}
			t.Logf("0 of %d invalid and %d of %d valid signatures accepted", invalid, accepted, valid)
			if invalid == 0 || accepted < least {
				t.Errorf("%d valid signatures accepted, want at least %d", accepted, least)
			}
		})
	}
}

func accepts(set *KeySet, setErr error, token string) (bool, string) {
	j, err := Parse([]byte(token), 0)
	if err != nil {
		return false, err.Error()
	}
	if setErr != nil {
		return false, setErr.Error()
	}
	k := set.find(j.KeyID, j.Algorithm)
	if k == nil {
		return false, "no key for " + string(j.Algorithm)
	}
	return j.Verify(k), "signature"
}
