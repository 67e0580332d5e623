package okta

import (
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/federation"
	"gatehouse/internal/ledger"
)

// providerBody is an identity provider as it is sent. Domains and mapping are ours: Okta
// has a policy and mappings of their own for these.
type providerBody struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Protocol struct {
		Type   string `json:"type"`
		Issuer struct {
			URL string `json:"url"`
		} `json:"issuer"`
		Scopes      []string `json:"scopes"`
		Credentials struct {
			Client struct {
				ID     string `json:"client_id"`
				Secret string `json:"client_secret"`
			} `json:"client"`
			Trust struct {
				Issuer   string   `json:"issuer"`
				Audience string   `json:"audience"`
				Kid      string   `json:"kid"`
				More     []string `json:"additionalKids"`
			} `json:"trust"`
		} `json:"credentials"`
		samlBody
	} `json:"protocol"`
	Policy struct {
		Link struct {
			Action string `json:"action"`
			Filter *struct {
				Groups struct {
					Include []string `json:"include"`
				} `json:"groups"`
			} `json:"filter"`
		} `json:"accountLink"`
		Provisioning struct {
			Action string `json:"action"`
			Master bool   `json:"profileMaster"`
			Groups struct {
				Action      string   `json:"action"`
				Assignments []string `json:"assignments"`
				Filter      []string `json:"filter"`
				Claim       string   `json:"sourceAttributeName"`
			} `json:"groups"`
			Conditions struct {
				Deprovisioned struct {
					Action string `json:"action"`
				} `json:"deprovisioned"`
				Suspended struct {
					Action string `json:"action"`
				} `json:"suspended"`
			} `json:"conditions"`
		} `json:"provisioning"`
		Subject struct {
			Template struct {
				Template string `json:"template"`
			} `json:"userNameTemplate"`
			Filter    string `json:"filter"`
			MatchType string `json:"matchType"`
		} `json:"subject"`
		Trust bool `json:"trustClaims"`
	} `json:"policy"`
	Domains []string          `json:"domains"`
	Mapping map[string]string `json:"mapping"`
}

// onto lays what was sent over a provider.
func (b *providerBody) onto(p *federation.Provider) error {
	if err := b.protocol(); err != nil {
		return err
	}
	conditions := b.Policy.Provisioning.Conditions
	if a := conditions.Deprovisioned.Action; a != "" && a != "NONE" {
		return unsupported("policy.provisioning.conditions.deprovisioned.action", "must be NONE: who was deactivated here is not let in by another system")
	}
	if a := conditions.Suspended.Action; a != "" && a != "NONE" {
		return unsupported("policy.provisioning.conditions.suspended.action", "must be NONE: who was suspended here is not let in by another system")
	}
	p.Name, p.Type = b.Name, or(b.Type, federation.OIDC)
	username := federation.DefaultUsername
	if p.Type == federation.SAML2 {
		username = federation.DefaultSAMLUsername
		b.ontoSAML(p)
	} else {
		b.ontoClient(p)
	}
	p.Domains = nil
	for _, d := range b.Domains {
		p.Domains = append(p.Domains, strings.ToLower(d))
	}
	p.Link, p.LinkGroups = or(b.Policy.Link.Action, federation.Auto), nil
	if f := b.Policy.Link.Filter; f != nil {
		p.LinkGroups = f.Groups.Include
	}
	v := b.Policy.Provisioning
	p.Create, p.Master = or(v.Action, federation.Auto), v.Master
	p.GroupAction, p.GroupClaim, p.GroupIDs = or(v.Groups.Action, federation.GroupsNone), v.Groups.Claim, v.Groups.Filter
	if p.GroupAction == federation.GroupsAssign {
		p.GroupIDs = v.Groups.Assignments
	}
	p.Username, p.Match = or(b.Policy.Subject.Template.Template, username), or(b.Policy.Subject.MatchType, federation.MatchUsername)
	p.Filter, p.Trust, p.Mapping = b.Policy.Subject.Filter, b.Policy.Trust, b.Mapping
	return nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// protocol refuses protocols that are not served.
func (b *providerBody) protocol() error {
	switch b.Protocol.Type {
	case "", "OIDC", "OAUTH2":
		return nil
	case "SAML2":
		if b.Type == federation.SAML2 {
			return b.Protocol.checkSAML()
		}
	}
	return unsupported("protocol.type", "must be OIDC, or SAML2 for a provider of the type SAML2: other protocols are not served")
}

// ontoClient lays what providers of OpenID Connect have over one.
func (b *providerBody) ontoClient(p *federation.Provider) {
	p.Issuer, p.ClientID, p.SAML = b.Protocol.Issuer.URL, b.Protocol.Credentials.Client.ID, nil
	p.SignOut, p.OwnCallback = b.Protocol.Settings.SignOut, b.Protocol.Settings.OwnCallback
	if p.Type == federation.Google {
		p.Issuer = or(p.Issuer, federation.GoogleIssuer)
	}
	p.Scopes = nil
	for _, s := range b.Protocol.Scopes {
		if s != "openid" {
			p.Scopes = append(p.Scopes, s)
		}
	}
	if b.Protocol.Scopes == nil {
		p.Scopes = []string{"profile", "email"}
	}
}

// readProvider reads a provider, and refuses one that would put people into groups whose
// rights the caller does not have.
func (a *api) readProvider(c *call) (b providerBody, err error) {
	if err := c.read(&b); err != nil {
		return b, err
	}
	groups := b.Policy.Provisioning.Groups
	if err := a.mayFill(c, append(append([]string(nil), groups.Assignments...), groups.Filter...)...); err != nil || b.Protocol.Metadata == "" {
		return b, err
	}
	return b, a.fromMetadata(c, &b)
}

func (a *api) listProviders(c *call) (answer, error) {
	limit, err := c.limit(20, 200)
	if err != nil {
		return answer{}, err
	}
	q, kind := strings.ToLower(c.FormValue("q")), c.FormValue("type")
	p, err := a.Providers.List(c.Context(), c.FormValue("after"), limit, func(o ledger.Object[federation.Provider]) bool {
		return strings.HasPrefix(strings.ToLower(o.Value.Name), q) && (kind == "" || o.Value.Type == kind)
	})
	if err != nil {
		return answer{}, err
	}
	return page(p.Items, p.Next, a.provider)
}

func (a *api) createProvider(c *call) (answer, error) {
	b, err := a.readProvider(c)
	if err != nil {
		return answer{}, err
	}
	p := federation.Provider{Status: federation.Active}
	if err := b.onto(&p); err != nil {
		return answer{}, err
	}
	o, err := a.Providers.Create(c.Context(), c.by(), p, b.Protocol.Credentials.Client.Secret)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.provider(o))
}

