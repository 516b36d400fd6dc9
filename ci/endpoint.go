package main

import (
	"context"
	"fmt"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/step"
)

// Endpoint is how one remote part is reached: as whom, and through which
// service when its address is not directly reachable from a container.
type Endpoint struct {
	// +private
	Username string
	// +private
	Password *dagger.Secret
	// +private
	Service *dagger.Service
}

// with returns e changed by the arguments that are given. A new address drops
// the service that stood in for the old one, and the old one's password.
func (e *Endpoint) with(username string, password *dagger.Secret, service *dagger.Service, moved bool) *Endpoint {
	next := *e
	next.Username = or(username, e.Username)
	if password != nil || moved {
		next.Password = password
	}
	if service != nil || moved {
		next.Service = service
	}
	return &next
}

// connect returns the step programs' --connect value, LOGICAL=ACTUAL, that
// sends the address's host and port to the endpoint's service under the given
// alias; empty without a service.
func (e *Endpoint) connect(ctx context.Context, stage, address, alias string) (string, error) {
	if e.Service == nil {
		return "", nil
	}
	service, err := e.Service.Start(ctx)
	if err != nil {
		return "", step.Infrastructure(stage, address, "its service does not start: "+err.Error(), "check the service argument").Because(err)
	}
	ports, err := service.Ports(ctx)
	if err != nil {
		return "", step.Infrastructure(stage, address, "its service names no port: "+err.Error(), "check the service argument").Because(err)
	}
	if len(ports) != 1 {
		return "", step.Input(stage, address, fmt.Sprintf("its service has %d ports", len(ports)), "give a service with one port, such as tcp://localhost:5000")
	}
	port, err := ports[0].Port(ctx)
	if err != nil {
		return "", step.Infrastructure(stage, address, "its service has no port: "+err.Error(), "check the service argument").Because(err)
	}
	host, err := config.HostPort(address)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s=%s:%d", host, alias, port), nil
}
