package app

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientAddress makes RemoteAddr the address of the client behind the proxies that
// are trusted, so that everything after it asks one place. X-Forwarded-For is walked
// from the right, the last line first, to the first address that is no trusted
// proxy's: what stands to the left of that, anybody may have written. An address that
// cannot be read ends the walk at the last one that could.
func clientAddress(trusted []netip.Prefix, next http.Handler) http.Handler {
	if len(trusted) == 0 {
		return next
	}
	trusts := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		client := peer.Addr().Unmap().WithZone("")
		if err != nil || !trusts(client) {
			next.ServeHTTP(w, r)
			return
		}
		lines := r.Header.Values("X-Forwarded-For")
	walk:
		for _, line := range slices.Backward(lines) {
			for _, member := range slices.Backward(strings.Split(line, ",")) {
				hop, ok := forwardedHop(strings.TrimSpace(member))
				if !ok {
					break walk
				}
				if client = hop; !trusts(hop) {
					break walk
				}
			}
		}
		seen := r.WithContext(r.Context())
		seen.RemoteAddr = netip.AddrPortFrom(client, peer.Port()).String()
		next.ServeHTTP(w, seen)
	})
}

// forwardedHop reads one member of X-Forwarded-For: an address, with or without a
// port.
func forwardedHop(s string) (netip.Addr, bool) {
	if len(s) > 64 {
		return netip.Addr{}, false
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone(""), true
	}
	ap, err := netip.ParseAddrPort(s)
	return ap.Addr().Unmap().WithZone(""), err == nil
}
