package risk

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAssess(t *testing.T) {
	now := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	at := func(v Visit, country string, lat, lon float64, ago time.Duration) Visit {
		v.Country, v.Located, v.Latitude, v.Longitude, v.Last = country, true, lat, lon, now.Add(-ago)
		return v
	}
	home := Visit{Device: "laptop", Network: "AS1", Country: "DE", Last: now.Add(-24 * time.Hour)}
	berlin := at(home, "DE", 52.52, 13.40, time.Hour)
	for name, tt := range map[string]struct {
		here   Visit
		known  []Visit
		failed int
		level  Level
		codes  string
	}{
		"as ever":                          {here: home, known: []Visit{home}, level: Low},
		"the first time":                   {here: home, level: Medium, codes: "new_device new_network"},
		"a browser without a name":         {here: Visit{Network: "AS1"}, known: []Visit{home, {Network: "AS1"}}, level: Low, codes: "new_device"},
		"a new browser at home":            {here: Visit{Device: "phone", Network: "AS1", Country: "DE"}, known: []Visit{home}, level: Low, codes: "new_device"},
		"the laptop in a café":             {here: Visit{Device: "laptop", Network: "AS2", Country: "DE"}, known: []Visit{home}, level: Low, codes: "new_network"},
		"a network that nobody knows":      {here: Visit{Device: "laptop"}, known: []Visit{home, {Device: "laptop"}}, level: Low, codes: "new_network"},
		"a new browser in a café":          {here: Visit{Device: "phone", Network: "AS2", Country: "DE"}, known: []Visit{home}, level: Medium, codes: "new_device new_network"},
		"the laptop abroad":                {here: Visit{Device: "laptop", Network: "AS3", Country: "FR"}, known: []Visit{home}, level: Medium, codes: "new_country"},
		"abroad again":                     {here: Visit{Device: "laptop", Network: "AS3", Country: "FR"}, known: []Visit{home, {Device: "laptop", Network: "AS3", Country: "FR"}}, level: Low},
		"no country was known before":      {here: Visit{Device: "laptop", Network: "AS3", Country: "FR"}, known: []Visit{{Device: "laptop", Network: "AS1"}}, level: Low, codes: "new_network"},
		"another browser abroad":           {here: Visit{Device: "phone", Network: "AS3", Country: "FR"}, known: []Visit{home}, level: Medium, codes: "new_device new_country"},
		"and wrong passwords":              {here: Visit{Device: "phone", Network: "AS3", Country: "FR"}, known: []Visit{home}, failed: 3, level: High, codes: "new_device new_country failed_attempts"},
		"two slips":                        {here: home, known: []Visit{home}, failed: 2, level: Low},
		"three wrong passwords at home":    {here: home, known: []Visit{home}, failed: 3, level: Low, codes: "failed_attempts"},
		"six wrong passwords at home":      {here: home, known: []Visit{home}, failed: 6, level: Medium, codes: "failed_attempts"},
		"wrong passwords, new browser":     {here: Visit{Device: "phone", Network: "AS1"}, known: []Visit{home}, failed: 3, level: Medium, codes: "new_device failed_attempts"},
		"Berlin to Tokyo in an hour":       {here: at(home, "DE", 35.68, 139.69, 0), known: []Visit{berlin}, level: High, codes: "impossible_travel"},
		"Berlin to Tokyo in a day":         {here: at(home, "DE", 35.68, 139.69, 0), known: []Visit{at(home, "DE", 52.52, 13.40, 24*time.Hour)}, level: Low},
		"Berlin to Potsdam at once":        {here: at(home, "DE", 52.39, 13.06, 0), known: []Visit{at(home, "DE", 52.52, 13.40, 0)}, level: Low},
		"the last place counts":            {here: at(home, "DE", 35.68, 139.69, 0), known: []Visit{at(home, "DE", 52.52, 13.40, 2*time.Hour), at(home, "DE", 35.0, 139.0, time.Hour)}, level: Low},
		"a clock that went back":           {here: at(home, "DE", 35.68, 139.69, 0), known: []Visit{at(home, "DE", 52.52, 13.40, -time.Hour)}, level: High, codes: "impossible_travel"},
		"nobody knows where this one is":   {here: home, known: []Visit{berlin}, level: Low},
		"over the line of the date, close": {here: at(home, "DE", 0, 179.9, 0), known: []Visit{at(home, "DE", 0, -179.9, 0)}, level: Low},
	} {
		a := Assess(now, tt.here, tt.known, tt.failed)
		if a.Level != tt.level || strings.Join(a.Codes(), " ") != tt.codes {
			t.Errorf("%s: %s, want %s from %q", name, a.Explain(), tt.level, tt.codes)
		}
		if a.Known == slices.Contains(a.Codes(), NewDevice) {
			t.Errorf("%s: known %v and %v", name, a.Known, a.Codes())
		}
	}
	if got := (&Assessment{Level: Low}).Explain(); got != "LOW: nothing is new" {
		t.Error(got)
	}
}

func TestDistance(t *testing.T) {
	if km := distance(Visit{Latitude: 52.52, Longitude: 13.40}, Visit{Latitude: 48.86, Longitude: 2.35}); math.Abs(km-878) > 5 {
		t.Errorf("Berlin to Paris: %.0f km", km)
	}
	if km := distance(Visit{Latitude: 90}, Visit{Latitude: -90}); math.Abs(km-math.Pi*earth) > 1 {
		t.Errorf("pole to pole: %.0f km", km)
	}
}

func TestMax(t *testing.T) {
	for _, tt := range []struct{ a, b, want Level }{{Low, High, High}, {High, Medium, High}, {"", Low, Low}, {Medium, "", Medium}} {
		if got := Max(tt.a, tt.b); got != tt.want {
			t.Errorf("%s and %s: %s", tt.a, tt.b, got)
		}
	}
}