func (a *api) getProvider(c *call) (answer, error) {
	o, err := a.Providers.Provider(c.Context(), c.arg("idpId"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.provider(o))
}

func (a *api) replaceProvider(c *call) (answer, error) {
	b, err := a.readProvider(c)
	if err != nil {
		return answer{}, err
	}
	o, err := a.Providers.Change(c.Context(), c.by(), c.arg("idpId"), b.onto, b.Protocol.Credentials.Client.Secret)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.provider(o))
}

func (a *api) deleteProvider(c *call) (answer, error) {
	if err := a.Providers.Delete(c.Context(), c.by(), c.arg("idpId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) activateProvider(c *call) (answer, error) {
	return a.providerStatus(c, federation.Active)
}

func (a *api) deactivateProvider(c *call) (answer, error) {
	return a.providerStatus(c, federation.Inactive)
}

func (a *api) providerStatus(c *call, status string) (answer, error) {
	o, err := a.Providers.Change(c.Context(), c.by(), c.arg("idpId"), func(p *federation.Provider) error {
		p.Status = status
		return nil
	}, "")
	if err != nil {
		return answer{}, err
	}
	return ok(a.provider(o))
}

// provider shows a provider. Its secret is shown to nobody.
func (a *api) provider(o ledger.Object[federation.Provider]) object {
	v := o.Value
	groups := object{"action": v.GroupAction}
	switch v.GroupAction {
	case federation.GroupsAssign:
		groups["assignments"] = orEmpty(v.GroupIDs)
	case federation.GroupsAppend, federation.GroupsSync:
		groups["filter"], groups["sourceAttributeName"] = orEmpty(v.GroupIDs), v.GroupClaim
	}
	var filter any
	if len(v.LinkGroups) > 0 {
		filter = object{"groups": object{"include": v.LinkGroups}}
	}
	other := "deactivate"
	if v.Status != federation.Active {
		other = "activate"
	}
	out := object{
		"id": o.ID, "type": v.Type, "name": v.Name, "status": v.Status, "issuerMode": "DYNAMIC", "created": stamp(o.Created), "lastUpdated": stamp(o.Updated),
		"protocol": a.protocol(o),
		"policy": object{
			"accountLink": object{"action": v.Link, "filter": filter},
			"provisioning": object{
				"action": v.Create, "profileMaster": v.Master, "groups": groups,
				"conditions": object{"deprovisioned": object{"action": "NONE"}, "suspended": object{"action": "NONE"}},
			},
			"subject":      object{"userNameTemplate": object{"template": v.Username}, "filter": orNull(v.Filter), "matchType": v.Match, "matchAttribute": nil},
			"maxClockSkew": 0, "trustClaims": v.Trust,
		},
		"domains": orEmpty(v.Domains),
		"_links": object{
			"self":  ref(a.href("idps", o.ID), "GET", "PUT", "DELETE"),
			other:   ref(a.href("idps", o.ID, "lifecycle", other), "POST"),
			"users": ref(a.href("idps", o.ID, "users"), "GET"),
		},
	}
	if v.Mapping != nil {
		out["mapping"] = v.Mapping
	}
	links, _ := out["_links"].(object)
	if v.SAML == nil && v.Type != federation.LDAP {
		links["callback"] = ref(a.Providers.Callback(o), "GET")
	}
	if v.SAML != nil {
		links["metadata"], links["acs"] = ref(a.Providers.SAMLAddress(o.ID)+"/metadata", "GET"), ref(a.Providers.SAMLAddress(o.ID), "POST")
	}
	return out
}

// protocol shows how a provider is spoken to.
func (a *api) protocol(o ledger.Object[federation.Provider]) object {
	v := o.Value
	if v.SAML != nil {
		return a.samlProtocol(o)
	}
	if v.Type == federation.LDAP {
		return object{"type": "LDAP", "issuer": object{"url": v.Issuer}}
	}
	return object{
		"type": "OIDC", "issuer": object{"url": v.Issuer}, "scopes": append([]string{"openid"}, v.Scopes...),
		"credentials": object{"client": object{"client_id": v.ClientID}}, "settings": object{"participateSlo": v.SignOut, "ownCallback": v.OwnCallback},
	}
}

func (a *api) listLinks(c *call) (answer, error) {
	limit, err := c.limit(200, 200)
	if err != nil {
		return answer{}, err
	}
	p, err := a.Providers.LinksOf(c.Context(), c.arg("idpId"), c.FormValue("after"), limit)
	if err != nil {
		return answer{}, err
	}
	return page(p.Items, p.Next, a.identityLink)
}

// identityLink shows a link: as Okta does, under the id of the user.
func (a *api) identityLink(o ledger.Object[federation.Link]) object {
	return object{
		"id": o.Value.User, "externalId": o.Value.Subject, "created": stamp(o.Created), "lastUpdated": stamp(o.Updated),
		"profile": object{"username": o.Value.Name},
		"_links": object{
			"self": ref(a.href("idps", o.Value.Provider, "users", o.Value.User), "GET", "DELETE"),
			"idp":  ref(a.href("idps", o.Value.Provider), "GET"), "user": ref(a.href("users", o.Value.User), "GET"),
		},
	}
}

// linkUser returns the id of the user that the path names.
func (a *api) linkUser(c *call) (string, error) {
	u, err := a.findUser(c, c.arg("userId"))
	return u.ID, err
}

func (a *api) getLink(c *call) (answer, error) {
	user, err := a.linkUser(c)
	if err != nil {
		return answer{}, err
	}
	o, err := a.Providers.LinkOf(c.Context(), c.arg("idpId"), user)
	if err != nil {
		return answer{}, err
	}
	return ok(a.identityLink(o))
}

func (a *api) addLink(c *call) (answer, error) {
	var b struct {
		External string `json:"externalId"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	user, err := a.linkUser(c)
	if err != nil {
		return answer{}, err
	}
	o, err := a.Providers.AddLink(c.Context(), c.by(), federation.Link{Provider: c.arg("idpId"), Subject: b.External, User: user, Name: b.External})
	if f := fault.Of(err); f != nil && f.Code == fault.Invalid && len(f.Fields) == 0 {
		return answer{}, unsupported("externalId", "must be the provider's own id of the person, of at most 255 bytes")
	}
	if err != nil {
		return answer{}, taken(err, "externalId")
	}
	return ok(a.identityLink(o))
}

func (a *api) removeLink(c *call) (answer, error) {
	user, err := a.linkUser(c)
	if err != nil {
		return answer{}, err
	}
	if err := a.Providers.RemoveLink(c.Context(), c.by(), c.arg("idpId"), user); err != nil {
		return answer{}, err
	}
	return nothing()
}
