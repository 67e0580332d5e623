package okta

import "net/http"

// routes is every operation of this API, by Okta's names.
func routes() []route {
	const (
		get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete

		as     = "/api/v1/authorizationServers"
		server = as + "/{authServerId}"
		policy = server + "/policies/{policyId}"
		rule   = policy + "/rules/{ruleId}"
		user   = "/api/v1/users/{id}"
		group  = "/api/v1/groups/{groupId}"
		app    = "/api/v1/apps/{appId}"
		rules  = "/api/v1/groups/rules"
		zone   = "/api/v1/zones/{zoneId}"
		origin = "/api/v1/trustedOrigins/{trustedOriginId}"
		key    = app + "/credentials/jwks/{keyId}"
		secret = app + "/credentials/secrets/{secretId}"
	)
	return []route{
		{method: get, path: "/.well-known/okta-organization", does: "getWellknownOrgMetadata", open: true, do: (*api).organization},

		{method: get, path: as, does: "listAuthorizationServers", do: (*api).listServers},
		{method: post, path: as, does: "createAuthorizationServer", do: (*api).createServer},
		{method: get, path: server, does: "getAuthorizationServer", do: (*api).getServer},
		{method: put, path: server, does: "replaceAuthorizationServer", do: (*api).replaceServer},
		{method: del, path: server, does: "deleteAuthorizationServer", do: (*api).deleteServer},
		{method: post, path: server + "/lifecycle/activate", does: "activateAuthorizationServer", do: (*api).activateServer},
		{method: post, path: server + "/lifecycle/deactivate", does: "deactivateAuthorizationServer", do: (*api).deactivateServer},
		{method: get, path: server + "/credentials/keys", does: "listAuthorizationServerKeys", do: (*api).listKeys},
		{method: get, path: server + "/credentials/keys/{keyId}", does: "getAuthorizationServerKey", do: (*api).getKey},
		{method: post, path: server + "/credentials/lifecycle/keyRotate", does: "rotateAuthorizationServerKeys", do: (*api).rotateKeys},

		{method: get, path: server + "/scopes", does: "listOAuth2Scopes", do: (*api).listScopes},
		{method: post, path: server + "/scopes", does: "createOAuth2Scope", do: (*api).createScope},
		{method: get, path: server + "/scopes/{scopeId}", does: "getOAuth2Scope", do: (*api).getScope},
		{method: put, path: server + "/scopes/{scopeId}", does: "replaceOAuth2Scope", do: (*api).replaceScope},
		{method: del, path: server + "/scopes/{scopeId}", does: "deleteOAuth2Scope", do: (*api).deleteScope},

		{method: get, path: server + "/claims", does: "listOAuth2Claims", do: (*api).listClaims},
		{method: post, path: server + "/claims", does: "createOAuth2Claim", do: (*api).createClaim},
		{method: get, path: server + "/claims/{claimId}", does: "getOAuth2Claim", do: (*api).getClaim},
		{method: put, path: server + "/claims/{claimId}", does: "replaceOAuth2Claim", do: (*api).replaceClaim},
		{method: del, path: server + "/claims/{claimId}", does: "deleteOAuth2Claim", do: (*api).deleteClaim},

		{method: get, path: server + "/policies", does: "listAuthorizationServerPolicies", do: (*api).listPolicies},
		{method: post, path: server + "/policies", does: "createAuthorizationServerPolicy", do: (*api).createPolicy},
		{method: get, path: policy, does: "getAuthorizationServerPolicy", do: (*api).getPolicy},
		{method: put, path: policy, does: "replaceAuthorizationServerPolicy", do: (*api).replacePolicy},
		{method: del, path: policy, does: "deleteAuthorizationServerPolicy", do: (*api).deletePolicy},
		{method: post, path: policy + "/lifecycle/activate", does: "activateAuthorizationServerPolicy", do: (*api).activatePolicy},
		{method: post, path: policy + "/lifecycle/deactivate", does: "deactivateAuthorizationServerPolicy", do: (*api).deactivatePolicy},

		{method: get, path: policy + "/rules", does: "listAuthorizationServerPolicyRules", do: (*api).listRules},
		{method: post, path: policy + "/rules", does: "createAuthorizationServerPolicyRule", do: (*api).createRule},
		{method: get, path: rule, does: "getAuthorizationServerPolicyRule", do: (*api).getRule},
		{method: put, path: rule, does: "replaceAuthorizationServerPolicyRule", do: (*api).replaceRule},
		{method: del, path: rule, does: "deleteAuthorizationServerPolicyRule", do: (*api).deleteRule},
		{method: post, path: rule + "/lifecycle/activate", does: "activateAuthorizationServerPolicyRule", do: (*api).activateRule},
		{method: post, path: rule + "/lifecycle/deactivate", does: "deactivateAuthorizationServerPolicyRule", do: (*api).deactivateRule},

		{method: get, path: "/api/v1/users", does: "listUsers", do: (*api).listUsers},
		{method: post, path: "/api/v1/users", does: "createUser", do: (*api).createUser},
		{method: get, path: user, does: "getUser", do: (*api).getUser},
		{method: post, path: user, does: "updateUser", do: (*api).updateUser},
		{method: put, path: user, does: "replaceUser", do: (*api).replaceUser},
		{method: del, path: user, does: "deleteUser", do: (*api).deleteUser},
		{method: get, path: user + "/groups", does: "listUserGroups", do: (*api).listUserGroups},
		{method: post, path: user + "/lifecycle/activate", does: "activateUser", do: (*api).activateUser},
		{method: post, path: user + "/lifecycle/reactivate", does: "reactivateUser", do: (*api).reactivateUser},
		{method: post, path: user + "/lifecycle/deactivate", does: "deactivateUser", do: (*api).deactivateUser},
		{method: post, path: user + "/lifecycle/suspend", does: "suspendUser", do: (*api).suspendUser},
		{method: post, path: user + "/lifecycle/unsuspend", does: "unsuspendUser", do: (*api).unsuspendUser},
		{method: post, path: user + "/lifecycle/unlock", does: "unlockUser", do: (*api).unlockUser},
		{method: post, path: user + "/lifecycle/expire_password", does: "expirePassword", do: (*api).expirePassword},
		{method: post, path: user + "/credentials/change_password", does: "changePassword", do: (*api).changePassword},
		{method: post, path: user + "/credentials/change_recovery_question", does: "changeRecoveryQuestion", do: (*api).changeQuestion},

		{method: get, path: "/api/v1/meta/types/user", does: "listUserTypes", do: (*api).listUserTypes},
		{method: get, path: "/api/v1/meta/types/user/{typeId}", does: "getUserType", do: (*api).getUserType},

		{method: get, path: "/api/v1/groups", does: "listGroups", do: (*api).listGroups},
		{method: post, path: "/api/v1/groups", does: "addGroup", do: (*api).createGroup},
		{method: get, path: group, does: "getGroup", do: (*api).getGroup},
		{method: put, path: group, does: "replaceGroup", do: (*api).replaceGroup},
		{method: del, path: group, does: "deleteGroup", do: (*api).deleteGroup},
		{method: get, path: group + "/users", does: "listGroupUsers", do: (*api).listGroupUsers},
		{method: get, path: group + "/apps", does: "listAssignedApplicationsForGroup", do: (*api).listGroupApps},
		{method: put, path: group + "/users/{userId}", does: "assignUserToGroup", do: (*api).addMember},
		{method: del, path: group + "/users/{userId}", does: "unassignUserFromGroup", do: (*api).removeMember},
		{method: get, path: rules, does: "listGroupRules", do: (*api).listGroupRules},
		{method: post, path: rules, does: "createGroupRule", do: (*api).createGroupRule},
		{method: get, path: rules + "/{groupRuleId}", does: "getGroupRule", do: (*api).getGroupRule},
		{method: put, path: rules + "/{groupRuleId}", does: "replaceGroupRule", do: (*api).replaceGroupRule},
		{method: del, path: rules + "/{groupRuleId}", does: "deleteGroupRule", do: (*api).deleteGroupRule},
		{method: post, path: rules + "/{groupRuleId}/lifecycle/activate", does: "activateGroupRule", do: (*api).activateGroupRule},
		{method: post, path: rules + "/{groupRuleId}/lifecycle/deactivate", does: "deactivateGroupRule", do: (*api).deactivateGroupRule},

		{method: get, path: "/api/v1/apps", does: "listApplications", do: (*api).listApps},
		{method: post, path: "/api/v1/apps", does: "createApplication", do: (*api).createApp},
		{method: get, path: app, does: "getApplication", do: (*api).getApp},
		{method: put, path: app, does: "replaceApplication", do: (*api).replaceApp},
		{method: del, path: app, does: "deleteApplication", do: (*api).deleteApp},
		{method: post, path: app + "/lifecycle/activate", does: "activateApplication", do: (*api).activateApp},
		{method: post, path: app + "/lifecycle/deactivate", does: "deactivateApplication", do: (*api).deactivateApp},
		{method: put, path: app + "/policies/{policyId}", does: "assignApplicationPolicy", do: (*api).assignPolicy},
		{method: get, path: app + "/credentials/secrets", does: "listOAuth2ClientSecrets", do: (*api).listSecrets},
		{method: post, path: app + "/credentials/secrets", does: "createOAuth2ClientSecret", do: (*api).createSecret},
		{method: get, path: secret, does: "getOAuth2ClientSecret", do: (*api).getSecret},
		{method: del, path: secret, does: "deleteOAuth2ClientSecret", do: (*api).deleteSecret},
		{method: post, path: secret + "/lifecycle/activate", does: "activateOAuth2ClientSecret", do: (*api).activateSecret},
		{method: post, path: secret + "/lifecycle/deactivate", does: "deactivateOAuth2ClientSecret", do: (*api).deactivateSecret},
		{method: get, path: app + "/credentials/jwks", does: "listJwk", do: (*api).listAppKeys},
		{method: post, path: app + "/credentials/jwks", does: "addJwk", do: (*api).addAppKey},
		{method: get, path: key, does: "getJwk", do: (*api).getAppKey},
		{method: del, path: key, does: "deletejwk", do: (*api).deleteAppKey},
		{method: post, path: key + "/lifecycle/activate", does: "activateOAuth2ClientJsonWebKey", do: (*api).activateAppKey},
		{method: post, path: key + "/lifecycle/deactivate", does: "deactivateOAuth2ClientJsonWebKey", do: (*api).deactivateAppKey},
		{method: get, path: app + "/users", does: "listApplicationUsers", do: (*api).listAppUsers},
		{method: post, path: app + "/users", does: "assignUserToApplication", do: (*api).assignUser},
		{method: get, path: app + "/users/{userId}", does: "getApplicationUser", do: (*api).getAppUser},
		{method: post, path: app + "/users/{userId}", does: "updateApplicationUser", do: (*api).assignUser},
		{method: del, path: app + "/users/{userId}", does: "unassignUserFromApplication", do: (*api).unassignUser},
		{method: get, path: app + "/groups", does: "listApplicationGroupAssignments", do: (*api).listAppGroups},
		{method: get, path: app + "/groups/{groupId}", does: "getApplicationGroupAssignment", do: (*api).getAppGroup},
		{method: put, path: app + "/groups/{groupId}", does: "assignGroupToApplication", do: (*api).assignGroup},
		{method: del, path: app + "/groups/{groupId}", does: "unassignApplicationFromGroup", do: (*api).unassignGroup},
		{method: get, path: "/api/v1/internal/apps/{appId}/settings/oauth/idToken", does: "(undocumented) get the groups claim", do: (*api).getGroupsClaim},
		{method: post, path: "/api/v1/internal/apps/{appId}/settings/oauth/idToken", does: "(undocumented) set the groups claim", do: (*api).setGroupsClaim},

		{method: get, path: "/api/v1/policies", does: "listPolicies", do: (*api).listSignOnPolicies},
		{method: get, path: "/api/v1/policies/{policyId}", does: "getPolicy", do: (*api).getSignOnPolicy},
		{method: get, path: "/api/v1/policies/{policyId}/rules", does: "listPolicyRules", do: (*api).listSignOnRules},
		{method: get, path: "/api/v1/policies/{policyId}/mappings", does: "listPolicyMappings", do: (*api).listMappings},

		{method: get, path: "/api/v1/zones", does: "listNetworkZones", do: (*api).listZones},
		{method: post, path: "/api/v1/zones", does: "createNetworkZone", do: (*api).createZone},
		{method: get, path: zone, does: "getNetworkZone", do: (*api).getZone},
		{method: put, path: zone, does: "replaceNetworkZone", do: (*api).replaceZone},
		{method: del, path: zone, does: "deleteNetworkZone", do: (*api).deleteZone},
		{method: post, path: zone + "/lifecycle/activate", does: "activateNetworkZone", do: (*api).activateZone},
		{method: post, path: zone + "/lifecycle/deactivate", does: "deactivateNetworkZone", do: (*api).deactivateZone},

		{method: get, path: "/api/v1/trustedOrigins", does: "listTrustedOrigins", do: (*api).listOrigins},
		{method: post, path: "/api/v1/trustedOrigins", does: "createTrustedOrigin", do: (*api).createOrigin},
		{method: get, path: origin, does: "getTrustedOrigin", do: (*api).getOrigin},
		{method: put, path: origin, does: "replaceTrustedOrigin", do: (*api).replaceOrigin},
		{method: del, path: origin, does: "deleteTrustedOrigin", do: (*api).deleteOrigin},
		{method: post, path: origin + "/lifecycle/activate", does: "activateTrustedOrigin", do: (*api).activateOrigin},
		{method: post, path: origin + "/lifecycle/deactivate", does: "deactivateTrustedOrigin", do: (*api).deactivateOrigin},

		{method: get, path: "/api/v1/api-tokens", does: "listApiTokens", do: (*api).listTokens},
		{method: get, path: "/api/v1/api-tokens/{apiTokenId}", does: "getApiToken", do: (*api).getToken},
		{method: del, path: "/api/v1/api-tokens/{apiTokenId}", does: "revokeApiToken", do: (*api).deleteToken},
		{method: del, path: "/api/v1/api-tokens/current", does: "revokeCurrentApiToken", do: (*api).deleteCurrentToken},

		{method: get, path: "/api/v1/logs", does: "listLogEvents", do: (*api).listLogs},
	}
}
