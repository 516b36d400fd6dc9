// Images from binaries and Dockerfiles, and their way into a registry.
//
// An image is always an OCI layout with one index for all its platforms, whose
// bytes depend on its content only. It is pushed by digest and read back.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"

	"dagger/build/internal/dagger"

	"slipway/step"
)

// Build assembles, publishes and verifies images.
type Build struct {
	// +private
	Account Account
}

// Account is who somebody is at the images' registry.
type Account struct {
	Username string
	Password *dagger.Secret
}

// WithAccount says who reads and pushes at the images' registry, by everything that
// is called on it.
//
// Example: dagger -m modules/build call with-account --username bot --password env:TOKEN verify --reference ghcr.io/acme/hello@sha256:…
//
// +cache="168h"
func (*Build) WithAccount(
	// Who reads and pushes; nobody by default.
	// +optional
	username string,
	// The registry's password, or the request token of an Azure identity, which username
	// then is as JSON.
	// +optional
	password *dagger.Secret,
) *Build {
	return &Build{Account: Account{Username: username, Password: password}}
}

func runner() *dagger.Container {
	return dag.Toolbox().Runner(dag.Toolbox().Step("modules/build/step", dag.CurrentModule().Source().Directory("step")))
}

// Assemble makes an image index of static binaries for linux. The result's folder
// holds result.json and the OCI layout.
//
// +cache="168h"
func (*Build) Assemble(
	// The app's name; the name of the binary that the image starts.
	name string,
	// The app's folder, whose Git tree id becomes the revision label.
	source *dagger.Directory,
	// The binaries: a folder for each architecture, as GoApp.Binaries makes it.
	binaries *dagger.Directory,
	// The architectures.
	arches []string,
	// The TCP port that the app listens on.
	port int,
	// OCI annotations as key=value.
	labels []string,
) *dagger.Directory {
	args := []string{"/step", "assemble", "--out", "/out", "--name", name, "--tree", "/source", "--zoneinfo", "/zoneinfo.zip", "--port", strconv.Itoa(port)}
	for _, arch := range arches {
		args = append(args, "--binary", "linux/"+arch+"=/bin/"+arch)
	}
	return runner().
		WithMountedDirectory("/source", source).
		WithMountedDirectory("/bin", binaries).
		WithMountedFile("/zoneinfo.zip", dag.Toolbox().Zoneinfo()).
		WithExec(withLabels(args, labels)).
		Directory("/out")
}

// Committed compares what is taken from a source with the commit that its
// checkout stands at, or with another one: with the commit's objects, file by file,
// whether Git ignores a file or not. The result's folder holds result.json, with the
// commit and what differs from it.
//
// +cache="168h"
func (*Build) Committed(
	// The source.
	source *dagger.Directory,
	// A folder with the checkout's folder .git.
	repository *dagger.Directory,
	// The files and folders that are taken, in the source and in the commit.
	paths []string,
	// Name patterns of what was left out of the source.
	// +optional
	without []string,
	// The id of another commit to compare with.
	// +optional
	since string,
) *dagger.Directory {
	args := []string{"/step", "committed", "--out", "/out", "--source", "/source", "--repository", "/repository"}
	for _, p := range paths {
		args = append(args, "--path", p)
	}
	for _, w := range without {
		args = append(args, "--without", w)
	}
	if since != "" {
		args = append(args, "--since", since)
	}
	return runner().
		WithMountedDirectory("/source", source).
		WithMountedDirectory("/repository", repository).
		WithExec(args).
		Directory("/out")
}

// Order says whether a commit is an ancestor of another one, as far as the checkout has
// their history, and returns the step's result.
//
// +cache="168h"
func (*Build) Order(
	ctx context.Context,
	// The source, which is a linked worktree or the checkout itself.
	// +ignore=["*", "!.git", ".git/*"]
	source *dagger.Directory,
	// A folder with the checkout's folder .git.
	repository *dagger.Directory,
	// The commit that may be an ancestor.
	older string,
	// The commit whose history is looked through.
	newer string,
) (string, error) {
	return runner().
		WithMountedDirectory("/source", source).
		WithMountedDirectory("/repository", repository).
		WithExec([]string{"/step", "order", "--out", "/out", "--source", "/source", "--repository", "/repository", "--older", older, "--newer", newer}).
		File("/out/result.json").Contents(ctx)
}

// Normalize makes a reproducible image index of images that an engine built, and
// refuses one that runs as root. The result's folder holds result.json and the OCI
// layout.
//
// +cache="168h"
func (*Build) Normalize(
	// The app's folder, whose Git tree id becomes the revision label.
	source *dagger.Directory,
	// OCI annotations as key=value.
	labels []string,
	// The image for linux/amd64, as an OCI tarball.
	// +optional
	amd64 *dagger.File,
	// The image for linux/arm64, as an OCI tarball.
	// +optional
	arm64 *dagger.File,
) *dagger.Directory {
	base, args := forPlatforms(runner(), []string{"/step", "normalize", "--out", "/out", "--tree", "/source"}, "--image", amd64, arm64)
	return base.
		WithMountedDirectory("/source", source).
		WithExec(withLabels(args, labels)).
		Directory("/out")
}

