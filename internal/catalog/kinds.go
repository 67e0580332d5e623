// Package catalog keeps what the gateway serves: issuers, APIs, zones and policies
// as objects of the ledger, and for each configuration file a manifest of what it
// declares.
//
// A file owns what it declares: applying it creates, changes and deletes its
// objects and nobody else's. Where a setting was written is kept in the manifest
// alone, so that moving a line changes no object. The room must not know how
// files are read or how requests are served: it takes and gives spec objects.
package catalog

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/ledger"
	"gatehouse/internal/spec"
)

// Names of the kinds.
const (
	KindIssuer   = "issuer"
	KindAPI      = "api"
	KindZone     = "zone"
	KindPolicy   = "policy"
	KindModel    = "model"
	KindPoint    = "decision_point"
	KindManifest = "manifest"
)

// API is an API as it is stored: with the ids of what it names.
type API struct {
	spec.API
	// IDs maps "issuers.NAME", "zones.NAME" and "decision_points.NAME" to the id of the object.
	IDs map[string]string `json:"ids,omitempty"`
}

// Manifest is what is known of a configuration file that was applied.
type Manifest struct {
	File   string `json:"file"`   // its name: the owner of what it declares
	Digest string `json:"digest"` // SHA-256 of its text, hex
	// Sources maps settings, as dotted paths, to "file:line:column".
	Sources map[string]string `json:"sources,omitempty"`
	// Secrets maps settings to the text as written, such as "${env:TOKEN}", where the
	// value came from outside of the file.
	Secrets map[string]string `json:"secrets,omitempty"`
	// Objects are the settings paths of what the file declares, sorted.
	Objects []string `json:"objects,omitempty"`
}

// The kinds. A kind holds no state.
var (
	// Issuers are unique by name.
	Issuers = ledger.NewKind(ledger.Spec[spec.Issuer]{
		Name: KindIssuer, IDPrefix: "iss",
		Keys:    func(i spec.Issuer) []ledger.Key { return []ledger.Key{nameKey(i.Name)} },
		Check:   checkIssuer,
		Secrets: []string{"client_secret"},
	})
	// APIs are unique by name and refer to their issuers and zones.
	APIs = ledger.NewKind(ledger.Spec[API]{
		Name: KindAPI, IDPrefix: "api",
		Keys:  func(a API) []ledger.Key { return []ledger.Key{nameKey(a.Name)} },
		Index: func(a API) []ledger.Key { return []ledger.Key{ledger.By("base", a.Host, a.BasePath)} },
		Refs:  refsOf,
		Check: func(a API) error { return spec.Err(a.Check()) },
	})
	// Zones are unique by name.
	Zones = ledger.NewKind(ledger.Spec[spec.Zone]{
		Name: KindZone, IDPrefix: "zon",
		Keys:  func(z spec.Zone) []ledger.Key { return []ledger.Key{nameKey(z.Name)} },
		Check: func(z spec.Zone) error { return spec.Err(z.Check()) },
	})
	// Policies are unique by name.
	Policies = ledger.NewKind(ledger.Spec[spec.Policy]{
		Name: KindPolicy, IDPrefix: "pol",
		Keys:  func(p spec.Policy) []ledger.Key { return []ledger.Key{nameKey(p.Name)} },
		Check: func(p spec.Policy) error { return spec.Err(p.Check()) },
	})
	// Models are unique by name.
	Models = ledger.NewKind(ledger.Spec[spec.Model]{
		Name: KindModel, IDPrefix: "mdl",
		Keys:  func(m spec.Model) []ledger.Key { return []ledger.Key{nameKey(m.Name)} },
		Check: func(m spec.Model) error { return spec.Err(m.Check()) },
	})
	// DecisionPoints are unique by name.
	DecisionPoints = ledger.NewKind(ledger.Spec[spec.DecisionPoint]{
		Name: KindPoint, IDPrefix: "dpt",
		Keys:    func(p spec.DecisionPoint) []ledger.Key { return []ledger.Key{nameKey(p.Name)} },
		Check:   checkPoint,
		Secrets: []string{"token"},
	})
	// Manifests are unique by file.
	Manifests = ledger.NewKind(ledger.Spec[Manifest]{
		Name: KindManifest, IDPrefix: "mnf",
		Keys: func(m Manifest) []ledger.Key { return []ledger.Key{fileKey(m.File)} },
	})
)

// Kinds returns the kinds of this room, for a ledger's registry.
func Kinds() []ledger.AnyKind {
	return []ledger.AnyKind{Issuers, APIs, Zones, Policies, Models, DecisionPoints, Manifests}
}

func nameKey(name string) ledger.Key { return ledger.By("name", name) }

func fileKey(file string) ledger.Key { return ledger.By("file", file) }

// checkIssuer checks an issuer by itself. Whether http is good enough is for the
// process to say that serves it, see Guard.
func checkIssuer(i spec.Issuer) error {
	if i.ClientSecret != "" && !ledger.Sealed(i.ClientSecret) {
		return errors.New("client_secret is not sealed: the catalog keeps no plain secrets")
	}
	return spec.Err(i.Check(spec.Rules{PlainIssuers: true}))
}

// checkPoint is checkIssuer for a decision point.
func checkPoint(p spec.DecisionPoint) error {
	if p.Token != "" && !ledger.Sealed(p.Token) {
		return errors.New("token is not sealed: the catalog keeps no plain secrets")
	}
	return spec.Err(p.Check(spec.Rules{PlainIssuers: true}))
}

func refsOf(a API) []ledger.Ref {
	var out []ledger.Ref
	for _, name := range slices.Sorted(maps.Keys(a.IDs)) {
		kind := KindIssuer
		switch {
		case strings.HasPrefix(name, "zones."):
			kind = KindZone
		case strings.HasPrefix(name, "decision_points."):
			kind = KindPoint
		}
		out = append(out, ledger.Ref{Field: "ids." + name, Kind: kind, ID: a.IDs[name]})
	}
	return out
}

// Refer returns the API with the ids of what it names. The Update fails at its end
// when something of them does not exist.
func Refer(tx *ledger.Tx, a spec.API) (API, error) {
	out := API{API: a}
	add := func(kind, path, name string) error {
		id, err := tx.DesiredID(kind, nameKey(name))
		if err != nil {
			return fmt.Errorf("find %s %q: %w", kind, name, err)
		}
		if out.IDs == nil {
			out.IDs = map[string]string{}
		}
		out.IDs[path] = id
		return nil
	}
	issuers := a.Auth
	if a.SignIn != "" {
		issuers = append(slices.Clone(issuers), a.SignIn)
	}
	for _, name := range issuers {
		if name == spec.Public || name == spec.AuthAPIKey || name == spec.AuthSession || name == spec.AuthMTLS {
			continue
		}
		if err := add(KindIssuer, spec.PathIssuer(name), name); err != nil {
			return API{}, err
		}
	}
	for i := range a.Routes {
		r := &a.Routes[i]
		for _, name := range r.Zones {
			if err := add(KindZone, spec.PathZone(name), name); err != nil {
				return API{}, err
			}
		}
		for _, name := range r.Asked(&a) {
			if err := add(KindPoint, spec.PathDecisionPoint(name), name); err != nil {
				return API{}, err
			}
		}
	}
	return out, nil
}
