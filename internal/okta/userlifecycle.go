package okta

import (
	"cmp"
	"context"
	"net/http"

	"gatehouse/internal/audit"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// transition is a step of the life cycle that answers an empty object.
func (a *api) transition(c *call, do func(ctx context.Context, by ledger.Actor, id string) error) (answer, error) {
	id, err := a.userID(c)
	if err != nil {
		return answer{}, err
	}
	if err := do(c.Context(), c.by(), id); err != nil {
		return answer{}, err
	}
	return ok(object{})
}

// activateUser puts a user in use. One who has no password yet chooses it by a link,
// which is sent or answered.
func (a *api) activateUser(c *call) (answer, error) {
	return a.activation(c, true, func(ctx context.Context, by ledger.Actor, id string) (ledger.Object[directory.User], error) {
		return a.People.Activate(ctx, by, id)
	})
}

// reactivateUser makes another such link.
func (a *api) reactivateUser(c *call) (answer, error) {
	return a.activation(c, false, func(ctx context.Context, by ledger.Actor, id string) (ledger.Object[directory.User], error) {
		return a.People.Reactivate(ctx, by, id)
	})
}

func (a *api) activation(c *call, sends bool, do func(ctx context.Context, by ledger.Actor, id string) (ledger.Object[directory.User], error)) (answer, error) {
	send, err := c.sends(sends)
	if err != nil {
		return answer{}, err
	}
	if c.FormValue("sendEmail") == "true" && !a.Links.CanSend() {
		return answer{}, errNoMail()
	}
	id, err := a.userID(c)
	if err != nil {
		return answer{}, err
	}
	u, err := do(c.Context(), c.by(), id)
	if err != nil || u.Value.Status != directory.Provisioned || send && !a.Links.CanSend() {
		return answer{status: http.StatusOK, body: object{}}, err
	}
	address, token, err := a.Links.ActivationLink(c.Context(), id, send)
	if err != nil || send {
		return answer{status: http.StatusOK, body: object{}}, err
	}
	return ok(object{"activationUrl": address, "activationToken": token})
}

func (a *api) deactivateUser(c *call) (answer, error) {
	if err := c.tellsNobody(); err != nil {
		return answer{}, err
	}
	return a.status(c, directory.Deprovisioned)
}

func (a *api) suspendUser(c *call) (answer, error)   { return a.status(c, directory.Suspended) }
func (a *api) unsuspendUser(c *call) (answer, error) { return a.transition(c, a.People.Unsuspend) }

// unlockUser lets in again who was locked out, or for whom signing in rests.
func (a *api) unlockUser(c *call) (answer, error) {
	return a.transition(c, func(ctx context.Context, by ledger.Actor, id string) error {
		resting, err := a.Guesses.Resting(ctx, id)
		if err != nil {
			return err
		}
		err = a.People.Unlock(ctx, by, id)
		if !resting || err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
		if err := a.Guesses.Release(ctx, id); err != nil {
			return err
		}
		a.Events.Record(audit.Event{
			Tenant: a.Tenant, Type: "user.account.unlock_by_admin", Message: "Unlock user account by admin", Actor: audit.Entity{ID: by.ID, Type: by.Type, DisplayName: by.Name},
			Targets: []audit.Entity{{ID: id, Type: "User"}}, Outcome: audit.Outcome{Result: audit.Success},
		})
		return nil
	})
}

// tellsNobody refuses the letter to administrators that Okta sends when somebody leaves
// (sendEmail=true of deactivateUser and deleteUser): nobody would get it.
func (c *call) tellsNobody() error {
	if send, err := c.sends(false); err != nil || send {
		return cmp.Or(err, unsupported("sendEmail", "must be false or left out: administrators are not written to, the system log has who leaves"))
	}
	return nil
}

func (a *api) status(c *call, to directory.Status) (answer, error) {
	return a.transition(c, func(ctx context.Context, by ledger.Actor, id string) error {
		return a.People.SetStatus(ctx, by, id, to)
	})
}

// resetFactors takes all factors from a user.
func (a *api) resetFactors(c *call) (answer, error) { return a.transition(c, a.People.ResetFactors) }

// listBlocks answers what keeps a user from signing in.
func (a *api) listBlocks(c *call) (answer, error) {
	u, err := a.findUser(c, c.arg("id"))
	if err != nil {
		return answer{}, err
	}
	resting, err := a.Guesses.Resting(c.Context(), u.ID)
	if err != nil {
		return answer{}, err
	}
	blocks := []object{}
	if resting || u.Value.Status == directory.LockedOut {
		blocks = append(blocks, object{"type": "DEVICE_BASED", "appliesTo": "ANY_DEVICES"})
	}
	return ok(blocks)
}
