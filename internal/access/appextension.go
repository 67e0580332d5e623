package access

import "strings"

// Extension holds the settings of an app that Okta's apps do not have. Management
// shows and takes them as they stand here, below settings.gatehouse.
type Extension struct {
	// MayAct is the client_id of the one app that may act for whom a token of this app
	// is about (the claim may_act, RFC 8693 section 4.4); empty: any app that may
	// exchange tokens.
	MayAct   string   `json:"may_act,omitempty"`
	Exchange Exchange `json:"token_exchange,omitzero"`
}

// Exchange says what an app may do by token exchange (RFC 8693), beyond turning a
// token into one that says no more and names the app as its actor.
type Exchange struct {
	// Impersonation lets the app have tokens that do not name it as their actor
	// (RFC 8693 section 1.1): whoever gets one cannot tell the app from the person.
	Impersonation bool `json:"impersonation,omitempty"`
	// Audiences are those that the app may reach beside the audiences of the token that
	// it exchanges.
	Audiences []string `json:"audiences,omitempty"`
}

func checkExtension(c *checks, a *App) {
	const path = "settings.gatehouse.token_exchange"
	e := &a.Extension.Exchange
	c.that(len(e.Audiences) <= 20, path+".audiences", "has more than 20 audiences")
	for _, name := range e.Audiences {
		c.that(name != "" && len(name) <= 255 && !strings.ContainsFunc(name, notPrintable), path+".audiences", "an audience is 1 to 255 printable characters without spaces")
	}
	c.that(len(a.Extension.MayAct) <= 100 && !strings.ContainsFunc(a.Extension.MayAct, notPrintable), "settings.gatehouse.may_act", "is not a client_id")
	used := e.Impersonation || len(e.Audiences) > 0
	c.that(!used || a.MayUse(GrantTokenExchange), path, "is for apps with the grant type "+GrantTokenExchange)
	c.that(!a.Public() || !a.MayUse(GrantTokenExchange), "grantTypes", "a public app (auth method none) cannot use token exchange: anybody could be it")
}
