package store

import (
	"context"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/risk"
	"gatehouse/internal/tenant"
)

// mostPlaces is how many of a person's places are looked at: those of the last time.
const mostPlaces = 100

const sqlKnownPlaces = `SELECT device, network, country, located, latitude, longitude, last FROM known_places
WHERE tenant = $1 AND user_id = $2 ORDER BY last DESC LIMIT $3`

// KnownPlaces returns with what and from where a user has signed in, the last first.
func (db *DB) KnownPlaces(ctx context.Context, user string) (out []risk.Visit, err error) {
	err = db.inTenant(ctx, "read known places", func(ctx context.Context, tx *tx, t tenant.ID) error {
		out = nil
		return tx.rows(ctx, func(row scanner) error {
			var v risk.Visit
			var located, latitude, longitude, last int64
			err := row.Scan(&v.Device, &v.Network, &v.Country, &located, &latitude, &longitude, &last)
			v.Located, v.Latitude, v.Longitude, v.Last = located != 0, float64(latitude)/micro, float64(longitude)/micro, fromMicros(last)
			out = append(out, v)
			return err
		}, sqlKnownPlaces, t, user, mostPlaces)
	})
	return out, err
}

// micro is a millionth of a degree.
const micro = 1e6

const sqlRememberPlace = `INSERT INTO known_places (tenant, user_id, device, network, country, located, latitude, longitude, last)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (tenant, user_id, device, network) DO UPDATE SET country = excluded.country, located = excluded.located,
latitude = excluded.latitude, longitude = excluded.longitude, last = excluded.last`

// RememberPlace notes that a user has signed in with and from there. A device is kept
// as its hash.
func (db *DB) RememberPlace(ctx context.Context, user string, v risk.Visit) error {
	if v.Device == "" || word(v.Device) != v.Device || word(v.Network) != v.Network {
		return fault.New(fault.Invalid, "a device is kept as its hash")
	}
	located := int64(0)
	if v.Located {
		located = 1
	}
	return db.ofTenant(ctx, "remember place", func(ctx context.Context, tx *tx, t tenant.ID) error {
		return tx.later(ctx, sqlRememberPlace, t, user, v.Device, v.Network, word(v.Country), located, int64(v.Latitude*micro), int64(v.Longitude*micro), micros(v.Last))
	})
}

const sqlForgetPlaces = `DELETE FROM known_places WHERE tenant = $1 AND user_id = $2`

// ForgetPlaces forgets with what and from where a user has signed in.
func (db *DB) ForgetPlaces(ctx context.Context, user string) error {
	return db.ofTenant(ctx, "forget places", func(ctx context.Context, tx *tx, t tenant.ID) error {
		return tx.later(ctx, sqlForgetPlaces, t, user)
	})
}

const sqlPrunePlaces = `DELETE FROM known_places WHERE last <= $1`

// placeMemory is how long a place is known that is not seen again.
const placeMemory = 180 * 24 * time.Hour
