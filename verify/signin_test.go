package verify

import (
	"reflect"
	"testing"
)

// The copy has every field of the token but those of the sign-in: a field that is
// added to Token must not be forgotten here.
func TestWithSignInCopiesEveryField(t *testing.T) {
	in, err := FromClaims([]byte(`{"iss":"i","sub":"s","cid":"c","uid":"u","aud":"a","scp":["x"],"groups":["g"],"roles":["r"],"jti":"j",
		"iat":1,"nbf":2,"exp":3,"cnf":{"jkt":"k","x5t#S256":"x"},"sid":"old","auth_time":4,"acr":"old","amr":["old"]}`), ClaimNames{})
	if err != nil {
		t.Fatal(err)
	}
	in.KeyID, in.Algorithm, in.Type = "kid", ES256, "at+jwt"
	in.Slot().Store(new(int))
	s := SignIn{AuthTime: 9, ACR: "new", AMR: []string{"otp"}, Session: "sid"}
	out := in.WithSignIn(s)
	if out.AuthTime != 9 || out.ACR != "new" || out.AMR[0] != "otp" || out.Session != "sid" || out.Slot().Load() != nil {
		t.Errorf("the sign-in is %+v", out)
	}
	a, b := reflect.ValueOf(in).Elem(), reflect.ValueOf(out).Elem()
	for i := range a.NumField() {
		switch name := a.Type().Field(i).Name; name {
		case "Session", "AuthTime", "ACR", "AMR", "slot":
		case "claims":
			if a.Field(i).UnsafePointer() != b.Field(i).UnsafePointer() {
				t.Error("the claims are not shared")
			}
		default:
			if a.Field(i).IsZero() || !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
				t.Errorf("%s: %v in the token, %v in the copy", name, a.Field(i), b.Field(i))
			}
		}
	}
	if empty := in.WithSignIn(SignIn{}); empty.AuthTime != 0 || empty.ACR != "" || empty.AMR != nil || empty.Session != "" {
		t.Errorf("of another sign-in there is left: %+v", empty)
	}
}
