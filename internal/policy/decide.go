package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

// Source gives what a request has. It is asked only for what the rules of an
// operation name.
type Source interface {
	// Param returns the decoded value of the path's nth parameter.
	Param(n int) string
	// Header returns the values of all lines of a header, in lower case named.
	Header(name string) []string
	// Place returns where the client is: what is asked for, zones or the rest.
	Place(zones, geo bool) Place
	// Target returns method, canonical path and host.
	Target() (method, path, host string)
	// Circumstances returns what is known about the moment.
	Circumstances() Circumstances
}

// Place is where a client is.
type Place struct {
	Zones   []string // names of the zones that the address is in
	Country string   // two upper-case letters; "" when it is not known
	ASN     uint32   // of the network operator; 0 when it is not known
}

// Circumstances are what is known about the moment of a request.
type Circumstances struct {
	Client netip.Addr
	Now    time.Time
	SignIn int64  // time of the caller's sign-in in Unix seconds; 0 when it is not known
	Risk   string // what the issuer says of it; "" when it says nothing
}

// maxHeaderValues bounds the values of a header that a rule reads.
const maxHeaderValues = 100

// Outcome says what came of a decision.
type Outcome uint8

// The outcomes. Everything but Pass denies.
const (
	Pass   Outcome = iota
	Forbid         // a policy forbids it
	Unmet          // the operation's condition does not hold
	Failed         // a rule could not be evaluated, and nothing else has denied
)

// Verdict is a decision.
type Verdict struct {
	Outcome Outcome
	// Rules are those that denied: all policies that forbid, the condition, or all
	// rules that could not be evaluated. Nil for Pass.
	Rules []*Rule
	// Detail says in words what the first of them read, and why it failed. It is for
	// administrators: it holds names and values of the request.
	Detail string
}

// Set is what applies to one operation. Immutable; for use by many at once.
type Set struct {
	action, api types.EntityUID
	params      []string
	condition   *Rule
	rules       *ruleList // enforced
	shadow      *ruleList // tried out
	questions   sync.Pool // *question
}

// question is what a decision works with and leaves for the next one: where the rules say
// that they do not apply, as nearly all do, a decision allocates next to nothing.
type question struct {
	left  forCaller
	sight sight
	out   mask // memory of left.out
}

// Rules returns what is enforced: the policies in their order, then the condition.
func (s *Set) Rules() []*Rule { return s.rules.rules }

// Condition returns the operation's condition, nil when it has none.
func (s *Set) Condition() *Rule { return s.condition }

// entities is the world of one request: its caller and its resource.
type entities struct {
	principal *Principal
	resource  types.Entity
}

// Get implements types.EntityGetter.
func (e *entities) Get(id types.EntityUID) (types.Entity, bool) {
	switch id {
	case e.principal.entity.UID:
		return e.principal.entity, true
	case e.resource.UID:
		return e.resource, true
	default:
		return types.Entity{}, false
	}
}

// Decide asks every rule that is enforced. The order of precedence is: a policy forbids, the
// condition does not hold, a rule failed. All of them deny.
func (s *Set) Decide(p *Principal, src Source) Verdict { return s.ask(s.rules, s.condition, p, src) }

// Shadow asks the policies that are only tried out, and returns what they would
// have come to. It decides nothing.
func (s *Set) Shadow(p *Principal, src Source) Verdict { return s.ask(s.shadow, nil, p, src) }

// ask evaluates rules, of which condition may be one.
func (s *Set) ask(rules *ruleList, condition *Rule, p *Principal, src Source) Verdict {
	q, ok := s.questions.Get().(*question)
	if !ok {
		q = new(question)
	}
	defer func() {
		*q = question{out: q.out}
		s.questions.Put(q)
	}()
	left := &q.left
	*left = forCaller{ruleList: rules, not: p.not}
	resource, _, n := left.reads()
	if n == 0 {
		return Verdict{}
	}
	headers, err := membersOf(resource, &rules.uses, src)
	if err != nil {
		return Verdict{Outcome: Failed, Rules: rules.rules, Detail: err.Error()}
	}
	q.sight = sight{src: src, set: s, who: p, headers: headers}
	q.out = q.out.cleared(len(rules.rules))
	if left.screen(&q.sight, condition, q.out) {
		condition = nil
	}
	resource, context, n := left.reads()
	if n == 0 {
		return Verdict{}
	}
	world := &entities{principal: p, resource: types.Entity{UID: s.api}}
	world.resource.Attributes = s.resource(resource, &rules.uses, headers, src)
	request := cedar.Request{Principal: p.entity.UID, Action: s.action, Resource: s.api, Context: circumstances(context, src)}
	decision, diagnostic := cedar.Authorize(left, world, request)
	unmet := condition != nil && decision == cedar.Deny
	if !unmet && len(diagnostic.Errors) == 0 && (decision == cedar.Allow || len(diagnostic.Reasons) == 0) {
		return Verdict{}
	}
	return rules.denied(condition, decision, diagnostic, world, request.Context)
}

