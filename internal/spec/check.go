package spec

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/fault"
)

// Rules are what the checks need to know of where a snapshot will run.
type Rules struct {
	// PlainIssuers accepts issuers over http on any host; without it on loopback only.
	PlainIssuers bool
}

// Finding is what is wrong with one setting.
type Finding struct {
	// Path is the dotted path in the words of the configuration file, such as
	// "apis.orders.limit[0]", see PathAPI and PathRoute.
	Path string
	// Err says what is wrong. It never repeats a value, only names and known words.
	Err error
	// Known are the words that would have been right where a name is unknown.
	Known []string
	// Word is the unknown word.
	Word string
}

// Field returns the finding as a field error.
func (f Finding) Field() fault.Field { return fault.Field{Path: f.Path, Message: f.Err.Error()} }

// findings collects under a path.
type findings struct{ list []Finding }

func (f *findings) add(path string, err error) {
	if err != nil {
		f.list = append(f.list, Finding{Path: path, Err: err})
	}
}

func (f *findings) addf(path, format string, args ...any) { f.add(path, fmt.Errorf(format, args...)) }

func (f *findings) unbuilt(path, feature string) {
	if Unbuilt(feature) {
		f.add(path, ErrUnbuilt{Feature: feature})
	}
}

// Check returns everything that is wrong with the snapshot, object by object and
// between objects. Nil means that it can be served.
func (s *Snapshot) Check(r Rules) []Finding {
	var f findings
	s.checkNames(&f)
	for i := range s.Issuers {
		s.Issuers[i].check(&f, PathIssuer(s.Issuers[i].Name), r)
	}
	s.checkShared(&f)
	issuers := make([]string, 0, len(s.Issuers))
	for _, i := range s.Issuers {
		issuers = append(issuers, i.Name)
	}
	zones := make([]string, 0, len(s.Zones))
	for _, z := range s.Zones {
		f.list = append(f.list, z.Check()...)
		zones = append(zones, z.Name)
	}
	points := make([]string, 0, len(s.DecisionPoints))
	for i := range s.DecisionPoints {
		f.list = append(f.list, s.DecisionPoints[i].Check(r)...)
		points = append(points, s.DecisionPoints[i].Name)
	}
	for i := range s.APIs {
		s.APIs[i].check(&f)
		s.APIs[i].checkReferences(&f, issuers, zones)
		s.APIs[i].checkDecisionPoints(&f, points)
		s.checkSigners(&f, &s.APIs[i])
	}
	s.checkSessions(&f)
	s.checkIntrospection(&f)
	for _, p := range s.Policies {
		f.list = append(f.list, p.Check()...)
	}
	checkModels(&f, s.Models)
	checkCollisions(&f, s.APIs)
	return f.list
}

// checkNames refuses names that are used twice within their kind.
func (s *Snapshot) checkNames(f *findings) {
	seen := map[string]bool{}
	once := func(path string) {
		if seen[path] {
			f.addf(path, "the name is used twice")
		}
		seen[path] = true
	}
	for _, i := range s.Issuers {
		once(PathIssuer(i.Name))
	}
	for _, a := range s.APIs {
		once(PathAPI(a.Name))
	}
	for _, z := range s.Zones {
		once(PathZone(z.Name))
	}
	for _, p := range s.DecisionPoints {
		once(PathDecisionPoint(p.Name))
	}
	for _, p := range s.Policies {
		once(PathPolicy(p.Name))
	}
	for _, m := range s.Models {
		once(PathModel(m.Name))
	}
}

// PathZone returns the Sources path of a zone.
func PathZone(name string) string { return "zones." + name }

// PathPolicyText returns the Sources path of the first line of a policy's text, where
// that stands on lines of its own.
func PathPolicyText(name string) string { return "policies." + name + ".text" }

// PathPolicy returns the Sources path of a policy.
func PathPolicy(name string) string { return "policies." + name }

