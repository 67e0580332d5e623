package access

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/keys"
)

// registrationPrefix is how the tokens begin by which registered apps manage
// themselves: no other token looks like it.
const registrationPrefix = "rat."

// RegistrationToken makes the token by which an app that has registered itself manages
// its registration (RFC 7592 section 3), and the hash that is kept of it.
func RegistrationToken() (token, hash string) {
	token = registrationPrefix + keys.Secret(256)
	return token, keys.Hash(token)
}

// IsRegistrationToken reports whether a text looks like one.
func IsRegistrationToken(token string) bool {
	return strings.HasPrefix(token, registrationPrefix) && len(token) < 128
}

// Registrant reports whether the token is the one by which the app manages itself.
func (a *App) Registrant(token string) bool {
	return a.Registration != "" && a.Status == Active && IsRegistrationToken(token) && keys.Equal(a.Registration, keys.Hash(token))
}

// RegistrableRedirect reports whether an app that registers itself may have codes sent
// to the address: https; plain http on this machine alone, by its address (RFC 8252
// section 7.3); or, for a native app, a scheme of its own with a dot (section 7.1), which
// nothing but an app has. No wildcards, whatever an administrator may allow.
func RegistrableRedirect(address, applicationType string) bool {
	if !usableRedirect(address, false) {
		return false
	}
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "https":
		return true
	case "http":
		ip, err := netip.ParseAddr(u.Hostname())
		return err == nil && ip.IsLoopback() && slices.Contains([]string{AppNative, AppBrowser, AppWeb}, applicationType)
	}
	return applicationType == AppNative && strings.Contains(u.Scheme, ".") && u.Host == ""
}
