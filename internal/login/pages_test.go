package login

import (
	"reflect"
	"testing"
	"testing/fstest"
	"time"

	"gatehouse/internal/web"
	"gatehouse/internal/web/webtest"
)

func TestPagesShowWhatTheirViewsHave(t *testing.T) {
	kit := web.New(web.Config{URL: "http://127.0.0.1", Now: time.Now})
	p := newPages(kit)
	if n := reflect.TypeOf(p).NumField(); n != len(p.all()) {
		t.Errorf("of %d pages %d are looked at", n, len(p.all()))
	}
	for name, page := range p.all() {
		for _, wrong := range webtest.Check(page) {
			t.Errorf("%s: %s", name, wrong)
		}
	}
	broken := fstest.MapFS{"x.html": {Data: []byte(`{{define "content"}}{{range .Sessions}}{{if .Current}}{{.Street}}{{end}}{{$.Nobody}}{{end}}{{end}}`)}}
	if got := webtest.Check(web.NewPage[accountPage](kit, broken, "x.html")); len(got) != 2 {
		t.Errorf("of two names that are not there: %q", got)
	}
}

func (p *pages) all() map[string]webtest.Page {
	return map[string]webtest.Page{
		"signIn": p.signIn, "password": p.password, "consent": p.consent, "enroll": p.enroll, "factor": p.factor, "device": p.device, "link": p.link, "signOut": p.signOut,
		"message": p.message, "account": p.account, "codes": p.codes, "formPost": p.formPost, "postMessage": p.postMessage,
		"recover": p.recover, "choose": p.choose, "email": p.email, "confirm": p.confirm,
		"register": p.register, "begin": p.begin, "activity": p.activity, "export": p.export,
	}
}
