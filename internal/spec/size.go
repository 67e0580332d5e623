package spec

import (
	"fmt"
	"strconv"
	"strings"
)

// Unlimited is the size of what has no limit; it is written "unlimited".
const Unlimited = -1

// mostSize bounds sizes: 1 TiB.
const mostSize = 1 << 40

// sizeUnits are the units of a size, those of 1024 first.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"GB", 1e9},
	{"MB", 1e6},
	{"KB", 1e3},
	{"kB", 1e3},
	{"B", 1},
}

// ParseSize reads a size in bytes: a whole number with an optional unit (B, KB, MB,
// GB of 1000; KiB, MiB, GiB of 1024), or "unlimited", which is -1.
func ParseSize(text string) (int64, error) {
	if text == "unlimited" {
		return Unlimited, nil
	}
	unit, factor := strings.TrimLeft(text, "0123456789"), int64(1)
	digits := text[:len(text)-len(unit)]
	if unit = strings.TrimSpace(unit); unit != "" {
		factor = 0
		for _, u := range sizeUnits {
			if u.name == unit {
				factor = u.bytes
			}
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || factor == 0 {
		return 0, fmt.Errorf("a size is a number of bytes with an optional unit, such as 10MB, 64KiB or 512, or the word unlimited")
	}
	if n < 1 || n > mostSize/factor {
		return 0, fmt.Errorf("a size is between 1 byte and 1 TiB")
	}
	return n * factor, nil
}

// FormatSize writes a size as ParseSize reads it.
func FormatSize(n int64) string {
	if n == Unlimited {
		return "unlimited"
	}
	for _, u := range sizeUnits {
		if n >= u.bytes && n%u.bytes == 0 && u.name != "B" {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func checkSize(n int64) error {
	if n < Unlimited || n > mostSize {
		return fmt.Errorf("a size is between 1 byte and 1 TiB, or unlimited")
	}
	return nil
}
