package federation

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// authority reports whether the provider is the authority for an address, and vouches for
// the person as one of its own.
func (p someone) authority(address string) bool {
	return p.declared(address) && p.vouched(address)
}

// declared reports whether an address is of one of the provider's domains.
func (p someone) declared(address string) bool {
	d := domainOf(address)
	return d != "" && slices.Contains(p.provider.Domains, d)
}

// vouched reports whether the provider stands for an address of its domains as this person's. A
// provider has people for whose addresses it does not, and says so in its own way (attack
// identity 68).
func (p someone) vouched(address string) bool {
	if v, said := p.truth("email_verified"); said && !v {
		return false // such as those whom a Keycloak lets register
	}
	switch p.provider.kind() {
	case Google:
		// Anybody can make a Google account with an address of a domain that is not Google's, and
		// keeps it when the address is taken from them. Google is the authority for the
		// accounts of an organization, which hd names, and for its own mailboxes
		// (https://developers.google.com/identity/openid-connect/openid-connect#an-id-tokens-payload).
		if d := domainOf(address); d == "gmail.com" || d == "googlemail.com" {
			return true
		}
		hd := strings.ToLower(p.text("hd"))
		return hd != "" && slices.Contains(p.provider.Domains, hd)
	case Microsoft:
		// Guests are at home elsewhere, and their address is what it is there; of an address
		// whose domain the tenant has not proved, anybody may be called
		// (https://learn.microsoft.com/entra/identity-platform/optional-claims-reference: acct, xms_edov).
		if guest, said := p.truth("acct"); said && guest {
			return false
		}
		edov, said := p.truth("xms_edov")
		return edov || !said
	}
	return true
}

// kind returns the type of a provider, by its issuer where the type leaves that open.
func (p Provider) kind() string {
	u, err := url.Parse(p.Issuer)
	switch {
	case p.Type != OIDC || err != nil:
		return p.Type
	case p.Issuer == GoogleIssuer:
		return Google
	case strings.EqualFold(u.Hostname(), "login.microsoftonline.com"):
		return Microsoft
	}
	return p.Type
}

// truth returns a claim that is true or false; providers write that in more ways than one.
func (p someone) truth(name string) (v, said bool) {
	claim, there := p.claims.Claim(name)
	if !there || claim == nil {
		return false, false
	}
	switch strings.ToLower(fmt.Sprint(claim)) {
	case "true", "1":
		return true, true
	}
	return false, true
}

// proved reports whether an address is theirs: the provider is the authority for it, or
// says that it has verified it. For an address of its domains that is not enough.
func (p someone) proved(address string) bool {
	if p.declared(address) {
		return p.vouched(address)
	}
	v, _ := p.claims.Claim("email_verified")
	return (v == true || v == "true") && domainOf(address) != "" && strings.EqualFold(address, p.text("email"))
}

// withheld reports whether the provider has left out the groups of which the person's are
// to be made: Entra does for who has very many, and says where they could be asked for
// (OpenID Connect Core section 5.6.2; in SAML by the attribute groups.link). Nobody is
// signed in with none of their groups, or with those of before.
func (p someone) withheld() bool {
	if p.provider.GroupAction != GroupsAppend && p.provider.GroupAction != GroupsSync {
		return false
	}
	v, _ := p.claims.Claim("_claim_names")
	elsewhere, _ := v.(map[string]any)
	if _, there := elsewhere[p.provider.GroupClaim]; there {
		return true
	}
	if p.provider.GroupClaim != "groups" {
		return false
	}
	has, _ := p.truth("hasgroups")
	_, link := p.claims.Claim("groups_link")
	return has || link
}

// elsewhere refuses an address for whose domain another provider is the authority: else
// somebody could wait in an account for the person whose address it is.
func (s *Service) elsewhere(ctx context.Context, provider string, addresses ...string) error {
	return s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		for _, a := range addresses {
			d := domainOf(a)
			if d == "" {
				continue
			}
			o, err := Providers.Find(tx, ledger.By("domain", d))
			switch {
			case fault.Is(err, fault.NotFound):
			case err != nil:
				return err
			case o.ID != provider && s.inUse(o.Value):
				return refused("ANOTHER_AUTHORITY", "Your account there cannot be used here.")
			}
		}
		return nil
	})
}
