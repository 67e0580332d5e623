package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Balancing of an upstream's targets; "hash(...)" is known and not supported yet.
const (
	BalanceRoundRobin    = "round_robin"
	BalanceLeastRequests = "least_requests"
	BalanceRandom        = "random"
)

// Balances are the ways to balance that are plain words.
func Balances() []string { return []string{BalanceRoundRobin, BalanceLeastRequests, BalanceRandom} }

// Bounds of an API.
const (
	mostTargets        = 256
	mostRetries        = 10
	mostConnections    = 65536
	longestTimeout     = 24 * time.Hour
	shortestInterval   = 10 * time.Millisecond
	mostLimits         = 16
	mostScopeSets      = 64
	mostScopesInOneSet = 64
)

// PublicOnly reports whether no route can ask for a token, because the API has no issuer.
func (a *API) PublicOnly() bool { return len(a.Auth) == 0 || len(a.Auth) == 1 && a.Auth[0] == Public }

// Check returns what is wrong with the API by itself.
func (a *API) Check() []Finding {
	var f findings
	a.check(&f)
	return f.list
}

func (a *API) check(f *findings) {
	path := PathAPI(a.Name)
	f.add(path, CheckName(a.Name))
	if a.Host != "" {
		f.add(path+".host", CheckHost(a.Host))
	}
	f.add(path+".base_path", CheckBasePath(a.BasePath))
	if a.KeepBasePath && a.BasePath == "" {
		f.addf(path+".keep_base_path", "keep_base_path has no effect without base_path")
	}
	a.Upstream.check(f, path+".upstream")
	a.checkAuth(f, path)
	a.checkProof(f, path)
	checkLimits(f, path+".limit", a.Limits, a.PublicOnly())
	a.checkHeaders(f, path+".headers")
	f.add(path+".max_body", checkSize(a.MaxBody))
	if len(a.Routes) == 0 {
		f.addf(path+".routes", "an API without routes answers nothing: list them under routes")
	}
	seen := map[string]string{}
	for i := range a.Routes {
		r := &a.Routes[i]
		at := PathRoute(a.Name, r.Method, r.Path)
		r.check(f, at, a)
		t, err := ParseTemplate(r.Path)
		if err != nil {
			continue
		}
		key := r.Method + " " + t.Shape()
		if other, ok := seen[key]; ok {
			f.addf(at, "%s matches the same requests as %s: only one of them can apply", r.Method+" "+r.Path, other)
			continue
		}
		seen[key] = r.Method + " " + r.Path
	}
}

func (a *API) checkAuth(f *findings, path string) {
	if slices.Contains(a.Auth, Public) && len(a.Auth) > 1 {
		f.addf(fmt.Sprintf("%s.auth[%d]", path, slices.Index(a.Auth, Public)), "public stands alone under auth: to open single operations, write public at their routes")
	}
	for i, name := range a.Auth {
		at := fmt.Sprintf("%s.auth[%d]", path, i)
		switch {
		case slices.Contains(a.Auth[:i], name):
			f.addf(at, "listed twice")
		}
	}
	if a.PublicOnly() && a.ForwardAuthorization {
		f.addf(path+".forward_authorization", "forward_authorization has no effect on an API that checks no tokens")
	}
}

func (a *API) checkHeaders(f *findings, path string) {
	checkList(f, path+".forward", a.Headers.Forward, func(s string) error {
		if slices.Contains(ForwardHeaders(), s) {
			return nil
		}
		return fmt.Errorf("not a header that can be forwarded: known are %s", strings.Join(ForwardHeaders(), ", "))
	})
	folded := map[string]string{}
	for _, name := range sortedKeys(a.Headers.Claims) {
		at := path + ".claims." + name
		f.add(at, CheckClaimHeader(name))
		fold := strings.ToLower(name)
		if other, ok := folded[fold]; ok {
			f.addf(at, "%s and %s are the same header", other, name)
		}
		folded[fold] = name
		if err := CheckText(a.Headers.Claims[name], 256); err != nil {
			f.addf(at, "the name of a claim %w", err)
		}
	}
	if a.PublicOnly() && len(a.Headers.Forward)+len(a.Headers.Claims) > 0 {
		f.addf(path, "headers has no effect on an API that checks no tokens")
	}
}

