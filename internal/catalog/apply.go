package catalog

import (
	"context"
	"slices"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/spec"
)

// Declared is what a configuration file says.
type Declared struct {
	File   string // its name, by which it owns what it declares
	Digest string // SHA-256 of its text, hex
	// Snapshot holds the objects and their sources. They have been checked.
	Snapshot spec.Snapshot
	// Secrets maps settings to the text as written, for those whose values came from
	// outside of the file.
	Secrets map[string]string
	// Values maps settings that are secrets to their values. They are kept sealed.
	Values map[string]string
	Sealer Sealer // required when there are Values
	Reason string // for the history; empty: "apply FILE"
	// IfRevision refuses, with fault.Stale, when the tenant is at another revision; 0: never.
	IfRevision ledger.Revision
	// Adopt takes over objects of the same names that were not declared by any
	// file. Without it they are a conflict.
	Adopt  bool
	DryRun bool // check all and write nothing
}

// Result is what an Apply did, or would do.
type Result struct {
	// Revision is what it made, or the one that it found nothing to change in; of a
	// dry run, the one that it was compared with.
	Revision ledger.Revision
	Diff
}

// Apply makes the file's objects those that it declares. It changes nothing, and
// makes no revision, when they are so already. What others own stays as it is:
// an object of the same name that another file declares, or that nobody does
// (unless d.Adopt), is fault.Conflict.
func Apply(ctx context.Context, l *ledger.Ledger, d Declared, actor ledger.Actor) (Result, error) {
	if d.File == "" {
		return Result{}, fault.New(fault.Invalid, "a configuration has a file name: it owns what it declares")
	}
	if d.Reason == "" {
		d.Reason = "apply " + d.File
	}
	var r Result
	work := func(tx *ledger.Tx) (err error) {
		r = Result{}
		if r.Revision, err = tx.Head(); err != nil {
			return err
		}
		r.Diff, err = d.apply(tx, r.Revision)
		return err
	}
	if d.DryRun {
		_, err := l.Preview(ctx, actor, d.Reason, work)
		return r, err
	}
	revision, err := l.Update(ctx, actor, d.Reason, work)
	if err != nil {
		return Result{}, err
	}
	r.Revision = revision
	return r, nil
}

func (d *Declared) apply(tx *ledger.Tx, head ledger.Revision) (Diff, error) {
	if d.IfRevision != 0 && head != d.IfRevision {
		return Diff{}, fault.New(fault.Stale, "the configuration is at revision %d, not %d: look at the difference and try again", head, d.IfRevision)
	}
	before, err := Secrets(tx, 0)
	if err != nil {
		return Diff{}, err
	}
	desired, err := d.desired(tx)
	if err != nil {
		return Diff{}, err
	}
	if err := d.refuseStrangers(tx, desired); err != nil {
		return Diff{}, err
	}
	plan, err := tx.Apply(d.File, desired)
	if err != nil {
		return Diff{}, err
	}
	return differ{before: before, after: d.Secrets}.of(plan)
}

// desired lists the objects of the file, its manifest among them.
func (d *Declared) desired(tx *ledger.Tx) (out []ledger.Desired, err error) {
	m := Manifest{File: d.File, Digest: d.Digest, Sources: d.Snapshot.Sources, Secrets: d.Secrets}
	add := func(kind, name, path string, value any) {
		out = append(out, ledger.Desired{Kind: kind, Key: nameKey(name), Value: value})
		m.Objects = append(m.Objects, path)
	}
	for _, i := range d.Snapshot.Issuers {
		if i.ClientSecret, err = d.sealed(tx, i); err != nil {
			return nil, err
		}
		add(KindIssuer, i.Name, spec.PathIssuer(i.Name), i)
	}
	for _, p := range d.Snapshot.DecisionPoints {
		if p.Token, err = d.sealedToken(tx, p); err != nil {
			return nil, err
		}
		add(KindPoint, p.Name, spec.PathDecisionPoint(p.Name), p)
	}
	for _, a := range d.Snapshot.APIs {
		stored, err := Refer(tx, a)
		if err != nil {
			return nil, err
		}
		add(KindAPI, a.Name, spec.PathAPI(a.Name), stored)
	}
	for _, z := range d.Snapshot.Zones {
		add(KindZone, z.Name, spec.PathZone(z.Name), z)
	}
	for _, p := range d.Snapshot.Policies {
		add(KindPolicy, p.Name, spec.PathPolicy(p.Name), p)
	}
	for _, m := range d.Snapshot.Models {
		add(KindModel, m.Name, spec.PathModel(m.Name), m)
	}
	slices.Sort(m.Objects)
	return append(out, ledger.Desired{Kind: KindManifest, Key: fileKey(d.File), Value: m}), nil
}

// refuseStrangers lists the objects of the wanted names that were made elsewhere.
func (d *Declared) refuseStrangers(tx *ledger.Tx, desired []ledger.Desired) error {
	if d.Adopt {
		return nil
	}
	var fields []fault.Field
	for _, one := range desired {
		r, err := tx.Find(one.Kind, one.Key)
		switch {
		case fault.Is(err, fault.NotFound):
		case err != nil:
			return err
		case r.Owner == "":
			fields = append(fields, fault.Field{
				Path:    pathOf(one.Kind, one.Key.Parts[0]),
				Message: "this " + one.Kind + " exists already and was not declared by a file: adopt it, or choose another name",
			})
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return fault.New(fault.Conflict, "%s declares what was made elsewhere", d.File).WithReason("not_adopted").WithFields(fields...)
}

// Rollback brings what the gateway serves back to what it was at a revision, and
// leaves people, apps and all else as they are. It is a revision of its own; a file
// that is applied again undoes it.
func Rollback(ctx context.Context, l *ledger.Ledger, actor ledger.Actor, reason string, to ledger.Revision) (Result, error) {
	var r Result
	revision, err := l.Update(ctx, actor, reason, func(tx *ledger.Tx) error {
		before, err := Secrets(tx, 0)
		if err != nil {
			return err
		}
		head, err := tx.Head()
		if err != nil {
			return err
		}
		after := before
		if to > 0 && to < head {
			if after, err = Secrets(tx, to); err != nil {
				return err
			}
		}
		plan, err := tx.Diff(head, to)
		if err != nil {
			return err
		}
		plan = slices.DeleteFunc(plan, func(d ledger.Difference) bool { return !isOurs(d.Kind) })
		for _, d := range plan {
			if _, err := tx.Restore(d.Kind, d.ID, to); err != nil {
				return err
			}
		}
		r.Diff, err = differ{before: before, after: after}.of(plan)
		return err
	})
	if err != nil {
		return Result{}, err
	}
	r.Revision = revision
	return r, nil
}
