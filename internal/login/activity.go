package login

import (
	"context"
	"net/http"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/directory"
)

// ActivityPath is the page on which people see what they, or somebody with their
// password, did lately.
const ActivityPath = "/account/activity"

// eventsOfPage is how much of it is on a page.
const eventsOfPage = 30

// eventWords are the keys of the texts that say what happened, by the type of the
// event; with "_failed" for one that did not succeed. Others are said in the log's own
// words.
func eventWords() map[string]string {
	return map[string]string{
		audit.SessionStarted:           "event_sign_in",
		audit.SessionEnded:             "event_sign_out",
		audit.SignOnJudged:             "event_policy",
		audit.FactorUsed:               "event_factor",
		audit.UserPasswordSet:          "event_password",
		audit.TokenGranted:             "event_token",
		audit.TokenRefused:             "event_token",
		directory.EventFactorAdded:     "event_factor_added",
		directory.EventFactorRemoved:   "event_factor_removed",
		directory.EventUserUpdated:     "event_profile",
		directory.EventRecoveryMade:    "event_codes_made",
		directory.EventRecoveryUsed:    "event_code_used",
		eventReported:                  "event_reported",
		"app.oauth2.as.consent.grant":  "event_consent",
		"app.oauth2.as.consent.revoke": "event_withdrawn",
	}
}

// activityPage is what the page shows.
type activityPage struct {
	Events []activity
	Next   string // cursor of older ones; empty: there are none
}

// activity is one thing that happened.
type activity struct {
	What    string
	Foreign bool   // it is said in the log's own words
	App     string // whom it concerned; may be empty
	Failed  bool
	When    time.Time
	Where   string // address; empty: not known
	Browser string // empty: not known
	New     []string
}

func (s *Server) showActivity(w http.ResponseWriter, r *http.Request, m *member) {
	lang := s.language(r)
	site, _ := s.cfg.Site(r)
	events, next, err := s.cfg.History.Query(r.Context(), audit.Query{
		Tenant: site.Tenant, Actor: m.user.ID, Descending: true, Limit: eventsOfPage, After: r.URL.Query().Get("after"),
	})
	if err != nil {
		s.lost(w, r, err)
		return
	}
	p := activityPage{Next: next}
	for i := range events {
		p.Events = append(p.Events, s.activity(lang, &events[i]))
	}
	head := s.titled(r, lang, "activity_title")
	head.Wide = true
	s.pages.activity.Write(r.Context(), w, http.StatusOK, head, p)
}

// activity says an event in plain words.
func (s *Server) activity(lang string, e *audit.Event) activity {
	a := activity{When: e.Time, Where: e.Client.IP, What: e.Message, Foreign: true, Failed: e.Outcome.Result == audit.Failure || e.Outcome.Result == audit.Deny}
	if key, ok := eventWords()[e.Type]; ok {
		if a.Failed {
			key += "_failed"
		}
		if _, ok := s.cfg.Kit.Words().Text("en", key); ok {
			a.What, a.Foreign = s.say(lang, key), false
		}
	}
	if e.Client.UserAgent != "" {
		a.Browser = s.browserName(lang, e.Client.UserAgent)
	}
	a.New = s.novelties(lang, e)
	for _, t := range e.Targets {
		if t.Type == "PublicClientApp" || t.Type == "AppInstance" {
			a.App = t.DisplayName
		}
	}
	return a
}

// history reads all of what a person did, at most so much of it.
func (s *Server) history(ctx context.Context, q audit.Query, most int) (out []audit.Event, err error) {
	q.Descending, q.Limit = true, audit.MaxLimit
	for len(out) < most {
		var page []audit.Event
		if page, q.After, err = s.cfg.History.Query(ctx, q); err != nil {
			return nil, err
		}
		out = append(out, page...)
		if q.After == "" {
			break
		}
	}
	return out[:min(len(out), most)], nil
}
