package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/build"
)

// Box is what a part of an app's build is held to.
type Box = build.Box

// box is what a stage is held to, build or test: the hosts that app.yaml asks for, of
// those that the platform allows, and the limits.
func (a *App) box(settings *config.App, stage string) (*Box, error) {
	c := a.Slipway.Config
	limits, err := a.limits(settings)
	if err != nil {
		return nil, err
	}
	where := a.file(config.AppFile) + ": "
	if err := rules.Permit(stage, where+"build.network", c.Build.Network, settings.Build.Network); err != nil {
		return nil, err
	}
	hosts := settings.Build.Network
	if stage == "test" {
		if err := rules.Permit(stage, where+"test.network", c.Build.Network, settings.Test.Network); err != nil {
			return nil, err
		}
		// A stage for tests stands on those of the build, which it builds as well.
		hosts = slices.Compact(slices.Sorted(slices.Values(slices.Concat(settings.Build.Network, settings.Test.Network))))
	}
	return settings.Held(hosts, limits), nil
}

// networked runs something that finds its gateway in the mount of an id, and notes
// what the gateway was used for. The id is empty for a box without a network.
//
// A cache volume belongs to the module that names it; that is why the module that
// builds names it.
func networked(ctx context.Context, b *Box, run func(id string) error) (err error) {
	if len(b.Network) == 0 {
		return run("")
	}
	id := rand.Text()
	gateway, err := dag.Build().Gateway(b.Network, dag.CacheVolume("/"+id)).Start(ctx)
	if err != nil {
		return step.Infrastructure("build", "the gateway of the box", "can't be started: "+err.Error(), "see what it says; the engine has to run services")
	}
	defer func() {
		if _, stopErr := gateway.Stop(context.WithoutCancel(ctx), dagger.ServiceStopOpts{Kill: true}); stopErr != nil {
			err = errors.Join(err, stopErr)
		}
	}()
	if err := run(id); err != nil {
		return err
	}
	text, err := dag.Build().Usage(ctx, gateway)
	if err != nil {
		return err
	}
	return noted(b, text)
}

// noted adds what a gateway says that it was used for.
func noted(b *Box, text string) error {
	var usage build.Usage
	if err := json.Unmarshal([]byte(text), &usage); err != nil {
		return fmt.Errorf("what the gateway of the box was used for: %w", err)
	}
	b.Add(usage)
	return nil
}
