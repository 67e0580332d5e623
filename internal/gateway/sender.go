package gateway

import (
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// scheme is how a caller has presented itself.
type scheme uint8

const (
	schemeBearer scheme = iota // a bearer token or an API key; the zero value, since most do
	schemeDPoP                 // a token with a proof (RFC 9449 section 7.1)
	schemeSigned               // a signature over the request (RFC 9421)
)

// Errors about possession that say all there is to say, made once.
var (
	errBound        = Refuse(ReasonProofInvalid, nil, "the token is bound to a key of its sender (cnf.jkt), and was sent as a bearer token: the scheme is DPoP")
	errNotBound     = Refuse(ReasonTokenTypeNotAccepted, nil, "the token was sent with the scheme DPoP, and is bound to no key")
	errProofWanted  = Refuse(ReasonProofInvalid, nil, "the credential proves nothing about its sender, and the operation asks for proof of possession")
	errWantsDPoP    = Refuse(ReasonProofInvalid, nil, "the operation asks for a DPoP proof, and the token is bound to none of the caller's keys")
	errWantsCert    = Refuse(ReasonProofInvalid, nil, "the operation asks for a client certificate, and the credential is bound to none")
	errNoProof      = Refuse(ReasonProofInvalid, nil, "the request has no DPoP line")
	errTwoProofs    = Refuse(ReasonProofInvalid, nil, "the request has more than one DPoP line")
	errProofKey     = Refuse(ReasonProofInvalid, nil, "the proof is by another key than the token is bound to")
	errProofMethod  = Refuse(ReasonProofInvalid, nil, "the proof is for another method (htm)")
	errProofURL     = Refuse(ReasonProofInvalid, nil, "the proof is for another address (htu)")
	errProofToken   = Refuse(ReasonProofInvalid, nil, "the proof is for another token (ath)")
	errProofTime    = Refuse(ReasonProofInvalid, nil, "the proof is too old, or from the future (iat)")
	errProofNonce   = Refuse(ReasonProofInvalid, nil, "the proof holds no nonce of this gateway that is still good")
	errProofForgot  = Refuse(ReasonProofInvalid, nil, "this node was cut off before it began, and does not know which proofs of that time were used: for half a minute a proof must hold a nonce")
	errProofForged  = Refuse(ReasonProofInvalid, nil, "the signature of the proof is not by the key in its header")
	errProofSeen    = Refuse(ReasonProofInvalid, nil, "the proof was used before (jti)")
	errProofsFull   = Refuse(ReasonOverloaded, nil, "no more proofs can be remembered, so none can be accepted")
	errNoClientCert = Refuse(ReasonProofInvalid, nil, "the token is bound to a client certificate (cnf.x5t#S256), and the request came with none")
	errOtherCert    = Refuse(ReasonProofInvalid, nil, "the token is bound to another client certificate than the one that the request came with")
)

// Error codes of a DPoP challenge (RFC 9449 sections 7.1 and 9).
const (
	codeProof = "invalid_dpop_proof"
	codeNonce = "use_dpop_nonce"
)

// sender asks for proof of possession: of a token that is bound to a key or a
// certificate always, of others where the operation demands it.
type sender struct {
	demand string // one of spec.Proofs, "" for none
	place  *publicPlace
}

// Do implements step.
func (s *sender) Do(ex *Exchange) error {
	t := ex.token
	if ex.req.TLS != nil || ex.trusted {
		ex.clientCertificate() // that it may have been revoked counts, whatever else the credential is
	}
	if t.KeyThumbprint == "" && t.CertThumbprint == "" && s.demand == "" && ex.scheme != schemeDPoP {
		return nil
	}
	if ex.exact {
		return nil // described, not proven
	}
	return s.prove(ex)
}

func (s *sender) prove(ex *Exchange) error {
	t := ex.token
	switch {
	case t.KeyThumbprint != "" && ex.scheme != schemeDPoP:
		ex.wantsDPoP = true
		return errBound
	case t.KeyThumbprint == "" && ex.scheme == schemeDPoP:
		return errNotBound
	}
	if t.CertThumbprint != "" {
		if err := ex.holdsCertificate(t.CertThumbprint); err != nil {
			return err
		}
	}
	if err := s.meets(ex); err != nil {
		return err
	}
	if t.KeyThumbprint == "" {
		return nil
	}
	return s.proof(ex)
}

// meets reports whether what the credential is bound to is what the operation demands.
func (s *sender) meets(ex *Exchange) error {
	t := ex.token
	switch s.demand {
	case "":
		return nil
	case spec.ProofMTLS:
		if t.CertThumbprint == "" {
			return errWantsCert
		}
	case spec.ProofAny:
		if t.CertThumbprint == "" && t.KeyThumbprint == "" && ex.scheme != schemeSigned {
			ex.wantsDPoP = true
			return errProofWanted
		}
	default:
		if t.KeyThumbprint == "" {
			ex.wantsDPoP = true
			return errWantsDPoP
		}
	}
	return nil
}

func (s *sender) explain(f *facts) (needed, had string) {
	needed = map[string]string{
		"":                "nothing more than a token; of one that is bound to its sender, the proof",
		spec.ProofAny:     "a token that is bound to its sender, and the proof: DPoP or a client certificate; or a signed request",
		spec.ProofMTLS:    "a client certificate to which the credential is bound",
		spec.ProofDPoP:    "a DPoP proof to whose key the token is bound",
		spec.ProofDPoPNew: "a DPoP proof with a nonce of this gateway, to whose key the token is bound",
	}[s.demand]
	if t := f.token; t != nil && !f.exact {
		var parts []string
		if t.KeyThumbprint != "" {
			parts = append(parts, "a token bound to the key "+t.KeyThumbprint)
		}
		if t.CertThumbprint != "" {
			parts = append(parts, "a credential bound to the certificate "+t.CertThumbprint)
		}
		if strings.HasPrefix(t.Issuer, PartnerIssuer) {
			parts = append(parts, "a request signed with the key "+t.KeyID)
		}
		if had = strings.Join(parts, "; "); had == "" {
			had = "a credential that is bound to nothing"
		}
	}
	if f.reason != nil && f.stopped == stepSender {
		had += ": " + causeText(f.cause)
	}
	return needed, had
}

// sender compiles the step. Every operation that asks who is calling has it: a
// bound token is never taken for an ordinary one.
func (c *compiler) sender(r *route) (step, error) {
	if r.public() {
		return nil, nil //nolint:nilnil // there is no token
	}
	s := &sender{demand: r.spec.Proof}
	if s.demand == "" {
		s.demand = r.api.spec.Proof
	} else if !spec.Tightens(r.api.spec.Proof, s.demand) {
		return nil, fault.New(fault.Invalid, "proof %s would loosen the API's %s", s.demand, r.api.spec.Proof)
	}
	r.proof = s.demand
	var err error
	s.place, err = newPublicPlace(r.api.spec)
	return s, err
}

// dpopToken returns the token of an Authorization value with the scheme DPoP: the
// scheme in any case, one space, and the rest (RFC 9449 section 7.1).
func dpopToken(v []byte) ([]byte, bool) {
	const scheme = "dpop "
	if len(v) <= len(scheme) || !wire.EqualFold(v[:len(scheme)], scheme) {
		return nil, false
	}
	return v[len(scheme):], true
}

// proofAlgorithms is the value of algs in a DPoP challenge.
func proofAlgorithms() string {
	var out []string
	for _, a := range verify.Algorithms() {
		out = append(out, string(a))
	}
	return strings.Join(out, " ")
}

// speaksDPoP reports whether a challenge to this exchange is one for DPoP.
func (ex *Exchange) speaksDPoP() bool {
	return ex.scheme == schemeDPoP || ex.wantsDPoP || ex.route != nil && demandsDPoP(ex.route.proof)
}

// demandsDPoP reports whether nothing but DPoP will do.
func demandsDPoP(proof string) bool { return spec.Tightens(spec.ProofDPoP, proof) }