// forPlatforms adds the files of those platforms that are built.
func forPlatforms(base *dagger.Container, args []string, flag string, amd64, arm64 *dagger.File) (*dagger.Container, []string) {
	if amd64 != nil {
		base, args = base.WithMountedFile("/input/amd64", amd64), append(args, flag, "linux/amd64=/input/amd64")
	}
	if arm64 != nil {
		base, args = base.WithMountedFile("/input/arm64", arm64), append(args, flag, "linux/arm64=/input/arm64")
	}
	return base, args
}

// Publish pushes a layout's index by digest, with every blob that the registry
// lacks, and returns the step's result.
//
// +cache="never"
func (b *Build) Publish(
	ctx context.Context,
	// The OCI layout.
	layout *dagger.Directory,
	// The digest that the layout must have.
	digest string,
	// The repository to push to: host[:port]/path.
	repository string,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	return b.now(runner().WithMountedDirectory("/layout", layout), service, connect,
		"/step", "publish", "--out", "/out", "--layout", "/layout", "--digest", digest, "--repository", repository).
		File("/out/result.json").Contents(ctx)
}

// Verify reads an image back from the registry and checks every blob, and
// returns the step's result.
//
// +cache="never"
func (b *Build) Verify(
	ctx context.Context,
	// The image: repository@digest.
	reference string,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	return b.now(runner(), service, connect, "/step", "fetch-verify", "--out", "/out", "--reference", reference).
		File("/out/result.json").Contents(ctx)
}

// Pull takes an image out of the registry, every blob checked against its digest. The
// result's folder holds result.json and, unless it is a refusal, the OCI layout. The
// digest determines the content, so an earlier pull may be used again; an earlier
// refusal may not.
//
// +cache="never"
func (b *Build) Pull(
	ctx context.Context,
	// The image: repository@digest.
	reference string,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (*dagger.Directory, error) {
	image, _, err := b.pull(ctx, reference, service, connect)
	return image, err
}

// PublishFolder pushes a folder that holds a folder for each part as an image, to
// publish programs with, and returns the step's result. The same files are the same
// image.
//
// +cache="never"
func (b *Build) PublishFolder(
	ctx context.Context,
	// The folder.
	folder *dagger.Directory,
	// The repository to push to: host[:port]/path.
	repository string,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	return b.now(runner().WithMountedDirectory("/folder", folder), service, connect,
		"/step", "publish-folder", "--out", "/out", "--folder", "/folder", "--repository", repository).
		File("/out/result.json").Contents(ctx)
}

// PullFolder takes the files out of an image that PublishFolder has pushed, every blob
// checked against its digest. The result's folder holds result.json and, unless it is a
// refusal, the folder files. An earlier pull may be used again, as in Pull.
//
// +cache="never"
func (b *Build) PullFolder(
	ctx context.Context,
	// The image: repository@digest.
	reference string,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (*dagger.Directory, error) {
	image, refused, err := b.pull(ctx, reference, service, connect)
	if err != nil || refused {
		return image, err
	}
	return runner().
		WithMountedDirectory("/layout", image.Directory("layout")).
		WithExec([]string{"/step", "unpack", "--out", "/out", "--layout", "/layout"}).
		Directory("/out"), nil
}

// pull takes an image's layout out of the registry, and says whether that was refused.
func (b *Build) pull(ctx context.Context, reference string, service *dagger.Service, connect string) (image *dagger.Directory, refused bool, err error) {
	base, args := b.Account.reach(runner(), service, connect, "/step", "pull", "--out", "/out", "--reference", reference)
	image, refused, err = kept(ctx, base, args)
	if err == nil && !refused && service != nil {
		image, err = plain(ctx, image, "image")
	}
	return image, refused, err
}

// kept runs a command whose arguments decide what comes, so an earlier run may stand
// in; an earlier refusal may not: it may have been mended since. It says whether the
// command refused now.
func kept(ctx context.Context, base *dagger.Container, args []string) (out *dagger.Directory, refused bool, err error) {
	out = base.WithExec(args).Directory("/out")
	text, err := out.File("result.json").Contents(ctx)
	if err != nil {
		return nil, false, err
	}
	var result step.Result
	if err := json.Unmarshal([]byte(text), &result); err != nil {
		return nil, false, fmt.Errorf("result of %s: %w", args[1], err)
	}
	if result.Fault != nil {
		return now(base, args).Directory("/out"), true, nil
	}
	return out, false, nil
}

func withLabels(args, labels []string) []string {
	for _, l := range labels {
		args = append(args, "--label", l)
	}
	return args
}

// now runs a command against the registry now.
func (b *Build) now(base *dagger.Container, service *dagger.Service, connect string, args ...string) *dagger.Container {
	return now(b.Account.reach(base, service, connect, args...))
}

// reach adds to a command what it needs to reach the registry.
func (a Account) reach(base *dagger.Container, service *dagger.Service, connect string, args ...string) (*dagger.Container, []string) {
	if service != nil {
		base = base.WithServiceBinding("registry", service)
	}
	if connect != "" {
		args = append(args, "--connect", connect)
	}
	if a.Password != nil {
		base = base.WithMountedSecret("/secrets/registry-password", a.Password)
		args = append(args, "--username", a.Username, "--registry-password-file", "/secrets/registry-password")
	}
	return base, args
}

// now runs a command now: its run id is new each time, so that no earlier run's
// result stands in for this one.
func now(base *dagger.Container, args []string) *dagger.Container {
	return base.WithEnvVariable("SLIPWAY_RUN", rand.Text()).WithExec(args)
}
