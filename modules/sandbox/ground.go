package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strconv"

	"dagger/sandbox/internal/dagger"
)

const (
	groundPort  = 5000
	groundAlias = "ground"
)

// Ground is a registry, a Git remote and a Terraform state backend for a drill:
// they hold what the drill puts there, ask nobody for an account, and end with the
// call.
type Ground struct {
	// +private
	Gitops *dagger.Directory
	// +private
	Run string
}

// Ground makes a new one, on port 5000: the registry at /v2/, the Git remote at
// /gitops.git and the states below /state/.
//
// Example: dagger -m modules/sandbox call ground --gitops gitops service up --ports 5000:5000
//
// +cache="168h"
func (*Sandbox) Ground(
	// The GitOps tree that the Git remote begins with, as gitops/.
	gitops *dagger.Directory,
	// A name of the run: another one makes another ground.
	// +optional
	run string,
) *Ground {
	return &Ground{Gitops: gitops, Run: run}
}

const (
	groundProgram = "/usr/local/bin/slipway-sandbox"
	groundData    = "/data"
)

// Service is the running ground.
//
// +cache="168h"
func (g *Ground) Service() *dagger.Service {
	return groundBase().
		WithDirectory(groundData, dag.Directory()).
		WithEnvVariable("SLIPWAY_RUN", g.Run).
		WithExposedPort(groundPort).
		AsService(dagger.ContainerAsServiceOpts{Args: []string{
			groundProgram, "serve", "--data", groundData, "--listen", "0.0.0.0:" + strconv.Itoa(groundPort), "--open",
		}})
}

// seeded is what the host says of the remote that it seeded.
type seeded struct {
	Commit string `json:"commit"`
}

// Seed fills the Git remote with the GitOps tree, and returns the commit.
//
// +cache="never"
func (g *Ground) Seed(ctx context.Context) (string, error) {
	text, err := groundBase().
		WithMountedDirectory("/gitops", g.Gitops).
		WithServiceBinding(groundAlias, g.Service()).
		WithEnvVariable("SLIPWAY_RUN", rand.Text()).
		WithExec([]string{groundProgram, "seed", "--gitops", "/gitops", "--url", "http://" + groundAlias + ":" + strconv.Itoa(groundPort) + "/gitops.git"}).
		Stdout(ctx)
	if err != nil {
		return "", err
	}
	var done seeded
	err = json.Unmarshal([]byte(text), &done)
	return done.Commit, err
}

func groundBase() *dagger.Container {
	host := dag.Toolbox().Binary(dag.CurrentModule().Source().Directory("host"), "./cmd/slipway-sandbox")
	return dag.Toolbox().Scratch().
		WithDirectory("/", debian("git")).
		WithNewFile("/etc/passwd", "root:x:0:0:root:/root:/bin/false\n").
		WithEnvVariable("PATH", "/usr/local/bin:/usr/bin:/bin").
		WithEnvVariable("HOME", "/root").
		WithFile(groundProgram, host)
}

// Flipped is the ground's registry, with one bit of each manifest of a repository
// flipped in transit.
//
// +cache="168h"
func (g *Ground) Flipped(
	// The repository, without the registry's name.
	repository string,
) *dagger.Service {
	return g.hostile().
		WithExposedPort(groundPort).
		AsService(dagger.ContainerAsServiceOpts{Args: g.attack("flip", "--repository", repository, "--listen", ":"+strconv.Itoa(groundPort))})
}

// Tag moves a tag of the ground's registry to a digest.
//
// +cache="never"
func (g *Ground) Tag(
	ctx context.Context,
	// The repository, without the registry's name.
	repository string,
	// The digest, sha256:….
	digest string,
	// The tag.
	tag string,
) (string, error) {
	return g.run(ctx, "tag", "--repository", repository, "--digest", digest, "--tag", tag)
}

// Resolve is the digest that a tag of the ground's registry names now.
//
// +cache="never"
func (g *Ground) Resolve(
	ctx context.Context,
	// The repository, without the registry's name.
	repository string,
	// The tag.
	tag string,
) (string, error) {
	return g.run(ctx, "resolve", "--repository", repository, "--tag", tag)
}

// Graft copies the signatures and attestations of an image to another image of its
// repository, as anybody can who may write to the registry, and returns how many there
// were.
//
// +cache="never"
func (g *Ground) Graft(
	ctx context.Context,
	// The repository, without the registry's name.
	repository string,
	// The digest of the image that they are about.
	from string,
	// The digest of the image that gets them.
	to string,
) (string, error) {
	return g.run(ctx, "graft", "--repository", repository, "--from", from, "--to", to)
}

func (g *Ground) hostile() *dagger.Container {
	return dag.Toolbox().Scratch().
		WithFile("/hostile", dag.Toolbox().Binary(dag.CurrentModule().Source().Directory("hostile"), ".")).
		WithServiceBinding(groundAlias, g.Service())
}

func (g *Ground) attack(name string, args ...string) []string {
	return append([]string{"/hostile", name, "--registry", groundAlias + ":" + strconv.Itoa(groundPort)}, args...)
}

func (g *Ground) run(ctx context.Context, name string, args ...string) (string, error) {
	return g.hostile().WithEnvVariable("SLIPWAY_RUN", rand.Text()).WithExec(g.attack(name, args...)).Stdout(ctx)
}
