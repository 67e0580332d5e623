package app

import (
	"net/http"

	"gatehouse/internal/grant"
	"gatehouse/internal/issued"
)

// compose makes what keeps people's grants, and the token endpoint.
func (id *identity) compose(c identityConfig, clients *grant.Clients, minter *grant.Minter) (*grant.Endpoint, error) {
	nonces, err := c.Sealer.Derive("dpop nonces of the token endpoint")
	if err != nil {
		return nil, err
	}
	if id.inspector, err = grant.NewInspector(grant.InspectorConfig{Rings: id.rings, Revoked: c.Revoked, Now: c.Now}); err != nil {
		return nil, err
	}
	judge := grant.NewJudge(grant.JudgeConfig{Persons: id.access, Consents: id.access, Certificates: c.Certificates, Now: c.Now})
	id.previewer = grant.NewPreviewer(grant.PreviewConfig{Minter: minter, Judge: judge})
	id.grants = issued.NewService(issued.Config{Store: c.DB, Bus: c.Bus, Now: c.Now})
	id.codes = grant.NewCodes(grant.CodesConfig{Store: c.DB, Judge: judge, Minter: minter, Now: c.Now})
	id.devices = grant.NewDevices(grant.DevicesConfig{Store: c.DB, Judge: judge, Now: c.Now})
	config := grant.Config{
		Clients: clients, Minter: minter, Audit: id.audit, Log: c.Log, Now: c.Now,

		Proofs: grant.NewProofs(grant.ProofsConfig{SingleUse: c.DB, Key: nonces, Now: c.Now}),
		Judge:  judge, Codes: c.DB, Refresh: c.DB, Grants: id.grants, Devices: c.DB,
		Passwords: passwords{id}, Certificates: c.Certificates, Derived: c.DB, Inspector: id.inspector, Users: id.people, Single: c.DB,
	}
	return grant.New(config), nil
}

// passwords checks passwords by the room of the pages, which stands on this one. It
// implements grant.Passwords.
type passwords struct{ id *identity }

// CheckPassword implements grant.Passwords.
func (p passwords) CheckPassword(r *http.Request, client, identifier, password string) (string, error) {
	return p.id.login.CheckPassword(r, client, identifier, password)
}
