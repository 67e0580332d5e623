package gateway

import (
	"errors"
	"strings"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/revocation"
	"gatehouse/internal/tenant"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// Errors that say all there is to say, made once. The trace adds what was
// needed and what was there.
var (
	errNoToken       = Refuse(ReasonNoToken, nil, "the request has no Authorization line with the scheme Bearer or DPoP")
	errTwoTokens     = Refuse(ReasonAmbiguousRequest, nil, "the request has more than one Authorization line")
	errBearerSyntax  = Refuse(ReasonTokenMalformed, nil, "the credentials are not the scheme, one space and one token")
	errForged        = Refuse(ReasonRateLimited, nil, "too many tokens of this peer were no good")
	errNotForIssuer  = Refuse(ReasonUnknownIssuer, nil, "the token is genuine, but this API does not accept its issuer")
	errAudience      = Refuse(ReasonWrongAudience, nil, "the token is for another audience")
	errMissingScope  = Refuse(ReasonMissingScope, nil, "the token has none of the needed sets of scopes")
	errRoleRequired  = Refuse(ReasonRoleRequired, nil, "the caller has none of the roles")
	errGroupRequired = Refuse(ReasonGroupRequired, nil, "the caller is in none of the groups")
	errRateLimited   = Refuse(ReasonRateLimited, nil, "a limit has no room")
	errRevoked       = Refuse(ReasonRevoked, nil, "the token is revoked")
	errRevocations   = Refuse(ReasonRevocationStateUnknown, nil, "the list of revocations has not been loaded, or is too old")
)

// accepted is an issuer as one API accepts it.
type accepted struct {
	name, url string
	audience  []string // of which aud must name one; never empty

	introspect      Introspector // nil: it is not asked about its tokens
	local           bool         // JWTs of it are verified here
	missingAudience bool         // its word is taken for a token without aud
	algorithms      []string     // of asked about tokens that look signed; empty = any

	authority *authority    // not nil: it vouches for certificates, and there are no tokens
	partner   []*partnerKey // not nil: it signs requests, and there are no tokens
}

// authenticate finds out who is calling: exactly one credential. A bearer token is
// genuine, of an issuer that the API accepts, for the audience that the issuer is
// configured with. An API key is known and enabled.
type authenticate struct {
	verifier *verify.Verifier
	api      string
	issuers  []accepted
	asked    []*accepted // of issuers, those that are asked about their tokens
	fresh    bool        // they are asked about tokens that were verified here as well
	keys     *APIKeys    // nil: the API takes none
	session  *bySession  // nil: browsers do not sign in

	authorities []*authority  // of issuers, those that vouch for certificates
	partners    []*partnerKey // of issuers, the keys of those who sign requests
	place       *publicPlace  // where they send them; nil when there are none
	tokens      bool          // there are issuers of tokens
}

func newAuthenticate(c *compiler, a *api, fresh bool) (*authenticate, error) {
	s := &authenticate{verifier: c.out.verifier, api: a.name, issuers: a.issuers, fresh: fresh}
	for i := range s.issuers {
		switch {
		case s.issuers[i].authority != nil:
			s.authorities = append(s.authorities, s.issuers[i].authority)
			continue
		case s.issuers[i].partner != nil:
			s.partners = append(s.partners, s.issuers[i].partner...)
			continue
		case s.issuers[i].introspect != nil:
			s.asked = append(s.asked, &s.issuers[i])
		}
		s.tokens = true
	}
	if a.takesKeys {
		s.keys = c.g.config.APIKeys
	}
	s.session = newBySession(c, a, fresh)
	if s.partners == nil {
		return s, nil
	}
	var err error
	s.place, err = newPublicPlace(a.spec)
	return s, err
}

// Do implements step.
func (s *authenticate) Do(ex *Exchange) error {
	if ex.assumed != nil {
		return s.assume(ex)
	}
	if s.partners != nil && s.signatureSpeaks(ex) {
		return s.bySignature(ex)
	}
	if s.authorities != nil && s.certificateSpeaks(ex) {
		return s.byCertificate(ex)
	}
	if s.session != nil && !s.session.explicit(ex) {
		return s.session.find(ex)
	}
	if s.keys != nil {
		key, err := keyOf(ex)
		if err != nil {
			return err
		}
		if key != nil {
			return s.byKey(ex, key)
		}
	}
	raw, err := credential(ex)
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
	if s.fresh {
		if err := s.standing(ex, t, raw); err != nil {
			return err
		}
	}
	ex.token = t
	ex.memo = ex.memoOf(t, raw)
	return nil
}

// assume takes a caller that was described for one of the API's first issuer,
// unless the description names another.
func (s *authenticate) assume(ex *Exchange) error {
	t := ex.assumed
	switch {
	case t.Issuer != "":
	case len(s.issuers) > 0:
		t.Issuer, t.Audience = s.issuers[0].url, s.issuers[0].audience
	case s.session != nil:
		i := &s.session.judge.issuers[0]
		t.Issuer, t.Audience = i.url, i.audience
	default:
		t.Issuer = APIKeyIssuer
	}
	if s.session != nil && s.session.judge.accepts(t) == nil {
		ex.token = t
		return nil
	}
	if err := s.accepts(t); err != nil {
		return err
	}
	ex.token = t
	return nil
}

// credential returns the token of the request, and notes its scheme.
func credential(ex *Exchange) ([]byte, error) {
	raw, err := bearer(ex)
	if err != nil && ex.auths == 1 {
		if raw, ok := dpopToken(ex.req.Fields[ex.auth].Value); ok {
			ex.scheme = schemeDPoP
			return raw, nil
		}
	}
	return raw, err
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
	t, hit := s.verifier.Cached(raw, ex.started)
	if len(s.asked) > 0 && !(hit && s.local(t.Issuer)) {
		// Verified for another API perhaps: this one wants the issuer's word.
		var err error
		if t, hit, err = s.remembered(raw); hit && err != nil {
			return nil, refusedToken(err)
		}
	}
	if !ex.dry {
		ex.gw.config.Metrics.TokenCache(hit)
	}
	if hit {
		return t, nil
	}
	if len(s.asked) > 0 && !token68(raw) { // an opaque one; signed ones have a stricter grammar of their own
		return nil, errBearerSyntax
	}
	if looksLikeAPIKey(raw) {
		return nil, errKeyNotTaken
	}
	c := &ex.gw.config
	key := c.Limiter.JoinAddr(ex.gw.forgery, ex.ClientIP())
	if res := c.Limiter.Peek(ex.started, key, c.Forgeries); !res.Allowed {
		ex.retryAfter = res.RetryAfter
		return nil, errForged
	}
	var asked bool
	var err error
	if len(s.asked) > 0 {
		t, asked, err = s.ask(ex, raw)
	}
	if !asked {
		t, err = s.verifier.Verify(ex.Context(), raw)
	}
	if err == nil {
		return t, nil
	}
	if !token68(raw) {
		return nil, errBearerSyntax
	}
	// Whatever else is wrong costs neither a signature check nor a call.
	reason := string(verify.ReasonOf(err))
	if (reason == ReasonBadSignature || asked && reason != ReasonIssuerUnreachable) && !ex.dry {
		c.Limiter.Take(ex.started, key, c.Forgeries, 1)
	}
	return nil, refusedToken(err)
}

// refusedToken is the error of a token that was not accepted.
func refusedToken(err error) error {
	reason := string(verify.ReasonOf(err))
	if reason == "" {
		return fault.Because(err, fault.Internal, "verify the token")
	}
	return &fault.Error{Code: reasonNamed(reason).Code, Reason: reason, Message: detailOf(err), Cause: err}
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
	known := s.keys != nil && t.Issuer == APIKeyIssuer // a described caller: no token has this issuer
	if known && (len(t.Audience) == 0 || t.HasAudience(s.api)) {
		return nil
	}
	for i := range s.issuers {
		is := &s.issuers[i]
		if is.url != t.Issuer {
			continue
		}
		if is.authority != nil || is.partner != nil {
			return nil
		}
		known = true
		// What was signed has an algorithm, and its missing aud is nobody's word.
		if t.HasAudience(is.audience...) || is.missingAudience && len(t.Audience) == 0 && t.Algorithm == "" {
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
		if i.authority != nil {
			parts = append(parts, "a client certificate for which "+i.name+" vouches")
			continue
		}
		if i.partner != nil {
			parts = append(parts, "a request signed by "+i.name)
			continue
		}
		part := "a token of " + i.name + " (" + i.url + ") for " + strings.Join(i.audience, " or ")
		switch {
		case i.introspect == nil:
		case !i.local:
			part += ", which the issuer is asked about"
		case s.fresh:
			part += ", verified here and asked about"
		default:
			part += ", verified here or asked about"
		}
		parts = append(parts, part)
	}
	if s.keys != nil {
		parts = append(parts, "an API key")
	}
	if s.session != nil {
		i := &s.session.judge.issuers[0]
		parts = append(parts, "a browser's session with "+i.name+" ("+i.url+") for "+strings.Join(i.audience, " or "))
	}
	needed = strings.Join(parts, ", or ")
	switch t := f.token; {
	case t == nil:
	case f.exact:
		had = "a caller as described"
	case t.Issuer == APIKeyIssuer:
		had = "API key " + t.ID + " of app " + t.ClientID
	case f.bySession:
		had = "a session of " + t.Issuer + ", begun " + f.started.Sub(time.Unix(t.IssuedAt, 0)).Truncate(time.Second).String() + " ago, for " + strings.Join(t.Audience, ", ")
	case strings.HasPrefix(t.Issuer, CertificateIssuer):
		had = "the client certificate of " + t.ClientID + " with the serial number " + t.ID + " (" + t.CertThumbprint + ")"
	case strings.HasPrefix(t.Issuer, PartnerIssuer):
		had = "a request signed by " + t.ClientID + " with the key " + t.KeyID
	default:
		had = "a token of " + t.Issuer + " for " + strings.Join(t.Audience, ", ")
	}
	return needed, had
}

// revoked asks whether what the token stands on has been taken back.
type revoked struct{ set *revocation.Set }

// Do implements step.
func (s revoked) Do(ex *Exchange) error {
	if !s.set.Known() {
		return errRevocations
	}
	if ex.memo == nil {
		return nil
	}
	if kind := s.set.Names(&ex.memo.keys, ex.token.IssuedAt); kind != "" {
		return revokedBy(kind, ex.token)
	}
	if ex.certificate != "" && s.set.NamesCertificate(tenant.ID(ex.snap.tenant), ex.certificate) {
		return revokedBy(cluster.Certificate, ex.token)
	}
	return nil
}

// revokedBy is the error of a caller whom a revocation of the kind names.
func revokedBy(kind cluster.Kind, t *verify.Token) error {
	switch {
	case t.Issuer == APIKeyIssuer && kind == cluster.TokenID:
		return errKeyDisabled
	case kind == cluster.TokenID || kind == cluster.TokenHash:
		return errRevoked
	case kind == cluster.Key:
		return Refuse(ReasonRevoked, nil, "the key that the token is signed with is revoked: %s", t.KeyID)
	default:
		return Refuse(ReasonRevoked, nil, "all tokens of its %s are revoked", kind)
	}
}

func (s revoked) explain(f *facts) (needed, had string) {
	return "a caller of whom nothing is revoked", ""
}