// Err returns findings as one invalid-input fault, or nil. Findings that are only
// about what is not built yet give an unsupported fault.
func Err(findings []Finding) error {
	if len(findings) == 0 {
		return nil
	}
	code := fault.Unsupported
	fields := make([]fault.Field, 0, len(findings))
	for _, one := range findings {
		var unbuilt ErrUnbuilt
		if !errors.As(one.Err, &unbuilt) {
			code = fault.Invalid
		}
		fields = append(fields, one.Field())
	}
	return fault.New(code, "the settings cannot be served").WithFields(fields...)
}

// Algorithms are the signature algorithms that an issuer may be narrowed to.
// Symmetric ones and "none" are never accepted.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// Values of an issuer's Tokens.
const (
	TokensJWT    = "jwt"
	TokensOpaque = "opaque" // asked about by introspection
	TokensBoth   = "both"   // JWTs are verified here, others are asked about
)

// Values of an issuer's MissingAudience.
const (
	MissingAudienceRefuse = "refuse"
	MissingAudienceAccept = "accept"
)

// Check returns what is wrong with the issuer by itself.
func (i *Issuer) Check(r Rules) []Finding {
	var f findings
	i.check(&f, PathIssuer(i.Name), r)
	return f.list
}

func (i *Issuer) check(f *findings, path string, r Rules) {
	f.add(path, CheckName(i.Name))
	if slices.Contains(reservedIssuers, i.Name) {
		f.addf(path, "%s means something else under auth: choose another name", i.Name)
	}
	if i.ClientCA != "" {
		if i.URL != "" || i.Builtin != "" {
			f.addf(path+".client_ca", "an issuer vouches with tokens or with certificates: describe two")
		}
		i.checkCertificates(f, path)
		return
	}
	if len(i.Keys) > 0 {
		i.checkPartner(f, path)
		return
	}
	i.onlyForCertificates(f, path)
	switch {
	case i.Builtin == "" && i.URL == "":
		f.addf(path, "an issuer says where it is: url, or builtin for a built-in authorization server; or client_ca for one of certificates, keys for a partner who signs requests")
	case i.Builtin != "" && i.URL != "":
		f.addf(path+".builtin", "an issuer is either builtin or has a url, not both")
	case i.Builtin != "":
		f.add(path+".builtin", CheckName(i.Builtin))
	default:
		i.checkExternal(f, path, r)
	}
	checkList(f, path+".audience", i.Audience, func(s string) error { return CheckText(s, 1024) })
	checkList(f, path+".algorithms", i.Algorithms, func(s string) error {
		if slices.Contains(Algorithms(), s) {
			return nil
		}
		return fmt.Errorf("not an algorithm that tokens may be signed with: known are %s", strings.Join(Algorithms(), ", "))
	})
	i.checkTokens(f, path, r)
	i.Session.check(f, path+".session")
	i.Claims.check(f, path+".claims")
	if i.Builtin != "" && i.Claims != (ClaimNames{}) {
		f.addf(path+".claims", "claims has no effect: what a built-in authorization server calls its claims is known")
	}
}

func (i *Issuer) checkExternal(f *findings, path string, r Rules) {
	u, err := ParseURL(i.URL)
	switch {
	case err != nil:
		f.add(path+".url", err)
	case u.Scheme != "https" && !Loopback(u) && !r.PlainIssuers:
		f.addf(path+".url", "an issuer is reached over https: whoever can change its answers can make tokens")
	case strings.Contains(u.Path, "/.well-known/"):
		f.addf(path+".url", "this is where an issuer's metadata is: write the issuer's own name, as its tokens have it in iss")
	}
	if len(i.Audience) == 0 {
		f.addf(path, "an issuer with a url has an audience: without one, its tokens for other services would be accepted here")
	}
}

// checkIntrospectionURL checks where the issuer is asked: the gateway's secret and
// every token go there.
func (i *Issuer) checkIntrospectionURL(r Rules) error {
	u, err := ParseURL(i.IntrospectionURL)
	if err != nil {
		return err
	}
	if u.Scheme != "https" && !Loopback(u) && !r.PlainIssuers {
		return errors.New("an issuer is asked over https: whoever listens gets every token")
	}
	return nil
}

