package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/config"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
	"gatehouse/internal/ledger"
)

const (
	demoApp        = "Demo client"
	demoBrowserApp = "My HR"
	demoGroup      = "employees"
	demoToken      = "Demo administrator's token"
)

// demoPeople are the users of the demo tenant; the first administers it.
func demoPeople() []directory.Profile {
	return []directory.Profile{
		{Login: "ana@example.com", Email: "ana@example.com", FirstName: "Ana", LastName: "Example"},
		{Login: "ben@example.com", Email: "ben@example.com", FirstName: "Ben", LastName: "Example"},
	}
}

// seed makes the demo tenant: an app with a fresh secret, people with fresh
// passwords, an administrator's API token, and every scope that the file names.
// Nothing of it has a fixed secret, and what an earlier run handed out ends here.
func (a *App) seed(ctx context.Context, id *identity, file *config.File) (err error) {
	defer fault.Wrap(&err, "make the demo tenant")
	actor := ledger.System("demo")
	d := &Demo{Issuer: a.addresses.Identity + "/oauth2/default"}
	if d.ClientID, d.ClientSecret, err = seedApp(ctx, id, actor); err != nil {
		return err
	}
	if d.BrowserClientID, err = seedBrowserApp(ctx, id, actor); err != nil {
		return err
	}
	admin, err := a.seedPeople(ctx, id, actor, d)
	if err != nil {
		return err
	}
	super := access.RoleAssignment{Assignee: access.AssigneeUser, ID: admin, Type: access.SuperAdmin}
	if err := id.access.EnsureRole(ctx, actor, super); err != nil {
		return err
	}
	if a.addresses.APIToken, err = seedAPIToken(ctx, id, actor, admin); err != nil {
		return err
	}
	if err := seedGroupsClaim(ctx, id, actor); err != nil {
		return err
	}
	a.addresses.Demo = d
	if len(file.Declared.APIs) > 0 {
		d.API = a.addresses.Gateway + file.Declared.APIs[0].BasePath
	}
	if a.config.File == "" {
		if err := seedScopes(ctx, id, actor); err != nil {
			return err
		}
	}
	_, err = id.access.EnsureScopes(ctx, actor, access.DefaultServer, fileScopes(file), "named by "+file.Name)
	return err
}

// demoScopes are the scopes of the demo API in the words that a person is asked
// with. Apps of their own get them without a person, so they are flexible.
func demoScopes() map[string]string {
	return map[string]string{"vacations:read": "See when you are on vacation.", "payroll:write": "Change the bank account that your salary goes to."}
}

