package decide

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"strings"

	"gatehouse/internal/gateway"
)

// dialect is how a proxy asks.
type dialect uint8

const (
	// forwarded: X-Forwarded-Method and X-Forwarded-Uri, as Traefik and Caddy send
	// them. The proxy gives the client our answer as it is.
	forwarded dialect = iota
	// authRequest: X-Original-Method and X-Original-URI, as nginx is configured to
	// send them. It knows 401 and 403, and makes a 500 of every other refusal.
	authRequest
)

// status is the status that the proxy is sent in place of the gateway's. The
// client's fault stays the client's fault; 5xx stays the server's.
func (d dialect) status(s int) int {
	if d == authRequest && s >= 400 && s < 500 && s != http.StatusUnauthorized {
		return http.StatusForbidden
	}
	return s
}

// Headers that say what the client sent, as net/http spells them.
const (
	forwardedMethod = "X-Forwarded-Method"
	forwardedURI    = "X-Forwarded-Uri"
	forwardedProto  = "X-Forwarded-Proto"
	forwardedHost   = "X-Forwarded-Host"
	forwardedFor    = "X-Forwarded-For"
	originalMethod  = "X-Original-Method"
	originalURI     = "X-Original-Uri"
)

// original returns the request that the client sent to the proxy, or why the
// proxy's words do not say which that is. A proxy passes the client's own headers
// on beside its own, so whatever it does not set may be the client's word: what is
// missing, doubled or said in both dialects is not guessed.
//
// certHeader names the header in which the proxy says which certificate the client has
// shown; it goes no further, so that it is never another's word.
func original(r *http.Request, certHeader string) (out *http.Request, d dialect, why string) {
	d = forwarded
	method, uri := forwardedMethod, forwardedURI
	if has(r, originalMethod) || has(r, originalURI) {
		if has(r, forwardedMethod) || has(r, forwardedURI) {
			return nil, d, "it has X-Original-Method or X-Original-URI beside X-Forwarded-Method or X-Forwarded-Uri; one of them is the client's: let the proxy remove those that it does not set"
		}
		d, method, uri = authRequest, originalMethod, originalURI
	}
	for _, name := range []string{method, uri, forwardedProto, forwardedHost} {
		if v := r.Header[name]; len(v) != 1 || v[0] == "" {
			return nil, d, "it must have " + name + " exactly once: let the proxy set it"
		}
	}
	out = &http.Request{
		Method: r.Header[method][0], RequestURI: r.Header[uri][0], Host: r.Header[forwardedHost][0],
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor, Body: http.NoBody,
	}
	switch strings.ToLower(r.Header[forwardedProto][0]) {
	case "http", "ws":
	case "https", "wss":
		out.TLS = &tls.ConnectionState{HandshakeComplete: true}
		if certHeader != "" {
			if len(r.Header.Values(certHeader)) > 1 {
				return nil, d, "it has " + certHeader + " more than once: let the proxy set it"
			}
			out.TLS.PeerCertificates = gateway.ForwardedCertificates(certHeader, r.Header)
		}
	default:
		return nil, d, "X-Forwarded-Proto must be http or https"
	}
	peer, before, ok := lastHop(r.Header[forwardedFor])
	if !ok {
		return nil, d, "the last address of X-Forwarded-For must be the client of the proxy: let the proxy set it"
	}
	out.RemoteAddr = netip.AddrPortFrom(peer, 0).String()
	out.Header = passedOn(r.Header)
	if certHeader != "" {
		out.Header.Del(certHeader)
		out.Header.Del("Client-Cert-Chain")
	}
	if before != "" {
		out.Header[forwardedFor] = []string{before}
	}
	return out.WithContext(r.Context()), d, ""
}

func has(r *http.Request, name string) bool { return len(r.Header[name]) > 0 }

// lastHop returns the last address of X-Forwarded-For, the one that the asking
// proxy has seen itself, and what was there before it.
func lastHop(lines []string) (addr netip.Addr, before string, ok bool) {
	all := strings.Join(lines, ",")
	last := all
	if i := strings.LastIndexByte(all, ','); i >= 0 {
		before, last = strings.TrimSpace(all[:i]), all[i+1:]
	}
	last = strings.TrimSpace(last)
	addr, err := netip.ParseAddr(last)
	if err != nil {
		ap, err := netip.ParseAddrPort(last)
		if err != nil {
			return netip.Addr{}, "", false
		}
		addr = ap.Addr()
	}
	return addr.Unmap().WithZone(""), before, true
}

// passedOn returns the client's own headers: without those that are the proxy's
// words to us, or would be taken for words of a proxy before it.
func passedOn(in http.Header) http.Header {
	out := make(http.Header, len(in))
	for name, values := range in {
		switch {
		case strings.HasPrefix(name, "X-Forwarded-"), strings.HasPrefix(name, "X-Original-"):
		case name == "Forwarded", name == "X-Real-Ip", name == "Connection", name == "Content-Length", name == "Host":
		default:
			out[name] = values
		}
	}
	return out
}
