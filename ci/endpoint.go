package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
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
	// Sandbox stands in for addresses on localhost.
	Sandbox *dagger.Service // +private
	// Accounts are the sandbox's for this part, by what they are for. Where it asks for
	// one, Guarded, those that are needed may be missing.
	Accounts []*Account // +private
	Guarded  bool       // +private
}

// at is the endpoint of an address. Where the sandbox does not stand in for it, the
// sandbox's accounts are not for it, either.
func (e *Endpoint) at(address string) *Endpoint {
	next := *e
	if e.Service != nil {
		return &next
	}
	if next.Service = local(address, e.Sandbox); next.Service == nil {
		next.Accounts, next.Guarded = nil, false
	}
	return &next
}

// with returns e changed by the arguments that are given. A new address drops
// the service that stood in for the old one, and the old one's password. The
// password that is given is for every purpose.
func (e *Endpoint) with(username string, password *dagger.Secret, service *dagger.Service, moved bool) *Endpoint {
	next := *e
	next.Username = or(username, e.Username)
	if password != nil || moved {
		next.Password, next.Accounts, next.Guarded = password, nil, false
	}
	if service != nil || moved {
		next.Service, next.Sandbox = service, nil
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

// The purposes of a sandbox's accounts. Those that end in a slash have an environment's
// name behind it: such an account is good for that environment only.
const (
	imagesAccount   = "images"
	databaseAccount = "database"
	toolboxAccount  = "toolbox"
	gitopsAccount   = "gitops/"
	stateAccount    = "state/"
)

const accountsMend = "give the accounts.json of the sandbox's data folder, which the set-up names in .env, or what its command accounts writes for one environment"

// Account is who writes to a part of the sandbox, for one purpose.
type Account struct {
	Purpose  string         // +private
	Username string         // +private
	Password *dagger.Secret // +private
}

// account is one of the sandbox's.
type account struct{ Username, Password string }

// signIn gives the endpoints that the sandbox stands in for its accounts. Which of an
// environment's there are is looked at where that environment is asked for.
func (s *Slipway) signIn(ctx context.Context, accounts *dagger.Secret) error {
	if accounts == nil {
		return nil
	}
	text, err := accounts.Plaintext(ctx)
	if err != nil {
		return step.Input("config", "accounts", "can't be read: "+err.Error(), accountsMend)
	}
	var all map[string]account
	if json.Unmarshal([]byte(text), &all) != nil || len(all) == 0 {
		// The decoder's error could show a part of it.
		return step.Input("config", "accounts", "are not a JSON object of accounts, by purpose", accountsMend)
	}
	s.GitOps.Guarded, s.State.Guarded, s.Registry.Guarded = true, true, s.Registry.Service != nil
	for _, purpose := range slices.Sorted(maps.Keys(all)) {
		account, of := all[purpose], s.Registry
		switch {
		case account.Username == "" || account.Password == "":
			return step.Input("config", "accounts", fmt.Sprintf("have no name or no password for %.80q", purpose), accountsMend)
		case strings.HasPrefix(purpose, gitopsAccount):
			of = s.GitOps
		case strings.HasPrefix(purpose, stateAccount):
			of = s.State
		case !of.Guarded || purpose != imagesAccount && purpose != databaseAccount && purpose != toolboxAccount:
			continue
		}
		// The engine tells secrets apart by their names: the username is random.
		of.Accounts = append(of.Accounts, &Account{
			Purpose: purpose, Username: account.Username, Password: dag.SetSecret("the sandbox's password of "+account.Username, account.Password),
		})
	}
	s.Registry = s.Registry.as(imagesAccount)
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

// needs refuses the sandbox's accounts if they have none for a purpose.
func (e *Endpoint) needs(stage, purpose string) error {
	if !e.Guarded || slices.ContainsFunc(e.Accounts, func(a *Account) bool { return a.Purpose == purpose }) {
		return nil
	}
	return step.Input(stage, "accounts", "have none for "+purpose, accountsMend)
}

// releases is where the releases of an environment go, and how that is reached: by the
// environment's own account, where the sandbox stands in.
func (s *Slipway) releases(env string) (config.GitOps, *Endpoint) {
	c := s.Config.For(env).GitOps
	at := s.GitOps.at(c.Remote).as(gitopsAccount + env)
	at.Username = or(at.Username, c.Username)
	return c, at
}

// states is where the Terraform state of an environment is, and how that is reached: by
// the environment's own account, where the sandbox stands in.
func (s *Slipway) states(env string) (config.Infra, *Endpoint) {
	c := s.Config.For(env).Infra
	at := s.State.at(c.State).as(stateAccount + env)
	at.Username = or(at.Username, c.Username)
	return c, at
}
