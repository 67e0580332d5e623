package login

import "strings"

// browserName says in a few words which browser it was, for a person to recognize
// it: the User-Agent is no proof of anything.
func (s *Server) browserName(lang, agent string) string {
	browser, system := browserOf(agent)
	switch browser {
	case "":
		browser = s.say(lang, "browser_some")
	case "Go":
		browser = s.say(lang, "browser_go")
	}
	if system == "" {
		return browser
	}
	return s.say(lang, "browser_on", "browser", browser, "system", system)
}

// sameBrowser reports whether two of them say the same of themselves.
func sameBrowser(a, b string) bool {
	browserA, systemA := browserOf(a)
	browserB, systemB := browserOf(b)
	return browserA == browserB && systemA == systemB
}

// browserOf returns what a User-Agent says of itself; empty for what is not known.
func browserOf(agent string) (browser, system string) {
	for _, b := range [][2]string{{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}, {"Go-http-client", "Go"}} {
		if strings.Contains(agent, b[0]) {
			browser = b[1]
			break
		}
	}
	for _, o := range [][2]string{{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"}} {
		if strings.Contains(agent, o[0]) {
			return browser, o[1]
		}
	}
	return browser, ""
}
