package main

import (
	"context"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/step"
	"slipway/step/result/build"
)

// PackageSource is how the registries of apps' packages are reached.
type PackageSource struct {
	Netrc   *dagger.Secret  // +private
	Service *dagger.Service // +private
}

// WithPackages fetches the packages of apps' lock files from a registry or an index
// that asks for credentials: build.npm.registry and build.pip.index of slipway.yaml.
// Only the step that fetches sees them; nothing of the app does.
//
// Example: dagger call with-packages --netrc file:$HOME/.netrc app --name shop build digest
//
// +cache="168h"
func (s *Slipway) WithPackages(
	// Credentials of the registry and the index, in .netrc's format.
	// +optional
	netrc *dagger.Secret,
	// A service that stands in for their localhost addresses.
	// Example: tcp://localhost:8081
	// +optional
	service *dagger.Service,
) *Slipway {
	next := *s
	next.Packages = &PackageSource{Netrc: netrc, Service: service}
	return &next
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
	if err := decode(ctx, out, &fetched); err != nil || len(fetched.Locks) == 0 {
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
