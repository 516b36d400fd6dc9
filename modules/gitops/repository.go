package main

import (
	"context"
	"crypto/rand"
	"strconv"

	"dagger/gitops/internal/dagger"

	"slipway/step"
)

// Repository is the GitOps repository, who reads and pushes it, and who its commits are by.
type Repository struct {
	Gitops      *Gitops        // +private
	Remote      string         // +private
	Branch      string         // +private
	Root        string         // +private
	Username    string         // +private
	Token       *dagger.Secret // +private
	AuthorName  string         // +private
	AuthorEmail string         // +private
}

// Repository names the GitOps repository, and who reads and pushes it.
//
// +cache="168h"
func (g *Gitops) Repository(
	// The GitOps repository's http(s) URL.
	remote string,
	// The branch that Argo CD follows.
	// +default="main"
	branch string,
	// The folder of the GitOps tree in the repository.
	// +default="."
	root string,
	// Who reads and pushes.
	// +optional
	username string,
	// The token of who reads and pushes.
	// +optional
	token *dagger.Secret,
) *Repository {
	return &Repository{
		Gitops: g, Remote: remote, Branch: branch, Root: root, Username: username, Token: token,
		AuthorName: "Slipway", AuthorEmail: "slipway@localhost",
	}
}

// WithAuthor says who the commits of releases are by, instead of Slipway
// <slipway@localhost>.
//
// +cache="168h"
func (r *Repository) WithAuthor(
	// The commit author's name.
	name string,
	// The commit author's address.
	email string,
) *Repository {
	next := *r
	next.AuthorName, next.AuthorEmail = name, email
	return &next
}

// Applications generates the Argo CD objects of the GitOps tree: an Application
// per overlay, which follows the repository as Argo CD reaches it. The result's
// folder holds result.json and the objects' folder, argocd.
//
// +cache="168h"
func (r *Repository) Applications(
	// The GitOps tree: the folder that holds apps/.
	tree *dagger.Directory,
) *dagger.Directory {
	return r.Gitops.runner(argocdProgram).
		WithMountedDirectory("/gitops", tree).
		WithExec([]string{
			"/step", "generate", "--out", "/out", "--objects", "/out/argocd",
			"--tree", "/gitops", "--remote", r.Remote, "--branch", r.Branch, "--root", r.Root,
		}).
		Directory("/out")
}

// Merged refuses a commit that is not on the repository's branch: neither its newest one
// nor one that led to it. It returns the step's result.
//
// Example: dagger -m modules/gitops call repository --remote https://github.com/acme/platform.git --branch main merged --commit 5c1a2b…
//
// +cache="never"
func (r *Repository) Merged(
	ctx context.Context,
	// The commit, all of its 40 digits.
	commit string,
	// The service that answers for the remote.
	// +optional
	service *dagger.Service,
	// Where the remote's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	return r.run(r.Gitops.runner(stepProgram), []string{"/step", "merged", "--commit", commit}, service, connect).
		File(step.ResultFile).Contents(ctx)
}

// Overlay is what the GitOps repository says of an app in an environment.
type Overlay struct {
	Repository *Repository // +private
	App        string      // +private
	Env        string      // +private
	Helm       bool        // +private
	Older      bool        // +private
	Evidence   string      // +private
	Before     string      // +private
	Manifests  string      // +private
}

// Overlay names an app's overlay of an environment. What is called on it reads the
// repository now, through the service that it is given.
//
// Example: dagger -m modules/gitops call repository --remote https://github.com/acme/platform.git --root gitops overlay --app hello --env dev history
//
// +cache="168h"
func (r *Repository) Overlay(
	// The app.
	app string,
	// The environment.
	env string,
	// The overlay inflates a Helm chart: bring Helm.
	// +optional
	helm bool,
	// Let a release or promotion bring back what the overlay ran before.
	// +optional
	older bool,
) *Overlay {
	return &Overlay{Repository: r, App: app, Env: env, Helm: helm, Older: older}
}

// WithDecision says what was decided about a release, and over what: it is refused where
// the overlay is no longer as it was then. The commit's trailer Slipway-Evidence names
// the decision; the result says what the commit's trailer is.
//
// +cache="168h"
func (o *Overlay) WithDecision(
	// The digest of the decision that allows the release, sha256:….
	evidence string,
	// The digest of the image that the overlay had, as Preview says it.
	before string,
	// The sha256:… of what the overlay renders to with the image, as Preview says it.
	manifests string,
) *Overlay {
	next := *o
	next.Evidence, next.Before, next.Manifests = evidence, before, manifests
	return &next
}

