// What a drill attacks, and what it attacks with: a registry, a Git remote, a Terraform
// state and a Sigstore of its own, and what somebody does who can write to the registry
// or stands on the way to it.
//
// Example: dagger -m modules/drill call service up --ports 5000:5000
package main

import (
	"context"
	"crypto/rand"
	"strconv"

	"dagger/drill/internal/dagger"
)

const (
	port           = 5000
	alias          = "drill"
	address        = alias + ":5000"
	sandboxProgram = "/usr/local/bin/slipway-sandbox"
	dataFolder     = "/data"
)

// Drill is a platform to attack. It holds what the drill puts there, asks nobody for
// an account unless it is given some, and ends with the call.
type Drill struct {
	Run      string            // +private
	Accounts *dagger.Secret    // +private
	Sandbox  *dagger.Directory // +private
}

// New makes a new one.
//
// +cache="168h"
func New(
	// A name of the run: another one makes another platform.
	// +optional
	run string,
	// Who may write, as the sandbox's accounts.json; without it everybody may.
	// +optional
	accounts *dagger.Secret,
	// The folder of the sandbox's programs, of which the drill runs one.
	// +defaultPath="/modules/sandbox"
	// +ignore=["*", "!host", "host/**/*_test.go", "!debian", "debian/*", "!debian/git.lock"]
	sandbox *dagger.Directory,
) *Drill {
	return &Drill{Run: run, Accounts: accounts, Sandbox: sandbox}
}

// Service is the running platform, on port 5000: the registry at /v2/, the Git remote
// at /gitops.git and the states below /state/.
//
// +cache="168h"
func (d *Drill) Service() *dagger.Service {
	base := d.base().
		WithDirectory(dataFolder, dag.Directory()).
		WithEnvVariable("SLIPWAY_RUN", d.Run).
		WithExposedPort(port)
	args := []string{sandboxProgram, "serve", "--data", dataFolder, "--listen", "0.0.0.0:" + strconv.Itoa(port)}
	if d.Accounts == nil {
		args = append(args, "--open")
	} else {
		base = base.WithMountedSecret(dataFolder+"/accounts.json", d.Accounts)
	}
	return base.AsService(dagger.ContainerAsServiceOpts{Args: args})
}

// Seed fills the Git remote with a GitOps tree, and returns the commit as JSON.
//
// +cache="never"
func (d *Drill) Seed(
	ctx context.Context,
	// The tree, which becomes the folder gitops.
	gitops *dagger.Directory,
) (string, error) {
	base := d.base().
		WithMountedDirectory("/gitops", gitops).
		WithServiceBinding(alias, d.Service()).
		WithEnvVariable("SLIPWAY_RUN", rand.Text())
	args := []string{sandboxProgram, "seed", "--gitops", "/gitops", "--url", "http://" + address + "/gitops.git"}
	if d.Accounts != nil {
		base = base.WithMountedSecret("/accounts.json", d.Accounts)
		args = append(args, "--accounts", "/accounts.json")
	}
	return base.WithExec(args).Stdout(ctx)
}

func (d *Drill) base() *dagger.Container {
	return dag.Toolbox().Scratch().
		WithDirectory("/", dag.Toolbox().Debian(d.Sandbox.File("debian/git.lock"))).
		WithNewFile("/etc/passwd", "root:x:0:0:root:/root:/bin/false\n").
		WithEnvVariable("PATH", "/usr/local/bin:/usr/bin:/bin").
		WithEnvVariable("HOME", "/root").
		WithFile(sandboxProgram, dag.Toolbox().Binary(d.Sandbox.Directory("host"), "./cmd/slipway-sandbox"))
}

// Flipped is the registry, with one bit of each manifest of a repository flipped in
// transit.
//
// +cache="168h"
func (d *Drill) Flipped(
	// The repository, without the registry's name.
	repository string,
) *dagger.Service {
	return d.hostile().
		WithExposedPort(port).
		AsService(dagger.ContainerAsServiceOpts{Args: attack("flip", "--repository", repository, "--listen", ":"+strconv.Itoa(port))})
}

// Tag moves a tag of the registry to a digest.
//
// +cache="never"
func (d *Drill) Tag(
	ctx context.Context,
	// The repository, without the registry's name.
	repository string,
	// The digest, sha256:….
	digest string,
	// The tag.
	tag string,
) (string, error) {
	return d.run(ctx, "tag", "--repository", repository, "--digest", digest, "--tag", tag)
}

// Resolve is the digest that a tag of the registry names now.
//
// +cache="never"
func (d *Drill) Resolve(
	ctx context.Context,
	// The repository, without the registry's name.
	repository string,
	// The tag.
	tag string,
) (string, error) {
	return d.run(ctx, "resolve", "--repository", repository, "--tag", tag)
}

// Graft copies the signatures and attestations of an image to another image of its
// repository, as anybody can who may write to the registry, and returns how many there
// were.
//
// +cache="never"
func (d *Drill) Graft(
	ctx context.Context,
	// The repository, without the registry's name.
	repository string,
	// The digest of the image that they are about.
	from string,
	// The digest of the image that gets them.
	to string,
) (string, error) {
	return d.run(ctx, "graft", "--repository", repository, "--from", from, "--to", to)
}

func (d *Drill) hostile() *dagger.Container {
	return dag.Toolbox().Scratch().
		WithFile("/hostile", dag.Toolbox().Binary(dag.CurrentModule().Source().Directory("hostile"), ".")).
		WithServiceBinding(alias, d.Service())
}

func attack(name string, args ...string) []string {
	return append([]string{"/hostile", name, "--registry", address}, args...)
}

func (d *Drill) run(ctx context.Context, name string, args ...string) (string, error) {
	return d.hostile().WithEnvVariable("SLIPWAY_RUN", rand.Text()).WithExec(attack(name, args...)).Stdout(ctx)
}
