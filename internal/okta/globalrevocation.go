package okta

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// GlobalRevocationPath is where other systems have a person signed out of everything
// (Global Token Revocation, draft-parecki-oauth-global-token-revocation), by Okta's path.
const GlobalRevocationPath = "/oauth2/v1/global-token-revocation"

// revokeEverything ends all that a person has, at once: browsers, what apps were
// granted, and the access tokens that are about. The person signs in anew afterwards;
// nobody is locked out.
func (a *api) revokeEverything(c *call) (answer, error) {
	var b struct {
		Subject map[string]json.RawMessage `json:"sub_id"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	user, err := a.identified(c.Context(), b.Subject)
	if err != nil {
		return answer{}, err
	}
	if err := a.Sessions.SignOutEverywhere(c.Context(), c.by(), user); err != nil {
		return answer{}, err
	}
	return nothing()
}

// subjectFormats are the subject identifiers (RFC 9493 section 3.2) that a person can be
// named by, each with its members.
func subjectFormats() map[string][]string {
	return map[string][]string{"opaque": {"id"}, "iss_sub": {"iss", "sub"}, "email": {"email"}}
}

// identified returns the id of the user whom a subject identifier names: by the id here;
// by an issuer and what it calls them, which is one of ours or an identity provider whose
// account is linked; or by an e-mail address that one user has. A member that the format
// does not have is refused (RFC 9493 section 3): it would be ignored.
func (a *api) identified(ctx context.Context, id map[string]json.RawMessage) (string, error) {
	m := map[string]string{}
	for name, raw := range id {
		var text string
		if json.Unmarshal(raw, &text) != nil || text == "" || len(text) > 1024 {
			return "", wrongSubject("every member must be a text that is not empty")
		}
		m[name] = text
	}
	format := m["format"]
	members, known := subjectFormats()[format]
	if !known {
		return "", wrongSubject("format must be one of " + strings.Join(slices.Sorted(maps.Keys(subjectFormats())), ", "))
	}
	delete(m, "format")
	names := slices.Sorted(maps.Keys(m))
	if !slices.Equal(names, members) {
		return "", wrongSubject("the format " + format + " has the members " + strings.Join(members, " and ") + ", and no others")
	}
	switch format {
	case "opaque":
		u, err := a.People.User(ctx, m["id"])
		return u.ID, err
	case "email":
		return a.byEmail(ctx, m["email"])
	}
	return a.bySubject(ctx, m["iss"], m["sub"])
}

func wrongSubject(why string) error {
	return fault.New(fault.Invalid, "sub_id").WithFields(fault.Field{Path: "sub_id", Message: why})
}

// bySubject finds a user by what an issuer calls them: the sub of our ID tokens is the
// id, that of our access tokens the login.
func (a *api) bySubject(ctx context.Context, issuer, subject string) (string, error) {
	ours, err := a.Access.Issuers(ctx, a.URL)
	if err != nil {
		return "", err
	}
	if !slices.Contains(ours, issuer) {
		return a.Providers.UserOf(ctx, issuer, subject)
	}
	u, err := a.People.User(ctx, subject)
	if fault.Is(err, fault.NotFound) {
		u, err = a.People.FindUser(ctx, subject)
	}
	return u.ID, err
}

func (a *api) byEmail(ctx context.Context, address string) (string, error) {
	page, err := a.People.ListUsers(ctx, directory.UserList{
		Where: []directory.Condition{{Attribute: "email", Text: address}}, Limit: 2,
		Match: func(u ledger.Object[directory.User]) bool { return strings.EqualFold(u.Value.Profile.Email, address) },
	})
	switch {
	case err != nil:
		return "", err
	case len(page.Items) == 0:
		return "", fault.New(fault.NotFound, "there is no user with the address")
	case len(page.Items) > 1:
		return "", wrongSubject("more than one user has the address: name one by id")
	}
	return page.Items[0].ID, nil
}
