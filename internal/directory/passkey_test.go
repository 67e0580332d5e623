package directory

import (
	"strings"
	"testing"

	"gatehouse/internal/directory/passkeytest"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
)

const site = "https://id.acme.test"

// passkey gives a new user a passkey on a device.
func (r *room) passkey(t *testing.T, login string, d *passkeytest.Device) (user string) {
	t.Helper()
	u, err := r.service.CreateUser(r.ctx, r.admin, NewUser{Profile: Profile{Login: login, Email: login + "@acme.test"}})
	must(t, err)
	must(t, r.enroll(t, u.ID, d))
	return u.ID
}

func (r *room) enroll(t *testing.T, user string, d *passkeytest.Device) error {
	t.Helper()
	p, _ := PartyOf(site)
	challenge := keys.Secret(256)
	options, err := r.service.PasskeyOptions(r.ctx, p, user, challenge)
	must(t, err)
	answer, err := d.Create(options)
	must(t, err)
	_, err = r.service.AddPasskey(r.ctx, r.admin, p, user, challenge, " My\x00 phone ", answer)
	return err
}

func newDevice() *passkeytest.Device { return passkeytest.New(site, "id.acme.test") }

func TestPartyOf(t *testing.T) {
	for address, want := range map[string]bool{
		"https://id.acme.test": true, "https://id.acme.test:8443": true, "http://localhost:8081": true, "http://id.localhost": true,
		"http://id.acme.test": false, "https://192.0.2.1": false, "http://127.0.0.1:8081": false, "https://[::1]": false, "": false, "id.acme.test": false,
	} {
		if p, ok := PartyOf(address); ok != want || p.Ready() != want {
			t.Errorf("%s: %v", address, ok)
		}
	}
}

func TestPasskey(t *testing.T) {
	r := newRoom(t)
	p, _ := PartyOf(site)
	d := newDevice()
	ana := r.passkey(t, "ana", d)
	list, err := r.service.ListFactors(r.ctx, ana)
	must(t, err)
	if len(list) != 1 || list[0].Value.Passkey.Name != "My phone" || !list[0].Value.IsFor(p) || list[0].Value.Passkey.Synced {
		t.Fatalf("%+v", list)
	}
	// A second one, which is backed up; a third with the first's credential is refused.
	must(t, r.enroll(t, ana, &passkeytest.Device{Origin: site, Party: "id.acme.test", Verifies: true, Synced: true}))
	for _, user := range []string{"", ana} {
		challenge := keys.Secret(256)
		options, err := r.service.AssertionOptions(r.ctx, p, user, challenge)
		must(t, err)
		if names := strings.Contains(string(options), "allowCredentials\":["); names != (user != "") {
			t.Errorf("options for %q: %s", user, options)
		}
		answer, err := d.Get(options)
		must(t, err)
		if ChallengeOf(answer) != challenge {
			t.Errorf("the challenge is read as %q", ChallengeOf(answer))
		}
		got, err := r.service.VerifyPasskey(r.ctx, p, user, challenge, answer)
		must(t, err)
		if got.User.ID != ana || got.Factor.ID != list[0].ID {
			t.Errorf("%+v", got)
		}
	}
	must(t, r.service.RenamePasskey(r.ctx, r.admin, ana, list[0].ID, "  Work\x07 laptop"))
	if ben := r.passkey(t, "ben", newDevice()); !fault.Is(r.service.RenamePasskey(r.ctx, r.admin, ben, list[0].ID, "mine"), fault.NotFound) {
		t.Error("somebody renames a passkey that is another's")
	}
	list, err = r.service.ListFactors(r.ctx, ana)
	must(t, err)
	if list[0].Value.Passkey.Name != "Work laptop" && list[1].Value.Passkey.Name != "Work laptop" {
		t.Errorf("%+v", list)
	}
	uses, err := r.service.PasskeyUses(r.ctx, ana)
	must(t, err)
	if len(uses) != 2 {
		t.Errorf("uses: %v", uses)
	}
	must(t, r.service.ResetFactors(r.ctx, r.admin, ana))
	if answer, _ := d.Sign(keys.Secret(256)); answer != nil {
		if _, err := r.service.VerifyPasskey(r.ctx, p, "", ChallengeOf(answer), answer); !fault.Is(err, fault.Denied) {
			t.Errorf("after it was taken away: %v", err)
		}
	}
}

