// Command orders is an example of a service behind a Gatehouse. It believes nobody
// but the gateway: every request carries X-Gatehouse-Context, a JWT that the gateway
// has signed for this API a moment ago, and package verify checks it. It must not know
// the gateway's internals: keys and issuer come from its identity address.
//
//	orders -identity http://127.0.0.1:8081 -api orders
package main

import (
	"encoding/json"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"time"

	"gatehouse/verify"
)

func main() {
	identity := flag.String("identity", "http://127.0.0.1:8081", "identity address of the Gatehouse")
	api := flag.String("api", "orders", "name of the API in its configuration")
	listen := flag.String("listen", "127.0.0.1:9000", "address to listen on")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	handler, keys, err := newHandler(*identity, *api)
	if err != nil {
		log.Error("the keys of the gateway", "error", err)
		return
	}
	defer func() { _ = keys.Close() }()
	server := &http.Server{Addr: *listen, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	log.Error("served until", "error", server.ListenAndServe())
}

// newHandler returns the service, and the keys that it checks with; close them.
func newHandler(identity, api string) (http.Handler, *verify.RemoteKeys, error) {
	keys, err := verify.NewRemoteKeys(verify.RemoteConfig{Issuer: identity, JWKSURL: identity + "/.well-known/gatehouse/jwks.json"})
	if err != nil {
		return nil, nil, err
	}
	verifier, err := verify.New(verify.Config{Issuers: []verify.Issuer{verify.ContextIssuer(identity, keys, api)}})
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", showOrder)
	only := verify.Middleware(verify.MiddlewareConfig{Verifier: verifier, Header: verify.ContextHeader, Scopes: []string{"orders:read"}})
	return only(mux), keys, nil
}

// showOrder answers with the order and who has asked for it.
func showOrder(w http.ResponseWriter, r *http.Request) {
	caller, ok := verify.FromContext(r.Context())
	if !ok {
		http.Error(w, "nobody is calling", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"order": r.PathValue("id"), "for": caller.ClientID}) // the caller may have gone
}
