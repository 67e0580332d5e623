package gateway

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"slices"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// PartnerIssuer begins the issuer of callers who sign their requests; the name of the
// configured one follows. No token has it: it is no URL.
const PartnerIssuer = "urn:gatehouse:partner:"

// maxSignedBody bounds the body of a signed request: it is held until its digest is
// known, in bytes.
const maxSignedBody = 1 << 20

// Errors about signed requests.
var (
	errSigMissing = Refuse(ReasonNoToken, nil, "the request has no Signature-Input and Signature line")
	errSigForm    = Refuse(ReasonProofInvalid, nil, "Signature-Input and Signature are not one signature each, of known components and parameters")
	errSigKey     = Refuse(ReasonUnknownKey, nil, "no partner whom this API accepts has the key of the signature (keyid)")
	errSigAlg     = Refuse(ReasonProofInvalid, nil, "the signature names an algorithm (alg) that is not the key's")
	errSigTime    = Refuse(ReasonProofInvalid, nil, "the signature is too old, or from the future (created, expires)")
	errSigNonce   = Refuse(ReasonProofInvalid, nil, "the signature has no nonce")
	errSigForgot  = Refuse(ReasonOverloaded, nil, "this node was cut off before it began, and does not know which signed requests of that time were used")
	errSigSeen    = Refuse(ReasonProofInvalid, nil, "the signature was used before (nonce)")
	errSigCovers  = Refuse(ReasonProofInvalid, nil, "the signature does not cover the method and the whole address, or something that it covers is not there")
	errSigBody    = Refuse(ReasonProofInvalid, nil, "the request has a body, and the signature does not cover its Content-Digest")
	errSigDigest  = Refuse(ReasonProofInvalid, nil, "the body is not what Content-Digest says")
	errSigForged  = Refuse(ReasonProofInvalid, nil, "the signature is not by the key that it names")
	errSigAsked   = Refuse(ReasonProofInvalid, nil, "the body of a signed request is not here to be checked")
	errSigLarge   = Refuse(ReasonBodyTooLarge, nil, "the body of a signed request is larger than 1 MiB")
)

// partnerKey is a key by which a partner signs, and whom it stands for.
type partnerKey struct {
	id         string
	key        *verify.Key
	algorithms map[string]verify.Algorithm // by their names of RFC 9421
	fallback   verify.Algorithm            // where the signature names none
	token      *verify.Token
}

// compilePartner compiles an issuer of signed requests.
func (c *compiler) compilePartner(s spec.Issuer) error {
	out := accepted{name: s.Name, url: PartnerIssuer + s.Name}
	for _, id := range sortedNames(s.Keys) {
		k, err := newPartnerKey(id, s.Keys[id])
		if err != nil {
			return fault.Because(err, fault.Invalid, "keys: %s", id)
		}
		scopes := slices.Clone(s.Scopes)
		slices.Sort(scopes)
		k.token = &verify.Token{Issuer: out.url, Subject: s.Name, ClientID: s.Name, Scopes: scopes, KeyID: id}
		out.partner = append(out.partner, k)
	}
	c.issuers[s.Name] = out
	return nil
}

// checkKeyNames refuses two partners at one API who give their keys one name: a
// signature would not say whose it is.
func checkKeyNames(issuers []accepted) error {
	seen := map[string]string{}
	for i := range issuers {
		for _, k := range issuers[i].partner {
			if other, there := seen[k.id]; there {
				return fault.New(fault.Invalid, "auth: %s and %s have a key of the same name %q", other, issuers[i].name, k.id)
			}
			seen[k.id] = issuers[i].name
		}
	}
	return nil
}

func sortedNames(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func newPartnerKey(id, text string) (*partnerKey, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("it is not one public key in PEM form (BEGIN PUBLIC KEY)")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errors.New("it is not a public key")
	}
	k := &partnerKey{id: id}
	if k.key, err = verify.NewKey(id, "", pub); err != nil {
		return nil, err
	}
	k.algorithms = map[string]verify.Algorithm{}
	for _, a := range [...]struct {
		name string
		alg  verify.Algorithm
	}{
		{"rsa-pss-sha512", verify.PS512}, // RFC 9421 section 3.3
		{"rsa-v1_5-sha256", verify.RS256},
		{"ecdsa-p256-sha256", verify.ES256},
		{"ecdsa-p384-sha384", verify.ES384},
		{"ed25519", verify.EdDSA},
	} {
		if k.key.Allows(a.alg) {
			k.algorithms[a.name] = a.alg
			if k.fallback == "" {
				k.fallback = a.alg
			}
		}
	}
	if k.fallback == "" {
		return nil, errors.New("keys of this type sign no requests: use Ed25519, P-256, P-384 or RSA")
	}
	return k, nil
}

// signatureSpeaks reports whether a signature is what says who calls: where nothing
// else could, or the request has nothing else.
func (s *authenticate) signatureSpeaks(ex *Exchange) bool {
	return ex.auths == 0 && len(lineOf(ex, "signature-input")) > 0 || !s.tokens && s.keys == nil && s.authorities == nil && s.session == nil
}

