package store

import (
	"context"
	"database/sql"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// Ledger returns the store as the ledger sees it.
func (db *DB) Ledger() ledger.Store { return ledgerStore{db} }

type ledgerStore struct{ db *DB }

func (s ledgerStore) Read(ctx context.Context, t tenant.ID, f func(ledger.Reader) error) error {
	return s.db.read(ctx, "store", func(ctx context.Context, tx *tx) error { return f(&ledgerTx{tx: tx, tenant: t}) })
}

func (s ledgerStore) Object(ctx context.Context, t tenant.ID, kind, id string) (r ledger.Record, there bool, err error) {
	err = s.db.glance(ctx, "store", func(ctx context.Context, tx *tx) (err error) {
		r, there, err = (&ledgerTx{tx: tx, tenant: t}).Object(ctx, kind, id)
		return err
	})
	return r, there, err
}

func (s ledgerStore) Write(ctx context.Context, t tenant.ID, f func(ledger.Writer) error) error {
	return s.db.write(ctx, "store", func(ctx context.Context, tx *tx) error {
		return f(&ledgerTx{tx: tx, tenant: t, write: true})
	})
}

// ledgerTx is one transaction on one tenant's rows: every statement names the
// tenant.
type ledgerTx struct {
	tx     *tx
	tenant tenant.ID
	write  bool
	head   ledger.Revision // that Head took
}

const sqlHead = `SELECT seq, hash FROM heads WHERE tenant = $1`

// sqlTakeHead makes the head when there is none, and holds it until the
// transaction ends: other writers of the tenant wait here.
const sqlTakeHead = `INSERT INTO heads (tenant, seq, hash) VALUES ($1, 0, '')
ON CONFLICT (tenant) DO UPDATE SET seq = heads.seq RETURNING seq, hash`

func (l *ledgerTx) Head(ctx context.Context) (h ledger.Head, err error) {
	if l.write {
		err = l.tx.row(ctx, sqlTakeHead, l.tenant).Scan(&h.Revision, &h.Hash)
		l.head = h.Revision
		return h, err
	}
	err = l.tx.row(ctx, sqlHead, l.tenant).Scan(&h.Revision, &h.Hash)
	if none(err) {
		return ledger.Head{}, nil
	}
	return h, err
}

const (
	sqlSaveObject = `INSERT INTO objects (tenant, kind, id, revision, owner, data, created, updated)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (tenant, kind, id) DO UPDATE SET revision = excluded.revision, owner = excluded.owner, data = excluded.data,
created = excluded.created, updated = excluded.updated`

	sqlDeleteObject = `DELETE FROM objects WHERE tenant = $1 AND kind = $2 AND id = $3`

	sqlDeleteKeys = `DELETE FROM object_keys WHERE tenant = $1 AND kind = $2 AND id = $3`

	sqlDeleteRefs = `DELETE FROM object_refs WHERE tenant = $1 AND kind = $2 AND id = $3`

	sqlSaveKey = `INSERT INTO object_keys (tenant, kind, name, value, id, uniq) VALUES ($1, $2, $3, $4, $5, $6)`

	sqlSaveRef = `INSERT INTO object_refs (tenant, kind, id, field, target_kind, target_id, on_delete)
VALUES ($1, $2, $3, $4, $5, $6, $7)`
)

func (l *ledgerTx) Save(ctx context.Context, o ledger.Record, links ledger.Links) error {
	if !links.Fresh {
		if err := l.unlink(ctx, o.Kind, o.ID); err != nil {
			return err
		}
	}
	if err := l.tx.later(ctx, sqlSaveObject, l.tenant, o.Kind, o.ID, o.Revision, o.Owner, string(o.Data),
		micros(o.Created), micros(o.Updated)); err != nil {
		return err
	}
	for _, k := range links.Keys {
		unique := 0
		if k.Unique {
			unique = 1
		}
		if err := l.tx.later(ctx, sqlSaveKey, l.tenant, o.Kind, k.Name, k.Value, o.ID, unique); err != nil {
			return err
		}
	}
	for _, r := range links.Refs {
		if err := l.tx.later(ctx, sqlSaveRef, l.tenant, o.Kind, o.ID, r.Field, r.Kind, r.ID, int64(r.OnDelete)); err != nil {
			return err
		}
	}
	return nil
}

func (l *ledgerTx) unlink(ctx context.Context, kind, id string) error {
	for _, text := range []string{sqlDeleteKeys, sqlDeleteRefs} {
		if err := l.tx.later(ctx, text, l.tenant, kind, id); err != nil {
			return err
		}
	}
	return nil
}

func (l *ledgerTx) Remove(ctx context.Context, kind, id string) error {
	if err := l.unlink(ctx, kind, id); err != nil {
		return err
	}
	return l.tx.later(ctx, sqlDeleteObject, l.tenant, kind, id)
}

const sqlAppend = `INSERT INTO changes (tenant, seq, part, parts, time, actor_type, actor_id, actor_name, reason, kind, id, operation,
created, owner, data_before, data_after, previous, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`

const sqlMoveHead = `UPDATE heads SET seq = $2, hash = $3 WHERE tenant = $1 AND seq = $4`

func (l *ledgerTx) Append(ctx context.Context, changes []ledger.Change, head ledger.Head) error {
	for i := range changes {
		c := &changes[i]
		err := l.tx.later(ctx, sqlAppend, l.tenant, c.Revision, c.Part, c.Parts, micros(c.Time), c.Actor.Type, c.Actor.ID, c.Actor.Name,
			c.Reason, c.Kind, c.ID, string(c.Op), micros(c.Created), c.Owner, optional(c.Before), optional(c.After), c.Previous, c.Hash)
		if err != nil {
			return err
		}
	}
	moved, err := l.tx.exec(ctx, sqlMoveHead, l.tenant, head.Revision, head.Hash, l.head)
	if err == nil && moved != 1 {
		err = fault.New(fault.Internal, "the head of tenant %s moved while it was held", l.tenant)
	}
	return err
}

func optional(doc []byte) sql.NullString {
	return sql.NullString{String: string(doc), Valid: doc != nil}
}
