package spec

import (
	"slices"
	"strings"
)

// What a caller proves about itself, besides having a credential. A token that is
// bound to its sender is always checked; a setting demands that it is bound.
const (
	ProofAny     = "any"        // to a key or a certificate
	ProofMTLS    = "mtls"       // to the client certificate of the connection (RFC 8705)
	ProofDPoP    = "dpop"       // to the key of a DPoP proof (RFC 9449)
	ProofDPoPNew = "dpop_nonce" // the same, and the proof holds a nonce of the gateway
)

// Proofs are the values of proof, each of which asks for no less than an earlier
// one of its kind.
func Proofs() []string { return []string{ProofAny, ProofMTLS, ProofDPoP, ProofDPoPNew} }

// Tightens reports whether what satisfies inner always satisfies outer as well.
func Tightens(outer, inner string) bool {
	return outer == "" || outer == inner || outer == ProofAny && inner != "" || outer == ProofDPoP && inner == ProofDPoPNew
}

func (a *API) checkProof(f *findings, path string) {
	if a.URL != "" {
		_, err := ParseURL(a.URL)
		f.add(path+".url", err)
	}
	switch {
	case a.Proof == "":
	case !slices.Contains(Proofs(), a.Proof):
		f.addf(path+".proof", "proof is %s", strings.Join(Proofs(), ", "))
	case a.PublicOnly():
		f.addf(path+".proof", "proof has no effect on an API that asks for no token")
	default:
		a.checkPlace(f, path+".proof", a.Proof)
	}
}

// checkSigners asks for an address that signatures of partners are held against, for the
// same reason as checkPlace: what a partner has signed for another server would be good here.
func (s *Snapshot) checkSigners(f *findings, a *API) {
	if a.Host != "" || a.URL != "" {
		return
	}
	for i := range s.Issuers {
		if p := &s.Issuers[i]; len(p.Keys) > 0 && slices.Contains(a.Auth, p.Name) {
			f.addf(PathAPI(a.Name)+".auth", "what %s signs names the address that it is for: say what it is, with host or url of the API", p.Name)
			return
		}
	}
}

// checkPlace asks for an address that DPoP proofs are held against. Without one the
// Host line decides, and that is the caller's to choose: a proof that was made for
// another server, and lost there, would be good here.
func (a *API) checkPlace(f *findings, path, proof string) {
	if proof != ProofMTLS && a.Host == "" && a.URL == "" {
		f.addf(path, "a DPoP proof names the address that it is for: say what it is, with host or url of the API")
	}
}