// lineOf returns the value of the only line of the name, nil when there is none, and
// something that is no signature when there are several.
func lineOf(ex *Exchange, name string) []byte {
	var out []byte
	for i := range ex.req.Fields {
		if f := &ex.req.Fields[i]; wire.EqualFold(f.Name, name) {
			if out != nil {
				return []byte{0}
			}
			out = f.Value
		}
	}
	return out
}

// bySignature finds out who has signed the request (RFC 9421 section 3.2): cheap
// things first, then the signature, then the body, and that it is used once.
func (s *authenticate) bySignature(ex *Exchange) error {
	input, line := lineOf(ex, "signature-input"), lineOf(ex, "signature")
	if input == nil && line == nil {
		return errSigMissing
	}
	in, ok := parseSignatureInput(input)
	if !ok {
		return errSigForm
	}
	sig, ok := parseSignature(line, in.label)
	if !ok {
		return errSigForm
	}
	at := slices.IndexFunc(s.partners, func(k *partnerKey) bool { return k.id == in.keyID })
	if at < 0 {
		return errSigKey
	}
	k := s.partners[at]
	alg := k.fallback
	if in.algorithm != "" {
		if alg, ok = k.algorithms[in.algorithm]; !ok {
			return errSigAlg
		}
	}
	created := time.Unix(in.created, 0)
	age := ex.started.Sub(created)
	switch {
	case age > proofBehind || age < -proofAhead || in.expires != 0 && in.expires <= ex.started.Unix():
		return errSigTime
	case ex.gw.replays.forgot(created):
		ex.retryAfter = ex.gw.replays.since.Sub(ex.started)
		return errSigForgot
	case in.nonce == "":
		return errSigNonce
	case !in.coversTarget():
		return errSigCovers
	}
	text, ok := ex.signedText(&in, s.place)
	if !ok {
		return errSigCovers
	}
	if err := s.signedBy(ex, k, alg, text, sig); err != nil {
		return err
	}
	if err := ex.digested(&in); err != nil {
		return err
	}
	switch ex.gw.replays.take(replayID(k.token.Issuer+" "+k.id, in.nonce), ex.started, created.Add(proofBehind), ex.dry) {
	case seenBefore:
		return errSigSeen
	case seenFull:
		return errProofsFull
	case seenNever:
	}
	ex.scheme = schemeSigned
	ex.token = k.token
	ex.memo = ex.memoOf(k.token, []byte(k.token.Issuer+" "+k.id))
	return nil
}

// signedBy checks the signature; false ones count as forged tokens do.
func (s *authenticate) signedBy(ex *Exchange, k *partnerKey, alg verify.Algorithm, text, sig []byte) error {
	c := &ex.gw.config
	limit := c.Limiter.JoinAddr(ex.gw.forgery, ex.ClientIP())
	if res := c.Limiter.Peek(ex.started, limit, c.Forgeries); !res.Allowed {
		ex.retryAfter = res.RetryAfter
		return errForged
	}
	if k.key.Verify(alg, text, sig) {
		return nil
	}
	if !ex.dry {
		c.Limiter.Take(ex.started, limit, c.Forgeries, 1)
	}
	return errSigForged
}

// coversTarget reports whether method, authority, path and query are signed: a part
// that is not could be changed on the way.
func (in *signatureInput) coversTarget() bool {
	has := func(name string) bool { return slices.Contains(in.components, name) }
	whole := has("@target-uri")
	return has("@method") && (whole || has("@authority")) && (whole || has("@request-target") || has("@path") && has("@query"))
}

// digested checks that the body is what was signed. It is read whole, and goes to the
// upstream from memory.
func (ex *Exchange) digested(in *signatureInput) error {
	body := &ex.req.Body
	if ex.asked && ex.kind != methodGet && ex.kind != methodHead && ex.kind != methodOptions {
		return errSigAsked // another proxy has it
	}
	if body.Length() == 0 {
		return nil
	}
	switch {
	case ex.dry:
		return nil
	case !slices.Contains(in.components, "content-digest"):
		return errSigBody
	case body.Length() > maxSignedBody:
		return errSigLarge
	}
	digests, ok := parseDigests(lineOf(ex, "content-digest"))
	if !ok {
		return errSigDigest
	}
	content, err := io.ReadAll(io.LimitReader(body, maxSignedBody+1))
	if err != nil {
		return err // the lane knows what became of the body
	}
	if len(content) > maxSignedBody {
		return errSigLarge
	}
	checked := false
	for name, want := range digests {
		var got []byte
		switch name {
		case "sha-256":
			sum := sha256.Sum256(content)
			got = sum[:]
		case "sha-512":
			sum := sha512.Sum512(content)
			got = sum[:]
		default:
			continue // RFC 9530 section 5: others are too weak, or not known
		}
		if subtle.ConstantTimeCompare(got, want) != 1 {
			return errSigDigest
		}
		checked = true
	}
	if !checked {
		return errSigDigest
	}
	held := wire.BytesBody(content)
	ex.held = &held
	return nil
}
