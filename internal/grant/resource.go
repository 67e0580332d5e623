package grant

import (
	"net/url"
	"slices"

	"gatehouse/internal/issued"
)

// maxResources is how many resources one request may name: as many as a server has
// audiences.
const maxResources = 20

// ReadResources checks the values of resource (RFC 8707 section 2): each is an
// absolute URI without a fragment, and an audience of the server, byte for byte. The
// order stays, and each is there once.
func ReadResources(t *Target, values []string) ([]string, error) {
	if len(values) > maxResources {
		return nil, Refuse("invalid_target", nil)
	}
	var out []string
	for _, v := range values {
		u, err := url.Parse(v)
		if err != nil || !u.IsAbs() || u.Fragment != "" || !t.Server.HasAudience(t.URL, v) {
			return nil, Refuse("invalid_target", err)
		}
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out, nil
}

// narrowTargets decides for which APIs the token is: those that the request names,
// else all that it can have in this way.
func (e *Endpoint) narrowTargets(x *exchange) error {
	asked, err := ReadResources(x.target, x.form.All("resource"))
	if err != nil {
		return err
	}
	if x.exchanged != nil {
		return x.exchangedTargets(asked)
	}
	if x.form.Has("audience") {
		return Refuse("audience_not_supported", nil)
	}
	x.audience = asked
	if x.kept == nil {
		return nil
	}
	if x.begins {
		x.kept.Terms.Resources = asked
		return nil
	}
	granted := grantedTargets(x.target, x.kept)
	for _, a := range asked {
		if !slices.Contains(granted, a) {
			return Refuse("target_not_granted", nil)
		}
	}
	if len(asked) == 0 {
		x.audience = granted
	}
	if len(x.audience) == 0 {
		return Refuse("target_not_granted", nil)
	}
	return nil
}

// grantedTargets returns the audiences of a grant that the server still has: those
// that the authorization request named, else the server's own.
func grantedTargets(t *Target, g *issued.Grant) []string {
	if len(g.Terms.Resources) == 0 {
		return []string{t.Server.Audience(t.URL)}
	}
	var out []string
	for _, r := range g.Terms.Resources {
		if t.Server.HasAudience(t.URL, r) {
			out = append(out, r)
		}
	}
	return out
}
