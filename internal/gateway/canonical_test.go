package gateway

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCanonicalPath(t *testing.T) {
	for _, c := range []struct{ in, want, why string }{
		{"/", "/", ""},
		{"/orders/1", "/orders/1", ""},
		{"/orders/", "/orders/", ""},
		{"/Orders", "/Orders", ""},
		{"/a%62c", "/abc", ""},
		{"/%7euser", "/~user", ""},
		{"/a%2db%2Ec%5f", "/a-b.c_", ""},
		{"/caf%c3%a9", "/caf%C3%A9", ""},
		{"/%e2%82%ac/%F0%9F%98%80", "/%E2%82%AC/%F0%9F%98%80", ""},
		{"/a%20b", "/a%20b", ""},
		{"/100%25", "/100%25", ""},
		{"/100%25%20off", "/100%25%20off", ""},
		{"/...x", "/...x", ""},
		{"/..x", "/..x", ""},
		{"/a:b@c!$&'()*+,=", "/a:b@c!$&'()*+,=", ""},
		{"/a%3fb", "/a%3Fb", ""},
		{"/x%2fy", "/x%2Fy", ""},

		{"", "", whyEmpty},
		{"orders", "", whyAbsolute},
		{"*", "", whyAbsolute},
		// attack gateway 36
		{"/public/../admin", "", whyDots},
		{"/public/%2e%2e/admin", "", whyDots},
		{"/public/.%2E/admin", "", whyDots},
		{"/public/..;/admin", "", whySemicolon},
		{"/public/..%3b/admin", "", whySemicolon},
		{"/public\\..\\admin", "", whyBackslash},
		{"/public%5c..%5Cadmin", "", whyBackslash},
		{"/public/%252e%252e/admin", "", whyDouble},
		{"/public/%25%32%65/admin", "", whyDouble},
		{"/public/%2%65", "", whyPercent},
		{"/public/..", "", whyDots},
		{"/..", "", whyDots},
		{"/.", "", whyDots},
		// attack gateway 37
		{"//admin", "", whySegment},
		{"/admin//", "", whySegment},
		{"/./admin", "", whyDots},
		// attack gateway 38
		{"/api../admin", "", whyDots},
		// attack gateway 39: an encoded slash parts segments for those checks
		{"/a/..%2fadmin", "", whyDots},
		{"/a%2f..", "", whyDots},
		{"/a%2f%2fb", "", whySegment},
		{"/%2fb", "", whySegment},
		{"/a%2f/b", "", whySegment},
		{"/a/%2fb", "", whySegment},
		// attack gateway 46
		{"/a\x00b", "", whyByte},
		{"/a%00", "", whyControl},
		{"/a%0d%0aX:y", "", whyControl},
		{"/a%7f", "", whyControl},
		{"/a\tb", "", whyByte},
		{"/a b", "", whyByte},
		{"/caf\xc3\xa9", "", whyByte},
		{"/%c0%ae%c0%ae/", "", whyUTF8},
		{"/%e9", "", whyUTF8},
		{"/%ed%a0%80", "", whyUTF8},
		{"/%c2%85", "", whyUTF8}, // NEL, a control character
		{"/a%", "", whyPercent},
		{"/a%zz", "", whyPercent},
		{"/a%4", "", whyPercent},
		{"/a#b", "", whyByte},
		{"/a;b=c", "", whySemicolon},
		{"/<a>", "", whyByte},
	} {
		got, _, why := canonicalPath(nil, []byte(c.in))
		if why != c.why {
			t.Errorf("canonicalPath(%q): why %q, want %q", c.in, why, c.why)
			continue
		}
		if why == "" && string(got) != c.want {
			t.Errorf("canonicalPath(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestCheckQuery(t *testing.T) {
	for _, c := range []struct{ in, why string }{
		{"", ""},
		{"a=1&a=2&b", ""},
		{"a=%20%0A&b[]={x|y}^`\"", ""},
		{"q=/public/../x", ""},
		// attack gateway 46, 47
		{"a=1;b=2", whyQuery},
		{"a=\x00", whyQuery},
		{"a=b\tc", whyQuery},
		{"a=b c", whyQuery},
		{"a=\xff", whyQuery},
		{"a=%zz", whyQueryPercent},
		{"a=%", whyQueryPercent},
		{"a=b#c", whyQuery},
	} {
		if why := checkQuery([]byte(c.in)); why != c.why {
			t.Errorf("checkQuery(%q) = %q, want %q", c.in, why, c.why)
		}
	}
}

func TestCanonicalHost(t *testing.T) {
	for _, c := range []struct{ in, want, why string }{
		{"api.acme.test", "api.acme.test", ""},
		{"API.Acme.Test:8080", "api.acme.test", ""},
		{"api.acme.test.", "api.acme.test", ""},
		{"api.acme.test.:443", "api.acme.test", ""},
		{"my_service", "my_service", ""},
		{"127.0.0.1:80", "127.0.0.1", ""},
		{"[::1]:8080", "[::1]", ""},
		{"[0:0:0:0:0:0:0:1]", "[::1]", ""},
		{"", "", whyNoHost},
		{"a..b", "", whyHost},
		{".a", "", whyHost},
		{"a..", "", whyHost},
		{".", "", whyHost},
		{"user@host", "", whyHost}, // attack gateway 41
		{"host:port", "", whyHost},
		{"host:", "", whyHost},
		{"host:0", "", whyHost},
		{"host:65536", "", whyHost},
		{"ho%73t", "", whyHost},
		{"host/x", "", whyHost},
		{"[::1%25eth0]", "", whyHost},
		{"[1.2.3.4]", "", whyHost},
		{"[::1", "", whyHost},
		{"[::1]x", "", whyHost},
		{strings.Repeat("a", 300), "", whyHostLength},
	} {
		got, why := canonicalHost(nil, []byte(c.in))
		if why != c.why || why == "" && string(got) != c.want {
			t.Errorf("canonicalHost(%q) = %q, %q; want %q, %q", c.in, got, why, c.want, c.why)
		}
	}
}

func TestValidMethod(t *testing.T) {
	for in, want := range map[string]bool{
		"GET": true, "PROPFIND": true, "M-SEARCH": true, "X_Y1": true,
		"get": false, "Get": false, "": false, "GE T": false, "GET\x00": false, strings.Repeat("A", 33): false, // attack gateway 45
	} {
		if validMethod([]byte(in)) != want {
			t.Errorf("validMethod(%q) is %v", in, !want)
		}
	}
}

// checkCanonical holds for whatever canonicalPath accepts.
func checkCanonical(t interface{ Fatalf(string, ...any) }, in []byte) {
	before := bytes.Clone(in)
	got, slash, why := canonicalPath(nil, in)
	if !bytes.Equal(in, before) {
		t.Fatalf("the input %q was written to", before)
	}
	if why != "" {
		return
	}
	again, slashAgain, why := canonicalPath(nil, got)
	if why != "" || !bytes.Equal(again, got) || slash != slashAgain {
		t.Fatalf("not idempotent: %q -> %q -> %q (%s)", in, got, again, why)
	}
	if len(got) == 0 || got[0] != '/' {
		t.Fatalf("%q -> %q does not begin with /", in, got)
	}
	for _, bad := range []string{"//", "\\", ";", "\x00", "?", "#", " ", "%5C", "%00", "%2E", "%2e"} {
		if bytes.Contains(got, []byte(bad)) {
			t.Fatalf("%q -> %q holds %q", in, got, bad)
		}
	}
	if slash != bytes.Contains(got, []byte("%2F")) {
		t.Fatalf("%q -> %q: slash is %v", in, got, slash)
	}
	// Whoever decodes once more finds no dot segment either.
	for _, seg := range strings.Split(strings.ReplaceAll(string(got), "%2F", "/"), "/") {
		if strings.HasSuffix(seg, "..") || seg == "." {
			t.Fatalf("%q -> %q has a dot segment", in, got)
		}
	}
}

func TestCanonicalPathProperties(t *testing.T) {
	pieces := []string{"/", "a", "..", ".", "%2e", "%2F", "%2f", "%25", "2e", "%5c", ";", "\\", "%c3%a9", "%C3", "\x00", "%41", "~", "?", "%", "%3B"}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 12).Draw(t, "parts")
		checkCanonical(t, []byte("/"+strings.Join(parts, "")))
	})
}

