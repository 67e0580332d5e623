package okta

import (
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// organization answers what clients ask before they sign in: which engine the
// org runs. Terraform chooses its calls by it.
func (a *api) organization(*call) (answer, error) {
	return ok(object{
		"id": a.orgID(), "cell": "gatehouse", "pipeline": "idx", "_links": object{"organization": object{"href": a.URL}},
		"settings": object{
			"analyticsCollectionEnabled": false, "bugReportingEnabled": false, "omEnabled": false, "pssoEnabled": false,
			"desktopMFAEnabled": false, "itpEnabled": false, "op4wEnabled": false,
		},
	})
}

// orgID is the id of the tenant as Okta forms one.
func (a *api) orgID() string {
	return ledger.DeclaredID(a.Tenant, "organization", "00o", ledger.By("tenant", string(a.Tenant)))
}

// userTypeObject shows the only user type.
func (a *api) userTypeObject() object {
	return object{
		"id": a.userType(), "displayName": "User", "name": "user", "description": "The user type of everybody", "default": true,
		"_links": object{
			"schema": object{"href": a.href("meta", "schemas", "user", a.userSchema()), "rel": "schema", "method": "GET"},
			"self":   object{"href": a.href("meta", "types", "user", a.userType()), "rel": "self", "method": "GET"},
		},
	}
}

func (a *api) listUserTypes(*call) (answer, error) { return ok([]object{a.userTypeObject()}) }

func (a *api) getUserType(c *call) (answer, error) {
	if id := c.arg("typeId"); id != "default" && id != a.userType() {
		return answer{}, fault.New(fault.NotFound, "there is no such user type")
	}
	return ok(a.userTypeObject())
}
