package catalog

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"gatehouse/internal/ledger"
	"gatehouse/internal/order"
	"gatehouse/internal/policy"
	"gatehouse/internal/spec"
)

// Snapshot returns everything that the tenant's gateway serves, as it is in the
// transaction: objects by name, and where they were written.
func Snapshot(tx *ledger.Tx) (spec.Snapshot, error) { return SnapshotAt(tx, 0) }

// SnapshotAt returns what was served at a revision; 0 means now.
func SnapshotAt(tx *ledger.Tx, at ledger.Revision) (s spec.Snapshot, err error) {
	head, err := tx.Head()
	if err != nil {
		return s, err
	}
	c := collector{Snapshot: spec.Snapshot{Tenant: string(tx.Tenant()), Revision: int64(head)}}
	if at != 0 {
		c.Revision = int64(at)
		err = tx.Export(at, c.record)
	} else {
		err = c.now(tx)
	}
	if err != nil {
		return s, err
	}
	s = c.Snapshot
	order.By(s.Issuers, func(a, b spec.Issuer) int { return cmp.Compare(a.Name, b.Name) })
	order.By(s.APIs, func(a, b spec.API) int { return cmp.Compare(a.Name, b.Name) })
	order.By(s.Zones, func(a, b spec.Zone) int { return cmp.Compare(a.Name, b.Name) })
	order.By(s.Policies, func(a, b spec.Policy) int { return cmp.Compare(a.Name, b.Name) })
	order.By(s.Models, func(a, b spec.Model) int { return cmp.Compare(a.Name, b.Name) })
	order.By(s.DecisionPoints, func(a, b spec.DecisionPoint) int { return cmp.Compare(a.Name, b.Name) })
	return s, nil
}

// Secrets returns the settings whose values came from outside of their files, at a
// revision (0 = now), with the text to show and write in their place.
func Secrets(tx *ledger.Tx, at ledger.Revision) (map[string]string, error) {
	c := collector{}
	if at != 0 {
		err := tx.Export(at, c.record)
		return c.secrets, err
	}
	err := each(tx, Manifests, c.manifest)
	return c.secrets, err
}

// collector makes a snapshot of objects.
type collector struct {
	spec.Snapshot
	secrets map[string]string
}

func each[T any](tx *ledger.Tx, k *ledger.Kind[T], f func(T)) error {
	for o, err := range k.All(tx, ledger.Query{Limit: 1000}) {
		if err != nil {
			return fmt.Errorf("list %s objects: %w", k.Name(), err)
		}
		f(o.Value)
	}
	return nil
}

func (c *collector) now(tx *ledger.Tx) error {
	steps := []func() error{
		func() error { return each(tx, Issuers, c.issuer) },
		func() error { return each(tx, APIs, c.api) },
		func() error { return each(tx, Zones, c.zone) },
		func() error { return each(tx, Policies, c.policy) },
		func() error { return each(tx, Models, c.model) },
		func() error { return each(tx, DecisionPoints, c.point) },
		func() error { return each(tx, Manifests, c.manifest) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// record adds a record, when it is of one of our kinds.
func (c *collector) record(r ledger.Record) error {
	switch r.Kind {
	case KindIssuer:
		return decode(Issuers, r, c.issuer)
	case KindAPI:
		return decode(APIs, r, c.api)
	case KindZone:
		return decode(Zones, r, c.zone)
	case KindPolicy:
		return decode(Policies, r, c.policy)
	case KindModel:
		return decode(Models, r, c.model)
	case KindPoint:
		return decode(DecisionPoints, r, c.point)
	case KindManifest:
		return decode(Manifests, r, c.manifest)
	}
	return nil
}

func decode[T any](k *ledger.Kind[T], r ledger.Record, f func(T)) error {
	o, err := k.Decode(r)
	if err == nil {
		f(o.Value)
	}
	return err
}

func (c *collector) issuer(i spec.Issuer) { c.Issuers = append(c.Issuers, i) }
func (c *collector) api(a API)            { c.APIs = append(c.APIs, a.API) }
func (c *collector) zone(z spec.Zone)     { c.Zones = append(c.Zones, z) }
func (c *collector) policy(p spec.Policy) { c.Policies = append(c.Policies, p) }
func (c *collector) model(m spec.Model)   { c.Models = append(c.Models, m) }
func (c *collector) point(p spec.DecisionPoint) {
	c.DecisionPoints = append(c.DecisionPoints, p)
}

func (c *collector) manifest(m Manifest) {
	if c.Sources == nil {
		c.Sources, c.secrets = map[string]string{}, map[string]string{}
	}
	maps.Copy(c.Sources, m.Sources)
	maps.Copy(c.secrets, m.Secrets)
}

// Guard returns a check for the ledger: whatever changes the catalog leaves behind
// a state that can be served. Changes of other rooms pass.
func Guard(rules spec.Rules) ledger.Guard {
	return func(_ context.Context, tx *ledger.Tx) error {
		ours := slices.ContainsFunc(tx.Changes(), func(c ledger.Change) bool { return isOurs(c.Kind) && c.Kind != KindManifest })
		if !ours {
			return nil
		}
		s, err := Snapshot(tx)
		if err != nil {
			return err
		}
		if err := spec.Err(s.Check(rules)); err != nil {
			return err
		}
		_, problems := policy.Compile(&s)
		return policy.Err(problems)
	}
}

func isOurs(kind string) bool {
	switch kind {
	case KindIssuer, KindAPI, KindZone, KindPolicy, KindModel, KindPoint, KindManifest:
		return true
	}
	return false
}
