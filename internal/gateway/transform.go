package gateway

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"

	"gatehouse/internal/ratelimit"
	"gatehouse/internal/wire"
)

// Names of headers that the gateway sets, on requests or on answers.
const (
	headerUser      = "X-User-ID"
	headerClient    = "X-Client-ID"
	headerScopes    = "X-Granted-Scopes"
	headerOmitted   = "X-Gatehouse-Omitted"
	headerDecision  = "Gatehouse-Decision"
	headerRequestID = "X-Request-ID"
	headerLimit     = "RateLimit"
	headerPolicy    = "RateLimit-Policy"
	headerNonce     = "DPoP-Nonce"
)

// headerNames is a set of header names, looked up without regard to case and to
// the difference of "-", "_" and other signs. Most names are told apart by length and first letter.
type headerNames struct {
	first [maxHeaderName + 1]uint32 // by length: bits of first letters
	names map[string]bool
}

const maxHeaderName = 64

// ours are names of kind wire.Other that no client may send to an upstream:
// what the gateway sets, and what some servers believe about the client or the target.
var ours = [...]string{
	headerUser, headerClient, headerScopes, "X-Forwarded",
	"X-Client-IP", "True-Client-IP", "X-Cluster-Client-IP", "X-Original-Forwarded-For", "CF-Connecting-IP",
	"CF-Connecting-IPv6", "Fastly-Client-IP", "X-Azure-ClientIP", "X-Envoy-External-Address",
	"X-Original-Host", "X-Original-Method", "X-Original-URI", "X-Host", "X-HTTP-Host-Override",
	"X-HTTP-Path-Override", "X-Amzn-Mtls-Clientcert", "X-ARR-ClientCert", "Proxy",
}

func newHeaderNames(more []string) *headerNames {
	s := &headerNames{names: map[string]bool{}}
	for _, n := range append(ours[:len(ours):len(ours)], more...) {
		low := strings.ReplaceAll(strings.ToLower(n), "_", "-")
		s.names[low] = true
		if len(low) > 0 && len(low) <= maxHeaderName {
			s.first[len(low)] |= 1 << (low[0] & 31)
		}
	}
	return s
}

// has reports whether the name is in the set.
func (s *headerNames) has(name []byte) bool {
	if len(name) == 0 || len(name) > maxHeaderName || s.first[len(name)]&(1<<(name[0]&31)) == 0 {
		return false
	}
	var low [maxHeaderName]byte
	return s.names[string(fold(low[:0], name))]
}

func fold(low, name []byte) []byte {
	for _, c := range name {
		switch {
		case c-'A' < 26:
			c |= 0x20
		case c < '0' || c > '9' && c < 'a' || c > 'z':
			c = '-' // "_", and "." and the like, which some servers make "_" of in turn
		}
		low = append(low, c)
	}
	return low
}

// reserved reports whether the name belongs to the gateway whatever follows.
func reserved(name []byte) bool {
	return len(name) > 10 && (name[0]|0x20 == 'x' || name[0]|0x20 == 'g') &&
		(prefixFold(name, "x-gatehouse-") || prefixFold(name, "gatehouse-"))
}

func prefixFold(name []byte, prefix string) bool {
	if len(name) < len(prefix) {
		return false
	}
	var low [16]byte
	return string(fold(low[:0], name[:len(prefix)])) == prefix
}

// transform makes the request that the upstream gets: everything that could be
// mistaken for the gateway's word is removed first, on every route, and then
// the gateway's own lines are set.
type transform struct {
	api     *api
	public  bool // nobody is known: no identity lines
	forward bool // forward_authorization
	keep    bool // keep_base_path
	cookies bool // there are cookies of ours, which no upstream gets
}

// Do implements step.
func (s *transform) Do(ex *Exchange) error {
	if ex.dry {
		return nil
	}
	s.target(ex)
	s.strip(ex)
	if !s.public {
		var err error
		if ex.Out.Lines[0], err = ex.identityLines(s.api); err != nil {
			return err
		}
	}
	ex.lines = ex.lines[:0]
	ex.appendCorrelation()
	ex.appendForwarded()
	ex.Out.Method = ex.req.Method
	ex.Out.Fields, ex.Out.Lines[1] = ex.fields, ex.lines
	ex.Out.Upgrade = ex.req.Upgrade
	ex.Out.Body = nil
	if ex.held != nil {
		ex.Out.Body = ex.held
	} else if ex.req.Body.Length() != 0 {
		ex.Out.Body = &ex.req.Body
	}
	return nil
}

