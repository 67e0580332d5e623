package gateway

import (
	"bytes"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/policy"
	"gatehouse/internal/revocation"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// tokenMemo is what the gateway derives from a token once and wants again with
// every request that carries it: the keys under which it may have been revoked,
// and the header lines that tell an upstream who is calling. It lives in the
// token's Slot, so exactly as long as the token is cached. Immutable.
type tokenMemo struct {
	set    *revocation.Set // that made keys
	tenant string          // for which
	keys   revocation.Keys
	hash   string     // base64url of the SHA-256 of its text, as a proof's ath has it
	apis   []identity // most recent first

	rules     *policy.Compiled // that made principal
	principal *policy.Principal

	proofKey *verify.Key // that the token is bound to, once a proof has shown it
}

// identity is what one API's upstream is told about the caller.
type identity struct {
	api   *api
	lines []byte // header lines, ready to be sent
	until int64  // Unix nanoseconds at which the signed context is made anew
}

const (
	// maxIdentities bounds the APIs that a token's header lines are kept for.
	maxIdentities = 16
	contextLife   = 60 * time.Second
	contextReuse  = 30 * time.Second // so that an upstream always gets one that is good for as long again
)

// memoOf returns the token's memo, made when the token is seen for the first time.
func (ex *Exchange) memoOf(t *verify.Token, raw []byte) *tokenMemo {
	set, org := ex.gw.config.Revocations, ex.snap.tenant
	if m, ok := t.Slot().Load().(*tokenMemo); ok && m.set == set && m.tenant == org {
		return m
	}
	m := &tokenMemo{set: set, tenant: org, hash: verify.TokenHash(raw)}
	m.keys = set.KeysOf(tenant.ID(org), t, m.hash, verify.TwinHash(raw))
	t.Slot().Store(m)
	return m
}

// identityLines returns the header lines that tell the API's upstream who is calling.
func (ex *Exchange) identityLines(a *api) ([]byte, error) {
	now := ex.started.UnixNano()
	for i := range ex.memo.apis {
		if e := &ex.memo.apis[i]; e.api == a && now < e.until {
			return e.lines, nil
		}
	}
	lines, err := ex.makeIdentity(a)
	if err != nil {
		return nil, err
	}
	// Two requests may do this at once; then one's work is lost, not wrong.
	next := &tokenMemo{}
	*next = *ex.memo
	next.apis = append([]identity(nil), identity{a, lines, now + int64(contextReuse)})
	for _, e := range ex.memo.apis {
		// What belongs to an old snapshot falls out by itself: its time runs out.
		if e.api != a && now < e.until && len(next.apis) < maxIdentities {
			next.apis = append(next.apis, e)
		}
	}
	ex.token.Slot().Store(next)
	ex.memo = next
	return lines, nil
}

// makeIdentity writes X-User-ID, X-Client-ID, X-Granted-Scopes, the configured
// claims and the signed context. A value that would be longer than maxClaim is left
// out and its header named in X-Gatehouse-Omitted: cut short, it would say something else.
func (ex *Exchange) makeIdentity(a *api) ([]byte, error) {
	t := ex.token
	b := ex.body[:0]
	if ex.gw.config.Context != nil {
		b = ex.appendContext(b, a)
	}
	claims, head := b, len(b)
	var omitted []byte
	for i := range a.claims {
		c := &a.claims[i]
		start := len(b)
		b = append(append(b, c.header...), ": "...)
		from := len(b)
		var present bool
		b, present = c.value(b, t)
		switch {
		case !present:
			b = b[:start]
		case len(b)-from > maxClaim:
			b = b[:start]
			if len(omitted) > 0 {
				omitted = append(omitted, ", "...)
			}
			omitted = append(omitted, c.header...)
		default:
			b = append(b, '\r', '\n')
		}
	}
	if len(omitted) > 0 {
		b = append(append(append(b, headerOmitted+": "...), omitted...), '\r', '\n')
	}
	if ex.gw.config.Context != nil {
		var err error
		if b, err = ex.gw.config.Context.Sign(append(b, verify.ContextHeader+": "...), claims); err != nil {
			return nil, fault.Because(err, fault.Internal, "sign the context for API %s", a.name)
		}
		b = append(b, '\r', '\n')
	}
	ex.body = b
	return bytes.Clone(b[head:]), nil
}
