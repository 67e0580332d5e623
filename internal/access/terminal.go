package access

import (
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// TerminalClient is the client id of the command line, the same everywhere: a public
// client that people sign in to from their terminal. What it may do is up to who they
// are.
const TerminalClient = "gatehouse-cli"

// ensureTerminal makes the app of the command line, unless it is there. Who does not want
// it deactivates it.
func ensureTerminal(tx *ledger.Tx) error {
	_, err := appByClient(tx, TerminalClient)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	_, err = Apps.Create(tx, App{
		ClientID: TerminalClient, Label: "Gatehouse command line", AuthMethod: AuthNone,
		GrantTypes: []string{GrantAuthorizationCode, GrantRefreshToken, GrantDeviceCode},
		OIDC: OIDC{
			ApplicationType: AppNative, RedirectURIs: []string{"http://127.0.0.1/callback"}, ResponseTypes: []string{"code"},
			PKCERequired: true, ConsentMethod: ConsentAsk, ImplicitAssignment: true,
		},
		Grants: []ScopeGrant{{ID: ledger.NewID(scopeGrantPrefix), Scope: NativeScope, By: "setup", Created: tx.Now()}},
	}.fill())
	return err
}
