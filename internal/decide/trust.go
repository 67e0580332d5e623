package decide

import (
	"net/http"
	"net/netip"
	"strings"
)

// TokenHeader is where a proxy that asks /authz/forward puts the token of whoever
// may ask: Authorization is the client's there. No client's header of this name
// reaches an upstream.
const TokenHeader = "Gatehouse-Token"

// Trust says who may ask. The zero value is this machine alone.
type Trust struct {
	Networks []netip.Prefix // that may ask; empty = loopback
	// Token reports whether a token is the one that whoever asks has to send as well,
	// in constant time; nil when none is asked for.
	Token func(string) bool
}

// Reasons why somebody may not ask. They are for the log of the one who asks.
const (
	whyAddress = "this address may not ask: name its network under server.decide.allow"
	whyToken   = "the token of server.decide is missing, doubled or wrong"
)

// refuses returns why a peer with these tokens may not ask; "" when it may.
func (t Trust) refuses(peer string, tokens []string) string {
	ap, err := netip.ParseAddrPort(peer)
	if err != nil || !t.holds(ap.Addr().Unmap().WithZone("")) {
		return whyAddress
	}
	if t.Token != nil && (len(tokens) != 1 || !t.Token(tokens[0])) {
		return whyToken
	}
	return ""
}

// Refuses is refuses for a peer that is not asking over HTTP.
func (t Trust) Refuses(peer string, tokens []string) string { return t.refuses(peer, tokens) }

func (t Trust) holds(a netip.Addr) bool {
	if len(t.Networks) == 0 {
		return a.IsLoopback()
	}
	for _, n := range t.Networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// bearer returns the tokens of the Authorization lines.
func bearer(r *http.Request) []string {
	var out []string
	for _, line := range r.Header.Values("Authorization") {
		scheme, token, _ := strings.Cut(line, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			token = ""
		}
		out = append(out, token)
	}
	return out
}
