package directory

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
)

// Passkey is the credential of a FactorPasskey (WebAuthn Level 3 section 4,
// "Credential Record"). It holds no secret: the private key is the person's.
type Passkey struct {
	Name       string   `json:"name"`       // the person's own word for it
	Party      string   `json:"rpId"`       // the host that it was made for, and no other
	Credential []byte   `json:"credential"` // id, of the authenticator's choice
	PublicKey  []byte   `json:"publicKey"`  // COSE
	Model      string   `json:"aaguid,omitempty"`
	Transports []string `json:"transports,omitempty"`
	Synced     bool     `json:"backupEligible"` // the key may leave the device that made it
	Counter    uint32   `json:"counter"`        // of signatures, at the enrolment
}

const (
	mostPasskeys    = 20 // of one person
	longestName     = 60 // characters
	mostCredential  = 1023
	mostPublicKey   = 2048
	mostTransports  = 8
	longestRelation = 32
)

func passkeyKey(credential []byte) ledger.Key {
	return ledger.By("credential", keys.Hash(string(credential)))
}

// wrong returns what is not right about a passkey; empty: nothing.
func (p *Passkey) wrong() string {
	switch {
	case p.Name == "" || utf8.RuneCountInString(p.Name) > longestName || strings.TrimSpace(p.Name) == "":
		return "needs a name of at most 60 characters"
	case p.Party == "" || len(p.Credential) == 0 || len(p.Credential) > mostCredential || len(p.PublicKey) == 0 || len(p.PublicKey) > mostPublicKey:
		return "is not whole"
	case len(p.Transports) > mostTransports || slices.ContainsFunc(p.Transports, func(t string) bool { return len(t) > longestRelation }):
		return "names too many ways to its authenticator"
	}
	return ""
}

// Party is a site that passkeys are for, "relying party" in WebAuthn: a credential
// of another one is never taken, which is what makes them safe from phishing.
type Party struct{ origin, host, name string }

// PartyOf returns the party of a site's address, and whether it can have passkeys:
// browsers want a name and no IP address, and https anywhere but on localhost
// (WebAuthn Level 3 section 5.1.2).
func PartyOf(site string) (Party, bool) {
	u, err := url.Parse(site)
	if err != nil || u.Host == "" {
		return Party{}, false
	}
	host := strings.ToLower(u.Hostname())
	_, numeric := netip.ParseAddr(host)
	local := host == "localhost" || strings.HasSuffix(host, ".localhost")
	if numeric == nil || protocol.ValidateRPID(host) != nil || u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return Party{}, false
	}
	return Party{origin: u.Scheme + "://" + u.Host, host: host}, true
}

// Named returns the party with what people call it; it is asked for nowhere.
func (p Party) Named(name string) Party {
	p.name = name
	return p
}

// Ready reports whether the party can have passkeys.
func (p Party) Ready() bool { return p.host != "" }

// relying returns the library's view of the party. Everywhere the person has to be
// verified by the authenticator, by a finger, a face or a PIN, so that a passkey
// is two factors always.
func (p Party) relying() (*webauthn.WebAuthn, error) {
	if !p.Ready() {
		return nil, fault.New(fault.Unsupported, "passkeys need a site with a name, over https")
	}
	required, name := true, p.name
	if name == "" {
		name = "Gatehouse"
	}
	return webauthn.New(&webauthn.Config{
		RPID: p.host, RPDisplayName: name, RPOrigins: []string{p.origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: &required, UserVerification: protocol.VerificationRequired,
		},
	})
}

// algorithms are those that every browser and authenticator of today has among
// them (WebAuthn Level 3 section 5.4, pubKeyCredParams).
func algorithms() []protocol.CredentialParameter {
	var out []protocol.CredentialParameter
	for _, a := range []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgRS256} {
		out = append(out, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: a})
	}
	return out
}

// holder is a user as the library sees one.
type holder struct {
	user ledger.Object[User]
	keys []webauthn.Credential
}

