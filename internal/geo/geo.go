// Package geo is the door to the operator's files that say where addresses are: the
// country, and the network operator (ASN). It reads files in MaxMind's format
// (mmdb), whole into memory, and reads them again when they are replaced. What is
// decided by it, it must not know; an address that no file knows is nowhere.
package geo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"gatehouse/internal/fault"
)

// maxFile bounds a file, in bytes; the largest of countries and operators have some tens of MB.
const maxFile = 512 << 20

// lookAgain is how often the files are looked at.
const lookAgain = 10 * time.Second

// Config says which files there are.
type Config struct {
	Country, ASN string       // paths; "" for none
	Logger       *slog.Logger // nil: discarded
}

// Finder says where addresses are. It is for use by many at once.
type Finder struct {
	country, asn *file
	log          *slog.Logger
}

// file is one database, as it was read last.
type file struct {
	path   string
	stamp  stamp
	reader atomic.Pointer[maxminddb.Reader]
}

// stamp tells whether a file is another one than the one that was read.
type stamp struct {
	time time.Time
	size int64
}

// Open reads the files. One that cannot be read is an Invalid fault.
func Open(c Config) (*Finder, error) {
	f := &Finder{log: c.Logger}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	for _, one := range []struct {
		path string
		to   **file
	}{{c.Country, &f.country}, {c.ASN, &f.asn}} {
		if one.path == "" {
			continue
		}
		db := &file{path: one.path}
		if _, err := db.read(); err != nil {
			return nil, err
		}
		*one.to = db
	}
	return f, nil
}

// KnowsCountries reports whether there is a file of countries.
func (f *Finder) KnowsCountries() bool { return f != nil && f.country != nil }

// KnowsASNs reports whether there is a file of network operators.
func (f *Finder) KnowsASNs() bool { return f != nil && f.asn != nil }

// Country returns the country of an address, two upper-case letters of ISO 3166-1,
// and false when it is not known.
func (f *Finder) Country(a netip.Addr) (code [2]byte, ok bool) {
	if !f.KnowsCountries() {
		return code, false
	}
	r := f.country.reader.Load().Lookup(a)
	if r.Err() != nil || !r.Found() {
		return code, false
	}
	// MaxMind's and DB-IP's files have country.iso_code; others a text at the top.
	for _, path := range [][]any{{"country", "iso_code"}, {"country_code"}, {"country"}} {
		var s string
		if err := r.DecodePath(&s, path...); err == nil && len(s) == 2 && upper(s[0]) && upper(s[1]) {
			return [2]byte{s[0], s[1]}, true
		}
	}
	return code, false
}

// Location returns about where an address is, in degrees, and false when it is not
// known: the file of countries says it if it is one of cities.
func (f *Finder) Location(a netip.Addr) (latitude, longitude float64, ok bool) {
	if !f.KnowsCountries() {
		return 0, 0, false
	}
	r := f.country.reader.Load().Lookup(a)
	if r.Err() != nil || !r.Found() {
		return 0, 0, false
	}
	errLat, errLon := r.DecodePath(&latitude, "location", "latitude"), r.DecodePath(&longitude, "location", "longitude")
	// A path that is not there decodes to nothing; 0, 0 is in the sea.
	ok = errLat == nil && errLon == nil && (latitude != 0 || longitude != 0) && math.Abs(latitude) <= 90 && math.Abs(longitude) <= 180
	return latitude, longitude, ok
}

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }

// ASN returns the number of the network operator of an address, and false when it
// is not known.
func (f *Finder) ASN(a netip.Addr) (uint32, bool) {
	if !f.KnowsASNs() {
		return 0, false
	}
	r := f.asn.reader.Load().Lookup(a)
	if r.Err() != nil || !r.Found() {
		return 0, false
	}
	var n uint32
	if err := r.DecodePath(&n, "autonomous_system_number"); err == nil && n != 0 {
		return n, true
	}
	var s string // "AS64500"
	if err := r.DecodePath(&s, "asn"); err == nil {
		if v, err := strconv.ParseUint(strings.TrimPrefix(s, "AS"), 10, 32); err == nil && v != 0 {
			return uint32(v), true
		}
	}
	return 0, false
}

// Follow reads the files again when they are replaced, until ctx ends. One that
// cannot be read changes nothing: the one before goes on.
func (f *Finder) Follow(ctx context.Context) {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.Reload()
		}
	}
}

// Reload reads those files again that have changed.
func (f *Finder) Reload() {
	for _, db := range []*file{f.country, f.asn} {
		if db == nil {
			continue
		}
		switch again, err := db.read(); {
		case err != nil:
			f.log.Error("a file of places cannot be read; the one before goes on", slog.String("file", db.path), slog.Any("error", err))
		case again:
			f.log.Info("a file of places was read again", slog.String("file", db.path))
		}
	}
}

// read reads the file unless it is the one that was read last. It is read into
// memory, so that writing over it in place cannot take the ground from under a look-up.
func (d *file) read() (again bool, err error) {
	defer fault.Wrap(&err, "read %s", d.path)
	in, err := os.Open(d.path)
	if err != nil {
		return false, fault.Because(err, fault.Invalid, "the file cannot be opened")
	}
	defer func() { _ = in.Close() }() // it is only read
	info, err := in.Stat()
	if err != nil {
		return false, err
	}
	now := stamp{info.ModTime(), info.Size()}
	if d.reader.Load() != nil && now == d.stamp {
		return false, nil
	}
	if info.Size() > maxFile {
		return false, fault.New(fault.Invalid, "the file is larger than %d MiB", maxFile>>20)
	}
	b, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return false, err
	}
	r, err := parse(b)
	if err != nil {
		return false, fault.Because(err, fault.Invalid, "the file is not a whole mmdb file")
	}
	d.reader.Store(r)
	d.stamp = now
	return true, nil
}

// parse refuses a file that is cut off: its metadata stands at the end, so one that
// is half-written has none. One that lies about its tree is found out by looking.
func parse(b []byte) (*maxminddb.Reader, error) {
	r, err := maxminddb.OpenBytes(b)
	if err != nil {
		return nil, err
	}
	if v := r.Metadata.IPVersion; v != 4 && v != 6 {
		return nil, fmt.Errorf("IP version %d", v)
	}
	if r.Metadata.NodeCount == 0 {
		return nil, errors.New("it has no nodes")
	}
	return r, nil
}
