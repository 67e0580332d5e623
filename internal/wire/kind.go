package wire

// Kind says which of the header fields that a gateway treats specially a line is.
type Kind uint8

// The kinds. Other is the zero value: a field that nobody here treats specially.
const (
	Other Kind = iota

	// Framing and routing: rebuilt on each hop, never copied.
	Host
	ContentLength
	TransferEncoding

	// Hop-by-hop (RFC 9110 section 7.6.1, and what older peers send).
	Connection
	KeepAlive
	TE
	Trailer
	Upgrade
	ProxyConnection
	ProxyAuthenticate
	ProxyAuthorization
	HTTP2Settings

	// End-to-end.
	Expect
	Authorization
	Cookie
	SetCookie
	Date
	ServerName // the Server line
	Via
	Origin
	UserAgent
	Accept
	AcceptEncoding
	AcceptLanguage
	ContentType
	ContentEncoding
	CacheControl
	Vary
	WWWAuthenticate
	DPoP
	APIKey // X-API-Key

	// Said about the client by proxies, and by clients that would like to be believed.
	Forwarded
	XForwardedFor
	XForwardedProto
	XForwardedHost
	XForwardedPort
	XForwardedPrefix
	XForwardedOther // any other X-Forwarded-*
	XRealIP
	ClientCert // Client-Cert, Client-Cert-Chain, SSL-Client-*, X-SSL-Client-*, X-Client-Cert

	// Correlation.
	XRequestID
	Traceparent
	Tracestate
	Baggage

	// Fields by which some upstreams let a client replace the target or the method.
	XOriginalURL
	XRewriteURL
	XMethodOverride // X-HTTP-Method-Override, X-HTTP-Method, X-Method-Override

	kindCount
)

// longestKind is the length of the longest name that classifyLower knows.
const longestKind = 22

// nameByte is what a byte becomes in a field name's lower-case form, 0 where no name can hold it.
//
//nolint:gochecknoglobals // a table, never written to
var nameByte = func() (t [256]byte) {
	for c := range t {
		switch b := byte(c); {
		case b-'A' < 26:
			t[c] = b | 0x20
		case in(b, tokenLow, tokenHigh):
			t[c] = b
		}
	}
	return t
}()

// fieldName reads the name that a header line begins with: its length, and its kind.
func fieldName(line []byte) (int, Kind) {
	var low [32]byte
	n := 0
	for n < len(line) {
		c := nameByte[line[n]]
		if c == 0 {
			break
		}
		low[n%len(low)] = c
		n++
	}
	if n > longestKind {
		return n, classifyPrefix(line[:n])
	}
	if k := classifyLower(low[:n]); k != Other {
		return n, k
	}
	if c := low[0]; c == 'x' || c == 's' || c == 'c' {
		return n, classifyPrefix(line[:n])
	}
	return n, Other
}

// Classify returns the kind of the field with this name, in any case.
func Classify(name []byte) Kind {
	n, k := fieldName(name)
	if n < len(name) {
		return Other
	}
	return k
}

// classifyPrefix finds the families of names that share their beginning.
func classifyPrefix(name []byte) Kind {
	switch {
	case hasPrefixFold(name, "x-forwarded-"):
		return XForwardedOther
	case hasPrefixFold(name, "client-cert"), hasPrefixFold(name, "ssl-client-"),
		hasPrefixFold(name, "x-ssl-client-"), hasPrefixFold(name, "x-client-cert"):
		return ClientCert
	}
	return Other
}

func hasPrefixFold(name []byte, prefix string) bool {
	return len(name) >= len(prefix) && EqualFold(name[:len(prefix)], prefix)
}

//nolint:gocyclo // a table: the compiler turns it into a binary search
func classifyLower(name []byte) Kind {
	switch string(name) {
	case "host":
		return Host
	case "content-length":
		return ContentLength
	case "transfer-encoding":
		return TransferEncoding
	case "connection":
		return Connection
	case "keep-alive":
		return KeepAlive
	case "te":
		return TE
	case "trailer":
		return Trailer
	case "upgrade":
		return Upgrade
	case "proxy-connection":
		return ProxyConnection
	case "proxy-authenticate":
		return ProxyAuthenticate
	case "proxy-authorization":
		return ProxyAuthorization
	case "http2-settings":
		return HTTP2Settings
	case "expect":
		return Expect
	case "authorization":
		return Authorization
	case "cookie":
		return Cookie
	case "set-cookie":
		return SetCookie
	case "date":
		return Date
	case "server":
		return ServerName
	case "via":
		return Via
	case "origin":
		return Origin
	case "user-agent":
		return UserAgent
	case "accept":
		return Accept
	case "accept-encoding":
		return AcceptEncoding
	case "accept-language":
		return AcceptLanguage
	case "content-type":
		return ContentType
	case "content-encoding":
		return ContentEncoding
	case "cache-control":
		return CacheControl
	case "vary":
		return Vary
	case "www-authenticate":
		return WWWAuthenticate
	case "dpop":
		return DPoP
	case "x-api-key":
		return APIKey
	case "forwarded":
		return Forwarded
	case "x-forwarded-for":
		return XForwardedFor
	case "x-forwarded-proto":
		return XForwardedProto
	case "x-forwarded-host":
		return XForwardedHost
	case "x-forwarded-port":
		return XForwardedPort
	case "x-forwarded-prefix":
		return XForwardedPrefix
	case "x-real-ip":
		return XRealIP
	case "x-request-id":
		return XRequestID
	case "traceparent":
		return Traceparent
	case "tracestate":
		return Tracestate
	case "baggage":
		return Baggage
	case "x-original-url":
		return XOriginalURL
	case "x-rewrite-url":
		return XRewriteURL
	case "x-http-method-override", "x-http-method", "x-method-override":
		return XMethodOverride
	}
	return Other
}

// HopByHop reports whether fields of the kind concern one connection only.
func (k Kind) HopByHop() bool { return k >= Connection && k <= HTTP2Settings }

// Framing reports whether fields of the kind are written anew on each hop
// because they say where a message is for and where it ends.
func (k Kind) Framing() bool { return k >= Host && k <= TransferEncoding }

// ClientClaim reports whether fields of the kind say who or where the client is,
// or which request it really makes: from a peer that is not trusted they are worth nothing.
func (k Kind) ClientClaim() bool {
	return k >= Forwarded && k <= ClientCert || k >= XOriginalURL && k <= XMethodOverride
}
