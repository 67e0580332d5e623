package authserver

import (
	"net/http"

	"gatehouse/internal/access"
	"gatehouse/internal/grant"
	"gatehouse/internal/login"
)

// pages stands in for the pages: what a person sees is tested with the whole
// program.
type pages struct{}

func (pages) Begin(w http.ResponseWriter, _ *http.Request, _ *grant.Target, _ *access.AppView, _ login.Request) {
	w.WriteHeader(http.StatusSeeOther)
}

func (pages) Fail(w http.ResponseWriter, _ *http.Request, _ *grant.Target, _ login.Request, _ error) {
	w.WriteHeader(http.StatusSeeOther)
}

func (pages) SignOut(w http.ResponseWriter, _ *http.Request, _ *grant.Target, _ login.SignOut) {
	w.WriteHeader(http.StatusSeeOther)
}

func (pages) Stop(w http.ResponseWriter, _ *http.Request, status int, _ *login.Refusal) {
	w.WriteHeader(status)
}
