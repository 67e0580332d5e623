package ratelimit

import (
	"strconv"
	"time"
)

// AppendRateLimit appends the value of a RateLimit field for one limit:
//
//	"name";r=42;t=17
//
// r is what remains, t the seconds until the whole allowance is back, rounded up
// (draft-ietf-httpapi-ratelimit-headers). When dst already ends in a value, a
// comma and a space are put between. The name is written as an RFC 9651 string;
// bytes that such a string cannot hold are written as '?'.
func AppendRateLimit(dst []byte, name string, res Result) []byte {
	dst = appendName(dst, name)
	dst = append(dst, ";r="...)
	dst = strconv.AppendInt(dst, res.Remaining, 10)
	dst = append(dst, ";t="...)
	return strconv.AppendInt(dst, Seconds(res.Reset), 10)
}

// AppendPolicy appends the value of a RateLimit-Policy field for one limit:
//
//	"name";q=100;w=60
//
// q is the Count, w the Period in seconds, rounded up.
func AppendPolicy(dst []byte, name string, rate Rate) []byte {
	dst = appendName(dst, name)
	dst = append(dst, ";q="...)
	dst = strconv.AppendInt(dst, rate.Count, 10)
	dst = append(dst, ";w="...)
	return strconv.AppendInt(dst, Seconds(rate.Period), 10)
}

// AppendRetryAfter appends the value of a Retry-After field: whole seconds, at
// least 1, so that a client which obeys it is never early.
func AppendRetryAfter(dst []byte, res Result) []byte {
	return strconv.AppendInt(dst, max(Seconds(res.RetryAfter), 1), 10)
}

// Seconds returns d in whole seconds, rounded up; negative durations are 0.
func Seconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d-1)/time.Second) + 1
}

func appendName(dst []byte, name string) []byte {
	if n := len(dst); n > 0 && dst[n-1] != ' ' {
		dst = append(dst, ", "...)
	}
	dst = append(dst, '"')
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20 || c > 0x7e:
			dst = append(dst, '?')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
