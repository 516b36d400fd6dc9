package main

import (
	"context"
	"encoding/json"

	"slipway/ci/internal/dagger"

	"slipway/step"
)

// The purposes of a sandbox's accounts.
const (
	imagesAccount   = "images"
	databaseAccount = "database"
	toolboxAccount  = "toolbox"
	gitopsAccount   = "gitops"
	stateAccount    = "state"
)

// Account is who writes to a part of the sandbox, for one purpose.
type Account struct {
	Purpose  string         // +private
	Username string         // +private
	Password *dagger.Secret // +private
}

// account is one of the sandbox's.
type account struct{ Username, Password string }

// signIn gives the endpoints that the sandbox stands in for its accounts.
func (s *Slipway) signIn(ctx context.Context, accounts *dagger.Secret) error {
	if accounts == nil {
		return nil
	}
	const mend = "give the accounts.json of the sandbox's data folder, which the set-up names in .env"
	text, err := accounts.Plaintext(ctx)
	if err != nil {
		return step.Input("config", "accounts", "can't be read: "+err.Error(), mend)
	}
	var all map[string]account
	if json.Unmarshal([]byte(text), &all) != nil {
		// The decoder's error could show a part of it.
		return step.Input("config", "accounts", "are not a JSON object of accounts, by purpose", mend)
	}
	for _, of := range []struct {
		endpoint *Endpoint
		purposes []string
	}{{s.Registry, []string{imagesAccount, databaseAccount, toolboxAccount}}, {s.GitOps, []string{gitopsAccount}}, {s.State, []string{stateAccount}}} {
		if of.endpoint.Service == nil {
			continue
		}
		for _, purpose := range of.purposes {
			account := all[purpose]
			if account.Username == "" || account.Password == "" {
				return step.Input("config", "accounts", "have none for "+purpose, mend)
			}
			// The engine tells secrets apart by their names: the username is random.
			of.endpoint.Accounts = append(of.endpoint.Accounts, &Account{
				Purpose: purpose, Username: account.Username, Password: dag.SetSecret("the sandbox's password of "+account.Username, account.Password),
			})
		}
		*of.endpoint = *of.endpoint.as(of.purposes[0])
	}
	return nil
}

// as is the endpoint with its account for a purpose, where it has one.
func (e *Endpoint) as(purpose string) *Endpoint {
	next := *e
	for _, account := range e.Accounts {
		if account.Purpose == purpose {
			next.Username, next.Password = account.Username, account.Password
		}
	}
	return &next
}
