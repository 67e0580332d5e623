package app_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	sdk "github.com/okta/okta-sdk-golang/v5/okta"
)

// managed is a resource of Okta's Terraform provider: what is written of it first and
// then, and the calls of Okta's own client by which the provider does it.
type managed struct {
	name, create, update string
	// apply makes the object, or replaces the one whose id is given; its answer is what
	// the provider keeps as the state.
	apply func(id string, body []byte) (any, *sdk.APIResponse, error)
	read  func(id string) (any, *sdk.APIResponse, error)
	// destroy are the calls that remove it, in turn.
	destroy []func(id string) (*sdk.APIResponse, error)
}

// parsed reads a body as the client's own type, which is what it sends.
func parsed[T any](body []byte) T {
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		panic(err)
	}
	return v
}

// result turns what a call of the client answers into what a managed resource does.
func result[T any](v T, r *sdk.APIResponse, err error) (any, *sdk.APIResponse, error) {
	return v, r, err
}

// The resources of Okta's Terraform provider that WIRE names plan, apply, refresh, change,
// import and go: each by the calls that the provider makes, in their order. After an apply
// a refresh shows what was written, so the next plan is empty.
func TestTerraformResources(t *testing.T) {
	p := start(t, "")
	c, ctx := p.sdkClient(t)
	// The provider begins with who it is.
	if me, r, err := c.UserAPI.GetUser(ctx, "me").Execute(); err != nil || me.GetId() == "" {
		t.Fatal(err)
	} else {
		closeBody(t, r)
	}
	group := p.made("/api/v1/groups", `{"profile":{"name":"of rules"}}`)
	for _, all := range [][]managed{serverResources(ctx, p, c), appResources(ctx, c), peopleResources(ctx, c, group)} {
		for i := range all {
			all[i].lives(t)
		}
	}
}

// lives walks a resource through its life.
func (m *managed) lives(t *testing.T) {
	t.Helper()
	id := ""
	for _, body := range []string{m.create, m.update} {
		state, r, err := m.apply(id, []byte(body))
		if err != nil {
			t.Errorf("%s: apply: %v", m.name, err)
			return
		}
		closeBody(t, r)
		if id == "" {
			id, _ = decoded(t, state)["id"].(string)
		}
		// Two refreshes, and an import, which is a read by id.
		for range 3 {
			now, r, err := m.read(id)
			if err != nil {
				t.Errorf("%s: refresh: %v", m.name, err)
				return
			}
			closeBody(t, r)
			var sent map[string]any
			if err := json.Unmarshal([]byte(body), &sent); err != nil {
				t.Fatal(err)
			}
			for name, v := range sent {
				if got := decoded(t, now)[name]; !kept(v, got) {
					t.Errorf("%s: the plan is not empty: %s was applied as %v and is %v", m.name, name, v, got)
				}
			}
		}
	}
	for _, step := range m.destroy {
		r, err := step(id)
		if err != nil {
			t.Errorf("%s: destroy: %v", m.name, err)
			return
		}
		closeBody(t, r)
	}
	if _, r, err := m.read(id); err == nil || r.StatusCode != http.StatusNotFound {
		t.Errorf("%s: is there after it was destroyed: %v", m.name, err)
	}
}

