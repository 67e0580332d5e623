package login

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
)

// The values of response_type beside code: what the authorization endpoint gives
// directly (RFC 6749 section 4.2, OpenID Connect Core section 3.2), for apps that have
// the grant type implicit.
const (
	ResponseToken   = "token"
	ResponseIDToken = "id_token"
)

// direct reports whether the app asks for tokens at the authorization endpoint.
func (q *Request) direct() bool {
	return slices.Contains(q.ResponseType, ResponseToken) || slices.Contains(q.ResponseType, ResponseIDToken)
}

// direct makes the tokens that the app has asked for.
func (s *Server) direct(v *visit, a grant.Authorization) (answer, error) {
	got, err := s.cfg.Codes.Direct(v.ctx(), v.target, a, grant.Wanted{
		AccessToken: slices.Contains(v.req.ResponseType, ResponseToken), IDToken: slices.Contains(v.req.ResponseType, ResponseIDToken),
	})
	if err != nil {
		return nil, protocolError(err)
	}
	var out answer
	if got.AccessToken != "" {
		out = answer{{"access_token", got.AccessToken}, {"token_type", got.TokenType}, {"expires_in", strconv.Itoa(int(got.ExpiresIn / time.Second))}, {"scope", strings.Join(got.Scopes, " ")}}
	}
	if got.IDToken != "" {
		out = append(out, [2]string{"id_token", got.IDToken})
	}
	return out, nil
}

// CheckPassword checks a password that did not come by the page: every attempt counts
// with those of the page, for the person and for the network, and the system log has
// it. It is fault.Denied for who may not sign in and fault.RateLimited for a network
// that has tried too often. The request's context carries the tenant; client is the app
// that has seen the password.
func (s *Server) CheckPassword(r *http.Request, client, identifier, password string) (string, error) {
	now := s.cfg.Now()
	if s.networkFull(r, now) > 0 {
		return "", fault.New(fault.RateLimited, "there were too many attempts to sign in from the network")
	}
	user, failed, err := s.judge(r.Context(), identifier, password, now)
	if err == nil {
		// Nothing here can ask for a second factor: who needs one does not sign in so
		// (attack identity 64).
		rule, ruled := s.ruling(r, user.ID, signals{new: true, failed: failed})
		if ruled != nil {
			return "", ruled
		}
		expired, ruled := s.expired(r.Context(), true, user)
		if ruled == nil && expired {
			ruled = fault.New(fault.Denied, "the password has expired: it opens nothing but its own replacement")
		}
		if ruled == nil && (!rule.Allowed() || rule.RequireFactor) {
			ruled = fault.New(fault.Denied, "the sign-on policy does not allow a sign-in by the password alone")
		}
		if ruled == nil {
			ruled = s.admits(client, rule)
		}
		if ruled != nil {
			s.recordDenial(r.Context(), r, user, rule)
			return "", ruled
		}
	}
	if fault.Is(err, fault.Denied) {
		s.recordSignIn(&visit{r: r}, identifier, nil, fault.Of(err).Reason) //nolint:contextcheck // the context of a visit is its request's
	}
	if err != nil {
		return "", err
	}
	return user.ID, nil
}