// target sets the path and query for the upstream: the canonical path that was
// matched, below the base path, and the query's very bytes.
func (s *transform) target(ex *Exchange) {
	from := ex.base
	if s.keep {
		from = 0
	}
	if !ex.rewritten && from < len(ex.path) {
		ex.Out.Target = ex.req.Target[from:]
		return
	}
	b := ex.targetBuf[:0]
	if from == len(ex.path) {
		b = append(b, '/')
	}
	b = append(b, ex.path[from:]...)
	if ex.hasQuery {
		b = append(append(b, '?'), ex.query...)
	}
	ex.targetBuf, ex.Out.Target = b, b
}

// strip copies the fields that may be passed on.
func (s *transform) strip(ex *Exchange) {
	ex.fields, ex.cookies = ex.fields[:0], ex.cookies[:0]
	for i := range ex.req.Fields {
		f := &ex.req.Fields[i]
		if f.HopByHop() || f.Kind.Framing() || f.Kind.ClientClaim() {
			continue
		}
		switch f.Kind {
		case wire.Other:
			// The lanes refuse names with "_", which many servers read as "-".
			// Should one come through, it goes no further.
			if s.api.strip.has(f.Name) || reserved(f.Name) || bytes.IndexByte(f.Name, '_') >= 0 {
				continue
			}
		case wire.Authorization:
			if !s.forward || carriesAPIKey(f.Value) {
				continue
			}
		case wire.DPoP:
			if !s.forward { // without its token it says nothing
				continue
			}
		case wire.APIKey:
			if s.api.takesKeys {
				continue
			}
		case wire.Cookie:
			if s.cookies {
				if line := ex.withoutOwnCookies(f.Value); len(line) > 0 {
					ex.fields = append(ex.fields, wire.Field{Name: f.Name, Value: line, Kind: f.Kind, Nominated: f.Nominated})
				}
				continue
			}
		case wire.XRequestID, wire.Traceparent, wire.Expect:
			continue
		case wire.Tracestate:
			if ex.parent < 0 {
				continue // without its traceparent it says nothing
			}
		default:
		}
		ex.fields = append(ex.fields, *f)
	}
}

// appendCorrelation writes the request id and the trace context.
func (ex *Exchange) appendCorrelation() {
	ex.lines = append(append(append(ex.lines, headerRequestID+": "...), ex.ID()...), "\r\ntraceparent: "...)
	ex.lines = append(ex.trace.Append(ex.lines), '\r', '\n')
}

// appendForwarded writes who the client is, as far as that is known: the
// verified end of the chain of proxies, and then the peer.
func (ex *Exchange) appendForwarded() {
	b := append(ex.lines, "X-Forwarded-For: "...)
	client, peer := ex.facts.client, ex.req.Remote.Addr().Unmap()
	b = client.AppendTo(b)
	if client != peer {
		b = ex.appendHops(b)
		b = peer.AppendTo(append(b, ", "...))
	}
	proto, host, port := ex.outside()
	b = append(append(b, "\r\nX-Forwarded-Proto: "...), proto...)
	b = append(append(b, "\r\nX-Forwarded-Host: "...), host...)
	b = append(append(b, "\r\nX-Forwarded-Port: "...), port...)
	b = append(b, "\r\nForwarded: for="...)
	b = appendNode(b, client)
	b = append(append(append(b, ";host=\""...), host...), "\";proto="...)
	b = append(b, proto...)
	if client != peer {
		b = appendNode(append(b, ", for="...), peer)
	}
	ex.lines = append(b, '\r', '\n')
}

// appendHops writes the trusted proxies between the client and the peer, as X-Forwarded-For names them.
func (ex *Exchange) appendHops(b []byte) []byte {
	var hops [16]netip.Addr
	n := 0
	for i := len(ex.req.Fields) - 1; i >= 0; i-- {
		f := &ex.req.Fields[i]
		if f.Kind != wire.XForwardedFor {
			continue
		}
		for rest := f.Value; len(rest) > 0; {
			member := rest
			if j := bytes.LastIndexByte(rest, ','); j >= 0 {
				rest, member = rest[:j], rest[j+1:]
			} else {
				rest = nil
			}
			hop, ok := parseHop(bytes.TrimSpace(member))
			if !ok || !ex.gw.trusts(hop) || hop == ex.facts.client || n == len(hops) {
				goto write
			}
			hops[n] = hop
			n++
		}
	}
write:
	for n--; n >= 0; n-- {
		b = hops[n].AppendTo(append(b, ", "...))
	}
	return b
}

// outside returns how the client addressed us: what a trusted peer says, when
// that is well formed, else this connection's own.
func (ex *Exchange) outside() (proto string, host, port []byte) {
	proto, host = "http", ex.req.Host
	if ex.secure() {
		proto = "https"
	}
	if ex.trusted {
		if h := ex.lastOf(wire.XForwardedHost); len(h) > 0 {
			if _, why := canonicalHost(nil, h); why == "" {
				host = h
			}
		}
		if p := ex.lastOf(wire.XForwardedPort); validPort(p) {
			return proto, host, p
		}
	}
	return proto, host, strconv.AppendUint(ex.portBuf[:0], uint64(ex.req.Local.Port()), 10)
}

// appendNode writes an address as RFC 7239 section 6 asks: IPv6 in brackets and quotes.
func appendNode(b []byte, addr netip.Addr) []byte {
	if addr.Is4() {
		return addr.AppendTo(b)
	}
	b = append(b, '"', '[')
	b = addr.AppendTo(b)
	return append(b, ']', '"')
}

// filterResponse removes from an upstream's answer what only the gateway may
// say, and adds what it says on every answer.
//
// It is not inlined: its frame would lie below the calls that follow, and every idle
// connection keeps a stack as deep as its last request went; with 4 KiB it has to do.
//
//go:noinline
func (ex *Exchange) filterResponse(r *wire.Response) {
	out := ex.answer[:0]
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.HopByHop() || f.Kind == wire.XRequestID || f.Kind == wire.Other && gatewayOnly(f.Name) {
			continue
		}
		if f.Kind == wire.SetCookie && ex.snap.sessions && ownCookie(f.Value) {
			continue // nobody but the gateway says who has signed in
		}
		out = append(out, *f)
	}
	out = append(out, wire.Field{Name: nameRequestID, Value: ex.ID(), Kind: wire.XRequestID})
	out = ex.appendNonce(ex.appendLimitFields(out))
	ex.answer, r.Fields = out, out
}

// ownCookie reports whether a Set-Cookie line sets what browsers send back as a cookie of
// ours. One without a name is sent back as its value alone, which can look like any other.
func ownCookie(line []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(line, "= \t"), []byte(cookiePrefix))
}

// appendLimitFields adds RateLimit and RateLimit-Policy when the request was counted.
func (ex *Exchange) appendLimitFields(out []wire.Field) []wire.Field {
	if len(ex.limits) == 0 {
		return out
	}
	from := len(ex.answerBuf)
	ex.answerBuf = ex.appendLimits(ex.answerBuf)
	value := ex.answerBuf[from:len(ex.answerBuf):len(ex.answerBuf)]
	policy := ex.route.policy
	if ex.apiKey != nil && len(ex.apiKey.rules) > 0 {
		policy = append([]byte(nil), policy...)
		for i := range ex.apiKey.rules {
			policy = ratelimit.AppendPolicy(policy, ex.apiKey.rules[i].name, ex.apiKey.rules[i].rate)
		}
	}
	return append(out, wire.Field{Name: namePolicy, Value: policy}, wire.Field{Name: nameLimit, Value: value})
}

// appendNonce adds what the caller's next proof is to hold, when it needs a new one.
func (ex *Exchange) appendNonce(out []wire.Field) []wire.Field {
	if ex.freshNonce == "" {
		return out
	}
	return append(out, wire.Field{Name: nameNonce, Value: []byte(ex.freshNonce)})
}

// gatewayOnly reports whether an answer's header is the gateway's to set.
func gatewayOnly(name []byte) bool {
	switch len(name) {
	case len(headerLimit), len("Alt-Svc"):
		// Alt-Svc would lead clients around the gateway.
		return len(name) == len(headerLimit) && wire.EqualFold(name, "ratelimit") || wire.EqualFold(name, "alt-svc")
	case len(headerPolicy):
		return wire.EqualFold(name, "ratelimit-policy")
	}
	return reserved(name) || len(name) == len(headerNonce) && wire.EqualFold(name, "dpop-nonce")
}

// Names of answer headers as bytes. They are never written to.
var (
	nameRequestID = []byte(headerRequestID)
	nameLimit     = []byte(headerLimit)
	namePolicy    = []byte(headerPolicy)
)
