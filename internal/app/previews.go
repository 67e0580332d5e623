package app

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/client"
	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
)

// previewService says what would come of a token request. It implements
// admin.Previews.
type previewService struct{ id *identity }

// Preview implements admin.Previews.
func (s previewService) Preview(ctx context.Context, server string, r client.PreviewRequest) (client.Preview, error) {
	if r.IP != "" {
		if _, err := netip.ParseAddr(r.IP); err != nil {
			return client.Preview{}, fault.New(fault.Invalid, "%q is not an IP address", r.IP)
		}
	}
	if r.Risk != "" && (r.User == "" || !slices.Contains(access.RiskLevels(), r.Risk)) {
		return client.Preview{}, fault.New(fault.Invalid, "the risk is that of a user's sign-in: name the user, and LOW, MEDIUM or HIGH")
	}
	device, ok := previewedDevice(r.Device)
	if !ok {
		return client.Preview{}, fault.New(fault.Invalid, "%q is no device: name registered or managed, or leave it out", r.Device)
	}
	if r.MFA && r.User == "" {
		return client.Preview{}, fault.New(fault.Invalid, "an app signs in without a second factor: name the user")
	}
	target, err := s.id.target(ctx, server)
	if err != nil {
		return client.Preview{}, err
	}
	q := grant.PreviewRequest{Client: r.ClientID, GrantType: r.GrantType, Scopes: r.Scopes, Address: r.IP, Risk: r.Risk, Device: device}
	if r.User != "" {
		u, err := s.id.people.FindUser(ctx, r.User)
		if fault.Is(err, fault.NotFound) {
			u, err = s.id.people.User(ctx, r.User)
		}
		if err != nil {
			return client.Preview{}, err
		}
		q.User, q.AuthTime = u.ID, s.id.now()
		if r.MFA {
			q.AMR = secondFactor()
		}
	}
	if q.GrantType == "" {
		q.GrantType = access.GrantClientCredentials
		if q.User != "" {
			q.GrantType = access.GrantAuthorizationCode
		}
	}
	if (q.User == "") != (q.GrantType == access.GrantClientCredentials) {
		return client.Preview{}, fault.New(fault.Invalid, "client_credentials is for the app itself, every other grant type for a user: name one, or leave it out")
	}
	p, err := s.id.previewer.Preview(ctx, target, q)
	if err != nil {
		return client.Preview{}, err
	}
	return shownPreview(&p, q.GrantType), nil
}

// previewedDevice returns the device that a preview names.
func previewedDevice(name string) (d access.Device, ok bool) {
	switch name {
	case "":
		return access.Device{}, true
	case "registered":
		return access.Device{Registered: true}, true
	case "managed":
		return access.Device{Registered: true, Managed: true}, true
	}
	return access.Device{}, false
}

func shownPreview(p *grant.Preview, grantType string) client.Preview {
	out := client.Preview{
		Granted: p.Refusal == nil, GrantType: grantType, Scopes: p.Scopes, Considered: []client.ConsideredRule{},
		AccessToken: p.Access, IDToken: p.ID,
	}
	if p.Refusal != nil {
		out.Error, out.Reason, out.Description = grant.ErrorCode(p.Refusal), grant.ReasonOf(p.Refusal), fault.Of(p.Refusal).Message
	} else {
		out.AccessTokenSeconds = int64(p.Decision.AccessTokenLifetime.Seconds())
	}
	if h := p.Decision.Hook; h != nil {
		out.Hook = h.Name + " (" + h.ID + ")"
	}
	if p.Refresh {
		out.RefreshToken = &client.PreviewedRefresh{
			Seconds: int64(p.Decision.RefreshLifetime.Seconds()), IdleSeconds: int64(p.Decision.RefreshWindow.Seconds()),
		}
	}
	for _, c := range p.Considered {
		out.Considered = append(out.Considered, client.ConsideredRule(c))
	}
	for i := range p.Claims {
		out.Claims = append(out.Claims, shownClaim(&p.Claims[i]))
	}
	return out
}

func shownClaim(c *access.ClaimStep) client.PreviewedClaim {
	out := client.PreviewedClaim{
		ID: c.ID, Name: c.Name, Token: "id", ValueType: c.ValueType, Source: c.Source, Scopes: c.Scopes, Included: c.Included, Reason: c.Reason,
	}
	if c.ClaimType == access.ClaimResource {
		out.Token = "access"
	}
	if c.Err != nil {
		out.Error = strings.TrimPrefix(c.Err.Error(), "grant: ")
	}
	if c.Value != nil {
		out.Value, _ = json.Marshal(c.Value) // what comes out of an expression can be written
	}
	return out
}
