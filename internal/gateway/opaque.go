package gateway

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
	"gatehouse/verify"
)

// Introspector asks one issuer what its tokens stand for. Errors are
// *verify.Error; issuer_unreachable says that nobody can say.
type Introspector interface {
	// Cached returns what is known without asking, and whether anything is. It does
	// not block or allocate.
	Cached(raw []byte) (t *verify.Token, known bool, err error)
	// Ask blocks until the issuer has answered, for a bounded time.
	Ask(ctx context.Context, raw []byte) (*verify.Token, error)
}

// NewIntrospector returns what asks an issuer of opaque tokens. It must hand out
// the same one for an issuer whose settings have not changed, so that answers
// live on over a reload.
type NewIntrospector func(spec.Issuer) (Introspector, error)

// maxOpaque bounds a token about which an issuer is asked, in bytes.
const maxOpaque = verify.DefaultMaxTokenBytes

var errNotAsked = Refuse(ReasonTokenMalformed, nil, "the token is longer than an issuer is asked about")

// local reports whether the API accepts tokens of the issuer that are verified here.
func (s *authenticate) local(url string) bool {
	for i := range s.issuers {
		if s.issuers[i].local && s.issuers[i].url == url {
			return true
		}
	}
	return false
}

// remembered returns what the issuers who are asked have said about the token
// already. known is false while one of them has to be asked first.
func (s *authenticate) remembered(raw []byte) (t *verify.Token, known bool, err error) {
	known = true
	for _, i := range s.asked {
		t, said, e := i.introspect.Cached(raw)
		if t != nil {
			return t, true, nil
		}
		known = known && said
		err = moreTelling(err, e)
	}
	return nil, known, err
}

// ask returns what an issuer says about the token, if the token's form leaves it
// to be asked about: done is false when it is verified here. A JWT is asked about
// only at the issuer that it names; anything else at each that is asked, in the
// order of the configuration, until one knows it.
func (s *authenticate) ask(ex *Exchange, raw []byte) (t *verify.Token, done bool, err error) {
	if len(raw) > maxOpaque {
		return nil, true, errNotAsked
	}
	named, alg, isJWT := issuerNamed(raw)
	if isJWT && s.local(named) {
		return nil, false, nil
	}
	var refused, unknown error
	for _, i := range s.asked {
		if isJWT && i.url != named {
			continue
		}
		if isJWT && len(i.algorithms) > 0 && !slices.Contains(i.algorithms, alg) {
			return nil, true, &verify.Error{Reason: verify.ReasonUnknownKey, Issuer: i.url, Detail: "alg is not on the issuer's list"}
		}
		t, err := i.introspect.Ask(ex.Context(), raw)
		switch {
		case err == nil:
			return t, true, nil
		case verify.ReasonOf(err) == verify.ReasonIssuerUnreachable:
			unknown = err
		default:
			refused = moreTelling(refused, err)
		}
	}
	if unknown != nil {
		return nil, true, unknown // another's no says nothing about what this one would have said
	}
	return nil, refused != nil, refused
}

// standing asks the issuer whether a token that was verified here still stands. What
// the token says of its holder stays what counts; the issuer can only refuse. A
// built-in server is not asked: what it has revoked is known here.
func (s *authenticate) standing(ex *Exchange, t *verify.Token, raw []byte) error {
	if t.Algorithm == "" {
		return nil // the issuer has been asked: it is all that is known of the token
	}
	for i := range s.issuers {
		is := &s.issuers[i]
		if is.introspect == nil || is.url != t.Issuer {
			continue
		}
		_, known, err := is.introspect.Cached(raw)
		if !known {
			_, err = is.introspect.Ask(ex.Context(), raw)
		}
		if err != nil {
			return refusedToken(err)
		}
		return nil
	}
	return nil
}

// moreTelling returns the error that says more: of several issuers, all but one
// have never heard of the token.
func moreTelling(a, b error) error {
	if a == nil || b != nil && verify.ReasonOf(a) == ReasonRevoked {
		return b
	}
	return a
}

// issuerNamed returns the iss and alg of a token that has the form of a JWT, and
// whether it has. Nothing about it is verified: it only says who may be asked.
func issuerNamed(raw []byte) (iss, alg string, isJWT bool) {
	if bytes.Count(raw, []byte{'.'}) != 2 {
		return "", "", false
	}
	i, j := bytes.IndexByte(raw, '.'), bytes.LastIndexByte(raw, '.')
	header, err := base64.RawURLEncoding.DecodeString(string(raw[:i]))
	if err != nil || len(header) == 0 || header[0] != '{' {
		return "", "", false
	}
	payload, err := base64.RawURLEncoding.DecodeString(string(raw[i+1 : j]))
	var head struct {
		Algorithm string `json:"alg"`
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err != nil || json.Unmarshal(header, &head) != nil || json.Unmarshal(payload, &claims) != nil {
		return "", "", true
	}
	return claims.Issuer, head.Algorithm, true
}

// compileAsked compiles an issuer that is asked about its tokens.
func (c *compiler) compileAsked(s spec.Issuer) error {
	if c.g.config.Introspect == nil {
		return c.unsupported("issuers."+s.Name+".tokens", s.Tokens)
	}
	if len(s.Audience) == 0 {
		return fault.New(fault.Invalid, "issuer %s: no audience is configured, so tokens made for others would be accepted: set audience", s.Name)
	}
	i, err := c.g.config.Introspect(s)
	if err != nil {
		return err
	}
	c.issuers[s.Name] = accepted{
		name: s.Name, url: s.URL, audience: append([]string(nil), s.Audience...),
		introspect: i, local: s.Tokens == spec.TokensBoth, algorithms: append([]string(nil), s.Algorithms...), missingAudience: s.MissingAudience == spec.MissingAudienceAccept,
	}
	return nil
}

// askable refuses a route that asks about all tokens, when there are tokens that nobody
// can be asked about. Those of built-in servers are revoked here.
func (c *compiler) askable(r *route) error {
	if !r.fresh {
		return nil
	}
	list := slices.Clone(r.api.issuers)
	if r.api.signIn != nil {
		list = append(list, r.api.signsIn)
	}
	for i := range list {
		is := &list[i]
		builtin := slices.ContainsFunc(c.out.spec.Issuers, func(s spec.Issuer) bool { return s.Name == is.name && s.Builtin != "" })
		if is.authority == nil && is.partner == nil && is.introspect == nil && !builtin {
			return fault.New(fault.Invalid, "introspect: the issuer %s cannot be asked about its tokens: set tokens: both", is.name)
		}
	}
	return nil
}

// notAsked stands in for an issuer where nothing is sent.
type notAsked struct{}

// Cached implements Introspector.
func (notAsked) Cached([]byte) (*verify.Token, bool, error) { return nil, false, nil }

// Ask implements Introspector.
func (notAsked) Ask(context.Context, []byte) (*verify.Token, error) {
	return nil, &verify.Error{Reason: verify.ReasonIssuerUnreachable, Detail: "this gateway only decides"}
}
