// Package geotest makes small files of places for tests: a writer of MaxMind's
// format (mmdb) that knows just enough of it for a few networks. It is for tests
// alone, and must not know who reads them.
package geotest

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
)

// Value is what a file says of a network: string, uint32, float64, map[string]Value.
type Value any

// Country is what MaxMind's file of countries says.
func Country(code string) Value {
	return map[string]Value{"country": map[string]Value{"iso_code": code}}
}

// City is what MaxMind's file of cities says.
func City(code string, latitude, longitude float64) Value {
	return map[string]Value{"country": map[string]Value{"iso_code": code}, "location": map[string]Value{"latitude": latitude, "longitude": longitude}}
}

// ASN is what MaxMind's file of network operators says.
func ASN(n uint32) Value { return map[string]Value{"autonomous_system_number": n} }

// unknown is a record of a node that leads nowhere.
const unknown = -1

// node is one of the tree: where a bit 0 and a bit 1 lead. A record >= 0 is a node,
// one < unknown is a value: -(2 + index).
type node [2]int

// File returns a file that says the values of the networks.
func File(networks map[string]Value) []byte {
	nodes := []node{{unknown, unknown}}
	var values []Value
	texts := make([]string, 0, len(networks))
	for text := range networks {
		texts = append(texts, text)
	}
	slices.Sort(texts)
	for _, text := range texts {
		p := netip.MustParsePrefix(text)
		bits := p.Bits()
		addr := p.Addr().As16()
		if p.Addr().Is4() { // IPv4 stands at ::/96
			v4 := p.Addr().As4()
			addr = [16]byte{}
			copy(addr[12:], v4[:])
			bits += 96
		}
		values = append(values, networks[text])
		at := 0
		for i := range bits {
			bit := addr[i/8] >> (7 - i%8) & 1
			if i == bits-1 {
				nodes[at][bit] = -(2 + len(values) - 1)
				break
			}
			if nodes[at][bit] < 0 {
				nodes = append(nodes, node{unknown, unknown})
				nodes[at][bit] = len(nodes) - 1
			}
			at = nodes[at][bit]
		}
	}
	return write(nodes, values)
}

func write(nodes []node, values []Value) []byte {
	var data []byte
	offsets := make([]int, len(values))
	for i, v := range values {
		offsets[i] = len(data)
		data = encode(data, v)
	}
	var out []byte
	for _, n := range nodes {
		for _, r := range n {
			record := len(nodes)
			switch {
			case r >= 0:
				record = r
			case r < unknown:
				record = len(nodes) + 16 + offsets[-r-2]
			}
			out = binary.BigEndian.AppendUint32(out, uint32(record))
		}
	}
	out = append(append(out, make([]byte, 16)...), data...)
	out = append(out, "\xab\xcd\xefMaxMind.com"...)
	return encode(out, map[string]Value{
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0), "build_epoch": uint64(1),
		"database_type": "Test", "description": map[string]Value{"en": "test"}, "ip_version": uint16(6),
		"languages": []string{"en"}, "node_count": uint32(len(nodes)), "record_size": uint16(32),
	})
}

// Types of the format's data section.
const (
	typeText   = 2
	typeUint16 = 5
	typeUint32 = 6
	typeMap    = 7
	typeUint64 = 9
	typeList   = 11
	typeDouble = 3
)

// encode appends a value. Nothing of it is larger than 28, so sizes fit their byte.
func encode(b []byte, v Value) []byte {
	head := func(kind, size int) {
		if kind > typeMap {
			b = append(b, byte(size), byte(kind-7))
			return
		}
		b = append(b, byte(kind<<5|size))
	}
	switch v := v.(type) {
	case string:
		head(typeText, len(v))
		return append(b, v...)
	case uint16:
		head(typeUint16, 2)
		return binary.BigEndian.AppendUint16(b, v)
	case uint32:
		head(typeUint32, 4)
		return binary.BigEndian.AppendUint32(b, v)
	case uint64:
		head(typeUint64, 8)
		return binary.BigEndian.AppendUint64(b, v)
	case float64:
		head(typeDouble, 8)
		return binary.BigEndian.AppendUint64(b, math.Float64bits(v))
	case []string:
		head(typeList, len(v))
		for _, s := range v {
			b = encode(b, s)
		}
	case map[string]Value:
		head(typeMap, len(v))
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			b = encode(encode(b, name), v[name])
		}
	}
	return b
}