// Every way in which an answer can be somebody else's, or for somebody else, is
// refused in the same way.
func TestPasskeyAttacks(t *testing.T) {
	r := newRoom(t)
	p, _ := PartyOf(site)
	good := newDevice()
	ana := r.passkey(t, "ana", good)
	ben := r.passkey(t, "ben", newDevice())
	sign := func(change func(*passkeytest.Device)) []byte {
		t.Helper()
		d := *good
		change(&d)
		answer, err := d.Sign("challenge-of-more-than-sixteen-bytes")
		must(t, err)
		return answer
	}
	unchanged := func(*passkeytest.Device) {}
	for _, c := range []struct {
		name      string
		user      string
		challenge string
		answer    []byte
	}{
		{"a replayed answer, to another challenge", "", "another-one-of-more-than-sixteen-bytes", sign(unchanged)},
		{"a page of another origin", "", "", sign(func(d *passkeytest.Device) { d.Origin = "https://id.acme.test.evil.test" })},
		{"the same host over http", "", "", sign(func(d *passkeytest.Device) { d.Origin = "http://id.acme.test" })},
		{"a key for another site", "", "", sign(func(d *passkeytest.Device) { d.Party = "acme.test" })},
		{"without verification of the person", "", "", sign(func(d *passkeytest.Device) { d.Verifies = false })},
		{"another user's handle", "", "", sign(func(d *passkeytest.Device) { d.Handle = []byte(ben) })},
		{"no handle", "", "", sign(func(d *passkeytest.Device) { d.Handle = nil })},
		{"nobody's handle", "", "", sign(func(d *passkeytest.Device) { d.Handle = []byte("00unobody") })},
		{"another user's credential", ben, "", sign(unchanged)},
		{"another credential's id", "", "", sign(func(d *passkeytest.Device) { d.ID = []byte("0123456789abcdef") })},
		{"backed up, though it was not to be", "", "", sign(func(d *passkeytest.Device) { d.Synced = true })},
		{"not an answer", "", "", []byte(`{"id":"x"}`)},
		{"nothing", "", "", nil},
	} {
		challenge := c.challenge
		if challenge == "" {
			challenge = "challenge-of-more-than-sixteen-bytes"
		}
		_, err := r.service.VerifyPasskey(r.ctx, p, c.user, challenge, c.answer)
		if f := fault.Of(err); f == nil || f.Code != fault.Denied || f.Reason != ReasonWrongCode {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, at := range []string{"https://other.test", "https://sub.id.acme.test"} {
		other, _ := PartyOf(at)
		if _, err := r.service.VerifyPasskey(r.ctx, other, "", "challenge-of-more-than-sixteen-bytes", sign(unchanged)); !fault.Is(err, fault.Denied) {
			t.Errorf("at %s: %v", at, err)
		}
	}
	if _, err := r.service.VerifyPasskey(r.ctx, p, ana, "challenge-of-more-than-sixteen-bytes", sign(unchanged)); err != nil {
		t.Errorf("the right one: %v", err)
	}

	// Enrolment: the same lies, and a credential that somebody has.
	for name, d := range map[string]*passkeytest.Device{
		"origin": passkeytest.New("https://evil.test", "id.acme.test"), "party": passkeytest.New(site, "evil.test"),
		"verification": {Origin: site, Party: "id.acme.test"},
	} {
		if err := r.enroll(t, ben, d); !fault.Is(err, fault.Denied) {
			t.Errorf("enrolment, %s: %v", name, err)
		}
	}
}

// The counter of a credential that is copied goes back in one of the two.
func TestPasskeyCounterGoesForward(t *testing.T) {
	r := newRoom(t)
	p, _ := PartyOf(site)
	d := newDevice()
	d.Counts, d.Counter = true, 7
	ana := r.passkey(t, "ana", d)
	verify := func(d *passkeytest.Device) error {
		t.Helper()
		challenge := keys.Secret(256)
		answer, err := d.Sign(challenge)
		must(t, err)
		_, err = r.service.VerifyPasskey(r.ctx, p, ana, challenge, answer)
		return err
	}
	twin := *d
	must(t, verify(d))
	must(t, verify(d))
	if err := verify(&twin); fault.Of(err) == nil || fault.Of(err).Reason != ReasonCopied {
		t.Errorf("the copy: %v", err)
	}
	twin.Counter = 0
	twin.Counts = false
	if err := verify(&twin); fault.Of(err) == nil || fault.Of(err).Reason != ReasonCopied {
		t.Errorf("a copy without a counter: %v", err)
	}
	must(t, verify(d))
}

func TestNobodyHasPasskeysWithoutEnd(t *testing.T) {
	r := newRoom(t)
	ana := r.passkey(t, "ana", newDevice())
	for range mostPasskeys - 1 {
		must(t, r.enroll(t, ana, newDevice()))
	}
	p, _ := PartyOf(site)
	if _, err := r.service.PasskeyOptions(r.ctx, p, ana, keys.Secret(256)); fault.Of(err) == nil || fault.Of(err).Reason != ReasonPasskeys {
		t.Errorf("one more: %v", err)
	}
}

// Whatever a browser sends is answered without a panic, and nothing but a signature
// of the key is taken.
func FuzzVerifyPasskey(f *testing.F) {
	r := newRoomTB(f)
	p, _ := PartyOf(site)
	u, err := r.service.CreateUser(r.ctx, r.admin, NewUser{Profile: Profile{Login: "ana", Email: "a@acme.test"}})
	if err != nil {
		f.Fatal(err)
	}
	const challenge = "challenge-of-more-than-sixteen-bytes"
	options, err := r.service.PasskeyOptions(r.ctx, p, u.ID, challenge)
	if err != nil {
		f.Fatal(err)
	}
	d := newDevice()
	created, err := d.Create(options)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := r.service.AddPasskey(r.ctx, r.admin, p, u.ID, challenge, "", created); err != nil {
		f.Fatal(err)
	}
	d.Verifies = false // so that no seed is good
	signed, err := d.Sign(challenge)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add(created)
	f.Add([]byte(`{"response":{"clientDataJSON":"e30"}}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		_ = ChallengeOf(answer)
		if _, err := r.service.VerifyPasskey(r.ctx, p, "", challenge, answer); err == nil {
			t.Error("it was taken")
		}
		// A key of their own is anybody's to make: nothing signs it.
		_, _ = r.service.AddPasskey(r.ctx, r.admin, p, u.ID, keys.Hash("another")[:43], "", answer)
	})
}
