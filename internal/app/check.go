package app

import (
	"context"
	"strings"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/gateway"
	"gatehouse/internal/ratelimit"
	"gatehouse/internal/revocation"
	"gatehouse/internal/spec"
	"gatehouse/verify"
)

// TestResult is what came of one line under "tests".
type TestResult struct {
	Text   string          `json:"test"`
	Source string          `json:"source"`
	At     config.Position `json:"-"` // Source, in its parts
	Passed bool            `json:"passed"`
	Got    string          `json:"got"` // allow, or deny and the reason
}

// CheckFile compiles a configuration as a gateway would and runs its tests. It
// needs no store and no network. The error says what does not compile.
func CheckFile(ctx context.Context, f *config.File) ([]TestResult, error) {
	verifier, err := verify.New(verify.Config{})
	if err != nil {
		return nil, err
	}
	places, err := placesFor(f.Server.Geo)
	if err != nil {
		return nil, err
	}
	if err := checkPeople(f.Server); err != nil {
		return nil, err
	}
	gw, err := gateway.New(gateway.Config{
		Places: places, ClientCA: declaredCA(f),
		Backend: func(spec.API, gateway.Backend) (gateway.Backend, error) { return unreachable{}, nil },
		Issuer: func(s spec.Issuer) (verify.Issuer, error) {
			out := described(s)
			out.Keys = noKeys{}
			return out, nil
		},
		Introspect: func(spec.Issuer) (gateway.Introspector, error) { return noAnswers{}, nil },
		SignIn: func(spec.Issuer, []string) (gateway.SignIn, error) {
			return gateway.SignIn{Sessions: nobodySignsIn{}}, nil
		},
		DecisionPoint: func(spec.DecisionPoint) (gateway.DecisionPoint, error) { return nobodyDecides{}, nil },
		APIKeys:       gateway.NewAPIKeys(),
		Verifier:      verifier,
		Revocations:   revocation.New(revocation.Config{Loaded: true}),
		Limiter:       ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{})),
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = gw.Close() }()
	return runTests(ctx, gw, f)
}

// checkPeople says what of a configuration would keep the pages for people from being served:
// files of the brand, and how a directory server is asked.
func checkPeople(s config.Server) error {
	if _, err := readLook(s.Brand); err != nil {
		return err
	}
	d := s.People.LDAP
	d.CA = "" // the authorities of the machine that serves are not those of this one
	_, err := directoryServer(d)
	return err
}

// runTests decides each test of the file with the gateway's own steps.
func runTests(ctx context.Context, gw *gateway.Gateway, f *config.File) ([]TestResult, error) {
	snapshot := withBuiltins(f.Declared, func(name string) (url string, audience []string, ok bool) {
		return "https://builtin.invalid/oauth2/" + name, []string{"api://" + name}, true
	})
	list := make([]gateway.Hypothetical, len(f.Tests))
	for i, t := range f.Tests {
		list[i] = hypothetical(t, time.Now())
	}
	traces, err := gw.ExplainWith(ctx, snapshot, list)
	if err != nil {
		return nil, err
	}
	out := make([]TestResult, len(traces))
	for i, tr := range traces {
		t := f.Tests[i]
		r := TestResult{Text: t.Text, Source: t.At.String(), At: t.At, Got: "allow", Passed: t.Allow == tr.Allowed}
		if !tr.Allowed {
			r.Got = strings.TrimSpace("deny " + tr.Decision.Reason)
			r.Passed = !t.Allow && (t.Reason == "" || t.Reason == tr.Decision.Reason)
		}
		out[i] = r
	}
	return out, nil
}

// hypothetical returns the request that a test describes.
func hypothetical(t config.Test, now time.Time) gateway.Hypothetical {
	h := gateway.Hypothetical{
		Method: t.Method, Host: t.Host, Path: t.Path, From: t.From, User: t.User, Scopes: t.Scopes, Groups: t.Groups,
		Roles: t.Roles, Country: t.Country, ASN: t.ASN, ACR: t.ACR, SignIn: t.MFA,
	}
	if t.MFA != nil {
		h.AMR = secondFactor()
	}
	if t.Clock != nil {
		h.At = now.UTC().Truncate(24 * time.Hour).Add(*t.Clock)
	}
	return h
}

// secondFactor is what a token says of a sign-in with two factors that is only described.
func secondFactor() []string { return []string{"mfa"} }

// withBuiltins returns the snapshot with the addresses and default audiences of
// built-in servers filled in. A server that is not there keeps an empty address,
// which does not compile.
func withBuiltins(s spec.Snapshot, server func(name string) (url string, audience []string, ok bool)) spec.Snapshot {
	list := make([]spec.Issuer, len(s.Issuers))
	copy(list, s.Issuers)
	for i := range list {
		if list[i].Builtin == "" {
			continue
		}
		url, audience, ok := server(list[i].Builtin)
		if !ok {
			continue
		}
		list[i].URL = url
		if len(list[i].Audience) == 0 {
			list[i].Audience = audience
		}
	}
	s.Issuers = list
	return s
}

// unreachable is the backend of a gateway that only decides.
type unreachable struct{}

// Serve implements gateway.Backend.
func (unreachable) Serve(*gateway.Exchange) error {
	return gateway.Refuse(gateway.ReasonUpstreamUnreachable, nil, "this gateway only decides")
}

// noAnswers are what a gateway that asks nobody is told.
type noAnswers struct{}

// Cached implements gateway.Introspector.
func (noAnswers) Cached([]byte) (*verify.Token, bool, error) { return nil, false, nil }

// Ask implements gateway.Introspector.
func (noAnswers) Ask(context.Context, []byte) (*verify.Token, error) {
	return nil, &verify.Error{Reason: verify.ReasonIssuerUnreachable, Detail: "this gateway only decides"}
}

// noKeys are the keys of a gateway that verifies nothing.
type noKeys struct{}

// Key implements verify.KeySource.
func (noKeys) Key(context.Context, string, verify.Algorithm) (*verify.Key, error) {
	return nil, &verify.Error{Reason: verify.ReasonIssuerUnreachable, Detail: "this gateway only decides"}
}
