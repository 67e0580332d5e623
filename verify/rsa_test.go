package verify

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"testing"
)

// TestPreparedRSA: signatures and everything that is nearly one are judged as crypto/rsa judges them.
func TestPreparedRSA(t *testing.T) {
	for _, bits := range []int{2048, 2056, 3072, 4096} {
		priv, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		k := prepareRSA(&priv.PublicKey)
		for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			sum := digest(nil, h, []byte("text"))
			sig, err := rsa.SignPKCS1v15(nil, priv, h, sum)
			if err != nil {
				t.Fatal(err)
			}
			if !k.verify(h, sum, sig) {
				t.Errorf("%d bits, %v: a good signature is refused", bits, h)
			}
			beyond := new(big.Int).Add(new(big.Int).SetBytes(sig), priv.N) // the same number, modulo N
			for name, c := range map[string]struct {
				hash     crypto.Hash
				sum, sig []byte
			}{
				"other text":         {h, digest(nil, h, []byte("texT")), sig},
				"other hash":         {crypto.SHA256 + crypto.SHA384 - h, sum, sig},
				"unknown hash":       {crypto.SHA1, sum, sig},
				"short hash":         {h, sum[1:], sig},
				"long hash":          {h, append(bytes.Clone(sum), 0), sig},
				"first bit":          {h, sum, flipped(sig, 0)},
				"last bit":           {h, sum, flipped(sig, len(sig)-1)},
				"short":              {h, sum, sig[1:]},
				"with a zero":        {h, sum, append([]byte{0}, sig...)},
				"zero":               {h, sum, make([]byte, len(sig))},
				"one":                {h, sum, append(make([]byte, len(sig)-1), 1)},
				"the modulus":        {h, sum, priv.N.FillBytes(make([]byte, len(sig)))},
				"all ones":           {h, sum, bytes.Repeat([]byte{0xff}, len(sig))},
				"beyond the modulus": {h, sum, beyond.FillBytes(make([]byte, len(sig)+1))[1:]},
				"nothing":            {h, sum, nil},
			} {
				if k.verify(c.hash, c.sum, c.sig) {
					t.Errorf("%d bits, %v: %s is accepted", bits, h, name)
				}
			}
		}
	}
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// TestEncodePKCS1: what is not exactly the encoding of RFC 8017 section 9.2 is refused, also
// when the key itself has signed it.
func TestEncodePKCS1(t *testing.T) {
	priv := rsaKey()
	k := prepareRSA(&priv.PublicKey)
	sum := digest(nil, crypto.SHA256, []byte("text"))
	good := encodePKCS1(nil, priv.Size(), crypto.SHA256, sum)
	raw := func(em []byte) []byte { // the private operation on a chosen encoding
		s := new(big.Int).Exp(new(big.Int).SetBytes(em), priv.D, priv.N)
		return s.FillBytes(make([]byte, priv.Size()))
	}
	if !k.verify(crypto.SHA256, sum, raw(good)) || rsa.VerifyPKCS1v15(&priv.PublicKey, crypto.SHA256, sum, raw(good)) != nil {
		t.Fatal("the encoding is not that of the standard library")
	}
	for i := range good {
		if i == 0 {
			continue // 1 there is not below the modulus
		}
		if bad := flipped(good, i); k.verify(crypto.SHA256, sum, raw(bad)) {
			t.Errorf("accepted with another byte %d", i)
		}
	}
	// Less padding, and rubbish behind the hash (CVE-2006-4339).
	short := encodePKCS1(nil, priv.Size()-20, crypto.SHA256, sum)
	if k.verify(crypto.SHA256, sum, raw(append(short, make([]byte, 20)...))) {
		t.Error("accepted with bytes behind the hash")
	}
	// DigestInfo without the NULL.
	bare := bytes.Replace(good, []byte{1, 0x05, 0x00, 0x04}, []byte{1, 0x04}, 1)
	bare = append([]byte{0, 1, 0xff, 0xff}, bare[2:]...)
	if k.verify(crypto.SHA256, sum, raw(bare)) {
		t.Error("accepted without NULL")
	}
	if encodePKCS1(nil, 61, crypto.SHA256, sum) != nil || encodePKCS1(nil, 62, crypto.SHA256, sum) == nil {
		t.Error("the least size is 62 bytes for SHA-256")
	}
}
