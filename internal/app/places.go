package app

import (
	"errors"
	"io/fs"
	"net/netip"

	"gatehouse/internal/config"
	"gatehouse/internal/gateway"
	"gatehouse/internal/geo"
)

// places opens the files that the settings name, and follows them.
func (a *App) places() (gateway.Places, error) {
	if a.settings.Geo == (config.Geo{}) {
		return nil, nil //nolint:nilnil // nothing is known
	}
	f, err := geo.Open(geo.Config{Country: a.settings.Geo.Country, ASN: a.settings.Geo.ASN, Logger: a.log})
	if err != nil {
		return nil, err
	}
	a.work.Go(func() { f.Follow(a.ctx) })
	return f, nil
}

// placesFor returns what a check of a file knows of places. Where the file of places
// is not there, as on a machine that only checks, no address is known, and tests say
// themselves where their clients are (from country:DE).
func placesFor(g config.Geo) (gateway.Places, error) {
	if g == (config.Geo{}) {
		return nil, nil //nolint:nilnil // nothing is known
	}
	f, err := geo.Open(geo.Config{Country: g.Country, ASN: g.ASN})
	if errors.Is(err, fs.ErrNotExist) {
		return unknownPlaces{g}, nil
	}
	return f, err
}

// unknownPlaces know that there are places, and none of them.
type unknownPlaces struct{ config.Geo }

// KnowsCountries implements gateway.Places.
func (p unknownPlaces) KnowsCountries() bool { return p.Geo.Country != "" }

// KnowsASNs implements gateway.Places.
func (p unknownPlaces) KnowsASNs() bool { return p.Geo.ASN != "" }

// Country implements gateway.Places.
func (unknownPlaces) Country(netip.Addr) ([2]byte, bool) { return [2]byte{}, false }

// ASN implements gateway.Places.
func (unknownPlaces) ASN(netip.Addr) (uint32, bool) { return 0, false }
