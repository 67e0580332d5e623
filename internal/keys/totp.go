package keys

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

// TOTPStep is how long a code of an authenticator app is shown.
const TOTPStep = 30 * time.Second

// NewTOTPSecret returns a fresh secret for an authenticator app: 160 random bits in
// base 32 (RFC 4226 section 4).
func NewTOTPSecret() string {
	var raw [20]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw[:])
}

// CheckTOTP reports whether the code is that of the secret at the time, or of the
// step before or behind it (RFC 6238 section 5.2), and which step it is of: a step
// must be taken once.
func CheckTOTP(secret, code string, now time.Time) (step int64, ok bool) {
	opts := totp.ValidateOpts{Period: uint(TOTPStep / time.Second), Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}
	for _, skew := range []time.Duration{0, -TOTPStep, TOTPStep} {
		at := now.Add(skew)
		want, err := totp.GenerateCodeCustom(secret, at, opts)
		if err != nil {
			return 0, false
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return at.Unix() / int64(TOTPStep/time.Second), true
		}
	}
	return 0, false
}
