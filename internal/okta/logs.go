package okta

import (
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
)

// listLogs answers the system log: since, until, sortOrder, after, limit, and a
// filter of event types joined by or and of one actor.
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
	if c.FormValue("q") != "" {
		return answer{}, errLog()
	}
	f, err := parseFilter(c.FormValue("filter"))
	if err != nil {
		return answer{}, err
	}
	if !logFilter(f, &q) {
		return answer{}, errLog()
	}
	events, next, err := a.Log.Query(c.Context(), q)
	if err != nil {
		return answer{}, err
	}
	return page(events, next, logEvent)
}

func errLog() error {
	return fault.New(fault.Invalid, "the log is filtered by eventType eq and actor.id eq, joined by and, event types also by or").WithReason(reasonSearch)
}

// logFilter turns a filter into what the log can be asked, if it can.
func logFilter(f *filter, q *audit.Query) bool {
	if f == nil {
		return true
	}
	text, isText := f.value.(string)
	switch f.op {
	case "eq":
		switch {
		case !isText:
		case f.path == "eventType" && len(q.Types) == 0:
			q.Types = []string{text}
			return true
		case f.path == "actor.id" && q.Actor == "":
			q.Actor = text
			return true
		}
	case "and":
		for _, p := range f.parts {
			if !logFilter(p, q) {
				return false
			}
		}
		return true
	case "or":
		if len(q.Types) > 0 {
			return false
		}
		for _, p := range f.parts {
			text, isText := p.value.(string)
			if p.op != "eq" || p.path != "eventType" || !isText {
				return false
			}
			q.Types = append(q.Types, text)
		}
		return true
	}
	return false
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
		"authenticationContext": object{"authenticationStep": 0, "externalSessionId": nil},
	}
}

func entity(e audit.Entity) object {
	return object{"id": e.ID, "type": e.Type, "alternateId": orNull(e.AlternateID), "displayName": orNull(e.DisplayName), "detailEntry": nil}
}
