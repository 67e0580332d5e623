package access

import "testing"

// attack identity 1, 3, 4 and 17: an address is taken byte for byte; only a native app's
// literal loopback address may differ, in its port, and only a registered wildcard stands
// for one label of a host.
func TestRedirects(t *testing.T) {
	const page = "https://app.example.com/cb?x=1"
	web := App{OIDC: OIDC{ApplicationType: AppWeb, Wildcard: WildcardDisabled, RedirectURIs: []string{page, "http://127.0.0.1:8000/cb", "https://*.example.com/cb"}}}
	native := web
	native.OIDC.ApplicationType, native.OIDC.RedirectURIs = AppNative, []string{"http://127.0.0.1/cb", "http://[::1]:1/cb", "http://localhost/cb", "com.example:/cb", "http://127.0.0.1"}
	wild := web
	wild.OIDC.Wildcard = WildcardSubdomain
	wild.OIDC.RedirectURIs = []string{"https://*.example.com/cb", "https://*.example.com:8443/cb?x=1"}
	for _, x := range []struct {
		name string
		app  *App
		good []string
		bad  []string
	}{
		{"web", &web, []string{page, "http://127.0.0.1:8000/cb"}, []string{
			"", page + "&y=2", page + "/", page + "#", page + "#x", "https://app.example.com/cb", "https://app.example.com/CB?x=1", "https://APP.example.com/cb?x=1",
			"https://app.example.com:443/cb?x=1", "http://app.example.com/cb?x=1", "https://app.example.com/cb?x=2", "https://app.example.com/./cb?x=1",
			"https://app.example.com/%63b?x=1", "https://app.example.com@evil.test/cb?x=1", "https://app.example.com.evil.test/cb?x=1", page + " ", page + "\n", "\t" + page,
			"http://127.0.0.1:8001/cb", "http://127.0.0.1/cb", "http://[::1]:8000/cb", "http://localhost:8000/cb", // the port is free for native apps only
			"https://*.example.com/cb", "https://a.example.com/cb", // a wildcard that is not allowed stands for nothing, not even itself
		}},
		{"native", &native, []string{"http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb", "http://[::1]/cb", "http://[::1]:9/cb", "http://localhost/cb", "com.example:/cb", "http://127.0.0.1:5"}, []string{
			"http://localhost:9/cb", "http://localhost.evil.test/cb", "http://127.0.0.1.evil.test/cb", "http://127.0.0.1:9@evil.test/cb", "http://127.0.0.1:@evil.test/cb",
			"http://127.0.0.1@evil.test/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:65536/cb", "http://127.0.0.1:/cb", "http://127.0.0.1:-1/cb", "http://127.0.0.1:+1/cb",
			"http://127.0.0.1:9/cb/", "http://127.0.0.1:9/cb?x", "http://127.0.0.1:9/cb#x", "http://127.0.0.1:9\\@evil.test/cb", "http://127.0.0.1:9.evil.test/cb",
			"https://127.0.0.1:9/cb", "http://127.0.0.2:9/cb", "http://[::1]evil.test/cb", "http://[::ffff:127.0.0.1]:9/cb", "com.example:9/cb", "http://127.0.0.1:9:9/cb", "http://127.0.0.1evil.test",
		}},
		{"wildcard", &wild, []string{"https://a.example.com/cb", "https://A-1.example.com/cb", "https://b.example.com:8443/cb?x=1"}, []string{
			"https://example.com/cb", "https://.example.com/cb", "https://a.b.example.com/cb", "https://*.example.com/cb", "https://evil.test/.example.com/cb",
			"https://evil.test#.example.com/cb", "https://evil.test?.example.com/cb", `https://evil.test\.example.com/cb`, "https://evil@x.example.com/cb",
			"https://evil.test%2f.example.com/cb", "https://evil/.example.com/cb", "https://evil?.example.com/cb", "https://evil#.example.com/cb", "https://evil:80.example.com/cb",
			"https://evil%2f.example.com/cb", "https://a.example.com.evil.test/cb", "https://a.example.com/cb/", "https://a.example.com:1/cb", "http://a.example.com/cb",
			"https://a.example.com/cb#x", "https://evil。x.example.com/cb",
		}},
	} {
		for _, to := range x.good {
			if !x.app.Redirects(to) {
				t.Errorf("%s: %q is refused", x.name, to)
			}
		}
		for _, to := range x.bad {
			if x.app.Redirects(to) {
				t.Errorf("%s: led to %q", x.name, to)
			}
		}
		back := *x.app
		back.OIDC.RedirectURIs, back.OIDC.PostLogoutURIs = nil, x.app.OIDC.RedirectURIs
		for _, to := range x.bad {
			if back.ReturnsTo(to) {
				t.Errorf("%s: after signing out led to %q", x.name, to)
			}
		}
	}
}
