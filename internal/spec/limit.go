package spec

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// What a limit may be counted by.
const (
	PerClient = "client" // the calling app; a caller without a token counts by its address
	PerUser   = "user"   // the person; a token without a user counts by its app
	PerIP     = "ip"     // the address of the caller
	PerAPI    = "api"    // everyone together
)

// Pers are the words that may follow "per" in a limit.
func Pers() []string { return []string{PerClient, PerUser, PerIP, PerAPI} }

// Bounds of a limit.
const (
	mostCount  = 1_000_000_000
	mostPeriod = 366 * 24 * time.Hour
)

// periodUnits are the words for the period of a limit; the first one of a length is written.
var periodUnits = []struct {
	word   string
	length time.Duration
}{
	{"d", 24 * time.Hour},
	{"day", 24 * time.Hour},
	{"days", 24 * time.Hour},
	{"h", time.Hour},
	{"hour", time.Hour},
	{"hours", time.Hour},
	{"min", time.Minute},
	{"minute", time.Minute},
	{"minutes", time.Minute},
	{"m", time.Minute},
	{"s", time.Second},
	{"sec", time.Second},
	{"second", time.Second},
	{"seconds", time.Second},
}

// ParseLimit reads a limit: COUNT/PERIOD per WHAT, such as "100/min per client" or
// "20/10 s per ip". The period is a unit (s, min, h, d) or a number and a unit.
func ParseLimit(text string) (Limit, error) {
	rate, per, ok := strings.Cut(text, " per ")
	if !ok {
		return Limit{}, fmt.Errorf("a limit says what it is counted by: COUNT/PERIOD per client, user, ip or api")
	}
	l, err := parseRate(rate, " per WHAT", " per client")
	if err != nil {
		return Limit{}, err
	}
	l.Per = strings.TrimSpace(per)
	return l, l.Check()
}

// ParseRate reads a limit of something that is counted by itself: COUNT/PERIOD, such
// as 100/min. Per is empty.
func ParseRate(text string) (Limit, error) {
	l, err := parseRate(text, "", "")
	if err == nil {
		err = l.checkRate()
	}
	return l, err
}

// parseRate reads COUNT/PERIOD; what follows it is for messages.
func parseRate(text, follows, example string) (l Limit, err error) {
	count, period, ok := strings.Cut(text, "/")
	if !ok {
		return l, fmt.Errorf("a limit is COUNT/PERIOD%s, such as 100/min%s", follows, example)
	}
	l.Count, err = strconv.ParseInt(strings.TrimSpace(count), 10, 64)
	if err != nil || strings.TrimLeft(strings.TrimSpace(count), "0123456789") != "" {
		return l, fmt.Errorf("the count of a limit is a whole number, such as 100/min%s", example)
	}
	d, err := parsePeriod(strings.TrimSpace(period))
	l.Period = Duration(d)
	return l, err
}

func parsePeriod(text string) (time.Duration, error) {
	word := strings.TrimLeft(text, "0123456789")
	number, n := text[:len(text)-len(word)], int64(1)
	if number != "" {
		v, err := strconv.ParseInt(number, 10, 64)
		if err != nil || v < 1 || v > int64(mostPeriod/time.Second) {
			return 0, fmt.Errorf("the period of a limit is between 1 second and 366 days")
		}
		n = v
	}
	word = strings.TrimSpace(word)
	for _, u := range periodUnits {
		if u.word == word {
			if n > int64(mostPeriod/u.length) {
				return 0, fmt.Errorf("the period of a limit is between 1 second and 366 days")
			}
			return time.Duration(n) * u.length, nil
		}
	}
	return 0, fmt.Errorf("the period of a limit is a unit (s, min, h, d), with a number before it if you like: 100/min, 20/10s")
}

// Check reports what is wrong with the limit.
func (l Limit) Check() error {
	if err := l.checkRate(); err != nil {
		return err
	}
	switch l.Per {
	case PerClient, PerUser, PerIP, PerAPI:
		return nil
	}
	return fmt.Errorf("a limit is counted per client, user, ip or api")
}

func (l Limit) checkRate() error {
	switch {
	case l.Count < 1 || l.Count > mostCount:
		return fmt.Errorf("the count of a limit is between 1 and %d", mostCount)
	case l.Period.Std() < time.Second || l.Period.Std() > mostPeriod || l.Period.Std()%time.Second != 0:
		return fmt.Errorf("the period of a limit is between 1 second and 366 days, in whole seconds")
	}
	return nil
}

// String writes the limit as ParseLimit reads it.
func (l Limit) String() string {
	period := l.Period.Std()
	for _, u := range periodUnits {
		if period >= u.length && period%u.length == 0 {
			unit := u.word
			if n := period / u.length; n > 1 {
				unit = strconv.FormatInt(int64(n), 10) + unit
			}
			return fmt.Sprintf("%d/%s per %s", l.Count, unit, l.Per)
		}
	}
	return fmt.Sprintf("%d/%s per %s", l.Count, period, l.Per)
}
