package store

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// An event that is there already (a batch sent again after its answer was lost)
// stays as it is.
const sqlAppendEvent = `INSERT INTO events (tenant, time, id, type, actor, outcome, reason, request, data)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant, time, id) DO NOTHING`

// AppendEvents stores events of the system log for good; all or none.
func (db *DB) AppendEvents(ctx context.Context, events []audit.Event) error {
	if len(events) == 0 {
		return nil
	}
	data := make([]string, len(events))
	for i, e := range events {
		if !e.Tenant.Valid() || e.ID == "" || e.Time.IsZero() {
			return fault.New(fault.Invalid, "an event needs a tenant, an id and a time")
		}
		raw, err := json.Marshal(e)
		if err != nil {
			return err
		}
		data[i] = string(raw)
	}
	return db.write(ctx, "append events", func(ctx context.Context, tx *tx) error {
		for i, e := range events {
			err := tx.later(ctx, sqlAppendEvent, e.Tenant, micros(e.Time), word(e.ID), word(e.Type), word(e.Actor.ID), word(string(e.Outcome.Result)),
				word(e.Outcome.Reason), word(e.RequestID), data[i])
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// word makes a text that a stranger may have chosen (a client id that does not
// exist, a request id) fit for a column with an index: one that PostgreSQL would
// refuse must not lose the whole batch. The event itself keeps it as it was.
func word(s string) string {
	const most = 300
	if len(s) > most {
		s = s[:most]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}

const (
	selectEvents = `SELECT e.tenant, e.time, e.id, e.data FROM events e
WHERE e.tenant = $1 AND e.time >= $2 AND e.time < $3 `

	eventsAfter = `AND (e.time, e.id) > ($4, $5) `

	eventsBefore = `AND (e.time, e.id) < ($4, $5) `

	eventsByActor = `AND e.actor = $7 `

	eventsUp = `ORDER BY e.time, e.id LIMIT $6`

	eventsDown = `ORDER BY e.time DESC, e.id DESC LIMIT $6`
)

// eventsText is the statement for a query's shape: its direction, whether it
// names an actor, and how many types it names.
func eventsText(descending, actor bool, types int) string {
	text := selectEvents
	if descending {
		text += eventsBefore
	} else {
		text += eventsAfter
	}
	next := 7
	if actor {
		text += eventsByActor
		next++
	}
	if types > 0 {
		places := make([]string, types)
		for i := range places {
			places[i] = "$" + strconv.Itoa(next+i)
		}
		text += "AND e.type IN (" + strings.Join(places, ", ") + ") "
	}
	if descending {
		return text + eventsDown
	}
	return text + eventsUp
}

// endOfTime is later than every time that is stored.
const endOfTime = int64(1) << 62

// QueryEvents returns a page of the system log of q.Tenant, and the position that
// the next page begins after: empty when there is none.
func (db *DB) QueryEvents(ctx context.Context, q audit.Query) (events []audit.Event, next string, err error) {
	since, until := micros(q.Since), endOfTime
	if !q.Until.IsZero() {
		until = micros(q.Until)
	}
	at, id, err := eventPosition(q)
	if err != nil {
		return nil, "", err
	}
	limit := q.Limit
	if limit <= 0 {
		limit = audit.DefaultLimit
	}
	args := []any{q.Tenant, since, until, at, id, limit + 1}
	if q.Actor != "" {
		args = append(args, word(q.Actor))
	}
	for _, t := range q.Types {
		args = append(args, word(t))
	}
	text := eventsText(q.Descending, q.Actor != "", len(q.Types))
	err = db.read(ctx, "query events", func(ctx context.Context, tx *tx) error {
		events = nil
		return tx.rows(ctx, func(row scanner) error {
			e, err := scanEvent(row)
			events = append(events, e)
			return err
		}, text, args...)
	})
	if err != nil || len(events) <= limit {
		return events, "", err
	}
	last := events[limit-1]
	return events[:limit], strconv.FormatInt(micros(last.Time), 10) + "." + last.ID, nil
}

// eventPosition is where the page of a query begins.
func eventPosition(q audit.Query) (at int64, id string, err error) {
	if q.After == "" {
		if q.Descending {
			return endOfTime, "", nil
		}
		return -endOfTime, "", nil
	}
	number, id, ok := strings.Cut(q.After, ".")
	at, err = strconv.ParseInt(number, 10, 64)
	if err != nil || !ok {
		return 0, "", fault.New(fault.Invalid, "the cursor is not one that was handed out: start again without it")
	}
	return at, word(id), nil
}

func scanEvent(row scanner) (e audit.Event, err error) {
	var t, id, data string
	var at int64
	if err := row.Scan(&t, &at, &id, &data); err != nil {
		return e, err
	}
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		return e, err
	}
	e.Tenant, e.ID, e.Time = tenant.ID(t), id, fromMicros(at)
	return e, nil
}

const sqlPruneEvents = `DELETE FROM events WHERE tenant = $1 AND time < $2`

// PruneEvents forgets a tenant's events from before the time, and returns how
// many they were.
func (db *DB) PruneEvents(ctx context.Context, t tenant.ID, before time.Time) (int64, error) {
	return db.run(ctx, "prune events", sqlPruneEvents, t, micros(before))
}
