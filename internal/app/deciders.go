package app

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"

	"gatehouse/internal/decide"
	"gatehouse/internal/extauthz"
	"gatehouse/internal/keys"
	"gatehouse/internal/settings"
	"gatehouse/internal/telemetry"
)

// trust says who may ask for decisions.
func (a *App) trust() decide.Trust {
	t := decide.Trust{Networks: a.settings.Decide.Allow}
	if want := a.settings.Decide.Token; want != "" {
		t.Token = func(token string) bool { return keys.Equal(token, want) }
	}
	return t
}

// decideConfig is what every address that answers with decisions is made of.
func (a *App) decideConfig() decide.Config {
	return decide.Config{Decider: a.node.gateway, Trust: a.trust(), Logger: a.log, CertificateHeader: a.settings.Decide.ClientCertHeader}
}

// consoleDecideConfig is the same for the console listener, which answers this
// machine alone whatever else is allowed.
func (a *App) consoleDecideConfig() decide.Config {
	c := a.decideConfig()
	c.Trust.Networks = nil
	return c
}

// listenForDeciders opens the listeners that server.decide asks for.
func (a *App) listenForDeciders(open func(name, with, address string) net.Listener, l *listeners) {
	scheme := "http"
	if a.settings.Decide.TLS.Cert != "" {
		scheme = "https"
	}
	if at := a.settings.Decide.Listen; at != "" {
		if l.decide = open("decide", "server.decide.listen", at); l.decide != nil {
			a.addresses.Decide = scheme + "://" + reachable(l.decide.Addr())
		}
	}
	if at := a.settings.Decide.Envoy; at != "" {
		if l.envoy = open("envoy", "server.decide.envoy", at); l.envoy != nil {
			a.addresses.Envoy = reachable(l.envoy.Addr())
		}
	}
}

// serveDeciders starts what answers on those listeners.
func (a *App) serveDeciders(l listeners) error {
	secure, err := gatewayTLS(settings.Gateway{CertFile: a.settings.Decide.TLS.Cert, KeyFile: a.settings.Decide.TLS.Key})
	if err != nil {
		return err
	}
	if ln := l.decide; ln != nil {
		var own *tls.Config
		if secure != nil {
			own = secure.Clone()
			own.NextProtos = []string{"http/1.1"}
		}
		a.serveHTTP(telemetry.Decide, ln, own, secured(a.decideHandler()))
	}
	if l.envoy != nil {
		s := extauthz.New(extauthz.Config{Decider: a.node.gateway, Trust: a.trust(), TLS: secure, Logger: a.log})
		a.run("envoy", func() error { return s.Serve(l.envoy) }, func(ctx context.Context) error { return s.Shutdown(ctx) })
	}
	return nil
}

// handleAuthZEN serves AuthZEN's addresses.
func handleAuthZEN(mux *http.ServeMux, h http.Handler) {
	mux.Handle("/access/v1/", h)
	mux.Handle("/.well-known/authzen-configuration", h)
}

// decideHandler serves the listener of decisions, and nothing else.
func (a *App) decideHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /authz/forward", decide.NewForward(a.decideConfig()))
	mux.Handle("POST /gatehouse/v1/authz", decide.NewNative(a.decideConfig()))
	handleAuthZEN(mux, decide.NewAuthZEN(a.decideConfig(), a.node.gateway))
	return mux
}
