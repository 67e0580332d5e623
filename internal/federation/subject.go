package federation

import (
	"context"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// UserOf returns the id of the user who is linked to an account at the identity provider
// with the issuer, or fault.NotFound.
func (s *Service) UserOf(ctx context.Context, issuer, subject string) (user string, err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		for o, err := range Providers.All(tx, ledger.Query{}) {
			if err != nil {
				return err
			}
			if o.Value.Issuer != issuer {
				continue
			}
			l, err := Links.Find(tx, ledger.By("subject", o.ID, subject))
			if fault.Is(err, fault.NotFound) {
				continue // another provider may have the same issuer
			}
			user = l.Value.User
			return err
		}
		return fault.New(fault.NotFound, "nobody is linked to the account")
	})
	return user, err
}
