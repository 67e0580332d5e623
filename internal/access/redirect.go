package access

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Redirects reports whether answers for the app may be sent to an address: it is
// registered, byte for byte (RFC 9700 section 2.1). Two exceptions: the port of a
// loopback address of a native app, which it cannot know before (RFC 8252 section
// 7.3), and the first label of a host where the app's settings say so.
func (a *App) Redirects(sent string) bool { return a.among(a.OIDC.RedirectURIs, sent) }

// ReturnsTo reports whether a person may be led to an address when they have
// signed out of the app.
func (a *App) ReturnsTo(sent string) bool { return a.among(a.OIDC.PostLogoutURIs, sent) }

func (a *App) among(registered []string, sent string) bool {
	if sent == "" || len(sent) > 2048 || strings.ContainsFunc(sent, notURI) {
		return false
	}
	if slices.Contains(registered, sent) && !strings.Contains(sent, "*") {
		return true
	}
	return slices.ContainsFunc(registered, func(r string) bool {
		return a.OIDC.ApplicationType == AppNative && sameLoopback(r, sent) || a.OIDC.Wildcard == WildcardSubdomain && sameDomain(r, sent)
	})
}

// notURI finds what no address has, and what some take for a slash.
func notURI(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }

// sameLoopback compares two addresses of this machine without their ports. Only
// the literal addresses count: a name can be made to point elsewhere.
func sameLoopback(registered, sent string) bool {
	for _, host := range []string{"http://127.0.0.1", "http://[::1]"} {
		r, ok1 := strings.CutPrefix(registered, host)
		s, ok2 := strings.CutPrefix(sent, host)
		if !ok1 || !ok2 {
			continue
		}
		rest1, ok1 := withoutPort(r)
		rest2, ok2 := withoutPort(s)
		return ok1 && ok2 && rest1 == rest2
	}
	return false
}

// withoutPort cuts a port off what follows a host.
func withoutPort(s string) (rest string, ok bool) {
	if port, found := strings.CutPrefix(s, ":"); found {
		end := strings.IndexFunc(port, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(port)
		}
		if n, err := strconv.ParseUint(port[:end], 10, 16); err != nil || n == 0 {
			return "", false
		}
		s = port[end:]
	}
	return s, s == "" || s[0] == '/' || s[0] == '?'
}

// sameDomain compares with an address whose host begins with a wildcard, which
// stands for one label.
func sameDomain(registered, sent string) bool {
	before, after, ok := strings.Cut(registered, "://*.")
	if !ok {
		return false
	}
	rest, ok := strings.CutPrefix(sent, before+"://")
	if !ok {
		return false
	}
	label, tail, ok := strings.Cut(rest, ".")
	u, err := url.Parse(sent)
	return ok && tail == after && err == nil && u.User == nil && u.Fragment == "" && label != "" && !strings.ContainsFunc(label, notLabel)
}

func notLabel(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
}
