package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"gatehouse/client"
	"gatehouse/internal/geo/geotest"
)

const decideToken = "a-token-of-at-least-32-characters!"

// decideServer is the server section of a file whose decisions others ask for. The
// token comes from a file, since the file itself may not hold it.
func decideServer(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(decideToken), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("server:\n  decide: { listen: \"127.0.0.1:0\", envoy: \"127.0.0.1:0\", token: \"${file:%s}\" }\n", path)
}

// post sends JSON and returns the answer.
func (p *program) post(address, body string, header ...string) answer {
	return p.request(http.MethodPost, address, "", body, append([]string{"Content-Type", "application/json"}, header...)...)
}

// The same decision for a program that asks with the management API's token, on the
// listener of decisions, and by an administrator's client.
func TestProgramsAsk(t *testing.T) {
	up := echoUpstream(t, nil)
	p := start(t, write(t, strings.Replace(fmt.Sprintf(forwardAPI, up.URL), "version: 1\n", "version: 1\n"+decideServer(t), 1)))
	token := p.token("vacations:read")
	q := client.AuthzQuestion{
		Method: "GET", Scheme: "https", Host: "api.test", Path: "/hr/vacations/ana", ClientIP: "192.0.2.9",
		Headers: map[string][]string{"Authorization": {"Bearer " + token}, "X-User-ID": {"root"}, "X-Original-URL": {"/hr/health"}},
	}
	a, err := p.admin().Authz(t.Context(), q)
	if err != nil || a.Decision != "allow" || a.Headers["X-Client-Id"] != p.Ready().Demo.ClientID {
		t.Fatalf("%+v %v", a, err)
	}
	for _, name := range []string{"Authorization", "X-User-Id"} {
		if !slices.Contains(a.Remove, name) {
			t.Errorf("%s is not to be removed: %v", name, a.Remove)
		}
	}
	if d, err := p.decision(a.RequestID); err != nil || d.IP != "192.0.2.9" || d.Decision != "allow" {
		t.Errorf("explained as %+v %v", d, err)
	}
	body, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	at := p.Ready().Decide + "/gatehouse/v1/authz"
	if got := p.post(at, string(body), "Authorization", "Bearer "+decideToken); got.Status != 200 || got.json(t)["decision"] != "allow" {
		t.Errorf("listener: %d %s", got.Status, got.Body)
	}
	for name, got := range map[string]answer{
		"no token":               p.post(at, string(body)),
		"an administrator's":     p.post(at, string(body), "Authorization", "SSWS "+p.Ready().APIToken),
		"console, not an SSWS":   p.post(p.Ready().Console+"/gatehouse/v1/authz", string(body), "Authorization", "Bearer "+decideToken),
		"identity, without any":  p.post(p.Ready().Identity+"/gatehouse/v1/authz", string(body)),
		"identity, a caller's":   p.post(p.Ready().Identity+"/gatehouse/v1/authz", string(body), "Authorization", "Bearer "+token),
		"listener, a caller's":   p.post(at, string(body), "Authorization", "Bearer "+token),
		"forward without token":  p.request("GET", p.Ready().Decide+"/authz/forward", token, ""),
		"console's, no token":    p.request("GET", p.Ready().Console+"/authz/forward", token, ""),
		"listener, other things": p.request("GET", p.Ready().Decide+"/gatehouse/v1/status", token, "", "Authorization", "SSWS "+p.Ready().APIToken),
	} {
		if got.Status != 401 && got.Status != 403 && got.Status != 404 {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	q.Path = "/hr/vacations/../health"
	if a, err := p.admin().Authz(t.Context(), q); err != nil || a.Decision != "deny" || a.Reason != "ambiguous_request" {
		t.Errorf("%+v %v", a, err)
	}
}

// Envoy's own client asks the whole program. Attack gateway 44, 48-50, 54, 57, 58 and
// identity 71: spoofed identity in any spelling, other addresses in headers, a health
// prober's name, a path with dots.
func TestEnvoyAsks(t *testing.T) {
	up := echoUpstream(t, nil)
	p := start(t, write(t, strings.Replace(fmt.Sprintf(forwardAPI, up.URL), "version: 1\n", "version: 1\n"+decideServer(t), 1)))
	conn, err := grpc.NewClient(p.Ready().Envoy, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	envoy := auth.NewAuthorizationClient(conn)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+decideToken)
	token := "Bearer " + p.token("vacations:read")
	check := func(method, path string, headers map[string]string) *auth.CheckResponse {
		t.Helper()
		res, err := envoy.Check(ctx, &auth.CheckRequest{Attributes: &auth.AttributeContext{
			Source: &auth.AttributeContext_Peer{Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{Address: "192.0.2.9"}}}},
			Request: &auth.AttributeContext_Request{Http: &auth.AttributeContext_HttpRequest{
				Method: method, Path: path, Host: "api.test", Scheme: "https", Headers: headers,
			}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	res := check("GET", "/hr/vacations/ana", map[string]string{
		"authorization": token, "x-user-id": "root", "x-granted-scopes": "everything", "x-gatehouse-context": "forged", "x-client-ip": "10.0.0.1",
		"x-original-url": "/hr/health", "x-http-method-override": "PUT", "user-agent": "GoogleHC/1.0", "connection": "x-user-id", "x-forwarded-for": "10.0.0.1",
	})
	ok := res.GetOkResponse()
	if ok == nil {
		t.Fatalf("%v", res)
	}
	set := map[string]string{}
	for _, h := range ok.GetHeaders() {
		set[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
	}
	id := p.Ready().Demo.ClientID
	if set["x-client-id"] != id || set["x-user-id"] != id || set["x-granted-scopes"] != "vacations:read" || !strings.HasPrefix(set["x-gatehouse-context"], "ey") {
		t.Errorf("set: %v", set)
	}
	removed := strings.ToLower(strings.Join(ok.GetHeadersToRemove(), " "))
	for _, name := range []string{"authorization", "x-client-ip", "x-original-url", "x-http-method-override"} {
		if !strings.Contains(removed, name) {
			t.Errorf("%s is not removed: %s", name, removed)
		}
	}
	// Nobody is known on a public operation, whatever the client says.
	ok = check("GET", "/hr/health", map[string]string{"x-user-id": "root"}).GetOkResponse()
	if ok == nil || len(ok.GetHeaders()) != 0 || !slices.Contains(ok.GetHeadersToRemove(), "X-User-Id") && !slices.Contains(ok.GetHeadersToRemove(), "x-user-id") && !slices.Contains(ok.GetHeadersToRemove(), "X-User-ID") {
		t.Errorf("public: %v", ok)
	}
	for _, c := range []struct {
		method, path string
		headers      map[string]string
		want         int
	}{
		{"GET", "/hr/vacations/ana", nil, 401},
		{"GET", "/hr/vacations/ana", map[string]string{"authorization": token + "," + token}, 401},
		{"GET", "/hr/vacations/ana", map[string]string{"authorization": token, "x_user_id": "root"}, 400},
		{"GET", "/hr/vacations/ana", map[string]string{"user-agent": "GoogleHC/1.0"}, 401},
		{"PUT", "/hr/vacations/ana", map[string]string{"authorization": token}, 403},
		{"GET", "/hr/health/../vacations/ana", nil, 400},
		{"GET", "/hr/payslips", map[string]string{"authorization": token}, 404},
		{"GET", "/hr/vacations/ana;/../../health", map[string]string{"authorization": token}, 400},
	} {
		d := check(c.method, c.path, c.headers).GetDeniedResponse()
		if int(d.GetStatus().GetCode()) != c.want {
			t.Errorf("%s %s %v: %v, want %d", c.method, c.path, c.headers, d, c.want)
		}
	}
}

const placesAPI = `version: 1
server:
  geo: { country: %s }
zones:
  home: country:DE
apis:
  a:
    base_path: /a
    upstream: %s
    auth: public
    routes:
      GET /home: { public: true, zones: home }
tests:
  - GET /a/home from country:DE -> allow
  - GET /a/home from country:FR -> deny zone_not_allowed
  - GET /a/home from 127.0.0.1  -> allow
`

// A zone of countries through the whole program, with a file that is small.
func TestCountriesThroughTheProgram(t *testing.T) {
	up := echoUpstream(t, nil)
	path := filepath.Join(t.TempDir(), "country.mmdb")
	if err := os.WriteFile(path, geotest.File(map[string]geotest.Value{"127.0.0.0/8": geotest.Country("DE"), "192.0.2.0/24": geotest.Country("FR")}), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, write(t, fmt.Sprintf(placesAPI, path, up.URL)))
	if got := p.call(http.MethodGet, "/a/home", ""); got.Status != 200 {
		t.Errorf("at home: %d %s", got.Status, got.Body)
	}
	for from, want := range map[string]string{"192.0.2.1": "192.0.2.1, country FR", "198.51.100.1": "198.51.100.1, country not known"} {
		d, err := p.admin().Explain(t.Context(), client.Hypothetical{Method: "GET", Path: "/a/home", From: from})
		if err != nil || d.Reason != "zone_not_allowed" {
			t.Errorf("%s: %+v %v", from, d, err)
		}
		for _, s := range d.Steps {
			if s.Name == "zone" && s.Had != want {
				t.Errorf("%s: %q, want %q", from, s.Had, want)
			}
		}
	}
}
