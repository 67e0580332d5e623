package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/client"
	"gatehouse/internal/access"
	"gatehouse/internal/admin"
	"gatehouse/internal/audit"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// restorable are the kinds whose objects are restored one by one: people and policies.
// What has secrets, or gives rights, is not among them: apps, API tokens, roles, factors.
func restorable() []string {
	return []string{
		directory.Users.Name(), directory.Groups.Name(), directory.GroupRules.Name(), directory.UserTypes.Name(), directory.Schemas.Name(),
		access.Servers.Name(), access.Scopes.Name(), access.Claims.Name(), access.Policies.Name(), access.Rules.Name(),
		access.PeoplePolicies.Name(), access.SessionRules.Name(), access.Zones.Name(), access.Origins.Name(),
	}
}

// objects implements admin.Objects over the ledger.
type objects struct {
	ledger *ledger.Ledger
	people *directory.Service
	audit  audit.Recorder
}

// find makes sure that the kind can be restored; a user may be named by login.
func (o *objects) find(ctx context.Context, kind, id string) (string, error) {
	if !slices.Contains(restorable(), kind) {
		return "", fault.New(fault.NotFound, "objects of the kind %.50q are not restored one by one; those of %s are", kind, strings.Join(restorable(), ", "))
	}
	if kind != directory.Users.Name() || !strings.Contains(id, "@") {
		return id, nil
	}
	u, err := o.people.FindUser(ctx, id)
	return u.ID, err
}

// History implements admin.Objects.
func (o *objects) History(ctx context.Context, kind, id string) (out []client.ObjectChange, err error) {
	if id, err = o.find(ctx, kind, id); err != nil {
		return nil, err
	}
	list, err := o.ledger.History(ctx, ledger.HistoryQuery{Kind: kind, ID: id, Limit: 1000})
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "there is and was no %s %.50q", kind, id)
	}
	for i := range list {
		ch := &list[i]
		fields, err := fieldsOf(ch)
		if err != nil {
			return nil, err
		}
		out = append(out, client.ObjectChange{Change: change(ch), Fields: fields})
	}
	return out, err
}

// Restore implements admin.Objects.
func (o *objects) Restore(ctx context.Context, actor admin.Actor, kind, id string, r client.ObjectRestore) (out client.RestoredObject, err error) {
	if id, err = o.find(ctx, kind, id); err != nil {
		return out, err
	}
	var did []ledger.Change
	do := func(tx *ledger.Tx) error {
		err := restore(tx, kind, id, ledger.Revision(r.Revision))
		did = slices.Clone(tx.Changes())
		return err
	}
	reason := r.Reason
	if reason == "" {
		reason = fmt.Sprintf("%s %s as it was at revision %d", kind, id, r.Revision)
	}
	if r.DryRun {
		_, err = o.ledger.Preview(ctx, ledgerActor(actor), reason, do)
	} else {
		var live ledger.Revision
		live, err = o.ledger.Update(ctx, ledgerActor(actor), reason, do)
		out.Revision = int64(live)
	}
	if err != nil || len(did) == 0 {
		return out, err
	}
	out.Operation = string(did[0].Op)
	if out.Fields, err = fieldsOf(&did[0]); err != nil || r.DryRun {
		return out, err
	}
	t, _ := tenant.From(ctx)
	o.audit.Record(audit.Event{
		Tenant: t, Type: "object.restore", Message: "Restore an object from history", Actor: audit.Entity{ID: actor.ID, Type: "User", DisplayName: actor.Name},
		Targets: []audit.Entity{{ID: id, Type: kind}}, Outcome: audit.Outcome{Result: audit.Success},
	})
	return out, nil
}

func restore(tx *ledger.Tx, kind, id string, to ledger.Revision) error {
	if kind == directory.Users.Name() {
		return directory.RestoreUser(tx, id, to)
	}
	// To a time when it was not there leads no way back but its deletion, which has rules.
	if _, err := tx.At(kind, id, to); err != nil {
		return err
	}
	_, err := tx.Restore(kind, id, to)
	return err
}

// change is a row of history in the client's words.
func change(ch *ledger.Change) client.Change {
	actor := ch.Actor.Name
	if actor == "" {
		actor = strings.TrimSpace(ch.Actor.Type + " " + ch.Actor.ID)
	}
	return client.Change{
		Revision: int64(ch.Revision), Time: ch.Time, Actor: actor, Reason: ch.Reason, Kind: ch.Kind, ID: ch.ID, Operation: string(ch.Op), Hash: ch.Hash,
	}
}

// fieldsOf returns what a change changed, member by member; secrets are named and not
// shown.
func fieldsOf(ch *ledger.Change) (out []client.FieldDiff, err error) {
	before, after := map[string]string{}, map[string]string{}
	for _, side := range []struct {
		doc  json.RawMessage
		into map[string]string
	}{{ch.Before, before}, {ch.After, after}} {
		if len(side.doc) == 0 {
			continue
		}
		var v any
		d := json.NewDecoder(bytes.NewReader(side.doc))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		flatten(v, "", side.into)
	}
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		f := client.FieldDiff{Path: path, Before: before[path], After: after[path]}
		if f.Before == f.After {
			continue
		}
		if top, _, _ := strings.Cut(path, "."); ch.Kind == directory.Users.Name() && slices.Contains(directory.UserSecrets(), top) {
			f.Before, f.After = hide(f.Before), hide(f.After)
		}
		out = append(out, f)
	}
	return out, nil
}

func hide(s string) string {
	if s == "" {
		return ""
	}
	return "(not shown)"
}

// flatten writes the members of a JSON value by their paths; lists are written whole.
func flatten(v any, at string, into map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			flatten(e, strings.TrimPrefix(at+"."+name, "."), into)
		}
	case string:
		into[at] = v
	default:
		raw, err := json.Marshal(v)
		if err == nil {
			into[at] = string(raw)
		}
	}
}
