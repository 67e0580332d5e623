package app

import (
	"gatehouse/internal/grant"
	"gatehouse/internal/issued"
)

// compose makes what keeps people's grants and makes tokens of them.
func (id *identity) compose(c identityConfig, minter *grant.Minter) {
	judge := grant.NewJudge(grant.JudgeConfig{Persons: id.access})
	id.grants = issued.NewService(issued.Config{Store: c.DB, Bus: c.Bus, Now: c.Now})
	id.codes = grant.NewCodes(grant.CodesConfig{Store: c.DB, Judge: judge, Minter: minter, Now: c.Now})
	id.devices = grant.NewDevices(grant.DevicesConfig{Store: c.DB, Judge: judge, Now: c.Now})
}
