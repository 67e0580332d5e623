package app_test

import (
	"testing"

	sdk "github.com/okta/okta-sdk-golang/v5/okta"
)

// What is listed is read by the types of Okta's own client, which refuse what has not
// the right shape.
func TestOktaSDKReads(t *testing.T) {
	p := start(t, "")
	c, ctx := p.sdkClient(t)
	read := func(what string, n int, resp *sdk.APIResponse, err error) {
		t.Helper()
		if err != nil || n == 0 {
			t.Errorf("%s: %d, %v", what, n, err)
			return
		}
		closeBody(t, resp)
	}
	p.made("/api/v1/zones", `{"type":"DYNAMIC","name":"far","locations":[{"country":"NL"}],"proxyType":"Any"}`)
	p.made("/api/v1/trustedOrigins", `{"name":"web","origin":"https://web.example","scopes":[{"type":"CORS"}]}`)
	service := p.made("/api/v1/apps", `{"name":"oidc_client","label":"typed","signOnMode":"OPENID_CONNECT","settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"]}}}`)
	p.made("/api/v1/apps/"+service+"/grants", `{"scopeId":"okta.users.read"}`)
	p.made("/api/v1/users/ben@example.com/factors", `{"factorType":"question","provider":"OKTA","profile":{"question":"first_award","answer":"Swimming"}}`)
	user, resp, err := c.UserAPI.GetUser(ctx, "ben@example.com").Execute()
	if err != nil {
		t.Fatal(err)
	}
	closeBody(t, resp)
	role, resp, err := c.RoleAssignmentAPI.AssignRoleToUser(ctx, user.GetId()).AssignRoleRequest(sdk.AssignRoleRequest{Type: sdk.PtrString("HELP_DESK_ADMIN")}).Execute()
	if err != nil || role.GetType() != "HELP_DESK_ADMIN" {
		t.Fatalf("role: %v %v", role, err)
	}
	closeBody(t, resp)

	zones, resp, err := c.NetworkZoneAPI.ListNetworkZones(ctx).Execute()
	read("zones", len(zones), resp, err)
	apps, resp, err := c.ApplicationAPI.ListApplications(ctx).Execute()
	read("apps", len(apps), resp, err)
	one, resp, err := c.ApplicationAPI.GetApplication(ctx, service).Execute()
	if err != nil || one.OpenIdConnectApplication == nil || one.OpenIdConnectApplication.GetLabel() != "typed" {
		t.Errorf("app: %v %v", one, err)
	} else {
		closeBody(t, resp)
	}
	grants, resp, err := c.ApplicationGrantsAPI.ListScopeConsentGrants(ctx, service).Execute()
	read("grants", len(grants), resp, err)
	roles, resp, err := c.RoleAssignmentAPI.ListAssignedRolesForUser(ctx, user.GetId()).Execute()
	read("roles", len(roles), resp, err)
	policies, resp, err := c.AuthorizationServerPoliciesAPI.ListAuthorizationServerPolicies(ctx, "default").Execute()
	read("policies", len(policies), resp, err)
	policy := p.made("/api/v1/authorizationServers/default/policies", `{"name":"typed","conditions":{"clients":{"include":["ALL_CLIENTS"]}}}`)
	p.made("/api/v1/authorizationServers/default/policies/"+policy+"/rules", `{"name":"typed","conditions":{"people":{"groups":{"include":["EVERYONE"]}},"grantTypes":{"include":["client_credentials"]},"scopes":{"include":["*"]}}}`)
	rules, resp, err := c.AuthorizationServerRulesAPI.ListAuthorizationServerPolicyRules(ctx, "default", policy).Execute()
	read("rules", len(rules), resp, err)
	factors, resp, err := c.UserFactorAPI.ListFactors(ctx, user.GetId()).Execute()
	read("factors", len(factors), resp, err)
	types, resp, err := c.UserTypeAPI.ListUserTypes(ctx).Execute()
	read("user types", len(types), resp, err)
	schema, resp, err := c.SchemaAPI.GetUserSchema(ctx, "default").Execute()
	if err != nil || schema.Definitions == nil {
		t.Errorf("schema: %v %v", schema, err)
	} else {
		closeBody(t, resp)
	}
	tokens, resp, err := c.ApiTokenAPI.ListApiTokens(ctx).Execute()
	read("API tokens", len(tokens), resp, err)
	origins, resp, err := c.TrustedOriginAPI.ListTrustedOrigins(ctx).Execute()
	read("trusted origins", len(origins), resp, err)

	// The life cycle, step by step.
	for _, step := range []struct {
		do   func() (*sdk.APIResponse, error)
		want string
	}{
		{func() (*sdk.APIResponse, error) { return c.UserAPI.SuspendUser(ctx, user.GetId()).Execute() }, "SUSPENDED"},
		{func() (*sdk.APIResponse, error) { return c.UserAPI.UnsuspendUser(ctx, user.GetId()).Execute() }, "ACTIVE"},
		{func() (*sdk.APIResponse, error) { return c.UserAPI.DeactivateUser(ctx, user.GetId()).Execute() }, "DEPROVISIONED"},
	} {
		resp, err := step.do()
		if err != nil {
			t.Fatalf("%s: %v", step.want, err)
		}
		closeBody(t, resp)
		now, resp, err := c.UserAPI.GetUser(ctx, user.GetId()).Execute()
		if err != nil || now.GetStatus() != step.want {
			t.Errorf("%s: %v %v", step.want, now.GetStatus(), err)
		}
		closeBody(t, resp)
	}
}
