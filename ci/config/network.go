package config

import (
	"fmt"
	"slices"

	"slipway/step"
	"slipway/step/result/build"
)

// Hosts are named exactly, as host:port: a DNS name in small letters, or an IP address.
type Hosts []string

// validate refuses what names no host, and what is named twice; where names them.
func (h Hosts) validate(where string) error {
	for i, host := range h {
		if _, _, err := build.ParseHost(host); err != nil {
			return step.Input(stage, fmt.Sprintf("%s: %.100q", where, host), err.Error(), "write each host as host:port, such as packages.example.org:443")
		}
		if slices.Contains(h[:i], host) {
			return step.Input(stage, fmt.Sprintf("%s: %.100q", where, host), "is named twice", "name it once")
		}
	}
	return nil
}

// network checks which hosts the app asks for.
func (a *App) network(where string) error {
	if a.Build.Kind != KindDockerfile && len(a.Build.Network) > 0 {
		return step.Input(stage, where+": build.network", "is for the commands of a Dockerfile, and the app has none: compiling Go has no use for a network",
			"take it out; for the app's tests there is test.network, and modules are fetched by what go.sum pins")
	}
	if a.Build.Package == "" && a.Test.Target == "" && len(a.Test.Network) > 0 {
		return step.Input(stage, where+": test.network", "is for tests, and the app has none", "name the stage that runs them in test.target, or take it out")
	}
	if err := a.Build.Network.validate(where + ": build.network"); err != nil {
		return err
	}
	return a.Test.Network.validate(where + ": test.network")
}

// Held is what builds and tests of the app are held to, as the statements about them
// say.
func (a *App) Held(hosts Hosts, limits Limits) *build.Box {
	box := &build.Box{Network: append([]string{}, hosts...), Usage: build.Usage{Used: []build.Use{}}, User: "65532", Capabilities: []string{}, Limits: map[string]string{}}
	if a.Build.Kind == KindDockerfile {
		box.User, box.Capabilities = "as the Dockerfile says", []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID"}
	}
	for _, part := range limits.parts() {
		box.Limits[part.key] = part.text
	}
	return box
}
