package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/step"
	"slipway/step/azure"
)

// Endpoint is how one remote part is reached: with which account, and through which
// service when its address is not directly reachable from a container.
type Endpoint struct {
	Username string          // +private
	Password *dagger.Secret  // +private
	Service  *dagger.Service // +private
	// Accounts are the sandbox's, by what they are for.
	Accounts []*Account // +private
}

// with returns e changed by the arguments that are given. A new address drops
// the service that stood in for the old one, and the old one's password. The
// password that is given is for every purpose.
func (e *Endpoint) with(username string, password *dagger.Secret, service *dagger.Service, moved bool) *Endpoint {
	next := *e
	next.Username = or(username, e.Username)
	if password != nil || moved {
		next.Password, next.Accounts = password, nil
	}
	if service != nil || moved {
		next.Service = service
	}
	return &next
}

// connect returns the step programs' --connect value, LOGICAL=ACTUAL, that
// sends the address's host and port to the endpoint's service under the given
// alias; empty without a service. One with several ports is reached at its first.
func (e *Endpoint) connect(ctx context.Context, stage, address, alias string) (string, error) {
	if e.Service == nil {
		return "", nil
	}
	service, err := e.Service.Start(ctx)
	if err != nil {
		return "", step.Infrastructure(stage, address, "its service does not start: "+err.Error(), "check the service argument")
	}
	// Not its Ports: an engine that is stopped while a call holds a list of them
	// can't save it, and loses all its caches (v0.21.7).
	endpoint, err := service.Endpoint(ctx)
	if err != nil {
		return "", step.Infrastructure(stage, address, "its service names no port: "+err.Error(), "check the service argument")
	}
	_, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		return "", step.Infrastructure(stage, address, "its service is at "+endpoint+", without a port", "give a service with one port, such as tcp://localhost:5000")
	}
	host, err := config.HostPort(address)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s=%s:%s", host, alias, port), nil
}

// credentials are the account for a registry, as each module's WithAccount takes them.
type credentials struct {
	Username string
	Password *dagger.Secret
}

// reached is the service that answers for a remote part, as the modules' verbs take it.
// It isn't part of the module's own object: a service differs from one session to the
// next, so nothing made of that object would be found in the cache again.
type reached struct {
	Service *dagger.Service
	Connect string
}

// access is how a registry is reached, and with which account.
type access struct {
	credentials
	reached
}

// build is the build module, with the registry's account.
func (a access) build() *dagger.Build {
	return dag.Build().WithAccount(dagger.BuildWithAccountOpts(a.credentials))
}

// registry is how a repository's registry is reached, and with which account: the
// identity's, where the registry is one of Azure's and no password for it is given.
func (s *Slipway) registry(ctx context.Context, stage, repository string, e *Endpoint) (access, error) {
	connect, err := e.connect(ctx, stage, "//"+repository, registryAlias)
	at := access{credentials{e.Username, e.Password}, reached{e.Service, connect}}
	host, _, _ := strings.Cut(repository, "/")
	if err != nil || s.Azure == nil || e.Password != nil || !azure.IsRegistry(host) {
		return at, err
	}
	if s.Azure.Proxy != nil {
		if e.Service != nil {
			return at, step.Input(stage, "registry "+host, "is reached through a service of its own and through Azure's proxy", "give --service of with-registry or --proxy of with-azure-cloud")
		}
		at.Service = s.Azure.Proxy
	}
	at.Password = s.Azure.Token
	at.Username, err = s.Azure.as(ctx, stage, registryAlias)
	return at, err
}

const registryAlias = "registry"

// local is the service that stands in for an address on localhost, if any.
func local(address string, sandbox *dagger.Service) *dagger.Service {
	if sandbox != nil && config.Local(address) {
		return sandbox
	}
	return nil
}

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