// denied finds out which rules have denied.
func (l *ruleList) denied(condition *Rule, decision cedar.Decision, d cedar.Diagnostic, world *entities, context types.Record) Verdict {
	v := Verdict{}
	if decision == cedar.Deny && len(d.Reasons) > 0 {
		v.Outcome = Forbid
		for _, r := range d.Reasons {
			v.Rules = append(v.Rules, l.byID(r.PolicyID))
		}
		v.Detail = v.Rules[0].read(world, context)
		return v
	}
	failed := map[*Rule]string{}
	for _, e := range d.Errors {
		r := l.byID(e.PolicyID)
		failed[r] = e.Message
		v.Rules = append(v.Rules, r)
	}
	if condition != nil && decision == cedar.Deny && failed[condition] == "" {
		return Verdict{Outcome: Unmet, Rules: []*Rule{condition}, Detail: condition.read(world, context)}
	}
	v.Outcome, v.Detail = Failed, failed[v.Rules[0]]
	if read := v.Rules[0].read(world, context); read != "" {
		v.Detail += "; " + read
	}
	return v
}

// resource makes the attributes of the resource that the rules read, and the
// parameters that any of the operation's do.
func (s *Set) resource(reads uint16, u *uses, members map[string][]string, src Source) types.Record {
	if reads == 0 && len(u.params) == 0 && len(u.headers) == 0 {
		return types.Record{}
	}
	m := make(types.RecordMap, 2+len(u.params))
	if reads&readsAPI != 0 {
		m["api"] = s.api.ID
	}
	for _, name := range u.params {
		if i := slices.Index(s.params, name); i >= 0 {
			m[types.String(name)] = types.String(src.Param(i))
		}
	}
	if reads&readsHeaders != 0 {
		headers := make(types.RecordMap, len(u.headers))
		for _, name := range u.headers {
			headers[types.String(name)] = texts(members[name])
		}
		m["headers"] = types.NewRecord(headers)
	}
	return types.NewRecord(m)
}

// membersOf returns the members of the headers that the rules read; those that the
// request does not have are left out.
func membersOf(reads uint16, u *uses, src Source) (map[string][]string, error) {
	if reads&readsHeaders == 0 {
		return nil, nil
	}
	var out map[string][]string
	for _, name := range u.headers {
		members, err := headerValues(name, src.Header(name))
		if err != nil {
			return nil, err
		}
		if len(members) == 0 {
			continue
		}
		if out == nil {
			out = make(map[string][]string, len(u.headers))
		}
		out[name] = members
	}
	return out, nil
}

// headerValues returns the members of all lines of a header: a line is a list with
// commas, and a condition sees every member (attack gateway 53).
func headerValues(name string, lines []string) ([]string, error) {
	var values []string
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			if member = strings.Trim(member, " \t"); member == "" {
				continue
			}
			if values = append(values, member); len(values) > maxHeaderValues {
				return nil, fmt.Errorf("the header %s has more than %d values", name, maxHeaderValues)
			}
		}
	}
	return values, nil
}

// circumstances makes what rules read of the context.
func circumstances(u uint16, src Source) types.Record {
	if u == 0 {
		return types.Record{}
	}
	m := make(types.RecordMap, 8)
	c := src.Circumstances()
	now, signIn := c.Now.UTC(), c.SignIn
	if u&readsIP != 0 {
		m["ip"] = types.IPAddr(netip.PrefixFrom(c.Client, c.Client.BitLen()))
	}
	if u&(readsZones|readsCountry|readsASN) != 0 {
		p := src.Place(u&readsZones != 0, u&(readsCountry|readsASN) != 0)
		if u&readsZones != 0 {
			m["zones"] = texts(p.Zones)
		}
		if u&readsCountry != 0 {
			m["country"] = types.String(p.Country)
		}
		if u&readsASN != 0 {
			m["asn"] = types.Long(p.ASN)
		}
	}
	if u&readsMoment != 0 {
		m["time"] = types.NewDatetime(now)
	}
	if u&readsRisk != 0 && c.Risk != "" {
		m["risk"] = types.String(c.Risk)
	}
	if u&readsTime != 0 {
		m["hour"], m["minute"] = types.Long(now.Hour()), types.Long(now.Minute())
	}
	if u&readsAuthAge != 0 && signIn > 0 && signIn <= now.Unix() {
		m["auth_age"] = types.Long(now.Unix() - signIn)
	}
	if u&readsTarget != 0 {
		method, path, host := src.Target()
		m["method"], m["path"], m["host"] = types.String(method), types.String(path), types.String(host)
	}
	return types.NewRecord(m)
}

// maxDetail bounds the words about one rule, in bytes.
const maxDetail = 1000

// read says what a rule has read.
func (r *Rule) read(world *entities, context types.Record) string {
	var b strings.Builder
	for _, path := range r.uses.shown {
		var in types.Record
		switch path[0] {
		case "principal":
			in = world.principal.entity.Attributes
		case "resource":
			in = world.resource.Attributes
		case "context":
			in = context
		}
		var v types.Value = in
		for _, name := range path[1:] {
			rec, ok := v.(types.Record)
			if !ok {
				v = nil
				break
			}
			if v, ok = rec.Get(types.String(name)); !ok {
				v = nil
				break
			}
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strings.Join(path, "."))
		if v == nil {
			b.WriteString(" is missing")
		} else {
			b.WriteString(" = " + string(v.MarshalCedar()))
		}
	}
	if b.Len() > maxDetail {
		return b.String()[:maxDetail] + " …"
	}
	return b.String()
}
