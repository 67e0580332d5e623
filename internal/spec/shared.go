package spec

import (
	"reflect"
	"slices"
)

// checkShared checks issuers that are one issuer, with different audiences for different
// APIs. A token is verified once and remembered for all of them, so what decides whether it
// is genuine, and what its claims are called, is the same in each.
func (s *Snapshot) checkShared(f *findings) {
	for i := range s.Issuers {
		one := &s.Issuers[i]
		if !one.verifiesHere() {
			continue
		}
		at := slices.IndexFunc(s.Issuers[:i], func(o Issuer) bool { return o.verifiesHere() && o.URL == one.URL && o.Builtin == one.Builtin })
		if at < 0 {
			continue
		}
		first := &s.Issuers[at]
		if !slices.Equal(one.Algorithms, first.Algorithms) {
			f.addf(PathIssuer(one.Name)+".algorithms", "the issuer %s is the same one: say the same about its algorithms", first.Name)
		}
		if !reflect.DeepEqual(one.Claims.Lists(), first.Claims.Lists()) {
			f.addf(PathIssuer(one.Name)+".claims", "the issuer %s is the same one: say the same about its claims", first.Name)
		}
	}
}

// verifiesHere reports whether JWTs of the issuer are verified by its keys.
func (i *Issuer) verifiesHere() bool {
	return i.ClientCA == "" && len(i.Keys) == 0 && i.Tokens != TokensOpaque && (i.URL != "" || i.Builtin != "")
}
