package okta

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/scimfilter"
)

func fields(path string) any {
	return map[string]any{
		"status": "ACTIVE", "profile.login": "Ana@acme.test", "profile.age": 41.0, "profile.admin": true, "profile.tags": []any{"red", "blue"},
		"created": time.Date(2026, 5, 4, 9, 0, 0, 123456000, time.UTC),
	}[path]
}

func TestFilterMatches(t *testing.T) {
	tests := map[string]bool{
		`status eq "ACTIVE"`:                                          true,
		`status eq "active"`:                                          true,
		`status EQ "STAGED"`:                                          false,
		`status ne "STAGED"`:                                          true,
		`profile.login sw "ana"`:                                      true,
		`profile.login ew "acme.test"`:                                true,
		`profile.login co "@"`:                                        true,
		`profile.login gt "b"`:                                        false,
		`profile.age ge 41 and profile.age lt 41.5`:                   true,
		`profile.age gt 41`:                                           false,
		`profile.age eq "41"`:                                         false,
		`profile.admin eq true`:                                       true,
		`profile.admin eq false`:                                      false,
		`profile.tags eq "blue"`:                                      true,
		`profile.tags eq "green"`:                                     false,
		`profile.tags pr`:                                             true,
		`profile.missing pr`:                                          false,
		`profile.missing eq null`:                                     true,
		`profile.missing eq "x"`:                                      false,
		`profile.missing lt "x"`:                                      false,
		`created eq "2026-05-04T09:00:00.123Z"`:                       true,
		`created ge "2026-05-04T09:00:00.000Z"`:                       true,
		`created lt "2026-05-04T11:00:00+02:00"`:                      false,
		`status eq "STAGED" or status eq "ACTIVE" and profile.age pr`: true,
		`(status eq "ACTIVE" or status eq "X") and profile.age eq 1`:  false,
		`not (status eq "ACTIVE")`:                                    false,
		`profile.login eq "ana\@acme.test"`:                           false,
		``:                                                            true,
	}
	for text, want := range tests {
		f, err := parseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := f.match(fields); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestFilterSaysWhereItIsWrong(t *testing.T) {
	tests := map[string]string{
		`status`:                                 "character 7",
		`status is "A"`:                          "character 8",
		`status eq ACTIVE`:                       "character 11",
		`status eq "ACTIVE`:                      "character 11",
		`status eq "A" status`:                   "character 15",
		`(status eq "A"`:                         "character 15",
		`status eq "A")`:                         "character 14",
		`and`:                                    "character 4",
		`not status pr`:                          "character 5",
		`status. eq 1`:                           "character 1",
		`é eq 1`:                                 "character 1",
		strings.Repeat("(", 60) + "a pr":         "nested",
		strings.Repeat("a pr or ", 200) + "a pr": "100 comparisons",
		strings.Repeat("x", 5000):                "4096",
	}
	for text, want := range tests {
		_, err := parseFilter(text)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30s: %v, want %s", text, err, want)
		}
	}
}

func TestFilterConditionsAreWhatMustHold(t *testing.T) {
	tests := map[string]string{
		`profile.login eq "a"`:                       "profile.login eq a",
		`status pr and profile.login eq "a"`:         "profile.login eq a",
		`status pr or profile.login eq "a"`:          "",
		`not (profile.login eq "a")`:                 "",
		`profile.login sw "a"`:                       "profile.login sw a",
		`profile.login co "a"`:                       "",
		`(profile.login eq "a") and (status eq "B")`: "profile.login eq a, status eq B",
		`(a eq "x" or b eq "y") and c eq "z"`:        "c eq z",
	}
	for text, want := range tests {
		f, err := parseFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range f.conditions() {
			got = append(got, fmt.Sprint(c.Path, " ", c.Op, " ", c.Value))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{`a eq "b"`, `(a pr or b.c co "x\"") and not (d le -1.5e3)`, `"`, `a eq null`, "((((", `not not a pr`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseFilter(text)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if strings.TrimSpace(text) == "" != (parsed == nil) {
			t.Fatalf("%q: %v", text, parsed)
		}
		// A filter and its opposite never both hold.
		if parsed != nil && parsed.match(fields) == (&filter{Op: "not", Parts: []*scimfilter.Filter{(*scimfilter.Filter)(parsed)}}).match(fields) {
			t.Fatalf("%q holds and does not", text)
		}
	})
}
