package ledger

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/fault"
)

// Registry is the set of kinds that a ledger keeps.
type Registry struct{ kinds map[string]*kindCore }

// NewRegistry returns the registry of the kinds, or says which spec is wrong.
func NewRegistry(kinds ...AnyKind) (*Registry, error) {
	r := &Registry{kinds: map[string]*kindCore{}}
	prefixes := map[string]string{}
	var errs []error
	for _, k := range kinds {
		core := k.coreOf()
		switch {
		case !lowerName(core.name, 1, 40):
			errs = append(errs, fmt.Errorf("kind %q: a name is 1 to 40 lower-case letters, digits and underscores", core.name))
		case len(core.prefix) != 3 || strings.Trim(core.prefix, base62) != "":
			errs = append(errs, fmt.Errorf("kind %q: id prefix %q must be 3 letters or digits", core.name, core.prefix))
		case r.kinds[core.name] != nil:
			errs = append(errs, fmt.Errorf("kind %q is registered twice", core.name))
		case prefixes[core.prefix] != "" && !core.shares:
			errs = append(errs, fmt.Errorf("kind %q: id prefix %q is taken by kind %q", core.name, core.prefix, prefixes[core.prefix]))
		default:
			r.kinds[core.name], prefixes[core.prefix] = core, core.name
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}

// Kinds returns the names of the kinds, sorted.
func (r *Registry) Kinds() []string { return slices.Sorted(maps.Keys(r.kinds)) }

// kind returns the kind with the name.
func (r *Registry) kind(name string) (*kindCore, error) {
	if k := r.kinds[name]; k != nil {
		return k, nil
	}
	return nil, fault.New(fault.Unsupported, "this version knows no objects of kind %s: run the version that wrote them", quote(name))
}

func lowerName(s string, least, most int) bool {
	if len(s) < least || len(s) > most {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
