package keys_test

import (
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"gatehouse/internal/keys"
)

// A code is taken in its step, the one before and the one behind it, to the second, and
// counts for the step that it is of (RFC 6238 section 5.2).
func TestCodesOfAnAuthenticatorApp(t *testing.T) {
	secret := keys.NewTOTPSecret()
	begins := time.Unix(1_800_000_000, 0) // of a step
	code, err := totp.GenerateCode(secret, begins.Add(7*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Duration]bool{
		-keys.TOTPStep - time.Second: false, -keys.TOTPStep: true, 0: true, 2*keys.TOTPStep - time.Second: true, 2 * keys.TOTPStep: false,
	} {
		step, ok := keys.CheckTOTP(secret, code, begins.Add(at))
		if ok != want || ok && step != begins.Unix()/30 {
			t.Errorf("%v from its beginning: %v, step %d", at, ok, step)
		}
	}
}
