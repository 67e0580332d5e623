package verify

import (
	"bytes"
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	good := string(mint(RS256, rsaKey(), "rsa", oktaClaims(nil)))
	part := strings.Split(good, ".")
	head := func(h string) string { return b64([]byte(h)) + "." + part[1] + "." + part[2] }
	// lax returns the part with a bit set behind its last byte.
	lax := func(s string) string {
		const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		return s[:len(s)-1] + string(digits[strings.IndexByte(digits, s[len(s)-1])|1])
	}
	for _, c := range []struct {
		name, token string
		ok          bool
	}{
		{"good", good, true},
		{"typ and cty json", head(`{"alg":"RS256","kid":"rsa","typ":"JWT","cty":"json"}`), true},
		{"unknown header members", head(`{"alg":"RS256","jwk":{},"jku":"https://evil.test","x5u":"https://evil.test","x5c":[]}`), true},
		// attack gateway 18
		{"crit", head(`{"alg":"RS256","crit":["exp"],"exp":1}`), false},
		{"crit unknown", head(`{"alg":"RS256","crit":["http://evil.test"],"http://evil.test":true}`), false},
		{"crit empty", head(`{"alg":"RS256","crit":[]}`), false},
		{"b64 false", head(`{"alg":"RS256","b64":false}`), false},
		{"b64 true", head(`{"alg":"RS256","b64":true}`), false},
		// attack gateway 19, attack identity 38
		{"JWE of five parts", "e30.e30.e30.e30.e30", false},
		{"JWE header in a JWS", head(`{"alg":"RS256","enc":"A128GCM"}`), false},
		{"zip", head(`{"alg":"RS256","zip":"DEF"}`), false},
		{"p2c", head(`{"alg":"PBES2-HS256+A128KW","p2c":2147483648}`), false},
		{"nested", head(`{"alg":"RS256","cty":"JWT"}`), false},
		// attack gateway 5
		{"kid number", head(`{"alg":"RS256","kid":1}`), false},
		{"kid null", head(`{"alg":"RS256","kid":null}`), false},
		{"kid list", head(`{"alg":"RS256","kid":["a"]}`), false},
		{"kid empty", head(`{"alg":"RS256","kid":""}`), false},
		{"kid of 10 kB", head(`{"alg":"RS256","kid":"` + strings.Repeat("k", 10<<10) + `"}`), false},
		{"kid path", head(`{"alg":"RS256","kid":"../../dev/null"}`), true}, // form only; no key has that name
		// attack gateway 20, attack identity 39
		{"duplicate alg", head(`{"alg":"RS256","alg":"none"}`), false},
		{"duplicate by escape", head(`{"alg":"RS256","\u0061lg":"none"}`), false},
		{"duplicate deep", head(`{"alg":"RS256","x":[{"a":1,"a":2}]}`), false},
		{"alg by other case only", head(`{"Alg":"RS256"}`), false},
		{"no alg", head(`{}`), false},
		{"alg number", head(`{"alg":256}`), false},
		{"alg empty", head(`{"alg":""}`), false},
		{"typ number", head(`{"alg":"RS256","typ":1}`), false},
		{"header list", head(`["RS256"]`), false},
		{"header text", head(`"RS256"`), false},
		{"header twice", head(`{"alg":"RS256"}{}`), false},
		{"header with byte order mark", head("\ufeff" + `{"alg":"RS256"}`), false},
		{"header not UTF-8", head("{\"alg\":\"RS256\",\"x\":\"\xff\"}"), false},
		{"header lone surrogate", head(`{"alg":"RS256","x":"\ud800"}`), false},
		{"deep", head(`{"alg":"RS256","x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`), false},
		// attack gateway 21
		{"empty", "", false},
		{"dots", strings.Repeat(".", 10_000), false},
		{"two parts", part[0] + "." + part[1], false},
		{"four parts", good + ".", false},
		{"empty signature", part[0] + "." + part[1] + ".", false},
		{"empty payload", part[0] + ".." + part[2], false},
		{"empty header", "." + part[1] + "." + part[2], false},
		{"padding", part[0] + "." + part[1] + "." + part[2] + "==", false},
		{"standard alphabet", part[0] + "." + part[1] + ".+/+/", false},
		{"line feed", part[0] + "." + part[1] + "." + part[2] + "\n", false},
		{"line feed within", part[0][:4] + "\n" + part[0][4:] + "." + part[1] + "." + part[2], false},
		{"space", good + " ", false},
		{"loose last bits of the signature", part[0] + "." + part[1] + "." + lax(part[2]), false},
		{"impossible length", part[0] + "." + part[1] + ".AAAAA", false},
		{"non-ASCII", good + "é", false},
		{"NUL", good + "\x00", false},
		{"long", good + strings.Repeat("A", 16<<10), false},
		{"1 MB", strings.Repeat("A", 1<<20), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := Parse([]byte(c.token), 0)
			if c.ok {
				want(t, err, "")
			} else {
				want(t, err, ReasonMalformed)
				if j != nil {
					t.Error("a token was returned with the error")
				}
			}
			if err != nil && len(c.token) > 20 && strings.Contains(err.Error(), c.token[:20]) {
				t.Error("the error repeats the token")
			}
		})
	}
}