// ClientAuths are the ways in which the gateway proves to an issuer who it is.
func ClientAuths() []string { return []string{"basic", "post", "private_key_jwt"} }

func (i *Issuer) checkTokens(f *findings, path string, r Rules) {
	if i.ClientAuth != "" && !slices.Contains(ClientAuths(), i.ClientAuth) {
		f.addf(path+".client_auth", "client_auth is basic, post or private_key_jwt")
	}
	switch i.Tokens {
	case "", TokensJWT:
		if i.ClientSecret != "" && i.ClientID == "" {
			f.addf(path+".client_secret", "client_secret has no effect without client_id")
		}
		if i.ClientAuth != "" && i.ClientSecret == "" {
			f.addf(path+".client_auth", "client_auth has no effect without client_secret: that is the secret, or the private key")
		}
		if i.SignedAnswers {
			f.addf(path+".signed_answers", "signed_answers has no effect: it is for tokens: opaque or both")
		}
		if i.IntrospectionURL != "" {
			f.addf(path+".introspection_url", "introspection_url has no effect: it is for tokens: opaque or both")
		}
		if i.MissingAudience != "" {
			f.addf(path+".missing_audience", "missing_audience has no effect: a jwt without an audience is always refused")
		}
	case TokensOpaque, TokensBoth:
		if i.ClientID == "" || i.ClientSecret == "" {
			f.addf(path, "an issuer that is asked about tokens has client_id and client_secret: the gateway asks in its own name")
		}
		if i.Builtin != "" {
			f.addf(path+".tokens", "a built-in authorization server says itself what its tokens are: leave tokens out")
		}
		if i.IntrospectionURL != "" {
			f.add(path+".introspection_url", i.checkIntrospectionURL(r))
		}
		if i.MissingAudience != "" && i.MissingAudience != MissingAudienceRefuse && i.MissingAudience != MissingAudienceAccept {
			f.addf(path+".missing_audience", "missing_audience is refuse or accept")
		}
	default:
		f.addf(path+".tokens", "tokens are jwt, opaque or both")
	}
}

// mostNetworks bounds the networks of a zone.
const mostNetworks = 10_000

// Check returns what is wrong with the zone by itself.
func (z Zone) Check() []Finding {
	var f findings
	path := PathZone(z.Name)
	f.add(path, CheckName(z.Name))
	if len(z.Networks) == 0 {
		f.addf(path, "a zone has at least one network")
	}
	checkList(&f, path, z.Networks, CheckZoneNetwork)
	if len(z.Networks) > mostNetworks {
		f.addf(path, "a zone has at most %d networks", mostNetworks)
	}
	return f.list
}

// CheckZoneNetwork reports what is wrong with an entry of a zone: a network, an
// address, country:DE or asn:64500.
func CheckZoneNetwork(s string) error {
	if code, ok := strings.CutPrefix(s, "country:"); ok {
		if len(code) != 2 || code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z' {
			return fmt.Errorf("a country is two upper-case letters of ISO 3166-1, such as country:DE")
		}
		return nil
	}
	if number, ok := strings.CutPrefix(s, "asn:"); ok {
		if n, err := strconv.ParseUint(number, 10, 32); err != nil || n == 0 || number != strconv.FormatUint(n, 10) {
			return fmt.Errorf("a network operator is its number, such as asn:64500")
		}
		return nil
	}
	_, err := ParseNetwork(s)
	return err
}

// Check returns what is wrong with the policy by itself.
func (p Policy) Check() []Finding {
	var f findings
	f.add(PathPolicy(p.Name), CheckName(p.Name))
	if strings.TrimSpace(p.Text) == "" {
		f.addf(PathPolicy(p.Name), "a policy is Cedar text, not nothing")
	}
	return f.list
}

// checkList checks each element, and that none is there twice.
func checkList(f *findings, path string, list []string, check func(string) error) {
	for i, s := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if err := check(s); err != nil {
			f.add(at, err)
		} else if slices.Contains(list[:i], s) {
			f.addf(at, "listed twice")
		}
	}
}
