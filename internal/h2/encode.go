package h2

// A head as HPACK (RFC 7541): a field by its index where the static table has it
// whole, otherwise as a literal that is not indexed, with the name by index where
// the table has that.

// appendStatus appends ":status".
func appendStatus(b []byte, status int) []byte {
	switch status {
	case 200:
		return append(b, 0x80|8)
	case 204:
		return append(b, 0x80|9)
	case 206:
		return append(b, 0x80|10)
	case 304:
		return append(b, 0x80|11)
	case 400:
		return append(b, 0x80|12)
	case 404:
		return append(b, 0x80|13)
	case 500:
		return append(b, 0x80|14)
	}
	return append(b, 8, 3, '0'+byte(status/100%10), '0'+byte(status/10%10), '0'+byte(status%10))
}

// appendField appends a field; its name is written in lower case. What only one
// caller is to see is marked never to be indexed on the way (RFC 7541 section 7.1.3).
func appendField(b, name, value []byte, never bool) []byte {
	var low [64]byte
	folded := low[:0]
	for _, c := range name {
		if c-'A' < 26 {
			c |= 0x20
		}
		folded = append(folded, c)
	}
	first := byte(0)
	if never {
		first = 0x10
	}
	index := staticName(folded)
	b = appendInt(b, first, 4, uint64(index))
	if index == 0 {
		b = append(appendInt(b, 0, 7, uint64(len(folded))), folded...)
	}
	return append(appendInt(b, 0, 7, uint64(len(value))), value...)
}

// appendInt appends n behind the upper bits of first, of which it takes the lowest
// bits (RFC 7541 section 5.1).
func appendInt(b []byte, first byte, bits uint, n uint64) []byte {
	most := uint64(1)<<bits - 1
	if n < most {
		return append(b, first|byte(n))
	}
	b = append(b, first|byte(most))
	for n -= most; n >= 0x80; n >>= 7 {
		b = append(b, 0x80|byte(n))
	}
	return append(b, byte(n))
}

// staticName returns the index in the static table (RFC 7541 appendix A) of a name
// that answers have, 0 for the others.
func staticName(name []byte) int {
	switch string(name) {
	case "accept-ranges":
		return 18
	case "access-control-allow-origin":
		return 20
	case "age":
		return 21
	case "allow":
		return 22
	case "cache-control":
		return 24
	case "content-disposition":
		return 25
	case "content-encoding":
		return 26
	case "content-language":
		return 27
	case "content-length":
		return 28
	case "content-location":
		return 29
	case "content-range":
		return 30
	case "content-type":
		return 31
	case "date":
		return 33
	case "etag":
		return 34
	case "expires":
		return 36
	case "last-modified":
		return 44
	case "link":
		return 45
	case "location":
		return 46
	case "retry-after":
		return 53
	case "server":
		return 54
	case "set-cookie":
		return 55
	case "strict-transport-security":
		return 56
	case "vary":
		return 59
	case "via":
		return 60
	case "www-authenticate":
		return 61
	}
	return 0
}