// WebAuthnID is the user handle: the id says nothing about the person.
func (h *holder) WebAuthnID() []byte                         { return []byte(h.user.ID) }
func (h *holder) WebAuthnName() string                       { return h.user.Value.Profile.Login }
func (h *holder) WebAuthnDisplayName() string                { return h.user.Value.Profile.DisplayName() }
func (h *holder) WebAuthnCredentials() []webauthn.Credential { return h.keys }

// holder returns a user with the passkeys that they have for the party.
func (s *Service) holder(ctx context.Context, p Party, userID string) (*holder, []ledger.Object[Factor], error) {
	h := &holder{}
	var err error
	if h.user, err = s.User(ctx, userID); err != nil {
		return nil, nil, err
	}
	all, err := s.ListFactors(ctx, userID)
	if err != nil {
		return nil, nil, err
	}
	var own []ledger.Object[Factor]
	for _, o := range all {
		if k := o.Value.Passkey; o.Value.Type == FactorPasskey && k != nil && k.Party == p.host {
			own = append(own, o)
			c := webauthn.Credential{
				ID: k.Credential, PublicKey: k.PublicKey, Flags: webauthn.CredentialFlags{BackupEligible: k.Synced, UserVerified: true},
				Authenticator: webauthn.Authenticator{SignCount: k.Counter},
			}
			for _, t := range k.Transports {
				c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
			}
			h.keys = append(h.keys, c)
		}
	}
	return h, own, nil
}

// IsFor reports whether the factor is a passkey of the party.
func (f *Factor) IsFor(p Party) bool {
	return f.Type == FactorPasskey && f.Passkey != nil && p.Ready() && f.Passkey.Party == p.host
}

// PasskeyOptions returns what a browser is told to make a passkey for a user
// (PublicKeyCredentialCreationOptionsJSON). The challenge is base64url, of at least
// 128 random bits, and good for one answer: whoever calls sees to that.
func (s *Service) PasskeyOptions(ctx context.Context, p Party, userID, challenge string) (_ []byte, err error) {
	defer fault.Wrap(&err, "begin a passkey of user %q", userID)
	w, raw, err := s.ceremony(p, challenge)
	if err != nil {
		return nil, err
	}
	h, own, err := s.holder(ctx, p, userID)
	if err != nil {
		return nil, err
	}
	if err := s.mayEnroll(ctx, userID, FactorPasskey); err != nil {
		return nil, err
	}
	if len(own) >= mostPasskeys {
		return nil, fault.New(fault.Denied, "nobody has more than %d passkeys: remove one first", mostPasskeys).WithReason(ReasonPasskeys)
	}
	var there []protocol.CredentialDescriptor
	for i := range h.keys {
		there = append(there, h.keys[i].Descriptor())
	}
	made, _, err := w.BeginRegistration(h, webauthn.WithExclusions(there), webauthn.WithCredentialParameters(algorithms()),
		func(o *protocol.PublicKeyCredentialCreationOptions) error { o.Challenge = raw; return nil })
	if err != nil {
		return nil, err
	}
	return json.Marshal(made.Response)
}

