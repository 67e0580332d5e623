package login

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/keys"
	"gatehouse/internal/risk"
)

// Places remembers with what and from where people have signed in.
type Places interface {
	// KnownPlaces returns those of a user, the last first.
	KnownPlaces(ctx context.Context, user string) ([]risk.Visit, error)
	RememberPlace(ctx context.Context, user string, v risk.Visit) error
	ForgetPlaces(ctx context.Context, user string) error
}

// Atlas knows where addresses are. It is internal/geo with the operator's files.
type Atlas interface {
	Country(netip.Addr) ([2]byte, bool)
	ASN(netip.Addr) (uint32, bool)
	// Location returns degrees.
	Location(netip.Addr) (latitude, longitude float64, ok bool)
}

// deviceCookie names a browser for as long as it keeps cookies. Its value is 256 random
// bits, which nobody can make up, so it needs no signature.
const deviceCookie = "gatehouse_device"

// deviceTime is how long a browser is known that does not come back.
const deviceTime = 180 * 24 * time.Hour

// deviceOf is how the store names a browser: apart for each person, so that it does not
// tell who shares one.
func deviceOf(user, secret string) string {
	if len(secret) < 32 {
		return ""
	}
	return keys.Hash("device\x00" + user + "\x00" + secret)
}

// here returns with what and from where a request of a user comes.
func (s *Server) here(r *http.Request, user string) risk.Visit {
	a := address(r).WithZone("")
	v := risk.Visit{Device: deviceOf(user, s.cfg.Kit.Cookie(r, deviceCookie)), Network: networkOf(a), Last: s.cfg.Now()}
	if s.cfg.Atlas == nil || !a.IsValid() {
		return v
	}
	if code, ok := s.cfg.Atlas.Country(a); ok {
		v.Country = string(code[:])
	}
	if n, ok := s.cfg.Atlas.ASN(a); ok {
		v.Network = "AS" + strconv.FormatUint(uint64(n), 10)
	}
	v.Latitude, v.Longitude, v.Located = s.cfg.Atlas.Location(a)
	return v
}

// networkOf is the network of an address as far as it shows by itself: its /24, or the
// /48 of IPv6.
func networkOf(a netip.Addr) string {
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// assess compares a sign-in with the ones of before. Failed is how many wrong passwords
// came right before it.
func (s *Server) assess(r *http.Request, user string, failed int) (risk.Assessment, error) {
	known, err := s.cfg.Places.KnownPlaces(r.Context(), user)
	if err != nil {
		return risk.Assessment{}, err
	}
	return risk.Assess(s.cfg.Now(), s.here(r, user), known, failed), nil
}

// remember notes where the person of the visit has signed in, once everything that was
// asked for has been shown: until then it stays new. A browser that has no name gets one.
func (s *Server) remember(v *visit) error {
	if v.session == nil || v.session.Created.Before(v.req.Created) && v.session.AuthTime.Before(v.req.Created) {
		return nil // signed in before
	}
	secret := s.cfg.Kit.Cookie(v.r, deviceCookie)
	if len(secret) < 32 {
		secret = keys.Secret(256)
	}
	s.cfg.Kit.KeepCookie(v.w, deviceCookie, secret, deviceTime)
	here := s.here(v.r, v.user.ID)
	here.Device = deviceOf(v.user.ID, secret)
	return s.cfg.Places.RememberPlace(v.ctx(), v.user.ID, here)
}

// noteRisk adds to an event of the system log what is new about a sign-in.
func noteRisk(e *audit.Event, level risk.Level, a *risk.Assessment) {
	if e.Debug == nil {
		e.Debug = map[string]string{}
	}
	e.Debug["risk"], e.Debug["riskReasons"] = string(level), a.Explain()
	for _, code := range a.Codes() {
		e.Debug["signal."+code] = "true"
	}
}

// signalWords are the keys of the texts that say a signal to the person.
func signalWords() []struct{ code, key string } {
	return []struct{ code, key string }{
		{risk.NewDevice, "risk_device"},
		{risk.NewPlace, "risk_network"},
		{risk.NewLand, "risk_country"},
		{risk.Travel, "risk_travel"},
		{risk.Failures, "risk_failures"},
	}
}

// novelties says what was new about a sign-in that an event records.
func (s *Server) novelties(lang string, e *audit.Event) (out []string) {
	for _, w := range signalWords() {
		if e.Debug["signal."+w.code] != "" {
			out = append(out, s.say(lang, w.key))
		}
	}
	return out
}
