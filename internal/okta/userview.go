package okta

import (
	"net/http"

	"gatehouse/internal/directory"
	"gatehouse/internal/ledger"
)

// defaultType is the id of the default user type, the same for a tenant for ever.
func (a *api) defaultType() string {
	return ledger.DeclaredID(a.Tenant, "user_type", "oty", ledger.By("name", "default"))
}

// typeOf returns the id of a user's type.
func (a *api) typeOf(u directory.User) string { return orText(u.Type, a.defaultType()) }

// providerOKTA is who judges the passwords of people: this server.
const providerOKTA = "OKTA"

// credentials shows that a user has credentials, and none of them.
func credentials(u directory.User) object {
	o := object{"provider": object{"type": providerOKTA, "name": providerOKTA}}
	if u.Password != "" {
		o["password"] = object{}
	}
	if u.Question != nil {
		o["recovery_question"] = object{"question": u.Question.Text}
	}
	return o
}

// user shows a user; alone with all links, in a list with the one to itself.
func (a *api) user(u ledger.Object[directory.User], alone bool) object {
	v := u.Value
	profile := object{
		"login": v.Profile.Login, "email": v.Profile.Email, "firstName": orNull(v.Profile.FirstName), "lastName": orNull(v.Profile.LastName),
		"mobilePhone": nil, "secondEmail": nil,
	}
	for name, value := range v.Profile.Attributes {
		profile[name] = value
	}
	links := object{"self": object{"href": a.href("users", u.ID)}}
	if alone {
		a.userLinks(u, links)
	}
	return object{
		"id": u.ID, "status": v.Status, "created": stamp(u.Created), "activated": stamp(v.Activated), "statusChanged": stamp(v.StatusChanged),
		"lastLogin": nil, "lastUpdated": stamp(u.Updated), "passwordChanged": stamp(v.PasswordChanged),
		"type": object{"id": a.typeOf(v)}, "profile": profile, "credentials": credentials(v), "_links": links,
	}
}

// userLinks adds the transitions that the user's status leaves open.
func (a *api) userLinks(u ledger.Object[directory.User], links object) {
	links["schema"] = object{"href": a.href("meta", "schemas", "user", schemaID(a.typeOf(u.Value)))}
	links["type"] = object{"href": a.href("meta", "types", "user", a.typeOf(u.Value))}
	post := func(name string, path ...string) {
		links[name] = object{"href": a.href(append([]string{"users", u.ID}, path...)...), "method": http.MethodPost}
	}
	switch u.Value.Status {
	case directory.Staged:
		post("activate", "lifecycle", "activate")
		return
	case directory.Deprovisioned:
		post("activate", "lifecycle", "activate")
		links["delete"] = object{"href": a.href("users", u.ID), "method": http.MethodDelete}
		return
	case directory.Suspended:
		post("unsuspend", "lifecycle", "unsuspend")
		post("deactivate", "lifecycle", "deactivate")
		return
	case directory.LockedOut:
		post("unlock", "lifecycle", "unlock")
	case directory.Provisioned:
		post("reactivate", "lifecycle", "reactivate")
	case directory.Active, directory.PasswordExpired:
		post("expirePassword", "lifecycle", "expire_password")
		post("forgotPassword", "credentials", "forgot_password")
		post("changePassword", "credentials", "change_password")
		post("changeRecoveryQuestion", "credentials", "change_recovery_question")
	case directory.Recovery:
	}
	post("resetPassword", "lifecycle", "reset_password")
	post("suspend", "lifecycle", "suspend")
	post("deactivate", "lifecycle", "deactivate")
}
