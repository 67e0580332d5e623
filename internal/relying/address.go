package relying

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"gatehouse/internal/fault"
)

// safeReturn returns a path and query of this very origin: the one that was asked
// for, or "/". What another origin could be read into, what would begin a new
// sign-in, and what is too long for a cookie is not taken (attack gateway 75).
func safeReturn(to string) string {
	if len(to) > maxReturn || len(to) == 0 || to[0] != '/' || strings.HasPrefix(to, "//") || strings.HasPrefix(to, Prefix) {
		return "/"
	}
	for i := range len(to) {
		if c := to[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			return "/"
		}
	}
	return to
}

// origin returns scheme and host as the browser knows them. Over plain http a browser
// keeps our cookies for this machine alone, so nothing else is taken.
func origin(r *http.Request) (string, error) {
	host := strings.ToLower(r.URL.Host)
	u := url.URL{Scheme: r.URL.Scheme, Host: host}
	switch {
	case host == "" || u.Hostname() == "":
		return "", fault.New(fault.Invalid, "the request names no host")
	case r.URL.Scheme == "https":
	case !loopback(u.Hostname()):
		return "", fault.New(fault.Invalid, "the request did not come over https; if a proxy ends TLS before the gateway, name it under trusted_proxies")
	}
	return r.URL.Scheme + "://" + host, nil
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// ownPage reports whether a page of this origin, or the person at the address bar, has
// sent the request. Browsers say so in Sec-Fetch-Site, older ones in Origin; what says
// neither is taken for a stranger's.
func ownPage(r *http.Request) bool {
	if site := r.Header.Values("Sec-Fetch-Site"); len(site) > 0 {
		return len(site) == 1 && (site[0] == "same-origin" || site[0] == "none")
	}
	o := r.Header.Values("Origin")
	return len(o) == 1 && strings.EqualFold(o[0], r.URL.Scheme+"://"+r.URL.Host)
}

// setCookie sets a cookie as all of this room are: sent over https alone, not shown to
// scripts, not sent with what other sites embed or post. maxAge is in seconds; 0 = as
// long as the browser runs, negative = no longer.
func setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func redirect(w http.ResponseWriter, to string) error {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
