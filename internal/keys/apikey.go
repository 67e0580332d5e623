package keys

import (
	"bytes"
	"hash/crc32"
)

// An API key is "gk_live_", 32 random base62 digits (190 bits), and 6 that are the
// CRC-32 of all before. The prefix lets secret scanners recognize it, and the checksum
// tells a mistyped key from an unknown one without a look-up; neither is a secret.
const (
	// APIKeyPrefix is how every API key begins.
	APIKeyPrefix = "gk_live_"

	apiKeyRandom = 32
	apiKeySum    = 6
	apiKeyLength = len(APIKeyPrefix) + apiKeyRandom + apiKeySum
	apiKeyHint   = 4
)

// APIKey returns a new API key. Its at-rest form is its Hash.
func APIKey() string {
	b := make([]byte, 0, apiKeyLength)
	b = appendBase62(append(b, APIKeyPrefix...), apiKeyRandom)
	sum := checksum(b)
	return string(append(b, sum[:]...))
}

// WellFormedAPIKey reports whether the text is an API key without a typing error.
// It says nothing about whether anybody ever got it. It does not allocate.
func WellFormedAPIKey(text []byte) bool {
	if len(text) != apiKeyLength || !bytes.HasPrefix(text, []byte(APIKeyPrefix)) {
		return false
	}
	sum := checksum(text[:apiKeyLength-apiKeySum])
	return bytes.Equal(text[apiKeyLength-apiKeySum:], sum[:])
}

// APIKeyHint returns the part of a key by which its owner recognizes it: the
// prefix and the first random digits, too few to be of use to anybody else.
func APIKeyHint(key string) string {
	return key[:min(len(key), len(APIKeyPrefix)+apiKeyHint)]
}

// checksum returns the CRC-32 of b as six base62 digits, the highest first.
func checksum(b []byte) (out [apiKeySum]byte) {
	n := crc32.ChecksumIEEE(b)
	for i := apiKeySum - 1; i >= 0; i-- {
		out[i] = base62[n%62]
		n /= 62
	}
	return out
}
