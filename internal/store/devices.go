package store

import (
	"context"
	"strings"
	"time"

	"gatehouse/internal/issued"
	"gatehouse/internal/tenant"
)

const sqlAddDevice = `INSERT INTO device_codes (tenant, hash, user_code, server, client, scopes, jkt, state, grant_id, poll_interval, polled,
created, expires, resources) VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', '', $8, 0, $9, $10, $11)`

// AddDevice stores a device authorization that nobody has decided yet. It is
// fault.Conflict when the user code stands for another one.
func (db *DB) AddDevice(ctx context.Context, d issued.Device) error {
	return db.ofTenant(ctx, "add device authorization", func(ctx context.Context, tx *tx, t tenant.ID) error {
		return tx.later(ctx, sqlAddDevice, t, d.Hash, d.UserCode, d.Server, d.Client, joined(d.Scopes), d.JKT,
			d.Interval.Microseconds(), micros(d.Created), micros(d.Expires), joined(d.Resources))
	})
}

const (
	selectDevice = `SELECT hash, user_code, server, client, scopes, jkt, state, grant_id, poll_interval, polled, created, expires, resources FROM device_codes `

	sqlDevice       = selectDevice + `WHERE tenant = $1 AND hash = $2`
	sqlDeviceByUser = selectDevice + `WHERE tenant = $1 AND user_code = $2`
)

func scanDevice(row scanner) (d issued.Device, err error) {
	var scopes, resources string
	var interval, polled, created, expires int64
	err = row.Scan(&d.Hash, &d.UserCode, &d.Server, &d.Client, &scopes, &d.JKT, &d.State, &d.Grant, &interval, &polled, &created, &expires, &resources)
	d.Scopes, d.Interval = strings.Fields(scopes), time.Duration(interval)*time.Microsecond
	d.Resources = strings.Fields(resources)
	d.Polled, d.Created, d.Expires = fromMicros(polled), fromMicros(created), fromMicros(expires)
	return d, orNotFound(err, "device authorization")
}

// DeviceByUserCode returns a device authorization by the hash of its user code, or
// fault.NotFound.
func (db *DB) DeviceByUserCode(ctx context.Context, hash string) (d issued.Device, err error) {
	err = db.inTenant(ctx, "read device authorization", func(ctx context.Context, tx *tx, t tenant.ID) (err error) {
		d, err = scanDevice(tx.row(ctx, sqlDeviceByUser, t, hash))
		return err
	})
	return d, err
}

// A poll counts when the interval has passed since the last one that did; one that
// comes too early makes the interval longer (RFC 8628 section 3.5).
const (
	sqlPoll = `UPDATE device_codes SET polled = $3 WHERE tenant = $1 AND hash = $2 AND (polled = 0 OR polled + poll_interval <= $3)`

	sqlSlowDown = `UPDATE device_codes SET poll_interval = poll_interval + 5000000, polled = $3 WHERE tenant = $1 AND hash = $2`
)

// PollDevice returns a device authorization by the hash of its device code, with
// its grant when it is approved, and reports whether the poll came too early. It
// is fault.NotFound when there is none.
func (db *DB) PollDevice(ctx context.Context, hash string, now time.Time) (d issued.Device, g issued.Grant, early bool, err error) {
	err = db.ofTenant(ctx, "poll device authorization", func(ctx context.Context, tx *tx, t tenant.ID) (err error) {
		if d, err = scanDevice(tx.row(ctx, sqlDevice, t, hash)); err != nil {
			return err
		}
		n, err := tx.exec(ctx, sqlPoll, t, hash, micros(now))
		if err != nil {
			return err
		}
		if early = n == 0; early {
			return tx.later(ctx, sqlSlowDown, t, hash, micros(now))
		}
		if d.Grant == "" {
			return nil
		}
		g, err = scanGrant(tx.row(ctx, sqlGrant, t, d.Grant))
		return orNotFound(err, "grant")
	})
	return d, g, early, err
}

const sqlDecideDevice = `UPDATE device_codes SET state = $3, grant_id = $4
WHERE tenant = $1 AND user_code = $2 AND state = 'pending' AND expires > $5`

// DecideDevice approves a device authorization with a grant, or denies it when g
// is nil. It reports false when it was decided or is over: it is decided once.
func (db *DB) DecideDevice(ctx context.Context, userCode string, g *issued.Grant, now time.Time) (bool, error) {
	return db.once(ctx, "decide device authorization", func(ctx context.Context, tx *tx, t tenant.ID) (bool, error) {
		state, id := issued.DeviceDenied, ""
		if g != nil {
			state, id = issued.DeviceApproved, g.ID
			if err := addGrant(ctx, tx, t, g); err != nil {
				return false, err
			}
		}
		n, err := tx.exec(ctx, sqlDecideDevice, t, userCode, state, id, micros(now))
		return n == 1, err
	})
}

const sqlUseDevice = `UPDATE device_codes SET state = 'used' WHERE tenant = $1 AND hash = $2 AND state = 'approved' AND expires > $3`

// RedeemDevice uses an approved device authorization and stores what was made for
// it: of any number of callers at a time one gets true.
func (db *DB) RedeemDevice(ctx context.Context, d issued.Device, made issued.Made, now time.Time) (bool, error) {
	return db.once(ctx, "redeem device code", func(ctx context.Context, tx *tx, t tenant.ID) (bool, error) {
		n, err := tx.exec(ctx, sqlUseDevice, t, d.Hash, micros(now))
		if err != nil || n != 1 {
			return false, err
		}
		return addMade(ctx, tx, t, d.Grant, &made, now)
	})
}
