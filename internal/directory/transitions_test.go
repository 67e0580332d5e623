package directory

import (
	"fmt"
	"testing"

	"gatehouse/internal/fault"
)

// in makes a user and brings them to a status, by the ways that there are.
func (r *room) in(t *testing.T, login string, status Status) string {
	t.Helper()
	n := NewUser{Profile: Profile{Login: login, Email: "x@acme.test"}, Password: "correct horse", Staged: status == Staged}
	if status == Provisioned {
		n.Password, n.Status = "", Provisioned
	}
	u, err := r.service.CreateUser(r.ctx, r.admin, n)
	must(t, err)
	switch status {
	case Staged, Provisioned, Active:
	default:
		must(t, r.service.SetStatus(r.ctx, r.admin, u.ID, status))
	}
	if got := r.status(t, u.ID); got != status {
		t.Fatalf("%s is %s", login, got)
	}
	return u.ID
}

// What the life cycle does from each status: what comes of a step, or that there is no
// such way. The steps and what they are for are Okta's (its description of the operations
// /api/v1/users/{id}/lifecycle); the links of recorded users say that somebody who is not
// active yet can be suspended as well.
func TestTransitions(t *testing.T) {
	r := newRoom(t)
	all := []Status{Staged, Provisioned, Active, Recovery, PasswordExpired, LockedOut, Suspended, Deprovisioned}
	set := func(to Status) func(id string) error {
		return func(id string) error { return r.service.SetStatus(r.ctx, r.admin, id, to) }
	}
	const no = Status("")
	steps := []struct {
		name string
		do   func(id string) error
		want []Status // by all
	}{
		{"activate", func(id string) error { _, err := r.service.Activate(r.ctx, r.admin, id); return err }, []Status{Active, no, no, no, no, no, no, Active}},
		{"reactivate", func(id string) error { _, err := r.service.Reactivate(r.ctx, r.admin, id); return err }, []Status{no, Provisioned, no, no, no, no, no, no}},
		{"deactivate", set(Deprovisioned), []Status{Deprovisioned, Deprovisioned, Deprovisioned, Deprovisioned, Deprovisioned, Deprovisioned, Deprovisioned, Deprovisioned}},
		{"suspend", set(Suspended), []Status{no, Suspended, Suspended, Suspended, Suspended, Suspended, Suspended, no}},
		{"unsuspend", func(id string) error { return r.service.Unsuspend(r.ctx, r.admin, id) }, []Status{no, no, no, no, no, no, Active, no}},
		{"unlock", func(id string) error { return r.service.Unlock(r.ctx, r.admin, id) }, []Status{no, no, no, no, no, Active, no, no}},
		{"reset password", set(Recovery), []Status{no, Recovery, Recovery, Recovery, Recovery, Recovery, Recovery, no}},
		{"expire password", set(PasswordExpired), []Status{no, no, PasswordExpired, PasswordExpired, PasswordExpired, PasswordExpired, PasswordExpired, no}},
	}
	for _, step := range steps {
		for i, from := range all {
			id := r.in(t, fmt.Sprintf("%.5s-%d", step.name, i), from)
			err := step.do(id)
			switch got, want := r.status(t, id), step.want[i]; {
			case want == no && (fault.Of(err) == nil || fault.Of(err).Reason != ReasonStatus || got != from):
				t.Errorf("%s of %s: %v, now %s; there is no such way", step.name, from, err, got)
			case want != no && (err != nil || got != want):
				t.Errorf("%s of %s: %v, now %s; want %s", step.name, from, err, got, want)
			}
		}
	}
}

// To be suspended and not any more changes nothing else: an expired password is not
// good again by it, and a lock is not open.
func TestUnsuspendedAreWhatTheyWere(t *testing.T) {
	r := newRoom(t)
	for _, was := range []Status{Provisioned, Active, Recovery, PasswordExpired, LockedOut} {
		id := r.in(t, "was-"+string(was), was)
		must(t, r.service.SetStatus(r.ctx, r.admin, id, Suspended))
		must(t, r.service.Unsuspend(r.ctx, r.admin, id))
		if got := r.status(t, id); got != was {
			t.Errorf("was %s, is %s", was, got)
		}
	}
}
