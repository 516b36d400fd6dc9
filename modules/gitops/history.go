package main

import (
	"context"
	"crypto/rand"
	"strconv"

	"dagger/gitops/internal/dagger"
)

// History lists the releases of an overlay in the GitOps repository, newest
// first, and returns the step's result: for each its digest, the commit that
// set it, its author, and what it was promoted from or takes back.
//
// +cache="never"
func (g *Gitops) History(
	ctx context.Context,
	// The GitOps repository's http(s) URL.
	remote string,
	// The app.
	app string,
	// The environment.
	env string,
	// The image's repository, where the overlay has more than one image.
	// +optional
	repository string,
	// How many releases to list, 1 to 1000.
	// +default=50
	limit int,
	// The branch that Argo CD follows.
	// +default="main"
	branch string,
	// The folder of the GitOps tree in the repository.
	// +default="."
	root string,
	// Who reads.
	// +optional
	username string,
	// The token of who reads.
	// +optional
	token *dagger.Secret,
	// The service that answers for the remote.
	// +optional
	service *dagger.Service,
	// Where the remote's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	args := []string{
		"/step", "history", "--out", "/out", "--remote", remote, "--branch", branch, "--root", root,
		"--app", app, "--env", env, "--limit", strconv.Itoa(limit),
	}
	if repository != "" {
		args = append(args, "--repository", repository)
	}
	return reading(g.runner(stepProgram), args, username, token, service, connect).
		File("/out/result.json").Contents(ctx)
}

// Preview shows what a release of an image would change, and changes nothing.
// The result's folder holds result.json and, unless it is a refusal,
// manifests.yaml and diff.patch: what the overlay would render to, and the
// unified diff of it, object by object, without the values of Secrets. It
// refuses what Release would.
//
// +cache="never"
func (g *Gitops) Preview(
	// The GitOps repository's http(s) URL.
	remote string,
	// The app.
	app string,
	// The environment.
	env string,
	// The image's repository.
	repository string,
	// The image's digest.
	digest string,
	// The branch that Argo CD follows.
	// +default="main"
	branch string,
	// The folder of the GitOps tree in the repository.
	// +default="."
	root string,
	// Who reads.
	// +optional
	username string,
	// The token of who reads.
	// +optional
	token *dagger.Secret,
	// The service that answers for the remote.
	// +optional
	service *dagger.Service,
	// Where the remote's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
	// The overlay inflates a Helm chart: bring Helm.
	// +optional
	helm bool,
) *dagger.Directory {
	base, args := g.rendering(helm,
		"/step", "preview", "--out", "/out", "--remote", remote, "--branch", branch, "--root", root,
		"--app", app, "--env", env, "--repository", repository, "--digest", digest,
	)
	return reading(base, args, username, token, service, connect).
		Directory("/out")
}

// CheckCommit checks, without a network, that a commit of a checkout is the release
// that a receipt describes, and returns the step's result. It refuses a commit that is
// not in the history of the checkout's head, did not change the file, holds another
// digest or names another decision.
//
// +cache="168h"
func (g *Gitops) CheckCommit(
	ctx context.Context,
	// A clone of the GitOps repository, with its folder .git.
	// +ignore=["*", "!.git"]
	checkout *dagger.Directory,
	// The commit.
	commit string,
	// The file that it must have changed.
	path string,
	// The image's repository.
	repository string,
	// The image's digest, which the file must hold.
	digest string,
	// The digest that the commit's trailer Slipway-Evidence must name; without one,
	// it must name none.
	// +optional
	evidence string,
) (string, error) {
	return g.runner(stepProgram).
		WithMountedDirectory("/checkout", checkout).
		WithExec([]string{
			"/step", "check-commit", "--out", "/out", "--checkout", "/checkout", "--commit", commit, "--path", path,
			"--repository", repository, "--digest", digest, "--evidence", evidence,
		}).
		File("/out/result.json").Contents(ctx)
}

// reading runs a command against the remote now: its run id is new each time,
// so that no earlier run's result stands in for this one.
func reading(base *dagger.Container, args []string, username string, token *dagger.Secret, service *dagger.Service, connect string) *dagger.Container {
	if service != nil {
		base = base.WithServiceBinding("git", service)
		args = append(args, "--connect", connect)
	}
	if token != nil {
		base = base.WithMountedSecret("/secrets/token", token)
		args = append(args, "--username", username, "--token-file", "/secrets/token")
	}
	return base.WithEnvVariable("SLIPWAY_RUN", rand.Text()).WithExec(args)
}
