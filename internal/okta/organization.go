package okta

import (
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