func (u *Upstream) check(f *findings, path string) {
	if len(u.Targets) == 0 || len(u.Targets) > mostTargets {
		f.addf(path+".targets", "an upstream has between 1 and %d targets", mostTargets)
	}
	checkList(f, path+".targets", u.Targets, checkTarget)
	switch {
	case u.Balance == "" || slices.Contains(Balances(), u.Balance):
	case checkHash(u.Balance) == nil:
		f.unbuilt(path+".balance", "balance: hash")
	default:
		f.list = append(f.list, Finding{
			Path: path + ".balance", Err: fmt.Errorf("balance is %s, or hash(...)", strings.Join(Balances(), ", ")), Word: u.Balance, Known: Balances(),
		})
	}
	if u.Timeout < 0 || u.Timeout.Std() > longestTimeout {
		f.addf(path+".timeout", "a timeout is longer than 0 and at most 24h")
	}
	if u.Retries < 0 || u.Retries > mostRetries {
		f.addf(path+".retries", "retries are between 0 and %d", mostRetries)
	}
	if u.MaxConnections < 0 || u.MaxConnections > mostConnections {
		f.addf(path+".max_connections", "max_connections is between 1 and %d", mostConnections)
	}
	if h := u.Health; h != nil {
		if t, err := ParseTemplate(strings.SplitN(h.Path, "?", 2)[0]); err != nil || t.Rest || strings.Contains(h.Path, "{") {
			f.addf(path+".health.path", "the path of a health check begins with / and is written as in a request")
		}
		if h.Interval != 0 && (h.Interval.Std() < shortestInterval || h.Interval.Std() > time.Hour) {
			f.addf(path+".health.interval", "the interval of a health check is between 10ms and 1h")
		}
	}
}

func checkTarget(s string) error {
	_, err := ParseURL(s)
	if err == nil && strings.HasSuffix(s, "/") {
		return errors.New("a target does not end with /")
	}
	return err
}

// checkHash checks hash(ip), hash(header:NAME) and hash(claim:NAME).
func checkHash(s string) error {
	if !strings.HasPrefix(s, "hash(") || !strings.HasSuffix(s, ")") {
		return errors.New("not a hash")
	}
	arg := s[len("hash(") : len(s)-1]
	if arg == "ip" {
		return nil
	}
	kind, name, _ := strings.Cut(arg, ":")
	if kind != "header" && kind != "claim" {
		return errors.New("a hash is over ip, header:NAME or claim:NAME")
	}
	return CheckText(name, 128)
}

// checkReferences checks the names that the API uses of other objects.
func (a *API) checkReferences(f *findings, issuers, zones []string) {
	for i, name := range a.Auth {
		if slices.Contains(reservedIssuers, name) || slices.Contains(issuers, name) {
			continue
		}
		f.list = append(f.list, Finding{
			Path: fmt.Sprintf("%s.auth[%d]", PathAPI(a.Name), i), Word: name, Known: append(slices.Clone(issuers), AuthAPIKey, AuthSession, Public),
			Err: errors.New("there is no issuer of this name"),
		})
	}
	for _, r := range a.Routes {
		for i, name := range r.Zones {
			if !slices.Contains(zones, name) {
				f.list = append(f.list, Finding{
					Path: fmt.Sprintf("%s[%d]", PathRoute(a.Name, r.Method, r.Path, "zones"), i), Word: name, Known: zones,
					Err: errors.New("there is no zone of this name"),
				})
			}
		}
	}
}

// checkLimits checks a list of limits, and that each can take effect.
func checkLimits(f *findings, path string, limits []Limit, public bool) {
	if len(limits) > mostLimits {
		f.addf(path, "at most %d limits", mostLimits)
	}
	for i, l := range limits {
		at := fmt.Sprintf("%s[%d]", path, i)
		if err := l.Check(); err != nil {
			f.add(at, err)
			continue
		}
		if public && l.Per == PerUser {
			f.addf(at, "a limit per user has no effect where no token is asked for: count per ip")
		}
		for _, other := range limits[:i] {
			if other.Per == l.Per && other.Period == l.Period {
				f.addf(at, "there are two limits per %s for the same period: only the lower one would have an effect", l.Per)
				break
			}
		}
	}
}
