package verify

import "testing"

// The thumbprint of the key in RFC 7638 section 3.1, and ath of RFC 9449 section 7.1.
func TestThumbprintsOfTheStandards(t *testing.T) {
	got, ok := thumbprint(obj{
		"kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
		"n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
	})
	if want := "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"; !ok || got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	const token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
	if got, want := TokenHash([]byte(token)), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The proof of RFC 9449 section 4.1 is read, and is by its key.
func TestProofOfTheStandard(t *testing.T) {
	const proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	p, err := ParseProof([]byte(proof))
	if err != nil {
		t.Fatal(err)
	}
	if p.Method != "POST" || p.URL != "https://server.example.com/token" || p.ID != "-BwC3ESc6acc2lTc" || p.IssuedAt != 1562262616 ||
		p.Thumbprint != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" {
		t.Errorf("%+v", p)
	}
	k, err := p.Key()
	if err != nil || !p.Verify(k) {
		t.Errorf("its signature: %v", err)
	}
	last := proof[:len(proof)-4] + "AAAA"
	if p, err := ParseProof([]byte(last)); err != nil || p.Verify(k) {
		t.Errorf("a changed signature passes (%v)", err)
	}
}

func FuzzProof(f *testing.F) {
	key := jwk("", p256(), nil)
	delete(key, "kid")
	f.Add(b64([]byte(`{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`)) + "." +
		b64([]byte(`{"htm":"GET","htu":"https://x/","jti":"1","iat":1}`)) + ".AAAA")
	f.Add("e30.e30.AA")
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := ParseProof([]byte(raw))
		if (p == nil) != (err != nil) {
			t.Fatalf("%v with %v", p, err)
		}
		if err != nil {
			if ReasonOf(err) != ReasonMalformed {
				t.Fatal(err)
			}
			return
		}
		if p.Thumbprint == "" || p.ID == "" || p.Method == "" || len(p.URL) > maxTarget {
			t.Fatalf("%+v", p)
		}
		if k, err := p.Key(); err == nil {
			p.Verify(k)
		}
	})
}
