package main

import (
	"context"
	"errors"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/step/result/build"
)

// from is an image of a Dockerfile's, for one platform.
func (s *Slipway) from(reference, platform string) *dagger.Container {
	var opts dagger.ContainerFromOpts
	if s.Registry.Service != nil && config.Local("//"+reference) {
		opts.RegistryService = s.Registry.Service
	}
	return dag.Container(dagger.ContainerOpts{Platform: dagger.Platform(platform)}).From(reference, opts)
}

// holdBases has the engine fetch what a Dockerfile's build for one platform takes
// out of the embedded registry. The engine reaches that through the registry's
// service only, which a Dockerfile's build can't be given; what the engine holds by
// its digest it doesn't fetch again.
//
// A base may have no image for the platform and be used for another: its error
// counts only when the build fails.
func (s *Slipway) holdBases(ctx context.Context, checked build.Dockerfile, platform string) (err error) {
	hold := func(reference, platform string) {
		if s.Registry.Service != nil && config.Local("//"+reference) {
			_, failed := s.from(reference, platform).Sync(ctx)
			err = errors.Join(err, failed)
		}
	}
	for _, base := range checked.Bases {
		hold(base.Reference, platform)
	}
	for _, c := range checked.Configs {
		if c.Build == platform && c.Platform != platform {
			hold(c.Reference, c.Platform)
		}
	}
	return err
}