func FuzzCanonicalPath(f *testing.F) {
	for _, s := range []string{"/", "/a/b", "/a%2Fb", "/%2e%2e", "/%25%32%65", "/%c3%a9", "//", "/a;b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) { checkCanonical(t, in) })
}

func FuzzCanonicalHost(f *testing.F) {
	for _, s := range []string{"a", "A.b:80", "[::1]:1", "a.", ".."} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, why := canonicalHost(nil, in)
		if why != "" {
			return
		}
		again, why := canonicalHost(nil, got)
		if why != "" || !bytes.Equal(again, got) {
			t.Fatalf("not idempotent: %q -> %q -> %q (%s)", in, got, again, why)
		}
		if !bytes.Equal(bytes.ToLower(got), got) || bytes.ContainsAny(got, "@/ %") {
			t.Fatalf("%q -> %q", in, got)
		}
	})
}

func TestCanonicalAllocatesNothing(t *testing.T) {
	plain, coded := []byte("/hr/vacations/ana"), []byte("/hr/%76acations/an%61/caf%c3%a9")
	host, buf := []byte("API.acme.test:8080"), make([]byte, 0, 128)
	if n := testing.AllocsPerRun(100, func() {
		canonicalPath(buf, plain)
		canonicalPath(buf, coded)
		canonicalHost(buf, host)
		checkQuery(plain)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
