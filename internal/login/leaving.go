package login

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/federation"
	"gatehouse/internal/keys"
	"gatehouse/internal/session"
)

// Leaver signs people out at the providers at which they have signed in.
type Leaver interface {
	// Remember notes that a session was begun by a sign-in at a provider.
	Remember(ctx context.Context, session string, until time.Time, out federation.Outcome) error
	// SignOut returns where the browser goes to be signed out there, and that provider;
	// empty: nowhere. keep stores what follows, and returns its name.
	SignOut(ctx context.Context, session string, keep func() (state string, err error)) (to federation.Choice, address string, err error)
}

// leave leads the browser to where it goes after its session has ended: by way of the
// provider at which it was begun, where that one is to be told. What fails on that way
// keeps nobody signed in here.
func (s *Server) leave(w http.ResponseWriter, r *http.Request, ended string, q SignOut) {
	if s.cfg.Federation == nil || ended == "" {
		s.left(w, r, q)
		return
	}
	to, there, err := s.cfg.Federation.SignOut(r.Context(), ended, func() (string, error) { //nolint:contextcheck // the request carries it
		data, err := json.Marshal(q)
		if err == nil {
			err = s.cfg.Waiting.Admit(r.Context(), session.From{Network: address(r)})
		}
		if err != nil {
			return "", err
		}
		return s.cfg.Waiting.Add(r.Context(), session.PurposeLeaving, keys.Hash(s.browser(w, r)), data, awayTime)
	})
	if err != nil {
		s.cfg.Log.LogAttrs(r.Context(), slog.LevelWarn, "a person is signed out here and not at their provider", slog.Any("error", err))
	}
	v := &visit{w: w, r: r}
	switch {
	case err != nil || there == "":
		s.left(w, r, q)
	case r.Method == http.MethodGet:
		v.redirect(there)
	default:
		// A page and no redirect, as on the way to a sign-in.
		w.Header().Set("Refresh", "0;url="+there)
		s.tell(w, r, s.languageFor(r, q.Locales, time.Time{}), http.StatusOK, notice{
			heading: "leaving_title", text: "leaving_text", fill: []any{"provider", to.Name}, link: there, label: "provider_continue",
		})
	}
}

// serveLeft takes a browser that a provider sends back.
func (s *Server) serveLeft(w http.ResponseWriter, r *http.Request) {
	browser := s.cfg.Kit.Cookie(r, browserCookie)
	wait, err := s.cfg.Waiting.Find(r.Context(), session.PurposeLeaving, r.URL.Query().Get("state"))
	if err == nil && (browser == "" || !keys.Equal(wait.Browser, keys.Hash(browser))) {
		err = fault.New(fault.NotFound, "another browser was sent")
	}
	var first bool
	if err == nil {
		first, err = s.cfg.Waiting.Take(r.Context(), &wait)
	}
	var q SignOut
	if err == nil && first {
		err = json.Unmarshal(wait.Data, &q)
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		s.lost(w, r, err)
		return
	}
	s.left(w, r, q) // whoever has nothing to come back to is signed out all the same
}