// attack gateway 19 and 21: hostile tokens cost next to nothing.
func TestParseIsCheap(t *testing.T) {
	v := verifierA(t, nil)
	hostile := [][]byte{
		[]byte(strings.Repeat("A", 1<<20)),
		[]byte(strings.Repeat(".", 10_000)),
		[]byte(b64([]byte(`{"alg":"PBES2-HS512+A256KW","enc":"A256GCM","p2c":2147483647,"zip":"DEF"}`)) + ".AAAA.AAAA.AAAA.AAAA"),
		[]byte(b64([]byte(`{"alg":"RS256","x":`+strings.Repeat("[", 11_000))) + ".e30.AAAA"),
		[]byte(b64([]byte(`{"alg":"RS256"}`)) + "." + b64([]byte(strings.Repeat(`{"a":`, 2_000))) + ".AAAA"),
	}
	for i, raw := range hostile {
		least := time.Hour // the machine may do something else in the middle of all but one
		for range 20 {
			began := time.Now()
			_, err := v.Verify(t.Context(), raw)
			least = min(least, time.Since(began))
			want(t, err, ReasonMalformed)
		}
		if least > 10*time.Millisecond {
			t.Errorf("token %d took %v", i, least)
		}
	}
}

// A short text must not cost much memory before its signature has been checked.
func TestDecodeIsLean(t *testing.T) {
	for _, text := range []string{
		`{"a":[` + strings.Repeat("{},", 4000) + `{}]}`,
		`{"a":[` + strings.Repeat("[],", 4000) + `[]]}`,
		`{"a":[` + strings.Repeat("1,", 6000) + `1]}`,
	} {
		const runs = 50
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			if _, err := decodeObject(text); err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) / runs; n > 64*uint64(len(text)) {
			t.Errorf("%.10s...: %d bytes for %d", text, n, len(text))
		}
	}
}

func TestDecodeObject(t *testing.T) {
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{`{}`, true},
		{" {\t\"a\"\r\n: [ ] , \"b\":{} } ", true},
		{`{"a":-0.5e+10,"b":0,"c":1E2,"d":true,"e":false,"f":null,"":""}`, true},
		{`{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é"}`, true},
		{`{"a":{"b":1},"b":1}`, true},
		{`{"a":1,"A":2}`, true}, // names are compared byte for byte
		{``, false},
		{`[]`, false},
		{`null`, false},
		{`{`, false},
		{`{"a"}`, false},
		{`{"a":}`, false},
		{`{"a":1,}`, false},
		{`{,}`, false},
		{`{"a":1 "b":2}`, false},
		{`{a:1}`, false},
		{`{'a':1}`, false},
		{`{"a":01}`, false},
		{`{"a":+1}`, false},
		{`{"a":.5}`, false},
		{`{"a":1.}`, false},
		{`{"a":1e}`, false},
		{`{"a":-}`, false},
		{`{"a":NaN}`, false},
		{`{"a":Infinity}`, false},
		{`{"a":0x10}`, false},
		{`{"a":truE}`, false},
		{`{"a":[1,]}`, false},
		{`{"a":[1}`, false},
		{`{"a":"` + "\n" + `"}`, false},
		{`{"a":"` + "\x00" + `"}`, false},
		{`{"a":"\n` + "\x01" + `"}`, false},
		{`{"a":"\x41"}`, false},
		{`{"a":"\u12g4"}`, false},
		{`{"a":"\u123`, false},
		{`{"a":"\ud800\u0041"}`, false},
		{`{"a":"\udc00"}`, false},
		{`{"a":"\ud800`, false},
		{`{"a":"\`, false},
		{`{"a":"` + "\xc0\x80" + `"}`, false},
		{`{"a":"\t` + "\xed\xa0\x80" + `"}`, false},
		{`{} x`, false},
		{`{}{}`, false},
		{`{"a":1,"a":1}`, false},
		{`{"a":{"b":{"c":1,"c":1}}}`, false},
		{`{"a":[[{"c":1,"\u0063":1}]]}`, false},
		{`{"a":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`, true},
		{`{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, false},
		{strings.Repeat(`{"a":`, 64) + `1` + strings.Repeat(`}`, 64), true},
		{strings.Repeat(`{"a":`, 65) + `1` + strings.Repeat(`}`, 65), false},
	} {
		m, err := decodeObject(c.text)
		if (err == nil) != c.ok {
			t.Errorf("%.60q: got %v, want ok = %t", c.text, err, c.ok)
		}
		if err == nil {
			sameAsStandard(t, c.text, m)
		}
	}
}

// sameAsStandard compares with encoding/json, which must accept what we do and
// read the same.
func sameAsStandard(t testing.TB, text string, m map[string]any) {
	t.Helper()
	var std map[string]any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&std); err != nil {
		t.Errorf("%.60q: encoding/json refuses it: %v", text, err)
		return
	}
	if !reflect.DeepEqual(m, std) {
		t.Errorf("%.60q: read as %v, by encoding/json as %v", text, m, std)
	}
}

func FuzzDecodeObject(f *testing.F) {
	f.Add(`{"a":[1,-2.5e3,"x\u0041\ud83d\ude00",true,null,{"b":{}}]}`)
	f.Add(`{"a":1,"a":2}`)
	f.Add(`{"sub":"a\`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := decodeObject(text)
		if err == nil {
			sameAsStandard(t, text, m)
		}
	})
}

func FuzzParse(f *testing.F) {
	good := mint(ES256, p256(), "ec", oktaClaims(nil))
	f.Add(good)
	f.Add([]byte("e30.e30.e30"))
	f.Add([]byte("....."))
	v := verifierA(f, func(c *Config) { c.CacheSize = -1 })
	f.Fuzz(func(t *testing.T, raw []byte) {
		j, err := Parse(raw, 0)
		if (j == nil) == (err == nil) {
			t.Fatal("both or neither")
		}
		if err == nil {
			// What was read must be all that was written: encoded again it is the same.
			again := string(j.signed) + "." + b64(j.Signature)
			if again != string(raw) {
				t.Fatalf("%q is another spelling of %q", raw, again)
			}
		}
		if _, err := v.Verify(t.Context(), raw); err == nil && !bytes.Equal(raw, good) {
			t.Fatalf("accepted %q", raw)
		}
	})
}
