package app

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"time"

	"gatehouse/client"
	"gatehouse/internal/decide"
	"gatehouse/internal/fault"
	"gatehouse/internal/gateway"
)

// decisions answers the management API from the gateway. It implements admin.Decisions.
type decisions struct{ gateway *gateway.Gateway }

func (d decisions) Explain(ctx context.Context, h client.Hypothetical) (client.Decision, error) {
	q := gateway.Hypothetical{
		Method: h.Method, Host: h.Host, Path: h.Path, Header: h.Headers, Token: h.Token,
		User: h.User, Client: h.ClientID, Scopes: h.Scopes, Groups: h.Groups, Issuer: h.Issuer, ACR: h.ACR,
		Roles: h.Roles, Country: h.Country, ASN: h.ASN, At: h.At,
	}
	if h.MFA != "" {
		age, err := time.ParseDuration(h.MFA)
		if err != nil || age < 0 {
			return client.Decision{}, fault.New(fault.Invalid, "%q is no age such as 2m", h.MFA)
		}
		q.SignIn, q.AMR = &age, secondFactor()
	}
	if h.From != "" {
		from, err := netip.ParseAddr(h.From)
		if err != nil {
			return client.Decision{}, fault.New(fault.Invalid, "%q is no IP address", h.From)
		}
		q.From = from
	}
	t, err := d.gateway.Explain(ctx, q)
	if err != nil {
		return client.Decision{}, err
	}
	return traceForClient(t), nil
}

// Authz implements admin.Decisions.
func (d decisions) Authz(ctx context.Context, q client.AuthzQuestion) (client.AuthzAnswer, error) {
	return decide.Ask(ctx, d.gateway, q)
}

func (d decisions) Decision(_ context.Context, requestID string) (client.Decision, error) {
	t, ok := d.gateway.Decision(requestID)
	if !ok {
		return client.Decision{}, fault.New(fault.NotFound, "no request %q is remembered here: the gateway keeps the last few thousand", requestID)
	}
	return traceForClient(t), nil
}

func (d decisions) Tail(ctx context.Context, api string, denied bool) (<-chan client.Decision, error) {
	in := d.gateway.Tail(ctx, gateway.DecisionFilter{API: api, Denied: denied})
	out := make(chan client.Decision)
	go func() { // ends with in, which ends with ctx
		defer close(out)
		for one := range in {
			select {
			case out <- decisionForClient(one):
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

func traceForClient(t gateway.Trace) client.Decision {
	d := decisionForClient(t.Decision)
	for _, s := range t.Steps {
		d.Steps = append(d.Steps, client.Step(s))
	}
	return d
}

func decisionForClient(d gateway.Decision) client.Decision {
	out := client.Decision{
		RequestID: d.ID, Time: d.Time, Method: d.Method, Host: d.Host, Path: d.Path, API: d.API, Route: d.Route,
		Client: d.ClientID, User: d.User, Status: d.Status, Decision: "allow", Reason: d.Reason, Detail: d.Detail,
		Millis: float64(d.Duration) / float64(time.Millisecond), Revision: d.Revision,
	}
	if d.ClientIP.IsValid() {
		out.IP = d.ClientIP.String()
	}
	switch {
	case d.Reason == "":
	case d.Status == http.StatusUnauthorized:
		out.Decision = "challenge"
	default:
		out.Decision = "deny"
	}
	return out
}

func jsonTo(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }
