package okta

import (
	"net/http"

	"gatehouse/internal/access"
)

// What a route needs besides the names of permissions.
const (
	nobody = "nobody" // no token at all
	anyone = "anyone" // a token, whatever it allows: the operation looks at it itself

	// An initial access token (RFC 7591 section 3) has this scope. Its use is limited.
	registerClients = "okta.clients.register"
)

// routes is every operation of this API, by Okta's names, with the permission that
// it needs (access.Permissions) and the guard of what it changes, so that nobody
// gets by way of somebody else what they may not do themselves.
func routes() []route {
	const (
		get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete

		as     = "/api/v1/authorizationServers"
		server = as + "/{authServerId}"
		rsKeys = server + "/resourceservercredentials/keys"
		policy = server + "/policies/{policyId}"
		rule   = policy + "/rules/{ruleId}"
		user   = "/api/v1/users/{id}"
		factor = user + "/factors/{factorId}"
		group  = "/api/v1/groups/{groupId}"
		app    = "/api/v1/apps/{appId}"
		rules  = "/api/v1/groups/rules"
		kind   = "/api/v1/meta/types/user/{typeId}"
		zone   = "/api/v1/zones/{zoneId}"
		origin = "/api/v1/trustedOrigins/{trustedOriginId}"
		hook   = "/api/v1/inlineHooks/{inlineHookId}"
		idp    = "/api/v1/idps/{idpId}"
		rates  = "/api/v1/rate-limit-settings/"
		share  = "/api/v1/principal-rate-limits/{principalRateLimitId}"
		key    = app + "/credentials/jwks/{keyId}"
		secret = app + "/credentials/secrets/{secretId}"
		client = ClientsPath + "/{clientId}"
		role   = "/roles/{roleAssignmentId}"
		signOn = "/api/v1/policies/{policyId}"

		signOnRule = signOn + "/rules/{ruleId}"

		userTokens   = user + "/clients/{clientId}/tokens"
		serverTokens = server + "/clients/{clientId}/tokens"
	)
	var free guard // nobody gets more by it
	onClient := guard((*api).mayChangeClient)
	onUser, onGroup, onApp, onToken := guard((*api).mayChangeUser), guard((*api).mayChangeGroup), guard((*api).mayChangeApp), guard((*api).mayChangeToken)
	return []route{
		{get, "/.well-known/okta-organization", "getWellknownOrgMetadata", nobody, free, (*api).organization},

		{get, as, "listAuthorizationServers", "okta.authorizationServers.read", free, (*api).listServers},
		{post, as, "createAuthorizationServer", "okta.authorizationServers.manage", free, (*api).createServer},
		{get, server, "getAuthorizationServer", "okta.authorizationServers.read", free, (*api).getServer},
		{put, server, "replaceAuthorizationServer", "okta.authorizationServers.manage", free, (*api).replaceServer},
		{del, server, "deleteAuthorizationServer", "okta.authorizationServers.manage", free, (*api).deleteServer},
		{post, server + "/lifecycle/activate", "activateAuthorizationServer", "okta.authorizationServers.manage", free, (*api).activateServer},
		{post, server + "/lifecycle/deactivate", "deactivateAuthorizationServer", "okta.authorizationServers.manage", free, (*api).deactivateServer},
		{get, server + "/credentials/keys", "listAuthorizationServerKeys", "okta.authorizationServers.read", free, (*api).listKeys},
		{get, server + "/credentials/keys/{keyId}", "getAuthorizationServerKey", "okta.authorizationServers.read", free, (*api).getKey},
		{post, server + "/credentials/lifecycle/keyRotate", "rotateAuthorizationServerKeys", "okta.authorizationServers.manage", free, (*api).rotateKeys},

		{get, server + "/associatedServers", "listAssociatedServersByTrustedType", "okta.authorizationServers.read", free, (*api).listAssociated},
		{post, server + "/associatedServers", "createAssociatedServers", "okta.authorizationServers.manage", free, (*api).associate},
		{del, server + "/associatedServers/{associatedServerId}", "deleteAssociatedServer", "okta.authorizationServers.manage", free, (*api).dissociate},
		{get, rsKeys, "listOAuth2ResourceServerJsonWebKeys", "okta.authorizationServers.read", free, (*api).listServerKeys},
		{post, rsKeys, "addOAuth2ResourceServerJsonWebKey", "okta.authorizationServers.manage", free, (*api).addServerKey},
		{get, rsKeys + "/{keyId}", "getOAuth2ResourceServerJsonWebKey", "okta.authorizationServers.read", free, (*api).getServerKey},
		{del, rsKeys + "/{keyId}", "deleteOAuth2ResourceServerJsonWebKey", "okta.authorizationServers.manage", free, (*api).deleteServerKey},
		{post, rsKeys + "/{keyId}/lifecycle/activate", "activateOAuth2ResourceServerJsonWebKey", "okta.authorizationServers.manage", free, (*api).activateServerKey},
		{post, rsKeys + "/{keyId}/lifecycle/deactivate", "deactivateOAuth2ResourceServerJsonWebKey", "okta.authorizationServers.manage", free, (*api).deactivateServerKey},

		{get, server + "/scopes", "listOAuth2Scopes", "okta.authorizationServers.read", free, (*api).listScopes},
		{post, server + "/scopes", "createOAuth2Scope", "okta.authorizationServers.manage", free, (*api).createScope},
		{get, server + "/scopes/{scopeId}", "getOAuth2Scope", "okta.authorizationServers.read", free, (*api).getScope},
		{put, server + "/scopes/{scopeId}", "replaceOAuth2Scope", "okta.authorizationServers.manage", free, (*api).replaceScope},
		{del, server + "/scopes/{scopeId}", "deleteOAuth2Scope", "okta.authorizationServers.manage", free, (*api).deleteScope},

		{get, server + "/claims", "listOAuth2Claims", "okta.authorizationServers.read", free, (*api).listClaims},
		{post, server + "/claims", "createOAuth2Claim", "okta.authorizationServers.manage", free, (*api).createClaim},
		{get, server + "/claims/{claimId}", "getOAuth2Claim", "okta.authorizationServers.read", free, (*api).getClaim},
		{put, server + "/claims/{claimId}", "replaceOAuth2Claim", "okta.authorizationServers.manage", free, (*api).replaceClaim},
		{del, server + "/claims/{claimId}", "deleteOAuth2Claim", "okta.authorizationServers.manage", free, (*api).deleteClaim},

		{get, server + "/policies", "listAuthorizationServerPolicies", "okta.authorizationServers.read", free, (*api).listPolicies},
		{post, server + "/policies", "createAuthorizationServerPolicy", "okta.authorizationServers.manage", free, (*api).createPolicy},
		{get, policy, "getAuthorizationServerPolicy", "okta.authorizationServers.read", free, (*api).getPolicy},
		{put, policy, "replaceAuthorizationServerPolicy", "okta.authorizationServers.manage", free, (*api).replacePolicy},
		{del, policy, "deleteAuthorizationServerPolicy", "okta.authorizationServers.manage", free, (*api).deletePolicy},
		{post, policy + "/lifecycle/activate", "activateAuthorizationServerPolicy", "okta.authorizationServers.manage", free, (*api).activatePolicy},
		{post, policy + "/lifecycle/deactivate", "deactivateAuthorizationServerPolicy", "okta.authorizationServers.manage", free, (*api).deactivatePolicy},

		{get, policy + "/rules", "listAuthorizationServerPolicyRules", "okta.authorizationServers.read", free, (*api).listRules},
		{post, policy + "/rules", "createAuthorizationServerPolicyRule", "okta.authorizationServers.manage", free, (*api).createRule},
		{get, rule, "getAuthorizationServerPolicyRule", "okta.authorizationServers.read", free, (*api).getRule},
		{put, rule, "replaceAuthorizationServerPolicyRule", "okta.authorizationServers.manage", free, (*api).replaceRule},
		{del, rule, "deleteAuthorizationServerPolicyRule", "okta.authorizationServers.manage", free, (*api).deleteRule},
		{post, rule + "/lifecycle/activate", "activateAuthorizationServerPolicyRule", "okta.authorizationServers.manage", free, (*api).activateRule},
		{post, rule + "/lifecycle/deactivate", "deactivateAuthorizationServerPolicyRule", "okta.authorizationServers.manage", free, (*api).deactivateRule},

		{get, "/api/v1/users", "listUsers", "okta.users.read", free, (*api).listUsers},
		{post, "/api/v1/users", "createUser", "okta.users.create", free, (*api).createUser},
		{get, user, "getUser", anyone, free, (*api).getUser},
		{post, user, "updateUser", "okta.users.userprofile.manage", onUser, (*api).updateUser},
		{put, user, "replaceUser", "okta.users.userprofile.manage", onUser, (*api).replaceUser},
		{del, user, "deleteUser", "okta.users.lifecycle.delete", onUser, (*api).deleteUser},
		{get, user + "/groups", "listUserGroups", "okta.users.read", free, (*api).listUserGroups},
		{post, user + "/lifecycle/activate", "activateUser", "okta.users.lifecycle.activate", onUser, (*api).activateUser},
		{post, user + "/lifecycle/reactivate", "reactivateUser", "okta.users.lifecycle.reactivate", onUser, (*api).reactivateUser},
		{post, user + "/lifecycle/deactivate", "deactivateUser", "okta.users.lifecycle.deactivate", onUser, (*api).deactivateUser},
		{post, user + "/lifecycle/suspend", "suspendUser", "okta.users.lifecycle.suspend", onUser, (*api).suspendUser},
		{post, user + "/lifecycle/unsuspend", "unsuspendUser", "okta.users.lifecycle.unsuspend", onUser, (*api).unsuspendUser},
		{post, user + "/lifecycle/unlock", "unlockUser", "okta.users.lifecycle.unlock", onUser, (*api).unlockUser},
		{post, user + "/lifecycle/expire_password", "expirePassword", "okta.users.credentials.manage", onUser, (*api).expirePassword},
		{post, user + "/credentials/change_password", "changePassword", "okta.users.credentials.manage", onUser, (*api).changePassword},
		{post, user + "/credentials/change_recovery_question", "changeRecoveryQuestion", "okta.users.credentials.manage", onUser, (*api).changeQuestion},

		{post, user + "/lifecycle/reset_password", "resetPassword", "okta.users.credentials.manage", onUser, (*api).resetPassword},
		{post, user + "/lifecycle/reset_factors", "resetFactors", "okta.factors.manage", onUser, (*api).resetFactors},
		{post, user + "/credentials/forgot_password", "forgotPassword", "okta.users.credentials.manage", onUser, (*api).forgotPassword},
		{get, user + "/blocks", "listUserBlocks", "okta.users.read", free, (*api).listBlocks},
		{get, user + "/appLinks", "listAppLinks", "okta.users.read", free, (*api).listAppLinks},
		{get, user + "/factors", "listFactors", "okta.factors.read", free, (*api).listFactors},
		{post, user + "/factors", "enrollFactor", "okta.factors.manage", onUser, (*api).enrollFactor},
		{get, user + "/factors/catalog", "listSupportedFactors", "okta.factors.read", free, (*api).listCatalog},
		{get, user + "/factors/questions", "listSupportedSecurityQuestions", "okta.factors.read", free, (*api).listQuestions},
		{get, factor, "getFactor", "okta.factors.read", free, (*api).getFactor},
		{del, factor, "unenrollFactor", "okta.factors.manage", onUser, (*api).unenrollFactor},
		{post, factor + "/lifecycle/activate", "activateFactor", "okta.factors.manage", onUser, (*api).activateFactor},
		{post, factor + "/resend", "resendEnrollFactor", "okta.factors.manage", onUser, (*api).resendFactor},
		{post, factor + "/verify", "verifyFactor", "okta.factors.manage", onUser, (*api).verifyFactor},
		{get, factor + "/transactions/{transactionId}", "getFactorTransactionStatus", "okta.factors.read", free, (*api).factorTransaction},

		{get, "/api/v1/meta/types/user", "listUserTypes", "okta.userTypes.read", free, (*api).listUserTypes},
		{post, "/api/v1/meta/types/user", "createUserType", "okta.userTypes.manage", free, (*api).createUserType},
		{get, kind, "getUserType", "okta.userTypes.read", free, (*api).getUserType},
		{post, kind, "updateUserType", "okta.userTypes.manage", free, (*api).changeUserType},
		{put, kind, "replaceUserType", "okta.userTypes.manage", free, (*api).changeUserType},
		{del, kind, "deleteUserType", "okta.userTypes.manage", free, (*api).deleteUserType},
		{get, "/api/v1/meta/schemas/user/{schemaId}", "getUserSchema", "okta.schemas.read", free, (*api).getUserSchema},
		{post, "/api/v1/meta/schemas/user/{schemaId}", "updateUserProfile", "okta.schemas.manage", free, (*api).changeUserSchema},
		{get, "/api/v1/meta/schemas/apps/{appId}/default", "getApplicationUserSchema", "okta.schemas.read", free, (*api).getAppSchema},
		{post, "/api/v1/meta/schemas/apps/{appId}/default", "updateApplicationUserProfile", "okta.schemas.manage", free, (*api).changeAppSchema},

		{get, "/api/v1/meta/schemas/group/default", "getGroupSchema", "okta.schemas.read", free, (*api).getGroupSchema},
		{post, "/api/v1/meta/schemas/group/default", "updateGroupSchema", "okta.schemas.manage", free, (*api).changeGroupSchema},

		{get, "/api/v1/groups", "listGroups", "okta.groups.read", free, (*api).listGroups},
		{post, "/api/v1/groups", "addGroup", "okta.groups.create", free, (*api).createGroup},
		{get, group, "getGroup", "okta.groups.read", free, (*api).getGroup},
		{put, group, "replaceGroup", "okta.groups.manage", onGroup, (*api).replaceGroup},
		{del, group, "deleteGroup", "okta.groups.manage", onGroup, (*api).deleteGroup},
		{get, group + "/users", "listGroupUsers", "okta.groups.read", free, (*api).listGroupUsers},
		{get, group + "/apps", "listAssignedApplicationsForGroup", "okta.groups.read", free, (*api).listGroupApps},
		{put, group + "/users/{userId}", "assignUserToGroup", "okta.groups.members.manage", onGroup, (*api).addMember},
		{del, group + "/users/{userId}", "unassignUserFromGroup", "okta.groups.members.manage", onGroup, (*api).removeMember},
		{get, rules, "listGroupRules", "okta.groups.read", free, (*api).listGroupRules},
		{post, rules, "createGroupRule", "okta.groups.manage", free, (*api).createGroupRule},
		{get, rules + "/{groupRuleId}", "getGroupRule", "okta.groups.read", free, (*api).getGroupRule},
		{put, rules + "/{groupRuleId}", "replaceGroupRule", "okta.groups.manage", free, (*api).replaceGroupRule},
		{del, rules + "/{groupRuleId}", "deleteGroupRule", "okta.groups.manage", free, (*api).deleteGroupRule},
		{post, rules + "/{groupRuleId}/lifecycle/activate", "activateGroupRule", "okta.groups.manage", free, (*api).activateGroupRule},
		{post, rules + "/{groupRuleId}/lifecycle/deactivate", "deactivateGroupRule", "okta.groups.manage", free, (*api).deactivateGroupRule},

		{get, "/api/v1/apps", "listApplications", "okta.apps.read", free, (*api).listApps},
		{post, "/api/v1/apps", "createApplication", "okta.apps.manage", free, (*api).createApp},
		{get, app, "getApplication", "okta.apps.read", free, (*api).getApp},
		{put, app, "replaceApplication", "okta.apps.manage", onApp, (*api).replaceApp},
		{del, app, "deleteApplication", "okta.apps.manage", onApp, (*api).deleteApp},
		{post, app + "/lifecycle/activate", "activateApplication", "okta.apps.manage", onApp, (*api).activateApp},
		{post, app + "/lifecycle/deactivate", "deactivateApplication", "okta.apps.manage", onApp, (*api).deactivateApp},
		{put, app + "/policies/{policyId}", "assignApplicationPolicy", "okta.apps.manage", free, (*api).assignPolicy},
		{get, app + "/credentials/secrets", "listOAuth2ClientSecrets", "okta.apps.read", free, (*api).listSecrets},
		{post, app + "/credentials/secrets", "createOAuth2ClientSecret", "okta.apps.manage", onApp, (*api).createSecret},
		{get, secret, "getOAuth2ClientSecret", "okta.apps.read", free, (*api).getSecret},
		{del, secret, "deleteOAuth2ClientSecret", "okta.apps.manage", onApp, (*api).deleteSecret},
		{post, secret + "/lifecycle/activate", "activateOAuth2ClientSecret", "okta.apps.manage", onApp, (*api).activateSecret},
		{post, secret + "/lifecycle/deactivate", "deactivateOAuth2ClientSecret", "okta.apps.manage", onApp, (*api).deactivateSecret},
		{get, app + "/credentials/jwks", "listJwk", "okta.apps.read", free, (*api).listAppKeys},
		{post, app + "/credentials/jwks", "addJwk", "okta.apps.manage", onApp, (*api).addAppKey},
		{get, key, "getJwk", "okta.apps.read", free, (*api).getAppKey},
		{del, key, "deletejwk", "okta.apps.manage", onApp, (*api).deleteAppKey},
		{post, key + "/lifecycle/activate", "activateOAuth2ClientJsonWebKey", "okta.apps.manage", onApp, (*api).activateAppKey},
		{post, key + "/lifecycle/deactivate", "deactivateOAuth2ClientJsonWebKey", "okta.apps.manage", onApp, (*api).deactivateAppKey},
		{get, app + "/credentials/keys", "listApplicationKeys", "okta.apps.read", free, (*api).listCertificates},
		{post, app + "/credentials/keys/generate", "generateApplicationKey", "okta.apps.manage", onApp, (*api).generateCertificate},
		{get, app + "/credentials/keys/{keyId}", "getApplicationKey", "okta.apps.read", free, (*api).getCertificate},
		{post, app + "/credentials/keys/{keyId}/clone", "cloneApplicationKey", "okta.apps.manage", onApp, (*api).cloneCertificate},
		{get, app + "/grants", "listScopeConsentGrants", "okta.appGrants.read", free, (*api).listGrants},
		{post, app + "/grants", "grantConsentToScope", "okta.appGrants.manage", onApp, (*api).grantScope},
		{get, app + "/grants/{grantId}", "getScopeConsentGrant", "okta.appGrants.read", free, (*api).getGrant},
		{del, app + "/grants/{grantId}", "revokeScopeConsentGrant", "okta.appGrants.manage", onApp, (*api).revokeGrant},
		{get, app + "/users", "listApplicationUsers", "okta.apps.read", free, (*api).listAppUsers},
		{post, app + "/users", "assignUserToApplication", "okta.apps.assignment.manage", free, (*api).assignUser},
		{get, app + "/users/{userId}", "getApplicationUser", "okta.apps.read", free, (*api).getAppUser},
		{post, app + "/users/{userId}", "updateApplicationUser", "okta.apps.assignment.manage", free, (*api).assignUser},
		{del, app + "/users/{userId}", "unassignUserFromApplication", "okta.apps.assignment.manage", free, (*api).unassignUser},
		{get, app + "/groups", "listApplicationGroupAssignments", "okta.apps.read", free, (*api).listAppGroups},
		{get, app + "/groups/{groupId}", "getApplicationGroupAssignment", "okta.apps.read", free, (*api).getAppGroup},
		{put, app + "/groups/{groupId}", "assignGroupToApplication", "okta.apps.assignment.manage", free, (*api).assignGroup},
		{http.MethodPatch, app + "/groups/{groupId}", "updateGroupAssignmentToApplication", "okta.apps.assignment.manage", free, (*api).patchAppGroup},
		{del, app + "/groups/{groupId}", "unassignApplicationFromGroup", "okta.apps.assignment.manage", free, (*api).unassignGroup},
		{get, "/api/v1/internal/apps/{appId}/settings/oauth/idToken", "(undocumented) get the groups claim", "okta.apps.read", free, (*api).getGroupsClaim},
		{post, "/api/v1/internal/apps/{appId}/settings/oauth/idToken", "(undocumented) set the groups claim", "okta.apps.manage", onApp, (*api).setGroupsClaim},

		{get, user + "/clients", "listUserClients", "okta.users.read", free, (*api).listUserClients},
		{get, userTokens, "listRefreshTokensForUserAndClient", "okta.users.read", free, about(ofUserAndClient, (*api).listRefreshTokens)},
		{del, userTokens, "revokeTokensForUserAndClient", "okta.users.manage", onUser, about(ofUserAndClient, (*api).revokeRefreshTokens)},
		{get, userTokens + "/{tokenId}", "getRefreshTokenForUserAndClient", "okta.users.read", free, about(ofUserAndClient, (*api).getRefreshToken)},
		{del, userTokens + "/{tokenId}", "revokeTokenForUserAndClient", "okta.users.manage", onUser, about(ofUserAndClient, (*api).revokeRefreshToken)},
		{get, app + "/tokens", "listOAuth2TokensForApplication", "okta.apps.read", free, about(ofApp, (*api).listRefreshTokens)},
		{del, app + "/tokens", "revokeOAuth2TokensForApplication", "okta.apps.manage", onApp, about(ofApp, (*api).revokeRefreshTokens)},
		{get, app + "/tokens/{tokenId}", "getOAuth2TokenForApplication", "okta.apps.read", free, about(ofApp, (*api).getRefreshToken)},
		{del, app + "/tokens/{tokenId}", "revokeOAuth2TokenForApplication", "okta.apps.manage", onApp, about(ofApp, (*api).revokeRefreshToken)},
		{get, server + "/clients", "listOAuth2ClientsForAuthorizationServer", "okta.authorizationServers.read", free, (*api).listServerClients},
		{get, serverTokens, "listRefreshTokensForAuthorizationServerAndClient", "okta.authorizationServers.read", free, about(ofServerAndClient, (*api).listRefreshTokens)},
		{del, serverTokens, "revokeRefreshTokensForAuthorizationServerAndClient", "okta.authorizationServers.manage", free, about(ofServerAndClient, (*api).revokeRefreshTokens)},
		{get, serverTokens + "/{tokenId}", "getRefreshTokenForAuthorizationServerAndClient", "okta.authorizationServers.read", free, about(ofServerAndClient, (*api).getRefreshToken)},
		{del, serverTokens + "/{tokenId}", "revokeRefreshTokenForAuthorizationServerAndClient", "okta.authorizationServers.manage", free, about(ofServerAndClient, (*api).revokeRefreshToken)},
		{get, user + "/grants", "listUserGrants", "okta.users.read", free, (*api).listUserConsents},
		{del, user + "/grants", "revokeUserGrants", "okta.users.manage", onUser, (*api).withdrawUserConsents},
		{get, user + "/grants/{grantId}", "getUserGrant", "okta.users.read", free, (*api).getUserConsent},
		{del, user + "/grants/{grantId}", "revokeUserGrant", "okta.users.manage", onUser, (*api).withdrawUserConsents},
		{get, user + "/clients/{clientId}/grants", "listGrantsForUserAndClient", "okta.users.read", free, (*api).listUserConsents},
		{del, user + "/clients/{clientId}/grants", "revokeGrantsForUserAndClient", "okta.users.manage", onUser, (*api).withdrawUserConsents},
		{del, user + "/sessions", "revokeUserSessions", "okta.users.manage", onUser, (*api).endUserSessions},
		{get, "/api/v1/sessions/{sessionId}", "getSession", "okta.sessions.read", free, (*api).getSession},
		{del, "/api/v1/sessions/{sessionId}", "revokeSession", "okta.sessions.manage", free, (*api).deleteSession},
		{post, "/api/v1/sessions/{sessionId}/lifecycle/refresh", "refreshSession", "okta.sessions.manage", free, (*api).refreshSession},

		{get, "/api/v1/policies", "listPolicies", "okta.policies.read", free, (*api).listAnyPolicies},
		{post, "/api/v1/policies", "createPolicy", "okta.policies.manage", free, (*api).createPeoplePolicy},
		{post, "/api/v1/policies/simulate", "createPolicySimulation", "okta.policies.read", free, (*api).simulatePolicies},
		{get, signOn, "getPolicy", "okta.policies.read", free, (*api).getAnyPolicy},
		{put, signOn, "replacePolicy", "okta.policies.manage", free, (*api).replacePeoplePolicy},
		{del, signOn, "deletePolicy", "okta.policies.manage", free, (*api).deletePeoplePolicy},
		{post, signOn + "/lifecycle/activate", "activatePolicy", "okta.policies.manage", free, (*api).activatePeoplePolicy},
		{post, signOn + "/lifecycle/deactivate", "deactivatePolicy", "okta.policies.manage", free, (*api).deactivatePeoplePolicy},
		{get, signOn + "/rules", "listPolicyRules", "okta.policies.read", free, (*api).listAnyRules},
		{post, signOn + "/rules", "createPolicyRule", "okta.policies.manage", free, (*api).createSessionRule},
		{get, signOnRule, "getPolicyRule", "okta.policies.read", free, (*api).getSessionRule},
		{put, signOnRule, "replacePolicyRule", "okta.policies.manage", free, (*api).replaceSessionRule},
		{del, signOnRule, "deletePolicyRule", "okta.policies.manage", free, (*api).deleteSessionRule},
		{post, signOnRule + "/lifecycle/activate", "activatePolicyRule", "okta.policies.manage", free, (*api).activateSessionRule},
		{post, signOnRule + "/lifecycle/deactivate", "deactivatePolicyRule", "okta.policies.manage", free, (*api).deactivateSessionRule},
		{get, "/api/v1/policies/{policyId}/mappings", "listPolicyMappings", "okta.policies.read", free, (*api).listMappings},

		{get, user + "/roles", "listAssignedRolesForUser", "okta.roles.read", free, held((*api).userHolder, (*api).listRoles)},
		{post, user + "/roles", "assignRoleToUser", "okta.roles.manage", free, held((*api).userHolder, (*api).assignRole)},
		{get, user + role, "getUserAssignedRole", "okta.roles.read", free, held((*api).userHolder, (*api).getRole)},
		{del, user + role, "unassignRoleFromUser", "okta.roles.manage", free, held((*api).userHolder, (*api).unassignRole)},
		{get, group + "/roles", "listGroupAssignedRoles", "okta.roles.read", free, held((*api).groupHolder, (*api).listRoles)},
		{post, group + "/roles", "assignRoleToGroup", "okta.roles.manage", free, held((*api).groupHolder, (*api).assignRole)},
		{get, group + role, "getGroupAssignedRole", "okta.roles.read", free, held((*api).groupHolder, (*api).getRole)},
		{del, group + role, "unassignRoleFromGroup", "okta.roles.manage", free, held((*api).groupHolder, (*api).unassignRole)},
		{post, GlobalRevocationPath, "globalTokenRevocation", "okta.universalLogout.manage", free, (*api).revokeEverything},

		{get, ClientsPath, "listClients", "okta.clients.read", free, (*api).listClients},
		{post, ClientsPath, "createClient", registerClients, free, (*api).createClient},
		{get, client, "getClient", "okta.clients.read", free, (*api).getClient},
		{put, client, "replaceClient", "okta.clients.manage", onClient, (*api).replaceClient},
		{del, client, "deleteClient", "okta.clients.manage", onClient, (*api).deleteClient},
		{post, client + "/lifecycle/newSecret", "generateNewClientSecret", "okta.clients.manage", onClient, (*api).newClientSecret},
		{get, client + "/roles", "listRolesForClient", "okta.roles.read", free, held((*api).appHolder, (*api).listRoles)},
		{post, client + "/roles", "assignRoleToClient", "okta.roles.manage", free, held((*api).appHolder, (*api).assignRole)},
		{get, client + role, "retrieveClientRole", "okta.roles.read", free, held((*api).appHolder, (*api).getRole)},
		{del, client + role, "deleteRoleFromClient", "okta.roles.manage", free, held((*api).appHolder, (*api).unassignRole)},

		{get, "/api/v1/zones", "listNetworkZones", "okta.networkZones.read", free, (*api).listZones},
		{post, "/api/v1/zones", "createNetworkZone", "okta.networkZones.manage", free, createIn(zones)},
		{get, zone, "getNetworkZone", "okta.networkZones.read", free, getIn(zones)},
		{put, zone, "replaceNetworkZone", "okta.networkZones.manage", free, replaceIn(zones)},
		{del, zone, "deleteNetworkZone", "okta.networkZones.manage", free, deleteIn(zones)},
		{post, zone + "/lifecycle/activate", "activateNetworkZone", "okta.networkZones.manage", free, statusIn(zones, access.Active)},
		{post, zone + "/lifecycle/deactivate", "deactivateNetworkZone", "okta.networkZones.manage", free, statusIn(zones, access.Inactive)},

		{get, "/api/v1/principal-rate-limits", "listPrincipalRateLimitEntities", "okta.principalRateLimits.read", free, (*api).listPrincipalLimits},
		{post, "/api/v1/principal-rate-limits", "createPrincipalRateLimitEntity", "okta.principalRateLimits.manage", free, (*api).createPrincipalLimit},
		{get, share, "getPrincipalRateLimitEntity", "okta.principalRateLimits.read", free, (*api).getPrincipalLimit},
		{put, share, "replacePrincipalRateLimitEntity", "okta.principalRateLimits.manage", free, (*api).replacePrincipalLimit},
		{get, rates + "warning-threshold", "getRateLimitSettingsWarningThreshold", "okta.rateLimits.read", free, getRates(warningThreshold())},
		{put, rates + "warning-threshold", "replaceRateLimitSettingsWarningThreshold", "okta.rateLimits.manage", free, putRates(warningThreshold())},
		{get, rates + "admin-notifications", "getRateLimitSettingsAdminNotifications", "okta.rateLimits.read", free, getRates(adminNotifications())},
		{put, rates + "admin-notifications", "replaceRateLimitSettingsAdminNotifications", "okta.rateLimits.manage", free, putRates(adminNotifications())},
		{get, rates + "per-client", "getRateLimitSettingsPerClient", "okta.rateLimits.read", free, getRates(perClientLimits())},
		{put, rates + "per-client", "replaceRateLimitSettingsPerClient", "okta.rateLimits.manage", free, putRates(perClientLimits())},

		{get, "/api/v1/inlineHooks", "listInlineHooks", "okta.inlineHooks.read", free, (*api).listHooks},
		{post, "/api/v1/inlineHooks", "createInlineHook", "okta.inlineHooks.manage", free, (*api).createHook},
		{get, hook, "getInlineHook", "okta.inlineHooks.read", free, (*api).getHook},
		{post, hook, "updateInlineHook", "okta.inlineHooks.manage", free, (*api).updateHook},
		{put, hook, "replaceInlineHook", "okta.inlineHooks.manage", free, (*api).replaceHook},
		{del, hook, "deleteInlineHook", "okta.inlineHooks.manage", free, (*api).deleteHook},
		{post, hook + "/execute", "executeInlineHook", "okta.inlineHooks.manage", free, (*api).executeHook},
		{post, hook + "/lifecycle/activate", "activateInlineHook", "okta.inlineHooks.manage", free, (*api).activateHook},
		{post, hook + "/lifecycle/deactivate", "deactivateInlineHook", "okta.inlineHooks.manage", free, (*api).deactivateHook},

		{get, "/api/v1/hook-keys", "listHookKeys", "okta.inlineHooks.read", free, (*api).listHookKeys},
		{post, "/api/v1/hook-keys", "createHookKey", "okta.inlineHooks.manage", free, (*api).createHookKey},
		{get, "/api/v1/hook-keys/{id}", "getHookKey", "okta.inlineHooks.read", free, (*api).getHookKey},
		{put, "/api/v1/hook-keys/{id}", "replaceHookKey", "okta.inlineHooks.manage", free, (*api).replaceHookKey},
		{del, "/api/v1/hook-keys/{id}", "deleteHookKey", "okta.inlineHooks.manage", free, (*api).deleteHookKey},
		{get, "/api/v1/hook-keys/public/{keyId}", "getPublicKey", "okta.inlineHooks.read", free, (*api).publicHookKey},

		{get, "/api/v1/trustedOrigins", "listTrustedOrigins", "okta.trustedOrigins.read", free, (*api).listOrigins},
		{post, "/api/v1/trustedOrigins", "createTrustedOrigin", "okta.trustedOrigins.manage", free, createIn(origins)},
		{get, origin, "getTrustedOrigin", "okta.trustedOrigins.read", free, getIn(origins)},
		{put, origin, "replaceTrustedOrigin", "okta.trustedOrigins.manage", free, replaceIn(origins)},
		{del, origin, "deleteTrustedOrigin", "okta.trustedOrigins.manage", free, deleteIn(origins)},
		{post, origin + "/lifecycle/activate", "activateTrustedOrigin", "okta.trustedOrigins.manage", free, statusIn(origins, access.Active)},
		{post, origin + "/lifecycle/deactivate", "deactivateTrustedOrigin", "okta.trustedOrigins.manage", free, statusIn(origins, access.Inactive)},

		{get, "/api/v1/api-tokens", "listApiTokens", "okta.apiTokens.read", free, (*api).listTokens},
		{get, "/api/v1/api-tokens/{apiTokenId}", "getApiToken", "okta.apiTokens.read", free, (*api).getToken},
		{put, "/api/v1/api-tokens/{apiTokenId}", "upsertApiToken", "okta.apiTokens.manage", onToken, (*api).replaceToken},
		{del, "/api/v1/api-tokens/{apiTokenId}", "revokeApiToken", "okta.apiTokens.manage", onToken, (*api).deleteToken},
		{del, "/api/v1/api-tokens/current", "revokeCurrentApiToken", anyone, free, (*api).deleteCurrentToken},

		{get, "/api/v1/idps", "listIdentityProviders", "okta.idps.read", free, (*api).listProviders},
		{post, "/api/v1/idps", "createIdentityProvider", "okta.idps.manage", free, (*api).createProvider},
		{get, "/api/v1/idps/credentials/keys", "listIdentityProviderKeys", "okta.idps.read", free, (*api).listProviderKeys},
		{post, "/api/v1/idps/credentials/keys", "createIdentityProviderKey", "okta.idps.manage", free, (*api).createProviderKey},
		{get, "/api/v1/idps/credentials/keys/{kid}", "getIdentityProviderKey", "okta.idps.read", free, (*api).getProviderKey},
		{del, "/api/v1/idps/credentials/keys/{kid}", "deleteIdentityProviderKey", "okta.idps.manage", free, (*api).deleteProviderKey},
		{get, idp, "getIdentityProvider", "okta.idps.read", free, (*api).getProvider},
		{put, idp, "replaceIdentityProvider", "okta.idps.manage", free, (*api).replaceProvider},
		{del, idp, "deleteIdentityProvider", "okta.idps.manage", free, (*api).deleteProvider},
		{post, idp + "/lifecycle/activate", "activateIdentityProvider", "okta.idps.manage", free, (*api).activateProvider},
		{post, idp + "/lifecycle/deactivate", "deactivateIdentityProvider", "okta.idps.manage", free, (*api).deactivateProvider},
		{get, idp + "/users", "listIdentityProviderApplicationUsers", "okta.idps.read", free, (*api).listLinks},
		{get, idp + "/users/{userId}", "getIdentityProviderApplicationUser", "okta.idps.read", free, (*api).getLink},
		{post, idp + "/users/{userId}", "linkUserToIdentityProvider", "okta.idps.manage", onUser, (*api).addLink},
		{del, idp + "/users/{userId}", "unlinkUserFromIdentityProvider", "okta.idps.manage", onUser, (*api).removeLink},

		{get, "/api/v1/logs", "listLogEvents", "okta.logs.read", free, (*api).listLogs},
	}
}
