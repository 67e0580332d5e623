package gateway

import (
	"bytes"
	"math/rand/v2"
	"net/netip"

	"gatehouse/internal/wire"
)

// Who is at the other end. The peer's address is a fact; what X-Forwarded-For
// says is worth something only as far as trusted proxies wrote it, so it is
// walked from the right (the line's end, the last line first) and the walk ends
// at the first address that is no trusted proxy's.

// findClient sets the client's address and whether the peer is a trusted proxy.
func (ex *Exchange) findClient() {
	addr := ex.req.Remote.Addr().Unmap()
	ex.facts.client = addr
	ex.trusted = ex.gw.trusts(addr)
	if !ex.trusted {
		return
	}
	for i := len(ex.req.Fields) - 1; i >= 0; i-- {
		f := &ex.req.Fields[i]
		if f.Kind != wire.XForwardedFor {
			continue
		}
		for rest := f.Value; len(rest) > 0; {
			var member []byte
			if j := bytes.LastIndexByte(rest, ','); j >= 0 {
				rest, member = rest[:j], rest[j+1:]
			} else {
				rest, member = nil, rest
			}
			hop, ok := parseHop(bytes.TrimSpace(member))
			if !ok {
				return // whoever wrote this wrote nothing that can be believed
			}
			ex.facts.client = hop
			if !ex.gw.trusts(hop) {
				return
			}
		}
	}
}

// parseHop reads one member of X-Forwarded-For: an address, with or without a port.
func parseHop(b []byte) (netip.Addr, bool) {
	if len(b) == 0 || len(b) > 64 {
		return netip.Addr{}, false
	}
	if addr, err := netip.ParseAddr(string(b)); err == nil {
		return addr.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(string(b)); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

// trusts reports whether the address is a trusted proxy's.
func (g *Gateway) trusts(addr netip.Addr) bool {
	for _, p := range g.config.TrustedProxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// identify gives the exchange its request id: the one that a trusted proxy sent,
// if it is well formed, or a new one of 20 base32 digits (100 random bits).
func (ex *Exchange) identify() {
	if ex.trusted && ex.idLine >= 0 {
		if v := ex.req.Fields[ex.idLine].Value; validID(v) {
			ex.idLen = copy(ex.idBuf[:], v)
			return
		}
	}
	ex.idLen = len(newID(ex.idBuf[:0]))
}

func validID(b []byte) bool {
	if len(b) < 8 || len(b) > 64 {
		return false
	}
	for _, c := range b {
		if !in(c, unreservedLow, unreservedHigh) {
			return false
		}
	}
	return true
}

const idDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // Crockford's base32

func newID(b []byte) []byte {
	//nolint:gosec // request ids must differ; knowing one gives no access to anything
	x, y := rand.Uint64(), rand.Uint64()
	for range 12 {
		b = append(b, idDigits[x&31])
		x >>= 5
	}
	for range 8 {
		b = append(b, idDigits[y&31])
		y >>= 5
	}
	return b
}

// secure reports whether the client's side of the way is encrypted: this
// connection, or what a trusted proxy says about its own.
func (ex *Exchange) secure() bool {
	if ex.req.TLS != nil {
		return true
	}
	return ex.trusted && wire.EqualFold(ex.lastOf(wire.XForwardedProto), "https")
}

// lastOf returns the value of the last line of the kind, nil when there is none.
func (ex *Exchange) lastOf(k wire.Kind) []byte {
	for i := len(ex.req.Fields) - 1; i >= 0; i-- {
		if ex.req.Fields[i].Kind == k {
			return ex.req.Fields[i].Value
		}
	}
	return nil
}
