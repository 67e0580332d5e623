package okta

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
)

// listLogs answers the system log: since, until, sortOrder, after, limit, a filter
// and keywords (q).
func (a *api) listLogs(c *call) (answer, error) {
	limit, err := c.limit(audit.DefaultLimit, audit.MaxLimit)
	if err != nil {
		return answer{}, err
	}
	q := audit.Query{Tenant: a.Tenant, After: c.FormValue("after"), Limit: limit, Descending: c.FormValue("sortOrder") == "DESCENDING"}
	for name, at := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		s := c.FormValue(name)
		if s == "" {
			continue
		}
		if *at, err = time.Parse(time.RFC3339, s); err != nil {
			return answer{}, unsupported(name, "must be a time such as 2026-01-31T09:00:00Z")
		}
	}
	f, err := parseFilter(c.FormValue("filter"))
	if err != nil {
		return answer{}, err
	}
	if q.Match, err = logMatch(f, c.FormValue("q")); err != nil {
		return answer{}, err
	}
	narrowLog(f, &q)
	events, next, err := a.Log.Query(c.Context(), q)
	if err != nil {
		return answer{}, err
	}
	return page(events, next, logEvent)
}

// maxKeywords and maxKeyword are Okta's bounds of q.
const (
	maxKeywords = 10
	maxKeyword  = 40
)

// logMatch returns which events a filter and keywords mean; nil for all. Every keyword
// is part of some field of the event, whatever its case.
func logMatch(f *filter, keywords string) (func(*audit.Event) bool, error) {
	words := strings.Fields(strings.ToLower(keywords))
	if len(words) > maxKeywords || slices.ContainsFunc(words, func(w string) bool { return len([]rune(w)) > maxKeyword }) {
		return nil, fault.New(fault.Invalid, "q has at most %d keywords of at most %d characters", maxKeywords, maxKeyword).WithReason(reasonSearch)
	}
	if path, ok := f.foreign(logKnows); ok {
		return nil, fault.New(fault.Invalid, "events have no attribute %s that the log can be filtered by", path).WithReason(reasonSearch)
	}
	if f == nil && len(words) == 0 {
		return nil, nil //nolint:nilnil // nothing to ask of events
	}
	return func(e *audit.Event) bool {
		if !f.match(func(path string) any { return logAttribute(e, path) }) {
			return false
		}
		return len(words) == 0 || hasKeywords(e, words)
	}, nil
}

func hasKeywords(e *audit.Event, words []string) bool {
	fields := []string{e.ID, e.Type, e.Message, string(e.Severity), string(e.Outcome.Result), e.Outcome.Reason, e.Client.IP, e.Client.UserAgent, e.RequestID}
	for _, who := range append(slices.Clone(e.Targets), e.Actor) {
		fields = append(fields, who.ID, who.Type, who.AlternateID, who.DisplayName)
	}
	for name, v := range e.Debug {
		fields = append(fields, name, v)
	}
	all := strings.ToLower(strings.Join(fields, "\n"))
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(all, w) })
}

// logAttribute returns what a filter compares. Of targets, of which there may be
// several, one has to fit.
func logAttribute(e *audit.Event, path string) any {
	if name, ok := strings.CutPrefix(path, "actor."); ok {
		return entityAttribute(&e.Actor, name)
	}
	if name, ok := strings.CutPrefix(path, "target."); ok {
		var out []any
		for i := range e.Targets {
			out = append(out, entityAttribute(&e.Targets[i], name))
		}
		return out
	}
	if name, ok := strings.CutPrefix(path, "debugContext.debugData."); ok {
		if v, ok := e.Debug[name]; ok {
			return v
		}
		return nil
	}
	switch path {
	case "uuid":
		return e.ID
	case "eventType":
		return e.Type
	case "published":
		return e.Time
	case "severity":
		return string(e.Severity)
	case "displayMessage":
		return e.Message
	case "outcome.result":
		return string(e.Outcome.Result)
	case "outcome.reason":
		return e.Outcome.Reason
	case "client.ipAddress":
		return e.Client.IP
	case "client.userAgent.rawUserAgent":
		return e.Client.UserAgent
	case "transaction.id":
		return e.RequestID
	}
	return nil
}

// logKnows reports whether events have an attribute of the name.
func logKnows(path string) bool {
	for _, who := range []string{"actor.", "target."} {
		if name, ok := strings.CutPrefix(path, who); ok {
			return slices.Contains([]string{"id", "type", "alternateId", "displayName"}, name)
		}
	}
	return strings.HasPrefix(path, "debugContext.debugData.") || slices.Contains([]string{
		"uuid", "eventType", "published", "severity", "displayMessage", "outcome.result", "outcome.reason",
		"client.ipAddress", "client.userAgent.rawUserAgent", "transaction.id",
	}, path)
}

func entityAttribute(e *audit.Entity, name string) any {
	switch name {
	case "id":
		return e.ID
	case "type":
		return e.Type
	case "alternateId":
		return e.AlternateID
	case "displayName":
		return e.DisplayName
	}
	return nil
}

// narrowLog has an index find what a filter asks for in ways that one knows: event
// types and the actor. The filter is asked as a whole afterwards.
func narrowLog(f *filter, q *audit.Query) {
	if f == nil {
		return
	}
	text, isText := f.Value.(string)
	switch {
	case f.Op == "eq" && isText && f.Path == "eventType" && len(q.Types) == 0:
		q.Types = []string{text}
	case f.Op == "eq" && isText && f.Path == "actor.id" && q.Actor == "":
		q.Actor = text
	case f.Op == "and":
		for i := range f.Parts {
			narrowLog(f.part(i), q)
		}
	case f.Op == "or" && len(q.Types) == 0 && len(f.Parts) <= 50:
		var types []string
		for _, p := range f.Parts {
			text, isText := p.Value.(string)
			if p.Op != "eq" || p.Path != "eventType" || !isText {
				return
			}
			types = append(types, text)
		}
		q.Types = types
	}
}

func logEvent(e audit.Event) object {
	targets := make([]object, len(e.Targets))
	for i, t := range e.Targets {
		targets[i] = entity(t)
	}
	return object{
		"uuid": e.ID, "published": stamp(e.Time), "eventType": e.Type, "version": "0", "severity": e.Severity, "legacyEventType": nil,
		"displayMessage": e.Message, "actor": entity(e.Actor), "target": targets,
		"client":                object{"ipAddress": orNull(e.Client.IP), "userAgent": object{"rawUserAgent": orNull(e.Client.UserAgent)}},
		"outcome":               object{"result": e.Outcome.Result, "reason": orNull(e.Outcome.Reason)},
		"transaction":           object{"type": "WEB", "id": orNull(e.RequestID), "detail": object{}},
		"debugContext":          object{"debugData": e.Debug},
		"securityContext":       securityOf(&e),
		"authenticationContext": object{"authenticationStep": 0, "externalSessionId": nil},
	}
}

// securityOf shows what was found unusual about a sign-in.
func securityOf(e *audit.Event) object {
	level := e.Debug["risk"]
	if level == "" {
		return object{"risk": nil}
	}
	_, reasons, _ := strings.Cut(e.Debug["riskReasons"], ": ")
	return object{"risk": object{"level": level, "reasons": strings.Split(reasons, "; ")}}
}

func entity(e audit.Entity) object {
	return object{"id": e.ID, "type": e.Type, "alternateId": orNull(e.AlternateID), "displayName": orNull(e.DisplayName), "detailEntry": nil}
}
