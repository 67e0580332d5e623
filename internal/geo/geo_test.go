package geo

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/geo/geotest"
)

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhereAddressesAre(t *testing.T) {
	dir := t.TempDir()
	countries, asns := filepath.Join(dir, "c.mmdb"), filepath.Join(dir, "a.mmdb")
	write(t, countries, geotest.File(map[string]geotest.Value{
		"203.0.113.0/24": geotest.Country("DE"), "2001:db8::/32": geotest.Country("FR"),
		"198.51.100.0/25": map[string]geotest.Value{"country_code": "AT"}, "198.51.100.128/25": map[string]geotest.Value{"country": "CH"},
		"192.0.2.0/24": map[string]geotest.Value{"country": map[string]geotest.Value{"iso_code": "de"}},
	}))
	write(t, asns, geotest.File(map[string]geotest.Value{
		"203.0.113.0/24": geotest.ASN(64500), "198.51.100.0/24": map[string]geotest.Value{"asn": "AS64501"}, "192.0.2.0/24": map[string]geotest.Value{"asn": "x"},
	}))
	f, err := Open(Config{Country: countries, ASN: asns})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		addr, country string
		asn           uint32
	}{
		{"203.0.113.9", "DE", 64500},
		{"2001:db8::1", "FR", 0},
		{"198.51.100.1", "AT", 64501},
		{"198.51.100.200", "CH", 64501},
		{"192.0.2.1", "", 0}, // no code of ISO 3166-1, and no number
		{"10.0.0.1", "", 0},
		{"::1", "", 0},
	} {
		code, ok := f.Country(netip.MustParseAddr(c.addr))
		if ok != (c.country != "") || ok && string(code[:]) != c.country {
			t.Errorf("%s is in %q, want %q", c.addr, code, c.country)
		}
		if n, ok := f.ASN(netip.MustParseAddr(c.addr)); n != c.asn || ok != (c.asn != 0) {
			t.Errorf("%s is of %d, want %d", c.addr, n, c.asn)
		}
	}
	if _, _, ok := f.Location(netip.MustParseAddr("203.0.113.9")); ok {
		t.Error("a file of countries says a place")
	}
	var none *Finder
	if _, ok := none.Country(netip.MustParseAddr("203.0.113.9")); ok || none.KnowsASNs() {
		t.Error("without a file a country is known")
	}
}

// A file of cities says about where an address is as well.
func TestLocation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cities.mmdb")
	write(t, path, geotest.File(map[string]geotest.Value{
		"203.0.113.0/24": geotest.City("DE", 52.52, 13.4), "198.51.100.0/24": geotest.City("XX", 200, 13.4), "2001:db8::/32": geotest.City("JP", 35.68, 139.69),
	}))
	f, err := Open(Config{Country: path})
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string][2]float64{"203.0.113.9": {52.52, 13.4}, "2001:db8::1": {35.68, 139.69}, "198.51.100.1": {}, "192.0.2.1": {}} {
		lat, lon, ok := f.Location(netip.MustParseAddr(addr))
		if ok != (want != [2]float64{}) || ok && (lat != want[0] || lon != want[1]) {
			t.Errorf("%s is at %v, %v (%v)", addr, lat, lon, ok)
		}
	}
	if code, ok := f.Country(netip.MustParseAddr("203.0.113.9")); !ok || string(code[:]) != "DE" {
		t.Errorf("its country is %q", code)
	}
}

// A file that is replaced is read again; one that is cut off changes nothing.
func TestFilesAreReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.mmdb")
	german := geotest.File(map[string]geotest.Value{"203.0.113.0/24": geotest.Country("DE")})
	french := geotest.File(map[string]geotest.Value{"203.0.113.0/24": geotest.Country("FR"), "10.0.0.0/8": geotest.Country("FR")})
	write(t, path, german)
	f, err := Open(Config{Country: path})
	if err != nil {
		t.Fatal(err)
	}
	is := func(want string) {
		t.Helper()
		f.Reload()
		if code, _ := f.Country(netip.MustParseAddr("203.0.113.9")); string(code[:]) != want {
			t.Errorf("%s, want %s", code, want)
		}
	}
	is("DE")
	write(t, path, french[:len(french)-40]) // over the old file, in place
	is("DE")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	is("DE")
	write(t, path, french)
	if err := os.Chtimes(path, time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	is("FR")
}

func TestFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	for name, b := range map[string][]byte{"empty": {}, "text": []byte("country,DE"), "cut": geotest.File(map[string]geotest.Value{"10.0.0.0/8": geotest.Country("DE")})[:30]} {
		path := filepath.Join(dir, name)
		write(t, path, b)
		if _, err := Open(Config{Country: path}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(Config{ASN: filepath.Join(dir, "nowhere")}); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
}

// A file that lies about itself is no place, and nothing worse.
func FuzzLookup(f *testing.F) {
	f.Add(geotest.File(map[string]geotest.Value{"203.0.113.0/24": geotest.Country("DE")}))
	f.Add(geotest.File(map[string]geotest.Value{"203.0.113.0/24": geotest.ASN(1)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parse(b)
		if err != nil {
			return
		}
		finder := &Finder{country: &file{}, asn: &file{}}
		finder.country.reader.Store(r)
		finder.asn.reader.Store(r)
		for _, a := range []string{"203.0.113.9", "2001:db8::1"} {
			finder.Country(netip.MustParseAddr(a))
			finder.ASN(netip.MustParseAddr(a))
		}
	})
}

func BenchmarkCountry(b *testing.B) {
	path := filepath.Join(b.TempDir(), "c.mmdb")
	if err := os.WriteFile(path, geotest.File(map[string]geotest.Value{"203.0.113.0/24": geotest.Country("DE")}), 0o600); err != nil {
		b.Fatal(err)
	}
	f, err := Open(Config{Country: path})
	if err != nil {
		b.Fatal(err)
	}
	a := netip.MustParseAddr("203.0.113.9")
	b.ReportAllocs()
	for b.Loop() {
		f.Country(a)
	}
}