func decoded(t *testing.T, v any) (out map[string]any) {
	t.Helper()
	raw, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// calls is a list of calls, each with the id.
func calls(all ...func(id string) (*sdk.APIResponse, error)) []func(id string) (*sdk.APIResponse, error) {
	return all
}

// serverResources are okta_auth_server and those below it.
func serverResources(ctx context.Context, p *program, c *sdk.APIClient) []managed {
	p.t.Helper()
	as := p.made("/api/v1/authorizationServers", `{"name":"of resources","audiences":["api://resources"]}`)
	policy := p.made("/api/v1/authorizationServers/"+as+"/policies", `{"name":"of rules","conditions":{"clients":{"include":["ALL_CLIENTS"]}}}`)
	servers, scopes, claims := c.AuthorizationServerAPI, c.AuthorizationServerScopesAPI, c.AuthorizationServerClaimsAPI
	policies, rules := c.AuthorizationServerPoliciesAPI, c.AuthorizationServerRulesAPI
	return []managed{
		{
			"okta_auth_server", `{"name":"tf","description":"a","audiences":["api://tf"],"issuerMode":"ORG_URL","credentials":{"signing":{"rotationMode":"AUTO"}}}`,
			`{"name":"tf 2","description":"b","audiences":["api://tf2"],"issuerMode":"DYNAMIC","credentials":{"signing":{"rotationMode":"MANUAL"}}}`,
			func(id string, b []byte) (any, *sdk.APIResponse, error) {
				if id == "" {
					return result(servers.CreateAuthorizationServer(ctx).AuthorizationServer(parsed[sdk.AuthorizationServer](b)).Execute())
				}
				return result(servers.ReplaceAuthorizationServer(ctx, id).AuthorizationServer(parsed[sdk.AuthorizationServer](b)).Execute())
			},
			func(id string) (any, *sdk.APIResponse, error) {
				return result(servers.GetAuthorizationServer(ctx, id).Execute())
			},
			calls(func(id string) (*sdk.APIResponse, error) {
				return servers.DeactivateAuthorizationServer(ctx, id).Execute()
			},
				func(id string) (*sdk.APIResponse, error) { return servers.DeleteAuthorizationServer(ctx, id).Execute() }),
		},
		{
			"okta_auth_server_scope", `{"name":"tf:read","displayName":"Read","description":"a","consent":"REQUIRED","metadataPublish":"NO_CLIENTS","default":false,"optional":false}`,
			`{"name":"tf:read","displayName":"Read it","description":"b","consent":"FLEXIBLE","metadataPublish":"ALL_CLIENTS","default":true,"optional":true}`,
			func(id string, b []byte) (any, *sdk.APIResponse, error) {
				if id == "" {
					return result(scopes.CreateOAuth2Scope(ctx, as).OAuth2Scope(parsed[sdk.OAuth2Scope](b)).Execute())
				}
				return result(scopes.ReplaceOAuth2Scope(ctx, as, id).OAuth2Scope(parsed[sdk.OAuth2Scope](b)).Execute())
			},
			func(id string) (any, *sdk.APIResponse, error) {
				return result(scopes.GetOAuth2Scope(ctx, as, id).Execute())
			},
			calls(func(id string) (*sdk.APIResponse, error) { return scopes.DeleteOAuth2Scope(ctx, as, id).Execute() }),
		},
		{
			"okta_auth_server_claim", `{"name":"tf","status":"ACTIVE","claimType":"RESOURCE","valueType":"EXPRESSION","value":"user.title","alwaysIncludeInToken":true,"conditions":{"scopes":["openid"]}}`,
			`{"name":"tf2","status":"INACTIVE","claimType":"IDENTITY","valueType":"GROUPS","group_filter_type":"REGEX","value":"^a.*$","alwaysIncludeInToken":false,"conditions":{"scopes":[]}}`,
			func(id string, b []byte) (any, *sdk.APIResponse, error) {
				if id == "" {
					return result(claims.CreateOAuth2Claim(ctx, as).OAuth2Claim(parsed[sdk.OAuth2Claim](b)).Execute())
				}
				return result(claims.ReplaceOAuth2Claim(ctx, as, id).OAuth2Claim(parsed[sdk.OAuth2Claim](b)).Execute())
			},
			func(id string) (any, *sdk.APIResponse, error) {
				return result(claims.GetOAuth2Claim(ctx, as, id).Execute())
			},
			calls(func(id string) (*sdk.APIResponse, error) { return claims.DeleteOAuth2Claim(ctx, as, id).Execute() }),
		},
		{
			"okta_auth_server_policy", `{"type":"OAUTH_AUTHORIZATION_POLICY","name":"tf","description":"a","status":"ACTIVE","priority":1,"conditions":{"clients":{"include":["ALL_CLIENTS"]}}}`,
			`{"type":"OAUTH_AUTHORIZATION_POLICY","name":"tf 2","description":"b","status":"INACTIVE","priority":2,"conditions":{"clients":{"include":["` + p.Ready().Demo.ClientID + `"]}}}`,
			func(id string, b []byte) (any, *sdk.APIResponse, error) {
				if id == "" {
					return result(policies.CreateAuthorizationServerPolicy(ctx, as).Policy(parsed[sdk.AuthorizationServerPolicy](b)).Execute())
				}
				return result(policies.ReplaceAuthorizationServerPolicy(ctx, as, id).Policy(parsed[sdk.AuthorizationServerPolicy](b)).Execute())
			},
			func(id string) (any, *sdk.APIResponse, error) {
				return result(policies.GetAuthorizationServerPolicy(ctx, as, id).Execute())
			},
			calls(func(id string) (*sdk.APIResponse, error) {
				return policies.DeleteAuthorizationServerPolicy(ctx, as, id).Execute()
			}),
		},
		{
			"okta_auth_server_policy_rule", `{"type":"RESOURCE_ACCESS","name":"tf","status":"ACTIVE","priority":1,"conditions":{"people":{"users":{"exclude":[]},"groups":{"include":["EVERYONE"]}},"grantTypes":{"include":["password","implicit"]},"scopes":{"include":["*"]}},"actions":{"token":{"accessTokenLifetimeMinutes":60,"refreshTokenLifetimeMinutes":0,"refreshTokenWindowMinutes":10080}}}`,
			`{"type":"RESOURCE_ACCESS","name":"tf 2","status":"INACTIVE","priority":1,"conditions":{"people":{"users":{"exclude":[]},"groups":{"include":["EVERYONE"]}},"grantTypes":{"include":["client_credentials"]},"scopes":{"include":["openid"]}},"actions":{"token":{"accessTokenLifetimeMinutes":5,"refreshTokenLifetimeMinutes":100,"refreshTokenWindowMinutes":50}}}`,
			func(id string, b []byte) (any, *sdk.APIResponse, error) {
				if id == "" {
					return result(rules.CreateAuthorizationServerPolicyRule(ctx, as, policy).PolicyRule(parsed[sdk.AuthorizationServerPolicyRule](b)).Execute())
				}
				return result(rules.ReplaceAuthorizationServerPolicyRule(ctx, as, policy, id).PolicyRule(parsed[sdk.AuthorizationServerPolicyRule](b)).Execute())
			},
			func(id string) (any, *sdk.APIResponse, error) {
				return result(rules.GetAuthorizationServerPolicyRule(ctx, as, policy, id).Execute())
			},
			calls(func(id string) (*sdk.APIResponse, error) {
				return rules.DeleteAuthorizationServerPolicyRule(ctx, as, policy, id).Execute()
			}),
		},
	}
}

// appResources are okta_app_oauth, okta_network_zone and okta_trusted_origin.
func appResources(ctx context.Context, c *sdk.APIClient) []managed {
	apps, zones, origins := c.ApplicationAPI, c.NetworkZoneAPI, c.TrustedOriginAPI
	oauth := func(label, rest string) string {
		return `{"name":"oidc_client","label":"` + label + `","signOnMode":"OPENID_CONNECT","credentials":{"oauthClient":{"autoKeyRotation":true,"token_endpoint_auth_method":"client_secret_basic","pkce_required":false},"userNameTemplate":{"template":"${source.login}","type":"BUILT_IN"}},
			"accessibility":{"selfService":false},"visibility":{"autoSubmitToolbar":false,"hide":{"iOS":true,"web":true}},"settings":{"implicitAssignment":false,"notes":{},"oauthClient":{"application_type":"web","consent_method":"TRUSTED","issuer_mode":"DYNAMIC",
			"wildcard_redirect":"DISABLED","idp_initiated_login":{"mode":"DISABLED","default_scope":[]},"response_types":["code"],` + rest + `}}}`
	}
	return []managed{
		{
			"okta_app_oauth", oauth("tf", `"grant_types":["authorization_code"],"redirect_uris":["https://tf.example/b","https://tf.example/a"]`),
			oauth("tf 2", `"grant_types":["refresh_token","authorization_code"],"redirect_uris":["https://tf.example/c"],"post_logout_redirect_uris":["https://tf.example/out"],"client_uri":"https://tf.example","refresh_token":{"rotation_type":"STATIC","leeway":0}`),
			func(id string, b []byte) (any, *sdk.APIResponse, error) {
				app := parsed[sdk.OpenIdConnectApplication](b)
				body := sdk.ListApplications200ResponseInner{OpenIdConnectApplication: &app}
				if id == "" {
					return result(apps.CreateApplication(ctx).Application(body).Execute())
				}
				return result(apps.ReplaceApplication(ctx, id).Application(body).Execute())
			},
			func(id string) (any, *sdk.APIResponse, error) { return result(apps.GetApplication(ctx, id).Execute()) },
			calls(func(id string) (*sdk.APIResponse, error) { return apps.DeactivateApplication(ctx, id).Execute() },
				func(id string) (*sdk.APIResponse, error) { return apps.DeleteApplication(ctx, id).Execute() }),
		},
		{
			"okta_network_zone", `{"type":"IP","name":"tf","usage":"POLICY","status":"ACTIVE","gateways":[{"type":"CIDR","value":"192.0.2.0/24"},{"type":"RANGE","value":"198.51.100.3-198.51.100.9"}],"proxies":[{"type":"CIDR","value":"203.0.113.0/24"}]}`,
			`{"type":"IP","name":"tf 2","usage":"BLOCKLIST","status":"INACTIVE","gateways":[{"type":"CIDR","value":"192.0.2.0/25"}]}`,
			func(id string, b []byte) (any, *sdk.APIResponse, error) {
				zone := parsed[sdk.IPNetworkZone](b)
				body := sdk.ListNetworkZones200ResponseInner{IPNetworkZone: &zone}
				if id == "" {
					return result(zones.CreateNetworkZone(ctx).Zone(body).Execute())
				}
				return result(zones.ReplaceNetworkZone(ctx, id).Zone(body).Execute())
			},
			func(id string) (any, *sdk.APIResponse, error) { return result(zones.GetNetworkZone(ctx, id).Execute()) },
			calls(
				func(id string) (*sdk.APIResponse, error) {
					_, r, err := zones.DeactivateNetworkZone(ctx, id).Execute()
					return r, err
				},
				func(id string) (*sdk.APIResponse, error) { return zones.DeleteNetworkZone(ctx, id).Execute() }),
		},
		{
			"okta_trusted_origin", `{"name":"tf","origin":"https://tf.example","scopes":[{"type":"CORS"}]}`, `{"name":"tf 2","origin":"https://tf2.example","scopes":[{"type":"CORS"},{"type":"REDIRECT"}]}`,
			func(id string, b []byte) (any, *sdk.APIResponse, error) {
				if id == "" {
					return result(origins.CreateTrustedOrigin(ctx).TrustedOrigin(parsed[sdk.TrustedOriginWrite](b)).Execute())
				}
				return result(origins.ReplaceTrustedOrigin(ctx, id).TrustedOrigin(parsed[sdk.TrustedOrigin](b)).Execute())
			},
			func(id string) (any, *sdk.APIResponse, error) {
				return result(origins.GetTrustedOrigin(ctx, id).Execute())
			},
			calls(func(id string) (*sdk.APIResponse, error) { return origins.DeleteTrustedOrigin(ctx, id).Execute() }),
		},
	}
}

// peopleResources are okta_user, okta_group and okta_group_rule.
func peopleResources(ctx context.Context, c *sdk.APIClient, group string) []managed {
	users, groups := c.UserAPI, c.GroupAPI
	rule := func(name, expression string) string {
		return `{"type":"group_rule","name":"` + name + `","conditions":{"people":{"users":{"exclude":[]}},"expression":{"type":"urn:okta:expression:1.0","value":"` + expression + `"}},"actions":{"assignUserToGroups":{"groupIds":["` + group + `"]}}}`
	}
	deleteUser := func(id string) (*sdk.APIResponse, error) { return users.DeleteUser(ctx, id).Execute() }
	return []managed{
		{
			"okta_user", `{"profile":{"login":"tf@example.com","email":"tf@example.com","firstName":"Terra","lastName":"Form","title":"T","mobilePhone":null}}`,
			`{"profile":{"login":"tf2@example.com","email":"tf@example.com","firstName":"Terra","lastName":"Form","department":"D"}}`,
			func(id string, b []byte) (any, *sdk.APIResponse, error) {
				if id == "" {
					return result(users.CreateUser(ctx).Activate(true).Body(parsed[sdk.CreateUserRequest](b)).Execute())
				}
				return result(users.ReplaceUser(ctx, id).User(parsed[sdk.User](b)).Execute())
			},
			func(id string) (any, *sdk.APIResponse, error) { return result(users.GetUser(ctx, id).Execute()) },
			calls(deleteUser, deleteUser),
		},
		{
			"okta_group", `{"profile":{"name":"tf","description":"a"}}`, `{"profile":{"name":"tf 2","description":"b"}}`,
			func(id string, b []byte) (any, *sdk.APIResponse, error) {
				if id == "" {
					return result(groups.CreateGroup(ctx).Group(parsed[sdk.Group](b)).Execute())
				}
				return result(groups.ReplaceGroup(ctx, id).Group(parsed[sdk.Group](b)).Execute())
			},
			func(id string) (any, *sdk.APIResponse, error) { return result(groups.GetGroup(ctx, id).Execute()) },
			calls(func(id string) (*sdk.APIResponse, error) { return groups.DeleteGroup(ctx, id).Execute() }),
		},
		{
			"okta_group_rule", rule("tf", `user.title==\"T\"`), rule("tf 2", `String.startsWith(user.title, \"T\")`),
			func(id string, b []byte) (any, *sdk.APIResponse, error) {
				if id == "" {
					made, r, err := groups.CreateGroupRule(ctx).GroupRule(parsed[sdk.GroupRule](b)).Execute()
					if err != nil {
						return nil, r, err
					}
					if _, err := groups.ActivateGroupRule(ctx, made.GetId()).Execute(); err != nil {
						return nil, r, err
					}
					return made, r, nil
				}
				// An active rule is not changed: the provider deactivates it, and activates it again.
				if r, err := groups.DeactivateGroupRule(ctx, id).Execute(); err != nil {
					return nil, r, err
				}
				made, r, err := groups.ReplaceGroupRule(ctx, id).GroupRule(parsed[sdk.GroupRule](b)).Execute()
				if err != nil {
					return nil, r, err
				}
				_, err = groups.ActivateGroupRule(ctx, id).Execute()
				return made, r, err
			},
			func(id string) (any, *sdk.APIResponse, error) { return result(groups.GetGroupRule(ctx, id).Execute()) },
			calls(func(id string) (*sdk.APIResponse, error) { return groups.DeactivateGroupRule(ctx, id).Execute() },
				func(id string) (*sdk.APIResponse, error) {
					return groups.DeleteGroupRule(ctx, id).RemoveUsers(true).Execute()
				}),
		},
	}
}
