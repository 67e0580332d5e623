package cli

import (
	"fmt"
	"strings"
	"testing"
)

// What explain prints: a URL is as good as a path, what passes has no status that
// nobody has given, what is wrong with a token is said once.
func TestExplainPrints(t *testing.T) {
	_, env := server(t, write(t, fmt.Sprintf(shop, "http://127.0.0.1:9")))
	r := run(t, env, "explain", "get", "https://shop.test:8443/shop/items/1?page=2", "--scope", "items:read")
	if r.code != exitOK || !strings.Contains(r.out, "GET /shop/items/1") || strings.Contains(r.out, "status 0") {
		t.Errorf("a URL: %+v", r)
	}
	r = run(t, env, "explain", "GET", "/shop/items/1", "--jwt", "junk")
	if r.code != exitDenied || strings.Contains(r.out, "verify:") || !strings.Contains(r.out, "because") || !strings.Contains(r.out, "not of three parts\n") {
		t.Errorf("a token that is none: %+v", r)
	}
	r = run(t, env, "explain", "GET", "/shop/../x")
	if r.code != exitDenied || !strings.Contains(r.out, "ambiguous_request  GET /shop/../x") {
		t.Errorf("a path with two meanings: %+v", r)
	}
}
