package main

import (
	"context"
	"errors"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/step"
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

// packages fetches what the lock files of the build context pin; nil where there are
// none.
func (r recipe) packages(ctx context.Context, checked build.Dockerfile) (*dagger.Directory, build.Fetched, error) {
	var fetched build.Fetched
	source := r.app.source().Filter(dagger.DirectoryFilterOpts{Exclude: checked.Ignore})
	var locks []string
	for _, name := range append([]string{build.Requirements}, build.LockFiles...) {
		found, err := source.Glob(ctx, "**/"+name)
		if err != nil {
			return nil, fetched, err
		}
		locks = append(locks, found...)
	}
	if len(locks) == 0 {
		return nil, fetched, nil
	}
	c := r.app.Slipway.Config
	opts := dagger.BuildPackagesOpts{Npm: c.Build.NPM.Registry, Pip: c.Build.Pip.Index}
	if p := r.app.Slipway.Packages; p != nil {
		connect, err := p.connect(ctx, c.Build)
		if err != nil {
			return nil, fetched, err
		}
		opts.Netrc, opts.Service, opts.Connect = p.Netrc, p.Service, connect
	}
	out := dag.Build().Packages(source, opts)
	fetched, err := resultIn[build.Fetched](ctx, out)
	if err != nil || len(fetched.Locks) == 0 {
		return nil, fetched, err
	}
	return out.Directory(build.PackagesFolder), fetched, nil
}

// packagesAlias is the name that the service has in the step that fetches.
const packagesAlias = "packages"

// connect has the localhost addresses that packages come from reached at the service.
func (p *PackageSource) connect(ctx context.Context, rules config.BuildRules) ([]string, error) {
	if p.Service == nil {
		return nil, nil
	}
	var all []string
	for _, address := range []string{rules.NPM.Registry, rules.Pip.Index} {
		if !config.Local(address) {
			continue
		}
		one, err := (&Endpoint{Service: p.Service}).connect(ctx, "build", address, packagesAlias)
		if err != nil {
			return nil, err
		}
		if len(all) == 0 || all[0] != one {
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		return nil, step.Input("config", "with-packages --service", "stands in for nothing: neither build.npm.registry nor build.pip.index is a localhost address", "leave it out, or name such an address in slipway.yaml")
	}
	return all, nil
}
