// Images from binaries and Dockerfiles, and their way into a registry.
//
// An image is always an OCI layout with one index for all its platforms, whose
// bytes depend on its content only. It is pushed by digest and read back.
package main

import (
	"context"
	"crypto/rand"
	"strconv"

	"dagger/build/internal/dagger"
)

// Build assembles, publishes and verifies images.
type Build struct{}

func runner() *dagger.Container {
	return dag.Toolbox().Runner("modules/build/step", dag.CurrentModule().Source().Directory("step"))
}

// Assemble makes an image index of one static binary for linux/amd64 and
// linux/arm64. The result's folder holds result.json and the OCI layout.
//
// +cache="168h"
func (*Build) Assemble(
	// The app's name; the binary's name in the image.
	name string,
	// The app's folder, whose Git tree id becomes the revision label.
	source *dagger.Directory,
	// The binary for linux/amd64.
	amd64 *dagger.File,
	// The binary for linux/arm64.
	arm64 *dagger.File,
	// The TCP port that the app listens on.
	port int,
	// OCI annotations as key=value.
	labels []string,
) *dagger.Directory {
	args := []string{
		"/step", "assemble", "--out", "/out", "--name", name, "--tree", "/source",
		"--binary", "linux/amd64=/bin/amd64", "--binary", "linux/arm64=/bin/arm64",
		"--zoneinfo", "/zoneinfo.zip", "--port", strconv.Itoa(port),
	}
	return runner().
		WithMountedDirectory("/source", source).
		WithMountedFile("/bin/amd64", amd64).
		WithMountedFile("/bin/arm64", arm64).
		WithMountedFile("/zoneinfo.zip", dag.Toolbox().Zoneinfo()).
		WithExec(withLabels(args, labels)).
		Directory("/out")
}

// CheckDockerfile refuses a Dockerfile whose base images are not pinned by
// digest. The result's folder holds result.json.
//
// +cache="168h"
func (*Build) CheckDockerfile(
	// The app's folder.
	source *dagger.Directory,
	// The Dockerfile's path in it.
	file string,
) *dagger.Directory {
	return runner().
		WithMountedDirectory("/source", source).
		WithExec([]string{"/step", "dockerfile-check", "--out", "/out", "--file", "/source/" + file}).
		Directory("/out")
}

// Normalize makes a reproducible image index of two images that an engine
// built, and refuses one that runs as root. The result's folder holds
// result.json and the OCI layout.
//
// +cache="168h"
func (*Build) Normalize(
	// The app's folder, whose Git tree id becomes the revision label.
	source *dagger.Directory,
	// The image for linux/amd64, as an OCI tarball.
	amd64 *dagger.File,
	// The image for linux/arm64, as an OCI tarball.
	arm64 *dagger.File,
	// OCI annotations as key=value.
	labels []string,
) *dagger.Directory {
	args := []string{
		"/step", "normalize", "--out", "/out", "--tree", "/source",
		"--image", "linux/amd64=/image/amd64.tar", "--image", "linux/arm64=/image/arm64.tar",
	}
	return runner().
		WithMountedDirectory("/source", source).
		WithMountedFile("/image/amd64.tar", amd64).
		WithMountedFile("/image/arm64.tar", arm64).
		WithExec(withLabels(args, labels)).
		Directory("/out")
}

// Publish pushes a layout's index by digest, with every blob that the registry
// lacks, and returns the step's result.
//
// +cache="never"
func (*Build) Publish(
	ctx context.Context,
	// The OCI layout.
	layout *dagger.Directory,
	// The digest that the layout must have.
	digest string,
	// The repository to push to: host[:port]/path.
	repository string,
	// Who pushes.
	// +optional
	username string,
	// The registry's password.
	// +optional
	password *dagger.Secret,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	return registry(runner().WithMountedDirectory("/layout", layout), username, password, service, connect,
		"/step", "publish", "--out", "/out", "--layout", "/layout", "--digest", digest, "--repository", repository).
		File("/out/result.json").Contents(ctx)
}

// Verify reads an image back from the registry and checks every blob, and
// returns the step's result.
//
// +cache="never"
func (*Build) Verify(
	ctx context.Context,
	// The image: repository@digest.
	reference string,
	// Who reads.
	// +optional
	username string,
	// The registry's password.
	// +optional
	password *dagger.Secret,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	return registry(runner(), username, password, service, connect,
		"/step", "fetch-verify", "--out", "/out", "--reference", reference).
		File("/out/result.json").Contents(ctx)
}

func withLabels(args, labels []string) []string {
	for _, l := range labels {
		args = append(args, "--label", l)
	}
	return args
}

// registry runs a command against a registry now: its run id is new each time,
// so that no earlier run's result stands in for this one.
func registry(base *dagger.Container, username string, password *dagger.Secret, service *dagger.Service, connect string, args ...string) *dagger.Container {
	if service != nil {
		base = base.WithServiceBinding("registry", service)
		args = append(args, "--connect", connect)
	}
	if password != nil {
		base = base.WithMountedSecret("/secrets/registry-password", password)
		args = append(args, "--username", username, "--password-file", "/secrets/registry-password")
	}
	return base.WithEnvVariable("SLIPWAY_RUN", rand.Text()).WithExec(args)
}
