package access

import (
	"gatehouse/internal/ledger"
)

// The kinds of this room. A kind holds no state.
var (
	// Servers are authorization servers, unique by name.
	Servers = ledger.NewKind(ledger.Spec[Server]{
		Name: "authorization_server", IDPrefix: "aus",
		Keys:  func(s Server) []ledger.Key { return []ledger.Key{ledger.By("name", s.Name)} },
		Check: checkServer,
	})
	// Scopes are unique by name within their server and go with it.
	Scopes = ledger.NewKind(ledger.Spec[Scope]{
		Name: "scope", IDPrefix: "scp",
		Keys:  func(s Scope) []ledger.Key { return []ledger.Key{ledger.By("name", s.Server, s.Name)} },
		Refs:  func(s Scope) []ledger.Ref { return []ledger.Ref{ofServer(s.Server)} },
		Check: checkScope,
	})
	// Apps are OAuth clients, unique by the client_id that was chosen for them.
	Apps = ledger.NewKind(ledger.Spec[App]{
		Name: "app", IDPrefix: "0oa", Secrets: []string{"secrets.*.sealed", "certificates.*.sealed"},
		Keys: func(a App) []ledger.Key {
			if a.ClientID == "" {
				return nil
			}
			return []ledger.Key{ledger.By("client_id", a.ClientID)}
		},
		Index: func(a App) []ledger.Key {
			return []ledger.Key{ledger.By("label", a.Label), ledger.By("status", string(a.Status), a.Label)}
		},
		Refs: func(a App) []ledger.Ref {
			return []ledger.Ref{{Field: "oidc.signOnPolicy", Kind: "sign_on_policy", ID: a.OIDC.SignOnPolicy}}
		},
		Check: checkApp,
	})
	// Policies are unique by name and by priority within their server and go with it.
	Policies = ledger.NewKind(ledger.Spec[Policy]{
		Name: "access_policy", IDPrefix: "00p",
		Keys: func(p Policy) []ledger.Key {
			return []ledger.Key{
				ledger.By("name", p.Server, p.Name),
				ledger.By("priority", p.Server, ledger.Sortable(int64(p.Priority))),
			}
		},
		Refs: func(p Policy) []ledger.Ref {
			refs := []ledger.Ref{ofServer(p.Server)}
			for _, c := range p.Conditions.Clients.Include {
				if c != AllClients {
					refs = append(refs, ledger.Ref{Field: "conditions.clients.include", Kind: "app", ID: c})
				}
			}
			return refs
		},
		Check: checkPolicy,
	})
	// Rules are unique by name and by priority within their policy and go with it.
	Rules = ledger.NewKind(ledger.Spec[Rule]{
		Name: "access_rule", IDPrefix: "0pr", SharesPrefix: true,
		Keys: func(r Rule) []ledger.Key {
			return []ledger.Key{
				ledger.By("name", r.Policy, r.Name),
				ledger.By("priority", r.Policy, ledger.Sortable(int64(r.Priority))),
			}
		},
		Refs:  ruleRefs,
		Check: checkRule,
	})
)

// Kinds returns the kinds of this room, for a ledger's registry.
func Kinds() []ledger.AnyKind {
	return []ledger.AnyKind{Servers, Scopes, Claims, Apps, AppUsers, AppGroups, SignOnPolicies, Zones, Origins, InlineHooks, HookKeys, Policies, Rules, PeoplePolicies, SessionRules, RoleAssignments, PrincipalLimits, RateSettingsKind, APITokens, APIKeys, Consents}
}

func ofServer(id string) ledger.Ref {
	return ledger.Ref{Field: "server", Kind: "authorization_server", ID: id, OnDelete: ledger.Cascade}
}

func ruleRefs(r Rule) []ledger.Ref {
	refs := []ledger.Ref{
		ofServer(r.Server),
		{Field: "policy", Kind: "access_policy", ID: r.Policy, OnDelete: ledger.Cascade},
	}
	refs = namedPeople(refs, r.Conditions.People)
	if id := r.Actions.Token.InlineHook; id != "" {
		refs = append(refs, ledger.Ref{Field: "actions.token.inlineHook", Kind: "inline_hook", ID: id})
	}
	return namedZones(refs, r.Conditions.Network)
}

// named adds references to what a condition names by id.
func named(refs []ledger.Ref, field, kind string, ids []string) []ledger.Ref {
	for _, id := range ids {
		if id != Everyone && id != AllZones {
			refs = append(refs, ledger.Ref{Field: field, Kind: kind, ID: id})
		}
	}
	return refs
}

func namedPeople(refs []ledger.Ref, p People) []ledger.Ref {
	refs = named(refs, "conditions.people.users.include", "user", p.Users.Include)
	refs = named(refs, "conditions.people.users.exclude", "user", p.Users.Exclude)
	refs = named(refs, "conditions.people.groups.include", "group", p.Groups.Include)
	return named(refs, "conditions.people.groups.exclude", "group", p.Groups.Exclude)
}

func namedZones(refs []ledger.Ref, n *NetworkCondition) []ledger.Ref {
	include, exclude := n.zones()
	refs = named(refs, "conditions.network.include", "network_zone", include)
	return named(refs, "conditions.network.exclude", "network_zone", exclude)
}
