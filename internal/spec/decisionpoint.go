package spec

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// DecisionPoint is a service outside that is asked whether a request may pass
// (OpenID AuthZEN Authorization API 1.0). It can only refuse what all else has let
// through.
type DecisionPoint struct {
	Name string `json:"name"`
	// URL is where its access evaluation API is; without a path it is
	// EvaluationPath below it.
	URL string `json:"url"`
	// Token is what the gateway proves itself with: a sealed value or a ${env:}/${file:}
	// reference, never plain text; empty for none.
	Token string `json:"token,omitempty"`
	// Timeout is how long an answer may take; 0 = DefaultDecisionTimeout.
	Timeout Duration `json:"timeout,omitempty"`
}

// EvaluationPath is where the access evaluation API of a decision point is when
// nothing else is said (AuthZEN 1.0 section 10.1.1).
const EvaluationPath = "/access/v1/evaluation"

// DefaultDecisionTimeout is how long a decision point is waited for when nothing
// else is said, and longestDecision the longest that can be said: a caller waits.
const (
	DefaultDecisionTimeout = time.Second
	longestDecision        = 10 * time.Second
)

// mostPoints bounds the decision points that one operation asks, those of its API included.
const mostPoints = 4

// Endpoint returns the address that is asked.
func (p *DecisionPoint) Endpoint() string {
	u, err := ParseURL(p.URL)
	if err != nil || u.Path != "" && u.Path != "/" {
		return p.URL
	}
	u.Path = EvaluationPath
	return u.String()
}

// PathDecisionPoint returns the Sources path of a decision point.
func PathDecisionPoint(name string) string { return "decision_points." + name }

// Check returns what is wrong with the decision point by itself.
func (p *DecisionPoint) Check(r Rules) []Finding {
	var f findings
	path := PathDecisionPoint(p.Name)
	f.add(path, CheckName(p.Name))
	u, err := ParseURL(p.URL)
	switch {
	case err != nil:
		f.add(path+".url", err)
	case u.Scheme != "https" && !Loopback(u) && !r.PlainIssuers:
		f.addf(path+".url", "a decision point is asked over https: whoever can change its answers decides who gets in")
	}
	if d := p.Timeout.Std(); d < 0 || d > longestDecision {
		f.addf(path+".timeout", "the timeout of a decision point is longer than 0 and at most %s: a caller waits for it", longestDecision)
	}
	return f.list
}

// checkDecisionPoints checks who is asked: that they are there, and that there is
// somebody to ask about.
func (a *API) checkDecisionPoints(f *findings, points []string) {
	known := func(path string, list []string) {
		for i, name := range list {
			at := fmt.Sprintf("%s[%d]", path, i)
			switch {
			case slices.Contains(list[:i], name):
				f.addf(at, "listed twice")
			case !slices.Contains(points, name):
				f.list = append(f.list, Finding{Path: at, Word: name, Known: points, Err: errors.New("there is no decision point of this name")})
			}
		}
	}
	known(PathAPI(a.Name, "authorize"), a.Authorize)
	if a.PublicOnly() && len(a.Authorize) > 0 {
		f.addf(PathAPI(a.Name, "authorize"), "authorize would not be enforced: the API checks no tokens, so there is nobody to ask about")
	}
	for i := range a.Routes {
		r := &a.Routes[i]
		at := PathRoute(a.Name, r.Method, r.Path, "authorize")
		known(at, r.Authorize)
		if both := r.Asked(a); len(both) > mostPoints {
			f.addf(at, "%d decision points are asked, with the API's; at most %d may be: a caller waits for each", len(both), mostPoints)
		}
	}
}

// Asked returns the decision points that an operation asks: its API's, then its own.
func (r *Route) Asked(a *API) []string {
	out := slices.Clone(a.Authorize)
	for _, name := range r.Authorize {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