// AssertionOptions returns what a browser is told to use a passkey
// (PublicKeyCredentialRequestOptionsJSON): one of the user's, or of whoever has one
// when userID is empty. The latter says nothing about anybody.
func (s *Service) AssertionOptions(ctx context.Context, p Party, userID, challenge string) (_ []byte, err error) {
	defer fault.Wrap(&err, "begin the use of a passkey")
	w, raw, err := s.ceremony(p, challenge)
	if err != nil {
		return nil, err
	}
	asked := &protocol.CredentialAssertion{}
	if userID == "" {
		asked, _, err = w.BeginDiscoverableLogin(webauthn.WithChallenge(raw))
	} else {
		var h *holder
		if h, _, err = s.holder(ctx, p, userID); err == nil {
			asked, _, err = w.BeginLogin(h, webauthn.WithChallenge(raw))
		}
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(asked.Response)
}

func (s *Service) ceremony(p Party, challenge string) (*webauthn.WebAuthn, protocol.URLEncodedBase64, error) {
	if s.cfg.FactorUse == nil {
		return nil, nil, fault.New(fault.Unavailable, "this process keeps no passkeys")
	}
	w, err := p.relying()
	if err != nil {
		return nil, nil, err
	}
	raw, err := base64.RawURLEncoding.DecodeString(challenge)
	if err != nil || len(raw) < protocol.MinimumChallengeLength {
		return nil, nil, fault.New(fault.Invalid, "a challenge is base64url of at least 16 bytes")
	}
	return w, raw, nil
}

// ChallengeOf returns the challenge that a browser's answer says it is to; empty
// when it is none. Nothing about the answer is checked.
func ChallengeOf(answer []byte) string {
	var a struct {
		Response struct {
			ClientData string `json:"clientDataJSON"`
		} `json:"response"`
	}
	var c struct {
		Challenge string `json:"challenge"`
	}
	if json.Unmarshal(answer, &a) != nil {
		return ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(a.Response.ClientData, "="))
	if err != nil || json.Unmarshal(raw, &c) != nil {
		return ""
	}
	return c.Challenge
}

// AddPasskey gives a user the passkey of a browser's answer to PasskeyOptions with
// the same challenge. fault.Denied when the answer is not good, fault.Conflict when
// somebody has that credential.
func (s *Service) AddPasskey(ctx context.Context, actor ledger.Actor, p Party, userID, challenge, name string, answer []byte) (o ledger.Object[Factor], err error) {
	defer fault.Wrap(&err, "add a passkey of user %q", userID)
	w, _, err := s.ceremony(p, challenge)
	if err != nil {
		return o, err
	}
	h, own, err := s.holder(ctx, p, userID)
	if err != nil {
		return o, err
	}
	if err := s.mayEnroll(ctx, userID, FactorPasskey); err != nil {
		return o, err
	}
	if len(own) >= mostPasskeys {
		return o, fault.New(fault.Denied, "nobody has more than %d passkeys: remove one first", mostPasskeys).WithReason(ReasonPasskeys)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return o, notProven(err)
	}
	made, err := w.CreateCredential(h, webauthn.SessionData{
		Challenge: challenge, RelyingPartyID: p.host, UserID: h.WebAuthnID(), UserVerification: protocol.VerificationRequired, CredParams: algorithms(),
	}, parsed)
	if err != nil {
		return o, notProven(err)
	}
	f := Factor{User: userID, Type: FactorPasskey, Provider: "FIDO", Status: FactorActive, Passkey: &Passkey{
		Name: passkeyName(name), Party: p.host, Credential: made.ID, PublicKey: made.PublicKey, Synced: made.Flags.BackupEligible,
		Counter: made.Authenticator.SignCount, Model: modelOf(made.Authenticator.AAGUID),
	}}
	for _, t := range made.Transport {
		if len(f.Passkey.Transports) < mostTransports && len(t) <= longestRelation {
			f.Passkey.Transports = append(f.Passkey.Transports, string(t))
		}
	}
	var now time.Time
	if _, err = s.cfg.Ledger.Update(ctx, actor, "add a passkey of user "+userID, func(tx *ledger.Tx) error {
		now = tx.Now()
		o, err = Factors.Create(tx, f)
		return err
	}); err != nil {
		return o, err
	}
	s.record(ctx, actor, EventFactorAdded, "Enroll factor "+FactorPasskey, userEntity(h.user))
	// Its first use is this one: it has signed already.
	_, err = s.cfg.FactorUse.UsePasskey(ctx, userID, o.ID, f.Passkey.Counter, now)
	return o, err
}

// RenamePasskey gives a passkey of the user another name, as far as it can be kept;
// fault.NotFound for what is none of theirs.
func (s *Service) RenamePasskey(ctx context.Context, actor ledger.Actor, userID, id, name string) (err error) {
	defer fault.Wrap(&err, "rename passkey %q", id)
	_, err = s.cfg.Ledger.Update(ctx, actor, "rename passkey "+id, func(tx *ledger.Tx) error {
		o, err := factorOf(tx, userID, id)
		if err != nil {
			return err
		}
		if o.Value.Passkey == nil {
			return fault.New(fault.NotFound, "the factor is no passkey")
		}
		renamed := *o.Value.Passkey
		renamed.Name = passkeyName(name)
		o.Value.Passkey = &renamed
		_, err = Factors.Put(tx, o)
		return err
	})
	return err
}

// passkeyName returns a name that can be kept.
func passkeyName(name string) string {
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return -1
		}
		return r
	}, name))
	if name == "" {
		return "Passkey"
	}
	if r := []rune(name); len(r) > longestName {
		name = string(r[:longestName])
	}
	return name
}