func seedScopes(ctx context.Context, id *identity, actor ledger.Actor) error {
	for name, says := range demoScopes() {
		_, err := id.access.AddScope(ctx, actor, access.DefaultServer, access.Scope{
			Name: name, DisplayName: name, Description: says, Consent: access.ConsentFlexible,
		})
		if err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

// seedGroupsClaim has tokens say whether their person is in the demo's group, which an
// operation of the demo API asks for: that group and no other.
func seedGroupsClaim(ctx context.Context, id *identity, actor ledger.Actor) error {
	_, err := id.access.AddClaim(ctx, actor, access.DefaultServer, access.Claim{
		Name: "groups", ClaimType: access.ClaimResource, ValueType: access.ValueGroups, GroupFilter: access.FilterEquals, Value: demoGroup,
		Status: access.Active,
	})
	if fault.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

// seedBrowserApp makes the app that people sign in to: one without a secret, on
// this machine, at any port. Everybody may use it, and is asked.
func seedBrowserApp(ctx context.Context, id *identity, actor ledger.Actor) (clientID string, err error) {
	found, err := id.access.FindApp(ctx, demoBrowserApp)
	if !fault.Is(err, fault.NotFound) {
		return found.ID, err
	}
	made, _, err := id.access.AddApp(ctx, actor, access.App{
		Label: demoBrowserApp, Owner: "the people department", AuthMethod: access.AuthNone,
		GrantTypes: []string{access.GrantAuthorizationCode, access.GrantRefreshToken},
		OIDC: access.OIDC{
			ApplicationType: access.AppNative, RedirectURIs: []string{"http://127.0.0.1/callback"}, PostLogoutURIs: []string{"http://127.0.0.1/"},
			ResponseTypes: []string{"code"}, PKCERequired: true, ConsentMethod: access.ConsentAsk, ImplicitAssignment: true,
		},
	}, "", nil)
	return made.ID, err
}

// fileScopes returns every scope that a route names, whatever issuer it is for.
func fileScopes(file *config.File) (all []string) {
	for _, api := range file.Declared.APIs {
		all = append(all, scopesOf(api)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func seedApp(ctx context.Context, id *identity, actor ledger.Actor) (clientID, secret string, err error) {
	found, err := id.access.FindApp(ctx, demoApp)
	switch {
	case fault.Is(err, fault.NotFound):
		made, err := id.access.CreateApp(ctx, actor, access.NewApp{Label: demoApp, Owner: "demo"})
		return made.ID, made.Secret, err
	case err != nil:
		return "", "", err
	}
	// The old secret cannot be shown again, so it goes.
	for _, s := range found.Value.Secrets {
		if err := id.access.SetSecretStatus(ctx, actor, found.ID, s.ID, access.Inactive); err != nil {
			return "", "", err
		}
		if err := id.access.DeleteSecret(ctx, actor, found.ID, s.ID); err != nil {
			return "", "", err
		}
	}
	secret, err = id.access.RotateSecret(ctx, actor, found.ID)
	return found.ID, secret, err
}

// seedPeople returns the id of the first, who administers the tenant.
func (a *App) seedPeople(ctx context.Context, id *identity, actor ledger.Actor, d *Demo) (admin string, err error) {
	group, err := id.people.FindGroup(ctx, demoGroup)
	if fault.Is(err, fault.NotFound) {
		group, err = id.people.CreateGroup(ctx, actor, directory.Group{Name: demoGroup, Description: "Everybody who is on the demo's payroll."})
	}
	if err != nil {
		return "", err
	}
	for _, p := range demoPeople() {
		password := dummyPassword()
		user, err := id.people.FindUser(ctx, p.Login)
		switch {
		case fault.Is(err, fault.NotFound):
			if user, err = id.people.CreateUser(ctx, actor, directory.NewUser{Profile: p, Password: password}); err != nil {
				return "", err
			}
			if err := id.people.AddMember(ctx, actor, group.ID, user.ID); err != nil {
				return "", err
			}
		case err != nil:
			return "", err
		default:
			if err := id.people.SetPassword(ctx, actor, user.ID, password); err != nil {
				return "", err
			}
		}
		if admin == "" {
			admin = user.ID
		}
		d.Users = append(d.Users, DemoUser{Login: p.Login, Password: password})
	}
	return admin, nil
}

func seedAPIToken(ctx context.Context, id *identity, actor ledger.Actor, user string) (token string, err error) {
	_, err = id.ledger.Update(ctx, actor, "a token for this run of the demo", func(tx *ledger.Tx) error {
		for old, err := range access.APITokens.All(tx, ledger.Query{By: "name", Equal: []string{demoToken}}) {
			if err != nil {
				return err
			}
			if err := access.APITokens.Delete(tx, old.ID, 0); err != nil {
				return err
			}
		}
		token, err = access.CreateAPIToken(tx, demoToken, user, time.Time{})
		return err
	})
	return token, err
}

// demoClient returns the client id of the demo's app, "" outside of dev.
func (a *App) demoClient() string {
	if a.addresses.Demo == nil {
		return ""
	}
	return a.addresses.Demo.ClientID
}

// exampleTokens mints the two tokens of the commands that `dev` prints.
func (a *App) exampleTokens(ctx context.Context, id *identity, file *config.File) error {
	if a.config.File != "" {
		a.calls[0] = ownCall(file)
		return nil
	}
	target, err := id.target(ctx, access.DefaultServer)
	if err != nil {
		return err
	}
	mint := func(scope string) (string, error) {
		t, err := id.issuer.Issue(ctx, target, grant.IssueRequest{ClientID: a.demoClient(), Scopes: []string{scope}})
		return t.AccessToken, err
	}
	may, err := mint("vacations:read")
	if err != nil {
		return err
	}
	mayNot, err := mint("payroll:write")
	if err != nil {
		return err
	}
	url := a.addresses.Gateway + "/hr/vacations/ana"
	a.calls = [2]welcomeCall{
		{"A call that is allowed:", fmt.Sprintf("curl -H 'Authorization: Bearer %s' %s", may, url)},
		{"The same call without the scope it needs; the answer says why:", fmt.Sprintf("curl -H 'Authorization: Bearer %s' %s", mayNot, url)},
	}
	return nil
}

// ownCall is how to try the first operation of a file that asks for scopes of a built-in
// server: its tokens can be had here.
func ownCall(file *config.File) welcomeCall {
	builtin := map[string]bool{}
	for _, is := range file.Declared.Issuers {
		builtin[is.Name] = is.Builtin == access.DefaultServer
	}
	for _, api := range file.Declared.APIs {
		if !slices.ContainsFunc(api.Auth, func(name string) bool { return builtin[name] }) {
			continue
		}
		for _, r := range api.Routes {
			if len(r.Scopes) > 0 {
				return welcomeCall{"A token for " + r.Method + " " + api.BasePath + r.Path + ":", "gatehouse token --scope " + strings.Join(r.Scopes[0], ",")}
			}
		}
	}
	return welcomeCall{}
}

// Welcome returns what `dev` prints once everything serves.
func (a *App) Welcome() string { return a.addresses.welcome(a.calls[0], a.calls[1]) }

func joined(list []string) string { return strings.Join(list, " ") }
