package web

import (
	"net/http"
	"time"
)

// Cookies of ours are for this host alone, for every path, out of reach of scripts,
// and not sent with what other sites do in the background. On plain http, which is
// for loopback, the name has no __Host- prefix: browsers would refuse it there.
func (k *Kit) cookieName(name string) string {
	if k.secure {
		return "__Host-" + name
	}
	return name
}

// SetCookie sets a cookie that lives as long as the browser runs.
func (k *Kit) SetCookie(w http.ResponseWriter, name, value string) {
	http.SetCookie(w, &http.Cookie{
		Name: k.cookieName(name), Value: value, Path: "/", Secure: k.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// KeepCookie sets a cookie that outlives the browser.
func (k *Kit) KeepCookie(w http.ResponseWriter, name, value string, lasting time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: k.cookieName(name), Value: value, Path: "/", MaxAge: int(lasting / time.Second), Secure: k.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// DropCookie removes a cookie.
func (k *Kit) DropCookie(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{
		Name: k.cookieName(name), Path: "/", MaxAge: -1, Secure: k.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// Cookie returns the value of a cookie; empty when there is none, or more than one
// of the name: then somebody else has set one, and it is not ours to choose.
func (k *Kit) Cookie(r *http.Request, name string) string {
	found := r.CookiesNamed(k.cookieName(name))
	if len(found) != 1 || len(found[0].Value) > 256 {
		return ""
	}
	return found[0].Value
}