// modelOf returns an authenticator's AAGUID in its usual form; empty when it says none.
func modelOf(aaguid []byte) string {
	if len(aaguid) != 16 || !slices.ContainsFunc(aaguid, func(b byte) bool { return b != 0 }) {
		return ""
	}
	const digits = "0123456789abcdef"
	var b strings.Builder
	for i, x := range aaguid {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b.WriteByte('-')
		}
		b.WriteByte(digits[x>>4])
		b.WriteByte(digits[x&15])
	}
	return b.String()
}

// Proven says by whose passkey an answer was given.
type Proven struct {
	User    ledger.Object[User]
	Factor  ledger.Object[Factor]
	Counter uint32
	// Here reports whether the key is in the device that the browser is on and cannot leave
	// it. That it cannot, the authenticator has signed; that it is this one, the browser says.
	Here bool
}

// VerifyPasskey checks a browser's answer to AssertionOptions with the same
// challenge and user, and notes the use. It is fault.Denied when the answer is not
// good: of another challenge, site or user, not signed by the key, without the
// person's verification; with ReasonCopied when the counter has not gone forward,
// which a copy of the credential would do.
func (s *Service) VerifyPasskey(ctx context.Context, p Party, userID, challenge string, answer []byte) (_ Proven, err error) {
	defer fault.Wrap(&err, "verify a passkey")
	w, _, err := s.ceremony(p, challenge)
	if err != nil {
		return Proven{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return Proven{}, notProven(err)
	}
	said := webauthn.SessionData{Challenge: challenge, RelyingPartyID: p.host, UserVerification: protocol.VerificationRequired}
	if userID == "" {
		userID = string(parsed.Response.UserHandle)
	}
	if userID == "" || len(userID) > 64 {
		return Proven{}, notProven(nil)
	}
	h, own, err := s.holder(ctx, p, userID)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		return Proven{}, notProven(err)
	}
	if err != nil {
		return Proven{}, err
	}
	said.UserID = h.WebAuthnID()
	used, err := w.ValidateLogin(h, said, parsed)
	if err != nil {
		return Proven{}, notProven(err)
	}
	at := slices.IndexFunc(own, func(o ledger.Object[Factor]) bool { return slices.Equal(o.Value.Passkey.Credential, used.ID) })
	if at < 0 {
		return Proven{}, notProven(nil)
	}
	out := Proven{User: h.user, Factor: own[at], Counter: parsed.Response.AuthenticatorData.Counter}
	k := out.Factor.Value.Passkey
	built := len(k.Transports) == 0 || slices.Contains(k.Transports, string(protocol.Internal))
	out.Here = built && !k.Synced && !parsed.Response.AuthenticatorData.Flags.HasBackupEligible() && parsed.AuthenticatorAttachment == protocol.Platform
	now, err := s.now(ctx)
	if err != nil {
		return Proven{}, err
	}
	forward := !used.Authenticator.CloneWarning
	if forward {
		if forward, err = s.cfg.FactorUse.UsePasskey(ctx, h.user.ID, out.Factor.ID, out.Counter, now); err != nil {
			return Proven{}, err
		}
	}
	if !forward {
		return out, fault.New(fault.Denied, "the counter of the passkey has not gone forward: there may be a copy of it").WithReason(ReasonCopied)
	}
	return out, nil
}

// notProven is the one answer to whatever is wrong with a browser's answer; why is
// for the log.
func notProven(why error) error {
	text := "the answer of the authenticator is not good"
	if why != nil {
		return fault.Because(why, fault.Denied, "%s", text).WithReason(ReasonWrongCode)
	}
	return fault.New(fault.Denied, "%s", text).WithReason(ReasonWrongCode)
}

// PasskeyUses returns when the passkeys of a user were used last, by their ids.
func (s *Service) PasskeyUses(ctx context.Context, userID string) (map[string]time.Time, error) {
	return s.cfg.FactorUse.PasskeyUses(ctx, userID)
}
