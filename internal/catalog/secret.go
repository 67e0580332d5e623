package catalog

import (
	"fmt"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/spec"
	"gatehouse/internal/tenant"
)

// Sealer encrypts secrets for one place each. *keys.Sealer is one.
type Sealer interface {
	Seal(plain []byte, at keys.Place) (string, error)
	Open(sealed string, at keys.Place) ([]byte, error)
	Stale(sealed string) bool
}

// SecretPlace is where the client secret of an issuer is sealed for: that issuer,
// at the addresses that the secret is sent to. Whoever changes an address without
// knowing the secret gets an issuer that does not work, and not the secret. A private
// key is sealed for its use as one: it is never sent as a secret.
func SecretPlace(t tenant.ID, i spec.Issuer) keys.Place {
	where := i.URL
	if i.Builtin != "" {
		where = "builtin " + i.Builtin // its URL is not part of what is declared
	}
	id := i.Name + " " + where + " " + i.IntrospectionURL
	if i.ClientAuth == "private_key_jwt" {
		id += " " + i.ClientAuth
	}
	return keys.Place{Tenant: t, Kind: KindIssuer, ID: id, Field: "client_secret"}
}

// TokenPlace is SecretPlace for the token of a decision point.
func TokenPlace(t tenant.ID, p spec.DecisionPoint) keys.Place {
	return keys.Place{Tenant: t, Kind: KindPoint, ID: p.Name + " " + p.Endpoint(), Field: "token"}
}

// sealed returns the issuer's client secret as it is kept.
func (d *Declared) sealed(tx *ledger.Tx, i spec.Issuer) (string, error) {
	if i.ClientSecret == "" {
		return "", nil
	}
	old, err := Issuers.Find(tx, nameKey(i.Name))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", fmt.Errorf("look at what is kept: %w", err)
	}
	return d.seal(spec.PathIssuer(i.Name)+".client_secret", i.ClientSecret, old.Value.ClientSecret, SecretPlace(tx.Tenant(), i))
}

// sealedToken returns the decision point's token as it is kept.
func (d *Declared) sealedToken(tx *ledger.Tx, p spec.DecisionPoint) (string, error) {
	if p.Token == "" {
		return "", nil
	}
	old, err := DecisionPoints.Find(tx, nameKey(p.Name))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", fmt.Errorf("look at what is kept: %w", err)
	}
	return d.seal(spec.PathDecisionPoint(p.Name)+".token", p.Token, old.Value.Token, TokenPlace(tx.Tenant(), p))
}

// seal returns the secret at a settings path as it is kept: written is what stands in
// the file, kept what is kept already, which stays while it is the same secret:
// sealed anew it would look like another one.
func (d *Declared) seal(path, written, kept string, at keys.Place) (_ string, err error) {
	plain, ok := d.Values[path]
	if !ok {
		return written, nil // something that the kind's own check judges
	}
	defer fault.Wrap(&err, "seal %s", path)
	if d.Sealer == nil {
		return "", fault.New(fault.Internal, "there is nothing to seal it with")
	}
	if ledger.Sealed(kept) && !d.Sealer.Stale(kept) {
		// One that does not open is of another place or key, and is replaced.
		if was, err := d.Sealer.Open(kept, at); err == nil && keys.Equal(string(was), plain) {
			return kept, nil
		}
	}
	return d.Sealer.Seal([]byte(plain), at)
}
