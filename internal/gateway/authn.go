package gateway

import (
	"errors"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// Errors that say all there is to say, made once. The trace adds what was
// needed and what was there.
var (
	errNoToken       = Refuse(ReasonNoToken, nil, "the request has no Authorization line with the scheme Bearer")
	errTwoTokens     = Refuse(ReasonAmbiguousRequest, nil, "the request has more than one Authorization line")
	errBearerSyntax  = Refuse(ReasonTokenMalformed, nil, "the credentials are not the scheme, one space and one token")
	errForged        = Refuse(ReasonRateLimited, nil, "too many tokens of this peer were no good")
	errNotForIssuer  = Refuse(ReasonUnknownIssuer, nil, "the token is genuine, but this API does not accept its issuer")
	errAudience      = Refuse(ReasonWrongAudience, nil, "the token is for another audience")
	errBound         = Refuse(ReasonProofInvalid, nil, "the token is bound to a key of its sender, and the request proves no possession of it")
	errMissingScope  = Refuse(ReasonMissingScope, nil, "the token has none of the needed sets of scopes")
	errGroupRequired = Refuse(ReasonGroupRequired, nil, "the caller is in none of the groups")
	errRateLimited   = Refuse(ReasonRateLimited, nil, "a limit has no room")
	errRevoked       = Refuse(ReasonRevoked, nil, "the token is revoked")
	errRevocations   = Refuse(ReasonRevocationStateUnknown, nil, "the list of revocations has not been loaded, or is too old")
)

// accepted is an issuer as one API accepts it.
type accepted struct {
	name, url string
	audience  []string // of which aud must name one; never empty
}

// authenticate finds out who is calling: exactly one bearer token, genuine, of
// an issuer that the API accepts, for the audience that the issuer is configured with.
type authenticate struct {
	verifier *verify.Verifier
	issuers  []accepted
}

// Do implements step.
func (s *authenticate) Do(ex *Exchange) error {
	if ex.assumed != nil {
		return s.assume(ex)
	}
	raw, err := bearer(ex)
	if err != nil {
		return err
	}
	t, err := s.verify(ex, raw)
	if err != nil {
		return err
	}
	if err := s.accepts(t); err != nil {
		return err
	}
	if t.KeyThumbprint != "" || t.CertThumbprint != "" {
		return errBound
	}
	ex.token = t
	ex.memo = ex.gw.memoOf(t, raw)
	return nil
}

// assume takes a caller that was described for one of the API's first issuer,
// unless the description names another.
func (s *authenticate) assume(ex *Exchange) error {
	t := ex.assumed
	if t.Issuer == "" {
		t.Issuer, t.Audience = s.issuers[0].url, s.issuers[0].audience
	}
	if err := s.accepts(t); err != nil {
		return err
	}
	ex.token = t
	return nil
}

// bearer returns the token of the request's only Authorization line: the scheme
// in any case, one space, and the rest (RFC 6750 section 2.1). Tokens in the query
// or the body are not looked at.
func bearer(ex *Exchange) ([]byte, error) {
	switch ex.auths {
	case 0:
		return nil, errNoToken
	case 1:
	default:
		return nil, errTwoTokens
	}
	const scheme = "bearer "
	v := ex.req.Fields[ex.auth].Value
	if len(v) < len(scheme)-1 || !wire.EqualFold(v[:len(scheme)-1], scheme[:len(scheme)-1]) {
		return nil, errNoToken
	}
	if len(v) == len(scheme)-1 || v[len(scheme)-1] != ' ' && v[len(scheme)-1] != '\t' {
		if len(v) == len(scheme)-1 {
			return nil, errBearerSyntax
		}
		return nil, errNoToken // another scheme that begins with "bearer"
	}
	raw := v[len(scheme):]
	if v[len(scheme)-1] == '\t' || len(raw) == 0 {
		return nil, errBearerSyntax
	}
	return raw, nil
}

// token68 reports whether the text is what RFC 9110 section 11.2 calls so: no
// space, comma or other byte that could part two tokens.
func token68(raw []byte) bool {
	for _, c := range raw {
		if !in(c, unreservedLow|1<<'+'|1<<'/'|1<<'=', unreservedHigh) {
			return false
		}
	}
	return true
}

// verify returns the token's facts, from the cache when it was seen before. A
// token that is not in the cache costs a signature check, which strangers could
// make us do all day: those whose tokens turn out to be no good have a limit.
func (s *authenticate) verify(ex *Exchange, raw []byte) (*verify.Token, error) {
	t, hit := s.verifier.VerifyCached(raw)
	if !ex.dry {
		ex.gw.config.Metrics.TokenCache(hit)
	}
	if hit {
		return t, nil
	}
	if !token68(raw) { // one that is known was looked at when it was new
		return nil, errBearerSyntax
	}
	c := &ex.gw.config
	key := c.Limiter.JoinAddr(ex.gw.forgery, ex.ClientIP())
	if res := c.Limiter.Peek(ex.started, key, c.Forgeries); !res.Allowed {
		ex.retryAfter = res.RetryAfter
		return nil, errForged
	}
	t, err := s.verifier.Verify(ex.Context(), raw)
	if err == nil {
		return t, nil
	}
	reason := string(verify.ReasonOf(err))
	if reason == "" {
		return nil, fault.Because(err, fault.Internal, "verify the token")
	}
	if reason == ReasonBadSignature && !ex.dry { // whatever else is wrong costs no signature check
		c.Limiter.Take(ex.started, key, c.Forgeries, 1)
	}
	return nil, &fault.Error{Code: reasonNamed(reason).Code, Reason: reason, Message: detailOf(err), Cause: err}
}

func detailOf(err error) string {
	var e *verify.Error
	if errors.As(err, &e) && e.Detail != "" {
		return e.Detail
	}
	return "the token was not accepted"
}

// accepts checks what belongs to the API and not to the token: a token of
// another issuer of this gateway is a stranger's here.
func (s *authenticate) accepts(t *verify.Token) error {
	known := false
	for i := range s.issuers {
		if s.issuers[i].url != t.Issuer {
			continue
		}
		known = true
		if t.HasAudience(s.issuers[i].audience...) {
			return nil
		}
	}
	if known {
		return errAudience
	}
	return errNotForIssuer
}

func (s *authenticate) explain(f *facts) (needed, had string) {
	var parts []string
	for _, i := range s.issuers {
		parts = append(parts, i.name+" ("+i.url+") for "+strings.Join(i.audience, " or "))
	}
	needed = "a token of " + strings.Join(parts, ", or of ")
	if t := f.token; t != nil {
		had = "a token of " + t.Issuer + " for " + strings.Join(t.Audience, ", ")
		if f.exact {
			had = "a caller as described"
		}
	}
	return needed, had
}

// revoked asks whether what the token stands on has been taken back.
type revoked struct{ set *Revocations }

// Do implements step.
func (s revoked) Do(ex *Exchange) error {
	if !s.set.Known() {
		return errRevocations
	}
	if ex.memo != nil && s.set.names(ex.memo, ex.token) {
		return errRevoked
	}
	return nil
}

func (s revoked) explain(f *facts) (needed, had string) {
	return "a token that is not revoked", ""
}
