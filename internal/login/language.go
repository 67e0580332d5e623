package login

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/web"
)

// languageCookie keeps the language that a person has chosen, and when: de.1764380000.
const languageCookie = "gatehouse_language"

// languageTime is how long a choice is kept.
const languageTime = 365 * 24 * time.Hour

// language returns the language of a page that no app has led to.
func (s *Server) language(r *http.Request) string { return s.languageFor(r, nil, time.Time{}) }

// languageFor returns the language of a page: what the app asks for (ui_locales, OpenID
// Connect Core section 3.1.2.1), what the person has chosen, what the browser prefers, what
// the site speaks. A choice that was made since the app asked is newer, and goes first:
// otherwise the switch on the page would do nothing.
func (s *Server) languageFor(r *http.Request, locales []string, asked time.Time) string {
	words := s.cfg.Kit.Words()
	chosen, at := s.chosenLanguage(r)
	if chosen != "" && at.After(asked) {
		locales = nil
	}
	if lang := words.Match(locales, ""); lang != "" {
		return lang
	}
	if chosen != "" {
		return chosen
	}
	if lang := words.Match(nil, r.Header.Get("Accept-Language")); lang != "" {
		return lang
	}
	site, _ := s.cfg.Site(r)
	return site.language()
}

// lang returns the language of the visit's pages.
func (s *Server) lang(v *visit) string { return s.languageFor(v.r, v.req.Locales, v.req.Created) }

// language is that of who prefers none that there is.
func (s Site) language() string {
	if s.Language == "" {
		return web.DefaultLanguage
	}
	return s.Language
}

// chosenLanguage returns what the person has chosen; empty when they have not, or there
// is no such language any more.
func (s *Server) chosenLanguage(r *http.Request) (lang string, at time.Time) {
	tag, seconds, _ := strings.Cut(s.cfg.Kit.Cookie(r, languageCookie), ".")
	if n, err := strconv.ParseInt(seconds, 10, 64); err == nil && s.cfg.Kit.Words().Has(tag) {
		return tag, time.Unix(n, 0)
	}
	return "", time.Time{}
}

// chooseLanguage keeps a choice, and goes back to the page on which it was made.
func (s *Server) chooseLanguage(w http.ResponseWriter, r *http.Request) {
	// Rounded up: it is newer than what was asked for in the same second.
	if tag := field(r, "language"); s.cfg.Kit.Words().Has(tag) {
		s.cfg.Kit.KeepCookie(w, languageCookie, tag+"."+strconv.FormatInt(s.cfg.Now().Unix()+1, 10), languageTime)
	}
	http.Redirect(w, r, pageOfOurs(field(r, "back")), http.StatusSeeOther)
}

// pageOfOurs returns a path of this site, the account for what is none: nobody is led
// elsewhere by it.
func pageOfOurs(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") || len(path) > 4096 {
		return "/account"
	}
	return path
}

// localesShown bounds what is looked at of ui_locales.
const localesShown = 20

// Locales reads ui_locales: tags in the order of preference. What is no tag is left out,
// as the specification wants it: an app is not refused for it.
func Locales(text string) (out []string) {
	for _, tag := range strings.Fields(text) {
		if len(tag) <= 35 && len(out) < localesShown { // RFC 5646 section 4.4.1
			out = append(out, tag)
		}
	}
	return out
}

// say returns a text in the language.
func (s *Server) say(lang, key string, fill ...any) string {
	return s.cfg.Kit.Words().Say(lang, key, fill...)
}

// titled is the head of a page with the title of a key. A page that answers a form is
// not found again at its address.
func (s *Server) titled(r *http.Request, lang, key string, fill ...any) web.Head {
	head := web.Head{Lang: lang, Title: s.say(lang, key, fill...)}
	if r.Method == http.MethodGet {
		head.Here = r.URL.RequestURI()
	}
	return head
}

// head is that of a page on the way of a request: the same page is at its address, also
// when it answers a form of which something was wrong.
func (s *Server) head(v *visit, key string, fill ...any) web.Head {
	head := s.titled(v.r, s.lang(v), key, fill...)
	head.Target = v.req.RedirectURI
	if v.wait != nil && v.secret == "" {
		head.Here = v.r.URL.Path
	}
	return head
}

// problem returns what the page says went wrong.
func (s *Server) problem(v *visit) string {
	if v.problem == "" {
		return ""
	}
	return s.say(s.lang(v), v.problem, v.fill...)
}

// notice is a page that says one thing, by the keys of its texts.
type notice struct {
	heading string
	text    string
	fill    []any  // of both
	detail  string // for who is to be told of it; may be empty
	link    string // where to go; may be empty
	label   string // of the link
}

// messagePage is what such a page shows.
type messagePage struct {
	Heading string
	Text    string
	Detail  string
	Link    string
	Label   string
}

// tell answers with a page that says one thing.
func (s *Server) tell(w http.ResponseWriter, r *http.Request, lang string, status int, n notice) {
	p := messagePage{Heading: s.say(lang, n.heading, n.fill...), Text: s.say(lang, n.text, n.fill...), Detail: n.detail, Link: n.link}
	if n.link != "" {
		p.Label = s.say(lang, n.label, n.fill...)
	}
	s.pages.message.Write(r.Context(), w, status, s.titled(r, lang, n.heading, n.fill...), p)
}
