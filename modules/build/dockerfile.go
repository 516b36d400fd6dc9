package main

import (
	"context"
	"strconv"

	"dagger/build/internal/dagger"
)

// Dockerfile is an app's Dockerfile and what the builder is given with it.
type Dockerfile struct {
	// +private
	Source *dagger.Directory
	// +private
	Flags []string
}

// Dockerfile takes an app's Dockerfile.
//
// +cache="168h"
func (*Build) Dockerfile(
	// The app's folder, which is the build context.
	source *dagger.Directory,
	// The Dockerfile's path in it.
	file string,
	// Build arguments as KEY=VALUE.
	// +optional
	args []string,
	// The stage that is built; by default the last one.
	// +optional
	target string,
	// Ids of the secrets that the build may mount.
	// +optional
	secrets []string,
	// Images for names that no digest pins, as NAME=REFERENCE.
	// +optional
	bases []string,
) *Dockerfile {
	flags := []string{"--source", "/source", "--file", file}
	for _, arg := range args {
		flags = append(flags, "--build-arg", arg)
	}
	if target != "" {
		flags = append(flags, "--target", target)
	}
	for _, secret := range secrets {
		flags = append(flags, "--secret", secret)
	}
	for _, base := range bases {
		flags = append(flags, "--base", base)
	}
	return &Dockerfile{Source: source, Flags: flags}
}

// Check refuses a Dockerfile with an instruction, a flag or a mount that is not on
// the list, or with something from elsewhere that is not pinned. The result's folder
// holds result.json: bases, fetches, configs and ignore.
//
// +cache="168h"
func (d *Dockerfile) Check(
	// What is built for: linux/amd64, linux/arm64.
	platforms []string,
) *dagger.Directory {
	args := append([]string{"/step", "dockerfile-check", "--out", "/out"}, d.Flags...)
	for _, platform := range platforms {
		args = append(args, "--platform", platform)
	}
	return runner().
		WithMountedDirectory("/source", d.Source).
		WithExec(args).
		Directory("/out")
}

// Rewrite writes the Dockerfile anew, so that each RUN is in the box and has no
// network. The result's folder holds result.json and, unless it is a refusal, the
// file Dockerfile and the folder scripts.
//
// +cache="168h"
func (d *Dockerfile) Rewrite(
	// The platform that is built.
	platform string,
	// The box's arguments before --.
	box []string,
	// Base images whose configs the check named, as REFERENCE=PLATFORM.
	// +optional
	images []string,
	// An OCI archive for each of them, in their order. Nothing but the config is
	// looked at.
	// +optional
	archives []*dagger.File,
	// Whether the build context has a folder of packages, which the box serves to
	// each RUN.
	// +optional
	packages bool,
	// The id of the mount in which each RUN finds its gateway; none by default.
	// +optional
	network string,
) *dagger.Directory {
	args := append([]string{"/step", "dockerfile-rewrite", "--out", "/out", "--platform", platform}, d.Flags...)
	for _, arg := range box {
		args = append(args, "--box="+arg)
	}
	if packages {
		args = append(args, "--packages")
	}
	if network != "" {
		args = append(args, "--network", network)
	}
	base := runner().WithMountedDirectory("/source", d.Source)
	for i, image := range images {
		path := "/images/" + strconv.Itoa(i) + ".tar"
		base, args = base.WithMountedFile(path, archives[i]), append(args, "--image", image+"="+path)
	}
	return base.WithExec(args).Directory("/out")
}

// Packages fetches what the lock files of an app pin: npm's (package-lock.json and
// npm-shrinkwrap.json) and pip's (requirements*.txt and what they include), outside of
// node_modules and site-packages, each file held to the lock file's hash. Nothing else
// of the app is read, and nothing of it runs. The result's folder holds result.json
// and, unless it is a refusal, the folder packages.
//
// Example: dagger -m modules/build call packages --source apps/shop --npm https://registry.example file --path result.json contents
//
// +cache="never"
func (*Build) Packages(
	ctx context.Context,
	// The app's folder.
	source *dagger.Directory,
	// The base address of the registry of npm's packages; without one,
	// npm's lock files are refused.
	// +optional
	npm string,
	// The base address of the simple index of Python packages; without one,
	// requirements are refused.
	// +optional
	pip string,
	// The credentials of registry and index, in .netrc's format.
	// +optional
	netrc *dagger.Secret,
	// The service that answers for their addresses.
	// +optional
	service *dagger.Service,
	// Where an address's host and port is reached: LOGICAL=ACTUAL.
	// +optional
	connect []string,
) (*dagger.Directory, error) {
	locks := source.Filter(dagger.DirectoryFilterOpts{
		Include: []string{"**/package-lock.json", "**/npm-shrinkwrap.json", "**/*.txt"},
		Exclude: []string{"**/node_modules/**", "**/site-packages/**"},
	})
	base, args := runner().WithMountedDirectory("/source", locks), []string{"/step", "packages-fetch", "--out", "/out", "--source", "/source"}
	if npm != "" {
		args = append(args, "--npm", npm)
	}
	if pip != "" {
		args = append(args, "--pip", pip)
	}
	if netrc != nil {
		base, args = base.WithMountedSecret("/secrets/netrc", netrc), append(args, "--netrc", "/secrets/netrc")
	}
	if service != nil {
		base = base.WithServiceBinding("packages", service)
		for _, c := range connect {
			args = append(args, "--connect", c)
		}
	}
	out, refused, err := kept(ctx, base, args)
	if err != nil || refused || service == nil {
		return out, err
	}
	return plain(ctx, out, "packages")
}

// plain is a folder as plain files. A service is another one in each session, and so
// is what is read through it; as plain files it is known by its content again.
func plain(ctx context.Context, folder *dagger.Directory, name string) (*dagger.Directory, error) {
	if _, err := folder.Export(ctx, name); err != nil {
		return nil, err
	}
	return dag.CurrentModule().Workdir(name), nil
}
