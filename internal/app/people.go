package app

import (
	"context"

	"gatehouse/client"
	"gatehouse/internal/admin"
	"gatehouse/internal/directory"
)

// peopleService adds users. It implements admin.People.
type peopleService struct{ people *directory.Service }

// Import implements admin.People.
func (s peopleService) Import(ctx context.Context, actor admin.Actor, users []client.NewUser) error {
	list := make([]directory.NewUser, len(users))
	for i, u := range users {
		if u.Email == "" {
			u.Email = u.Login
		}
		list[i] = directory.NewUser{Staged: u.Staged, Profile: directory.Profile{
			Login: u.Login, Email: u.Email, FirstName: u.FirstName, LastName: u.LastName, Attributes: u.Attributes,
		}}
	}
	return s.people.ImportUsers(ctx, ledgerActor(actor), list)
}
