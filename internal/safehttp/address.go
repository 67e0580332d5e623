package safehttp

import (
	"net/netip"
	"slices"
)

// block is a range of addresses and what it is.
type block struct {
	prefix netip.Prefix
	what   string
}

// never are the ranges that no policy opens. Some of the addresses at which
// clouds answer with credentials are outside of the link-local range.
var never = []block{
	{netip.MustParsePrefix("0.0.0.0/8"), "no host"},
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address"},
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address"},
	{netip.MustParsePrefix("240.0.0.0/4"), "a reserved address"},
	{netip.MustParsePrefix("100.100.100.200/32"), "a metadata service"}, // Alibaba Cloud
	{netip.MustParsePrefix("168.63.129.16/32"), "a metadata service"},   // Azure
	{netip.MustParsePrefix("192.0.0.192/32"), "a metadata service"},     // Oracle Cloud
	{netip.MustParsePrefix("::/128"), "no host"},
	{netip.MustParsePrefix("fe80::/10"), "a link-local address"},
	{netip.MustParsePrefix("fec0::/10"), "a reserved address"},
	{netip.MustParsePrefix("ff00::/8"), "a multicast address"},
	{netip.MustParsePrefix("fd00:ec2::254/128"), "a metadata service"},    // AWS
	{netip.MustParsePrefix("fd20:ce::254/128"), "a metadata service"},     // Google Cloud
	{netip.MustParsePrefix("2001::/32"), "a tunnel"},                      // Teredo
	{netip.MustParsePrefix("64:ff9b:1::/48"), "a local translator"},       // RFC 8215
	{netip.MustParsePrefix("100::/64"), "no host"},                        // RFC 6666
	{netip.MustParsePrefix("5f00::/16"), "a reserved address"},            // RFC 9602
	{netip.MustParsePrefix("2001:20::/28"), "a reserved address"},         // RFC 7343
	{netip.MustParsePrefix("2001:2::/48"), "a benchmarking address"},      // RFC 5180
	{netip.MustParsePrefix("2001:db8::/32"), "a documentation address"},   // RFC 3849
	{netip.MustParsePrefix("3fff::/20"), "a documentation address"},       // RFC 9637
	{netip.MustParsePrefix("192.0.2.0/24"), "a documentation address"},    // RFC 5737
	{netip.MustParsePrefix("198.51.100.0/24"), "a documentation address"}, // RFC 5737
	{netip.MustParsePrefix("203.0.113.0/24"), "a documentation address"},  // RFC 5737
	{netip.MustParsePrefix("192.88.99.0/24"), "a tunnel"},                 // RFC 7526
}

// private are the ranges that only an operator's own file opens.
var private = []block{
	{netip.MustParsePrefix("127.0.0.0/8"), "a loopback address"},
	{netip.MustParsePrefix("::1/128"), "a loopback address"},
	{netip.MustParsePrefix("10.0.0.0/8"), "a private address"},
	{netip.MustParsePrefix("172.16.0.0/12"), "a private address"},
	{netip.MustParsePrefix("192.168.0.0/16"), "a private address"},
	{netip.MustParsePrefix("fc00::/7"), "a private address"},
	{netip.MustParsePrefix("100.64.0.0/10"), "a shared address"},       // RFC 6598
	{netip.MustParsePrefix("192.0.0.0/24"), "a special address"},       // RFC 6890
	{netip.MustParsePrefix("198.18.0.0/15"), "a benchmarking address"}, // RFC 2544
	{netip.MustParsePrefix("2001:10::/28"), "a special address"},       // RFC 4843
}

// global is all of IPv6 that leads to the Internet: what is given out for use
// there, and what translates to IPv4.
var global = []netip.Prefix{netip.MustParsePrefix("2000::/3"), netip.MustParsePrefix("64:ff9b::/96")}

// carriers are the ranges of IPv6 that hold an address of IPv4, and at which byte.
var carriers = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("2002::/16"), 2},        // 6to4, RFC 3056
	{netip.MustParsePrefix("64:ff9b::/96"), 12},    // NAT64, RFC 6052
	{netip.MustParsePrefix("::/96"), 12},           // IPv4-compatible, RFC 4291 section 2.5.5.1
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, // SIIT, RFC 2765
}

// Refused says what is wrong with an address to connect to, or returns "". An address
// of IPv6 that carries one of IPv4 is judged by both. allowPrivate opens loopback and
// private ranges, for addresses that the operator's own file names.
func Refused(ip netip.Addr, allowPrivate bool) string {
	if !ip.IsValid() || ip.Zone() != "" {
		return "a link-local address"
	}
	ip = ip.Unmap()
	for _, b := range never {
		if b.prefix.Contains(ip) {
			return b.what
		}
	}
	for _, b := range private {
		if b.prefix.Contains(ip) {
			if allowPrivate {
				return ""
			}
			return b.what
		}
	}
	if ip.Is4() {
		return ""
	}
	if inner, ok := embedded(ip); ok {
		if what := Refused(inner, allowPrivate); what != "" {
			return what
		}
	}
	if !slices.ContainsFunc(global, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return "a reserved address"
	}
	return ""
}

// embedded returns the IPv4 address that an IPv6 one stands for.
func embedded(ip netip.Addr) (netip.Addr, bool) {
	b := ip.As16()
	for _, c := range carriers {
		if c.prefix.Contains(ip) {
			return netip.AddrFrom4([4]byte(b[c.at : c.at+4])), true
		}
	}
	if b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe { // ISATAP, RFC 5214
		return netip.AddrFrom4([4]byte(b[12:16])), true
	}
	return netip.Addr{}, false
}
