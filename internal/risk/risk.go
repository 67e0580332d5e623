// Package risk says how unlike a person's earlier sign-ins a sign-in is: a browser, a
// network, a country that is new, a distance that nobody travels in the time, wrong
// passwords right before. It is arithmetic over facts that it is given, and says every
// step in words. It must not know where the facts come from, or what is done about them.
package risk

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Level is how much speaks against a sign-in, Okta's words.
type Level string

// The levels.
const (
	Low    Level = "LOW"
	Medium Level = "MEDIUM"
	High   Level = "HIGH"
)

// Levels returns all of them, the lowest first.
func Levels() []Level { return []Level{Low, Medium, High} }

// Max returns the higher of two levels; what is not a level is the lowest.
func Max(a, b Level) Level {
	if slices.Index(Levels(), a) >= slices.Index(Levels(), b) {
		return a
	}
	return b
}

// Visit is where and with what a person signs in, or did.
type Visit struct {
	Device  string // names the browser; empty: it shows no name
	Network string // names the network; empty: not known
	Country string // ISO 3166-1; empty: not known
	// Located says that Latitude and Longitude, in degrees, are known.
	Located             bool
	Latitude, Longitude float64
	Last                time.Time // of a visit that is remembered: when it was last
}

// The signals.
const (
	NewDevice = "new_device"
	NewPlace  = "new_network"
	NewLand   = "new_country"
	Travel    = "impossible_travel"
	Failures  = "failed_attempts"
)

// Signal is something that speaks against a sign-in.
type Signal struct {
	Code   string // one of the constants
	Points int
	Text   string // in words
}

// Assessment is what speaks against a sign-in, and how much that is.
type Assessment struct {
	Level   Level
	Signals []Signal
	// Known says that the person has signed in with this browser before.
	Known bool
}

// Bounds of the levels, and of the signals that count.
const (
	pointsMedium = 2
	pointsHigh   = 4

	someFailures = 3 // wrong passwords in a row that are more than a slip
	manyFailures = 6
	// Faster than an airliner, over a distance that no file of places is wrong by.
	kmPerHour = 1000
	kmAtLeast = 250
)

// Assess compares a sign-in with those that are known of the person. Failed is how many
// wrong passwords came right before it.
func Assess(now time.Time, here Visit, known []Visit, failed int) Assessment {
	a := Assessment{Level: Low}
	a.Known = here.Device != "" && slices.ContainsFunc(known, func(v Visit) bool { return v.Device == here.Device })
	if !a.Known {
		a.add(NewDevice, 1, "a browser that the person has not signed in with before")
	}
	a.place(here, known)
	if km, hours, ok := journey(now, here, known); ok && km >= kmAtLeast && km > kmPerHour*hours {
		a.add(Travel, pointsHigh, fmt.Sprintf("%.0f km from the last sign-in, %.1f hours ago", km, hours))
	}
	switch text := fmt.Sprintf("%d wrong passwords right before", failed); {
	case failed >= manyFailures:
		a.add(Failures, 2, text)
	case failed >= someFailures:
		a.add(Failures, 1, text)
	}
	points := 0
	for _, s := range a.Signals {
		points += s.Points
	}
	switch {
	case points >= pointsHigh:
		a.Level = High
	case points >= pointsMedium:
		a.Level = Medium
	}
	return a
}

// place adds what is new about where the sign-in comes from. A new country is more than
// a new network, and one of both counts.
func (a *Assessment) place(here Visit, known []Visit) {
	var lands []string
	network := false
	for _, v := range known {
		network = network || here.Network != "" && v.Network == here.Network
		if v.Country != "" && !slices.Contains(lands, v.Country) {
			lands = append(lands, v.Country)
		}
	}
	slices.Sort(lands)
	switch {
	case here.Country != "" && len(lands) > 0 && !slices.Contains(lands, here.Country):
		a.add(NewLand, 2, "from "+here.Country+", and so far from "+strings.Join(lands, ", "))
	case !network:
		a.add(NewPlace, 1, "a network that the person has not signed in from before")
	}
}

func (a *Assessment) add(code string, points int, text string) {
	a.Signals = append(a.Signals, Signal{code, points, text})
}

// Codes returns the signals by their codes.
func (a *Assessment) Codes() []string {
	out := make([]string, len(a.Signals))
	for i, s := range a.Signals {
		out[i] = s.Code
	}
	return out
}

// Explain says the level and what it comes from, in one line.
func (a *Assessment) Explain() string {
	if len(a.Signals) == 0 {
		return string(a.Level) + ": nothing is new"
	}
	texts := make([]string, len(a.Signals))
	for i, s := range a.Signals {
		texts[i] = s.Text
	}
	return string(a.Level) + ": " + strings.Join(texts, "; ")
}

// journey returns how far the last sign-in whose place is known was from here, and how
// long ago.
func journey(now time.Time, here Visit, known []Visit) (km, hours float64, ok bool) {
	var last *Visit
	for i := range known {
		if v := &known[i]; v.Located && (last == nil || v.Last.After(last.Last)) {
			last = v
		}
	}
	if last == nil || !here.Located {
		return 0, 0, false
	}
	return distance(*last, here), max(now.Sub(last.Last).Hours(), 0), true
}

// earth is its radius in km.
const earth = 6371

// distance is the way over the surface of the earth in km (haversine).
func distance(a, b Visit) float64 {
	rad := func(degrees float64) float64 { return degrees * math.Pi / 180 }
	dLat, dLon := rad(b.Latitude-a.Latitude), rad(b.Longitude-a.Longitude)
	h := math.Pow(math.Sin(dLat/2), 2) + math.Cos(rad(a.Latitude))*math.Cos(rad(b.Latitude))*math.Pow(math.Sin(dLon/2), 2)
	return 2 * earth * math.Asin(math.Sqrt(min(h, 1)))
}
