package spec

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// ParseURL reads an absolute http or https URL without user, query and fragment,
// in lower case as far as case means nothing. Its errors never repeat the text.
func ParseURL(text string) (*url.URL, error) {
	if len(text) > 2048 {
		return nil, fmt.Errorf("a URL has at most 2048 bytes")
	}
	for i := 0; i < len(text); i++ {
		if c := text[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\\\"<>^`{|}", c) >= 0 {
			return nil, fmt.Errorf("a URL has no spaces, no backslashes, and nothing outside of ASCII")
		}
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("not a URL: write one such as https://host:8443/path")
	case u.Scheme != "http" && u.Scheme != "https" || !strings.HasPrefix(text, u.Scheme+"://"):
		return nil, fmt.Errorf("a URL begins with http:// or https://")
	case u.User != nil:
		return nil, fmt.Errorf("a URL holds no user and password")
	case u.RawQuery != "" || u.ForceQuery:
		return nil, fmt.Errorf("a URL has no query here")
	case strings.Contains(text, "#"):
		return nil, fmt.Errorf("a URL has no fragment here")
	}
	if err := checkHostPort(u); err != nil {
		return nil, err
	}
	if path := u.EscapedPath(); path != "" && path != "/" {
		if t, err := ParseTemplate(path); err != nil || t.Rest {
			return nil, fmt.Errorf("the path of a URL has no dot segments, empty segments or unusual characters")
		}
	}
	return u, nil
}

func checkHostPort(u *url.URL) error {
	host := u.Hostname()
	if host == "" {
		return fmt.Errorf("a URL names a host")
	}
	if _, err := netip.ParseAddr(host); err != nil {
		if err := CheckHost(host); err != nil {
			return err
		}
	}
	port := u.Port()
	if port == "" {
		if strings.HasSuffix(u.Host, ":") {
			return fmt.Errorf("the port is missing after the colon")
		}
		return nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
		return fmt.Errorf("a port is a number between 1 and 65535")
	}
	return nil
}

// CheckHost reports what is wrong with a host name: lower-case labels of letters,
// digits and hyphens, no port, no wildcard.
func CheckHost(host string) error {
	if len(host) > 253 || host == "" {
		return fmt.Errorf("a host name has 1 to 253 characters")
	}
	if host != strings.ToLower(host) {
		return fmt.Errorf("a host name is written in lower case")
	}
	if strings.Contains(host, "*") {
		return fmt.Errorf("a host name has no wildcard: leave it out for any host")
	}
	for _, label := range strings.Split(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("a host name is made of labels of 1 to 63 letters, digits and inner hyphens, without a port")
		}
		for i := 0; i < len(label); i++ {
			if c := label[i]; !alphanumeric(c) && c != '-' && c != '_' {
				return fmt.Errorf("a host name is made of labels of 1 to 63 letters, digits and inner hyphens, without a port")
			}
		}
	}
	return nil
}

// Loopback reports whether a URL's host is this machine.
func Loopback(u *url.URL) bool {
	host := u.Hostname()
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// ParseNetwork reads a network (10.0.0.0/8) or one address. Bits behind the prefix
// must be zero, so that nobody believes a narrower network to be meant.
func ParseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		if a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("an address has no zone here")
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("a network is written as 10.0.0.0/8 or 2001:db8::/32, or as one address")
	}
	if p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("write an IPv4 network as such, without ::ffff: before it")
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("the address has bits behind its prefix: is the network or its length mistyped?")
	}
	return p, nil
}
