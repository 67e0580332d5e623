package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"gatehouse/internal/ledger"
)

const (
	selectObjects = `SELECT '', o.kind, o.id, o.revision, o.owner, o.data, o.created, o.updated FROM objects o `

	sqlObject = selectObjects + `WHERE o.tenant = $1 AND o.kind = $2 AND o.id = $3`

	sqlObjects = selectObjects + `WHERE o.tenant = $1 AND o.kind = $2 AND o.id > $3 ORDER BY o.id LIMIT $4 OFFSET $5`

	sqlObjectsDown = selectObjects + `WHERE o.tenant = $1 AND o.kind = $2 AND o.id < $3 ORDER BY o.id DESC LIMIT $4 OFFSET $5`

	sqlObjectsOf = `SELECT o.kind, o.kind, o.id, o.revision, o.owner, o.data, o.created, o.updated FROM objects o
WHERE o.tenant = $1 AND o.owner = $2 AND o.owner <> '' AND (o.kind, o.id) > ($3, $4) ORDER BY o.kind, o.id LIMIT $5`

	selectByKey = `SELECT k.value, o.kind, o.id, o.revision, o.owner, o.data, o.created, o.updated FROM object_keys k
JOIN objects o ON o.tenant = k.tenant AND o.kind = k.kind AND o.id = k.id
WHERE k.tenant = $1 AND k.kind = $2 AND k.name = $3 AND k.value >= $4 AND k.value < $5 `

	sqlByKey = selectByKey + `AND (k.value, k.id) > ($6, $7) ORDER BY k.value, k.id LIMIT $8 OFFSET $9`

	sqlByKeyDown = selectByKey + `AND (k.value, k.id) < ($6, $7) ORDER BY k.value DESC, k.id DESC LIMIT $8 OFFSET $9`

	// The state at a revision is each object's last change up to it.
	sqlObjectsAt = `SELECT '', c.kind, c.id, c.seq, c.owner, c.data_after, c.created, c.time FROM changes c
WHERE c.tenant = $1 AND c.kind = $2 AND c.id > $3 AND c.seq <= $4 AND c.operation <> 'delete'
AND NOT EXISTS (SELECT 1 FROM changes n WHERE n.tenant = c.tenant AND n.kind = c.kind AND n.id = c.id AND n.seq <= $4
AND (n.seq, n.part) > (c.seq, c.part))
ORDER BY c.id LIMIT $5`
)

func (l *ledgerTx) Object(ctx context.Context, kind, id string) (ledger.Record, bool, error) {
	r, err := scanRecord(l.tx.row(ctx, sqlObject, l.tenant, kind, id))
	if none(err) {
		return ledger.Record{}, false, nil
	}
	return r, err == nil, err
}

func (l *ledgerTx) Objects(ctx context.Context, q ledger.ObjectQuery) ([]ledger.Record, error) {
	var out []ledger.Record
	text, args := l.objects(q)
	err := l.tx.rows(ctx, func(row scanner) error {
		r, err := scanRecord(row)
		out = append(out, r)
		return err
	}, text, args...)
	return out, err
}

// objects chooses the statement of a query.
func (l *ledgerTx) objects(q ledger.ObjectQuery) (text string, args []any) {
	if q.High == "" {
		q.High = beyond
	}
	if q.Descending && !q.After.Set {
		q.After.Value, q.After.ID = q.High, beyond
	}
	switch {
	case q.Kind == "":
		return sqlObjectsOf, []any{l.tenant, q.Owner, q.After.Value, q.After.ID, q.Limit}
	case q.At != 0:
		return sqlObjectsAt, []any{l.tenant, q.Kind, q.After.ID, q.At, q.Limit}
	case q.By == "" && q.Descending:
		return sqlObjectsDown, []any{l.tenant, q.Kind, q.After.ID, q.Limit, q.Skip}
	case q.By == "":
		return sqlObjects, []any{l.tenant, q.Kind, q.After.ID, q.Limit, q.Skip}
	}
	text = sqlByKey
	if q.Descending {
		text = sqlByKeyDown
	}
	return text, []any{l.tenant, q.Kind, q.By, q.Low, q.High, q.After.Value, q.After.ID, q.Limit, q.Skip}
}

