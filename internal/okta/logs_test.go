package okta

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
)

func TestLogMatch(t *testing.T) {
	e := audit.Event{
		ID: "evt1", Time: time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC), Type: "user.session.start", Message: "User login to Okta", Severity: audit.Warn,
		Actor:   audit.Entity{ID: "00u1", Type: "User", AlternateID: "ana@example.com", DisplayName: "Ana Example"},
		Targets: []audit.Entity{{ID: "0oa1", Type: "AppInstance", DisplayName: "My HR"}, {ID: "00g1", Type: "UserGroup"}},
		Client:  audit.Client{IP: "203.0.113.9", UserAgent: "curl/8"}, Outcome: audit.Outcome{Result: audit.Failure, Reason: "no_matching_policy"},
		Debug: map[string]string{"grantType": "client_credentials"}, RequestID: "req1",
	}
	for _, tt := range []struct {
		filter, q string
		want      bool
	}{
		{"", "ana login", true},
		{"", "ANA hr", true},
		{"", "ana nothing", false},
		{"", "client_credentials", true},
		{`eventType eq "user.session.start"`, "", true},
		{`eventType sw "user."`, "curl", true},
		{`eventType eq "user.session.start" and outcome.result eq "SUCCESS"`, "", false},
		{`outcome.result eq "FAILURE" and not (actor.id eq "00u2")`, "", true},
		{`target.id eq "00g1"`, "", true},
		{`target.type eq "AppInstance" or target.type eq "Nothing"`, "", true},
		{`target.id eq "00g2"`, "", false},
		{`actor.alternateId co "@example.com"`, "", true},
		{`client.ipAddress sw "203.0.113."`, "", true},
		{`severity eq "WARN" and published gt "2026-05-04T08:59:59.000Z"`, "", true},
		{`published lt "2026-05-04T08:59:59.000Z"`, "", false},
		{`debugContext.debugData.grantType eq "client_credentials"`, "", true},
		{`debugContext.debugData.rule pr`, "", false},
		{`transaction.id eq "req1"`, "", true},
	} {
		f, err := parseFilter(tt.filter)
		if err != nil {
			t.Fatalf("%s: %v", tt.filter, err)
		}
		match, err := logMatch(f, tt.q)
		if err != nil || match(&e) != tt.want {
			t.Errorf("%s, %q: not %v, %v", tt.filter, tt.q, tt.want, err)
		}
	}
	for filter, q := range map[string]string{
		`client.geographicalContext.country eq "DE"`: "", `eventType eq "x" and actor.detailEntry pr`: "", "": strings.Repeat("x ", 11), `uuid pr`: strings.Repeat("x", 41),
	} {
		f, err := parseFilter(filter)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := logMatch(f, q); err == nil {
			t.Errorf("%s, %q is taken", filter, q)
		}
	}
}

func TestFiltersOfTheLogUseAnIndex(t *testing.T) {
	for text, want := range map[string]audit.Query{
		`eventType eq "a"`:                                              {Types: []string{"a"}},
		`eventType eq "a" or eventType eq "b"`:                          {Types: []string{"a", "b"}},
		`actor.id eq "00u1" and (eventType eq "a" or eventType eq "b")`: {Types: []string{"a", "b"}, Actor: "00u1"},
		`eventType eq "a" or actor.id eq "00u1"`:                        {},
		`not (eventType eq "a")`:                                        {},
		`eventType eq "a" and outcome.result eq "SUCCESS"`:              {Types: []string{"a"}},
	} {
		f, err := parseFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		var q audit.Query
		narrowLog(f, &q)
		if strings.Join(q.Types, " ") != strings.Join(want.Types, " ") || q.Actor != want.Actor {
			t.Errorf("%s: %+v", text, q)
		}
	}
}