// run runs a command about the overlay now, and returns its folder: the run id is new
// each time, so that no earlier run's result stands in for this one.
func (o *Overlay) run(service *dagger.Service, connect, command string, flags ...string) *dagger.Directory {
	r := o.Repository
	base, args := r.Gitops.rendering(o.Helm, "/step", command, "--app", o.App, "--env", o.Env)
	return r.run(base, append(args, flags...), service, connect)
}

// run runs a command about the repository now.
func (r *Repository) run(base *dagger.Container, args []string, service *dagger.Service, connect string) *dagger.Directory {
	args = append(args, "--out", "/out", "--remote", r.Remote, "--branch", r.Branch, "--root", r.Root)
	if service != nil {
		base = base.WithServiceBinding("git", service)
		args = append(args, "--connect", connect)
	}
	if r.Token != nil {
		base = base.WithMountedSecret("/secrets/token", r.Token)
		args = append(args, "--username", r.Username, "--token-file", "/secrets/token")
	}
	return base.WithEnvVariable("SLIPWAY_RUN", rand.Text()).WithExec(args).Directory("/out")
}

// release makes the commit of a release, which flags say the kind of.
func (o *Overlay) release(ctx context.Context, image, revision string, service *dagger.Service, connect string, flags ...string) (string, error) {
	reference := step.Reference(image)
	return o.run(service, connect, "release", append(flags,
		"--repository", reference.Repository(), "--digest", reference.Digest(), "--source-revision", revision, "--evidence", o.Evidence, "--before", o.Before, "--manifests", o.Manifests, o.older(),
		"--author-name", o.Repository.AuthorName, "--author-email", o.Repository.AuthorEmail,
	)...).File(step.ResultFile).Contents(ctx)
}

// Release sets the app's image in the overlay, as one commit, and returns the step's
// result. Releasing the same image twice makes one commit.
//
// +cache="never"
func (o *Overlay) Release(
	ctx context.Context,
	// The image, repository@sha256:….
	image string,
	// The commit that the image was built from.
	revision string,
	// The service that answers for the remote.
	// +optional
	service *dagger.Service,
	// Where the remote's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	return o.release(ctx, image, revision, service, connect, "--kind", "release")
}

// Promote is a release of what another environment runs.
//
// +cache="never"
func (o *Overlay) Promote(
	ctx context.Context,
	// The image, repository@sha256:….
	image string,
	// The environment that it comes from. It must run the digest.
	from string,
	// The commit that the image was built from.
	revision string,
	// The service that answers for the remote.
	// +optional
	service *dagger.Service,
	// Where the remote's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	return o.release(ctx, image, revision, service, connect, "--kind", "promotion", "--from", from)
}

// Rollback is a release of what the overlay ran before.
//
// +cache="never"
func (o *Overlay) Rollback(
	ctx context.Context,
	// The image, repository@sha256:…, whose digest the overlay ran before.
	image string,
	// The commit whose release it takes back. It must be the one that runs.
	of string,
	// The commit that the image was built from; where it is empty, what the earlier
	// release says.
	revision string,
	// The service that answers for the remote.
	// +optional
	service *dagger.Service,
	// Where the remote's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	return o.release(ctx, image, revision, service, connect, "--kind", "rollback", "--rollback-of", of)
}

// older is the flag that lets the overlay go back, or not.
func (o *Overlay) older() string { return "--older=" + strconv.FormatBool(o.Older) }

// Preview shows what a release of an image would change, and changes nothing.
// The result's folder holds result.json and, unless it is a refusal,
// manifests.yaml and diff.patch: what the overlay would render to, and the
// unified diff of it, object by object, without the values of Secrets. It
// refuses what Release would.
//
// +cache="never"
func (o *Overlay) Preview(
	// The image, repository@sha256:….
	image string,
	// The service that answers for the remote.
	// +optional
	service *dagger.Service,
	// Where the remote's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) *dagger.Directory {
	reference := step.Reference(image)
	return o.run(service, connect, "preview", "--repository", reference.Repository(), "--digest", reference.Digest(), o.older())
}

// History lists the releases of the overlay, newest first, and returns the
// step's result: for each its digest, the commit that set it, its author, and
// what it was promoted from or takes back.
//
// +cache="never"
func (o *Overlay) History(
	ctx context.Context,
	// The image's repository, where the overlay has more than one image.
	// +optional
	repository string,
	// How many releases to list, 1 to 1000.
	// +default=50
	limit int,
	// The service that answers for the remote.
	// +optional
	service *dagger.Service,
	// Where the remote's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	plain := *o
	plain.Helm = false // nothing is rendered
	return plain.run(service, connect, "history", "--repository", repository, "--limit", strconv.Itoa(limit)).
		File(step.ResultFile).Contents(ctx)
}