const (
	sqlCountObjects = `SELECT count(*) FROM objects o WHERE o.tenant = $1 AND o.kind = $2`

	sqlCountByKey = `SELECT count(*) FROM object_keys k WHERE k.tenant = $1 AND k.kind = $2 AND k.name = $3 AND k.value >= $4 AND k.value < $5`
)

func (l *ledgerTx) Count(ctx context.Context, q ledger.ObjectQuery) (n int, err error) {
	if q.High == "" {
		q.High = beyond
	}
	text, args := sqlCountObjects, []any{l.tenant, q.Kind}
	if q.By != "" {
		text, args = sqlCountByKey, append(args, q.By, q.Low, q.High)
	}
	err = l.tx.row(ctx, text, args...).Scan(&n)
	return n, err
}

func scanRecord(row scanner) (r ledger.Record, err error) {
	var data string
	var created, updated int64
	err = row.Scan(&r.Sort, &r.Kind, &r.ID, &r.Revision, &r.Owner, &data, &created, &updated)
	r.Data, r.Created, r.Updated = json.RawMessage(data), fromMicros(created), fromMicros(updated)
	return r, err
}

const (
	selectChanges = `SELECT c.tenant, c.seq, c.part, c.parts, c.time, c.actor_type, c.actor_id, c.actor_name, c.reason, c.kind, c.id,
c.operation, c.created, c.owner, c.data_before, c.data_after, c.previous, c.hash FROM changes c WHERE c.tenant = $1 `

	sqlChanges = selectChanges + `AND (c.seq, c.part) > ($2, $3) ORDER BY c.seq, c.part LIMIT $4`

	sqlChangesDown = selectChanges + `AND (c.seq, c.part) < ($2, $3) ORDER BY c.seq DESC, c.part DESC LIMIT $4`

	selectChangesOf = selectChanges + `AND c.kind = $5 AND c.id = $6 `

	sqlChangesOf = selectChangesOf + `AND (c.seq, c.part) > ($2, $3) ORDER BY c.seq, c.part LIMIT $4`

	sqlChangesOfDown = selectChangesOf + `AND (c.seq, c.part) < ($2, $3) ORDER BY c.seq DESC, c.part DESC LIMIT $4`
)

func (l *ledgerTx) Changes(ctx context.Context, q ledger.ChangeQuery) ([]ledger.Change, error) {
	text, args := sqlChanges, []any{l.tenant, q.Place.Revision, q.Place.Part, q.Limit}
	switch {
	case q.Kind != "" && q.Descending:
		text, args = sqlChangesOfDown, append(args, q.Kind, q.ID)
	case q.Kind != "":
		text, args = sqlChangesOf, append(args, q.Kind, q.ID)
	case q.Descending:
		text = sqlChangesDown
	}
	var out []ledger.Change
	err := l.tx.rows(ctx, func(row scanner) error {
		c, err := scanChange(row)
		out = append(out, c)
		return err
	}, text, args...)
	return out, err
}

func scanChange(row scanner) (c ledger.Change, err error) {
	var at, created int64
	var before, after sql.NullString
	err = row.Scan(&c.Tenant, &c.Revision, &c.Part, &c.Parts, &at, &c.Actor.Type, &c.Actor.ID, &c.Actor.Name, &c.Reason, &c.Kind, &c.ID,
		&c.Op, &created, &c.Owner, &before, &after, &c.Previous, &c.Hash)
	c.Time, c.Created = fromMicros(at), fromMicros(created)
	if before.Valid {
		c.Before = json.RawMessage(before.String)
	}
	if after.Valid {
		c.After = json.RawMessage(after.String)
	}
	return c, err
}

const sqlReferrers = `SELECT r.kind, r.id, r.field, r.on_delete FROM object_refs r
WHERE r.tenant = $1 AND r.target_kind = $2 AND r.target_id = $3 AND (r.kind, r.id, r.field) > ($4, $5, $6)
ORDER BY r.kind, r.id, r.field LIMIT $7`

func (l *ledgerTx) Referrers(ctx context.Context, q ledger.ReferrerQuery) ([]ledger.Referrer, error) {
	var out []ledger.Referrer
	err := l.tx.rows(ctx, func(row scanner) error {
		var r ledger.Referrer
		err := row.Scan(&r.Kind, &r.ID, &r.Field, &r.OnDelete)
		out = append(out, r)
		return err
	}, sqlReferrers, l.tenant, q.Kind, q.ID, q.After.Kind, q.After.ID, q.After.Field, q.Limit)
	return out, err
}
