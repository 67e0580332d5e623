package app_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// Who opens the console's address finds what is there, and every link leads somewhere.
func TestConsolePage(t *testing.T) {
	p := start(t, "")
	a := p.request(http.MethodGet, p.Ready().Console+"/", "", "")
	if a.Status != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	links := regexp.MustCompile(`href="([^"]+)"`).FindAllStringSubmatch(a.Body, -1)
	if len(links) < 6 {
		t.Errorf("%d links: %s", len(links), a.Body)
	}
	for _, l := range links {
		if there := p.request(http.MethodGet, p.Ready().Console+l[1], "", ""); there.Status != http.StatusOK {
			t.Errorf("%s: %d", l[1], there.Status)
		}
	}
	if a := p.request(http.MethodGet, p.Ready().Console+"/nothing", "", ""); a.Status != http.StatusNotFound {
		t.Errorf("what is not there: %d", a.Status)
	}
}
