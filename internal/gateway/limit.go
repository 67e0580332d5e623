package gateway

import (
	"strconv"
	"strings"

	"gatehouse/internal/ratelimit"
	"gatehouse/internal/spec"
)

// subject is what a limit counts by.
type subject uint8

const (
	perAPI subject = iota
	perIP
	perClient
	perUser
	perKey // an API key and those that it was rotated from
)

// limitRule is one compiled limit.
type limitRule struct {
	name   string // in the RateLimit fields
	per    subject
	rate   ratelimit.Rate
	base   ratelimit.Key
	source string // where it was written
}

// limitState is a limit as one exchange found it.
type limitState struct {
	rule   *limitRule
	result ratelimit.Result
}

// limit counts the request against all limits of its API and its route: all
// must have room, and then all are counted, or none.
type limit struct {
	rules  []limitRule
	policy []byte        // value of the RateLimit-Policy field
	keyed  ratelimit.Key // what the counters of API keys are below
}

// of returns the nth limit that applies to the exchange: those of the API and the route,
// then those of the caller's key. Nil = there is none.
func (s *limit) of(ex *Exchange, n int) *limitRule {
	if n < len(s.rules) {
		return &s.rules[n]
	}
	if n -= len(s.rules); ex.apiKey != nil && n < len(ex.apiKey.rules) {
		return &ex.apiKey.rules[n]
	}
	return nil
}

func newLimit(rules []limitRule) *limit {
	s := &limit{rules: rules}
	for i := range rules {
		s.policy = ratelimit.AppendPolicy(s.policy, rules[i].name, rules[i].rate)
	}
	return s
}

func subjectOf(per string) (subject, bool) {
	switch per {
	case "api":
		return perAPI, true
	case "ip":
		return perIP, true
	case "client":
		return perClient, true
	case "user":
		return perUser, true
	}
	return 0, false
}

func rateOf(l spec.Limit) ratelimit.Rate {
	return ratelimit.Rate{Count: l.Count, Period: l.Period.Std()}
}

// Do implements step.
func (s *limit) Do(ex *Exchange) error {
	n := 0
	for r := s.of(ex, n); r != nil; r = s.of(ex, n) {
		ex.claims[n] = ratelimit.Claim{Key: s.key(ex, r), Rate: r.rate, Cost: 1}
		n++
	}
	if n == 0 {
		return nil
	}
	claims := ex.claims[:n]
	now := ex.started
	refused := -1
	if ex.dry {
		for i := range claims {
			claims[i].Result = ex.gw.config.Limiter.Peek(now, claims[i].Key, claims[i].Rate)
			if !claims[i].Result.Allowed && refused < 0 {
				refused = i
			}
		}
	} else {
		refused = ex.gw.config.Limiter.TakeAll(now, claims)
	}
	if refused >= 0 {
		n = refused + 1 // those behind were not looked at
	}
	ex.limits = ex.states[:n]
	for i := range ex.limits {
		ex.limits[i] = limitState{s.of(ex, i), claims[i].Result}
	}
	if refused >= 0 {
		ex.retryAfter = claims[refused].Result.RetryAfter
		return errRateLimited
	}
	return nil
}

// full reports whether a limit has no room for the request, and counts nothing.
func (s *limit) full(ex *Exchange) bool {
	for n, r := 0, s.of(ex, 0); r != nil; n, r = n+1, s.of(ex, n+1) {
		if res := ex.gw.config.Limiter.Peek(ex.started, s.key(ex, r), r.rate); !res.Allowed {
			ex.states[0] = limitState{r, res}
			ex.limits, ex.retryAfter = ex.states[:1], res.RetryAfter
			return true
		}
	}
	return false
}

// key names the counter. A caller that is not known, as on a public route,
// counts by its address; a client that acts for itself has no user and counts as
// the client. Ids of two issuers are never the same subject.
func (s *limit) key(ex *Exchange, r *limitRule) ratelimit.Key {
	l := ex.gw.config.Limiter
	per := r.per
	if per == perKey {
		family := ex.apiKey.Family
		if family == "" {
			family = ex.apiKey.ID
		}
		return l.JoinString(l.JoinString(s.keyed, family), r.name)
	}
	if t := ex.token; t != nil {
		switch {
		case per == perUser && t.UserID != "":
			return l.JoinString(l.JoinString(l.JoinString(r.base, "user"), t.Issuer), t.UserID)
		case (per == perUser || per == perClient) && t.ClientID != "":
			return l.JoinString(l.JoinString(l.JoinString(r.base, "client"), t.Issuer), t.ClientID)
		case (per == perUser || per == perClient) && t.Subject != "":
			return l.JoinString(l.JoinString(l.JoinString(r.base, "subject"), t.Issuer), t.Subject)
		}
	}
	if per == perAPI {
		return r.base
	}
	return l.JoinAddr(r.base, ex.ClientIP())
}

// appendLimits appends the value of the RateLimit field for what the exchange was counted by.
func (f *facts) appendLimits(b []byte) []byte {
	for i := range f.limits {
		b = ratelimit.AppendRateLimit(b, f.limits[i].rule.name, f.limits[i].result)
	}
	return b
}

func (s *limit) explain(f *facts) (needed, had string) {
	var n, h []string
	for i := range s.rules {
		r := &s.rules[i]
		n = append(n, strconv.FormatInt(r.rate.Count, 10)+" in "+r.rate.Period.String()+" per "+r.per.String())
	}
	for i := range f.limits {
		h = append(h, f.limits[i].rule.name+": "+strconv.FormatInt(f.limits[i].result.Remaining, 10)+" left")
	}
	if len(n) == 0 {
		return "what an API key may, if it has limits", strings.Join(h, "; ")
	}
	return "at most " + strings.Join(n, "; "), strings.Join(h, "; ")
}

// String returns the word of the configuration.
func (s subject) String() string { return [...]string{"api", "ip", "client", "user", "key"}[s] }
