package grant

import (
	"encoding/json"
	"strings"
	"time"

	"gatehouse/internal/issued"
	"gatehouse/verify"
)

// AppendIntrospection appends what introspection says of a valid access token
// (RFC 7662 section 2.2), with the fields that Okta has: username and uid only
// when the token is about a user.
func AppendIntrospection(b []byte, tok *verify.Token) []byte {
	if b == nil {
		b = make([]byte, 0, 512)
	}
	b = append(b, `{"active":true`...)
	b = memberString(b, "token_type", tokenType(tok.KeyThumbprint))
	b = memberString(b, "scope", strings.Join(tok.Scopes, " "))
	b = memberString(b, "client_id", tok.ClientID)
	uid, _ := tok.Claim("uid")
	id, isUser := uid.(string)
	if isUser {
		b = memberString(b, "username", tok.Subject)
	}
	b = memberInt(b, "exp", tok.Expires)
	b = memberInt(b, "iat", tok.IssuedAt)
	b = memberString(b, "sub", tok.Subject)
	if len(tok.Audience) == 1 {
		b = memberString(b, "aud", tok.Audience[0])
	} else {
		b = memberStrings(b, "aud", tok.Audience)
	}
	b = memberString(b, "iss", tok.Issuer)
	b = memberString(b, "jti", tok.ID)
	if isUser {
		b = memberString(b, "uid", id)
	}
	b = appendSession(b, tok.Session)
	b = appendConfirmation(b, tok.KeyThumbprint, tok.CertThumbprint)
	b = appendAsIs(b, tok, "act", "may_act", "authorization_details")
	b = appendAuthentication(b, &subject{authTime: authTime(tok), acr: tok.ACR, amr: tok.AMR, groups: tok.Groups})
	return append(b, '}')
}

// appendAsIs appends claims as they stand in the token.
func appendAsIs(b []byte, tok *verify.Token, names ...string) []byte {
	for _, name := range names {
		if v, ok := tok.Claim(name); ok {
			if raw, err := json.Marshal(v); err == nil {
				b = append(member(b, name), raw...)
			}
		}
	}
	return b
}

// AppendRefreshIntrospection appends what introspection says of a refresh token
// that can be used.
func AppendRefreshIntrospection(b []byte, r *issued.Refresh, g *issued.Grant) []byte {
	if b == nil {
		b = make([]byte, 0, 512)
	}
	b = append(b, `{"active":true,"token_type":"Bearer"`...)
	b = memberString(b, "scope", strings.Join(g.Scopes, " "))
	b = memberString(b, "client_id", g.Client)
	b = memberInt(b, "exp", r.Until().Unix())
	b = memberInt(b, "iat", r.Created.Unix())
	b = memberString(b, "sub", g.User)
	b = memberString(b, "iss", g.Issuer)
	b = memberString(b, "jti", g.ID)
	b = memberString(b, "uid", g.User)
	return append(b, '}')
}

func authTime(tok *verify.Token) time.Time {
	if tok.AuthTime == 0 {
		return time.Time{}
	}
	return time.Unix(tok.AuthTime, 0)
}
