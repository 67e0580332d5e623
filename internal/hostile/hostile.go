// Package hostile is an issuer that misbehaves on purpose, for tests: discovery, keys
// and introspection that turn, on a word, into whatever an enemy or a broken proxy may
// answer. It counts what it is asked. It must not know who asks, or what that should do.
package hostile

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"
)

// Answer is how an address is answered in place of the right body.
type Answer func(i *Issuer, w http.ResponseWriter, r *http.Request, right []byte)

// Issuer is the server. Its addresses answer as they should until Turn.
type Issuer struct {
	*httptest.Server
	key, thief *ecdsa.PrivateKey
	turned     atomic.Pointer[Answer]
	asked      atomic.Int64
	end        chan struct{}
}

// New starts an issuer. Close it.
func New() (*Issuer, error) {
	i := &Issuer{end: make(chan struct{})}
	var err error
	if i.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	if i.thief, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	serve := func(pattern string, right func() any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			i.asked.Add(1)
			body, err := json.Marshal(right())
			if err != nil {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			if turned := i.turned.Load(); turned != nil {
				(*turned)(i, w, r, body)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(body) // whoever asked may have gone
		})
	}
	metadata := func() any {
		return map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/keys", "introspection_endpoint": i.URL + "/introspect", "token_endpoint": i.URL + "/token"}
	}
	serve("GET /.well-known/openid-configuration", metadata)
	serve("GET /.well-known/oauth-authorization-server", metadata)
	serve("GET /keys", func() any { return map[string]any{"keys": []any{jwk(i.key, "k1")}} })
	serve("POST /access/v1/evaluation", func() any { return map[string]any{"decision": true} })
	serve("POST /introspect", func() any { return map[string]any{"active": true, "sub": "ana", "aud": "api://test"} })
	i.Server = httptest.NewServer(mux)
	return i, nil
}

// Close ends every answer and the server.
func (i *Issuer) Close() {
	close(i.end)
	i.Server.Close()
}

// Turn makes every address answer like this from now on; nil = as it should.
func (i *Issuer) Turn(a Answer) {
	if a == nil {
		i.turned.Store(nil)
		return
	}
	i.turned.Store(&a)
}

// Asked returns how often any address was asked since the last call.
func (i *Issuer) Asked() int { return int(i.asked.Swap(0)) }

// Token returns a token of the issuer, good for an hour, that names the kid; a false
// one is signed by somebody else's key.
func (i *Issuer) Token(kid string, genuine bool) ([]byte, error) {
	key := i.key
	if !genuine {
		key = i.thief
	}
	now := time.Now().Unix()
	claims := fmt.Sprintf(`{"iss":%q,"aud":"api://test","sub":"ana","iat":%d,"exp":%d,"jti":%q}`, i.URL, now, now+3600, rand.Text())
	signed := b64(fmt.Appendf(nil, `{"alg":"ES256","kid":%q}`, kid)) + "." + b64([]byte(claims))
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return nil, err
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return []byte(signed + "." + b64(sig)), nil
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func jwk(key *ecdsa.PrivateKey, kid string) map[string]string {
	raw, err := key.PublicKey.Bytes()
	if err != nil {
		return nil // a key of P-256 has its form
	}
	return map[string]string{"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256", "x": b64(raw[1:33]), "y": b64(raw[33:])}
}

// Answers are the ways to misbehave, by name. None of them is a right answer, about
// keys or about tokens, but for every other one of "flapping".
func Answers() map[string]Answer {
	var turns atomic.Int64
	bomb, keys := sync.OnceValue(packed), sync.OnceValue(manyKeys) // made once: the issuer must not be what costs
	return map[string]Answer{
		"flapping": func(_ *Issuer, w http.ResponseWriter, _ *http.Request, right []byte) {
			if turns.Add(1)%2 == 1 {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			say(w, "application/json", right)
		},
		"one byte a second": func(i *Issuer, w http.ResponseWriter, r *http.Request, right []byte) {
			w.Header().Set("Content-Type", "application/json")
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for at := range right {
				if _, err := w.Write(right[at : at+1]); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush() // as above
				select {
				case <-i.end:
					return
				case <-r.Context().Done():
					return
				case <-tick.C:
				}
			}
		},
		"1 GiB": func(_ *Issuer, w http.ResponseWriter, _ *http.Request, _ []byte) {
			w.Header().Set("Content-Type", "application/json")
			nothing := block()
			for range 1 << 14 {
				if _, err := w.Write(nothing); err != nil {
					return
				}
			}
		},
		"10,000 keys": func(_ *Issuer, w http.ResponseWriter, _ *http.Request, _ []byte) { say(w, "application/json", keys()) },
		"another's key under the same kid": func(i *Issuer, w http.ResponseWriter, _ *http.Request, _ []byte) {
			b, err := json.Marshal(map[string]any{"keys": []any{jwk(i.thief, "k1"), jwk(i.key, "k1")}})
			if err == nil {
				say(w, "application/json", b)
			}
		},
		"a redirect to the metadata of a cloud": func(_ *Issuer, w http.ResponseWriter, r *http.Request, _ []byte) {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusTemporaryRedirect)
		},
		"gzip bomb": func(_ *Issuer, w http.ResponseWriter, _ *http.Request, _ []byte) {
			w.Header().Set("Content-Encoding", "gzip")
			say(w, "application/json", bomb())
		},
		"an empty set": func(_ *Issuer, w http.ResponseWriter, _ *http.Request, _ []byte) {
			say(w, "application/json", []byte(`{"keys":[]}`))
		},
		"another algorithm": func(_ *Issuer, w http.ResponseWriter, _ *http.Request, _ []byte) {
			say(w, "application/json", []byte(`{"keys":[{"kty":"oct","kid":"k1","alg":"HS256","k":"c2VjcmV0"}]}`))
		},
		"metadata of another issuer": func(i *Issuer, w http.ResponseWriter, _ *http.Request, _ []byte) {
			say(w, "application/json", fmt.Appendf(nil, `{"issuer":"https://else.test","jwks_uri":%q}`, i.URL+"/keys"))
		},
		"silence": func(i *Issuer, _ http.ResponseWriter, r *http.Request, _ []byte) {
			select {
			case <-i.end:
			case <-r.Context().Done():
			}
		},
		"a page": func(_ *Issuer, w http.ResponseWriter, _ *http.Request, _ []byte) {
			say(w, "text/html", []byte("<html><title>sign in</title></html>"))
		},
		"hanging up": func(*Issuer, http.ResponseWriter, *http.Request, []byte) { panic(http.ErrAbortHandler) },
	}
}

// packed is 16 MiB of nothing, as gzip has it.
func packed() []byte {
	var b bytes.Buffer
	z, nothing := gzip.NewWriter(&b), block()
	for range 1 << 8 {
		_, _ = z.Write(nothing) // into memory
	}
	_ = z.Close()
	return b.Bytes()
}

// manyKeys is a set of 10,000 keys.
func manyKeys() []byte {
	b := []byte(`{"keys":[`)
	for n := range 10_000 {
		if n > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"kty":"OKP","crv":"Ed25519","kid":"t%d","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, n)
	}
	return append(b, "]}"...)
}

// block is 64 KiB of nothing.
func block() []byte { return bytes.Repeat([]byte{' '}, 64<<10) }

func say(w http.ResponseWriter, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(body) // whoever asked may have gone
}
