package main

import (
	"context"
	"fmt"
	"net"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/step"
)

// Endpoint is how one remote part is reached: as whom, and through which
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
