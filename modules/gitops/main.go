// The GitOps repository: releases as commits, what they render to, and what Argo
// CD follows.
package main

import (
	"context"
	"crypto/rand"

	"dagger/gitops/internal/dagger"
)

// Gitops changes the GitOps repository.
type Gitops struct{}

func runner() *dagger.Container {
	return dag.Toolbox().Runner("modules/gitops/step", dag.CurrentModule().Source().Directory("step"))
}

// Render renders an app's overlay with kustomize. The result's folder holds
// result.json and manifests.yaml.
//
// +cache="168h"
func (*Gitops) Render(
	// The GitOps tree: the folder that holds apps/.
	tree *dagger.Directory,
	// The app.
	app string,
	// The environment.
	env string,
	// The overlay inflates a Helm chart: bring Helm.
	// +optional
	helm bool,
) *dagger.Directory {
	base, args := rendering(helm, "/step", "render", "--out", "/out", "--dir", "/gitops", "--app", app, "--env", env)
	return base.
		WithMountedDirectory("/gitops", tree).
		WithExec(args).
		Directory("/out")
}

// Applications generates the Argo CD objects of the GitOps tree: an Application
// per overlay. The result's folder holds result.json and the objects' folder,
// argocd.
//
// +cache="168h"
func (*Gitops) Applications(
	// The GitOps tree: the folder that holds apps/.
	tree *dagger.Directory,
	// The GitOps repository's http(s) URL, as Argo CD reaches it.
	remote string,
	// The branch that Argo CD follows.
	// +default="main"
	branch string,
	// The folder of the GitOps tree in the repository.
	// +default="."
	root string,
) *dagger.Directory {
	return dag.Toolbox().Runner("modules/gitops/applications", dag.CurrentModule().Source().Directory("applications")).
		WithMountedDirectory("/gitops", tree).
		WithExec([]string{
			"/step", "generate", "--result", "/out", "--out", "/out/argocd",
			"--gitops", "/gitops", "--repo-url", remote, "--branch", branch, "--root", root,
		}).
		Directory("/out")
}

// Release sets an app's image in an overlay of the GitOps repository, as one
// commit, and returns the step's result.
//
// +cache="never"
func (*Gitops) Release(
	ctx context.Context,
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
	// The commit that the image was built from. A rollback may leave it empty:
	// then it is what the earlier release says.
	revision string,
	// The branch that Argo CD follows.
	// +default="main"
	branch string,
	// The folder of the GitOps tree in the repository.
	// +default="."
	root string,
	// The commit author's name.
	// +default="Slipway"
	authorName string,
	// The commit author's address.
	// +default="slipway@localhost"
	authorEmail string,
	// Who pushes.
	// +optional
	username string,
	// The token of who pushes.
	// +optional
	token *dagger.Secret,
	// The service that answers for the remote.
	// +optional
	service *dagger.Service,
	// Where the remote's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
	// What it is: release, promotion or rollback. Left out, it follows from the
	// next two.
	// +optional
	kind string,
	// The environment that a promotion comes from. It must run the digest.
	// +optional
	from string,
	// The commit whose release a rollback takes back. It must be the one that
	// runs, and the digest one that the overlay ran before.
	// +optional
	rollbackOf string,
	// The overlay inflates a Helm chart: bring Helm.
	// +optional
	helm bool,
) (string, error) {
	base, args := rendering(helm,
		"/step", "release", "--out", "/out", "--remote", remote, "--branch", branch, "--root", root,
		"--app", app, "--env", env, "--repository", repository, "--digest", digest, "--source-revision", revision,
		"--author-name", authorName, "--author-email", authorEmail,
		"--kind", kind, "--from", from, "--rollback-of", rollbackOf,
	)
	if service != nil {
		base = base.WithServiceBinding("git", service)
		args = append(args, "--connect", connect)
	}
	if token != nil {
		base = base.WithMountedSecret("/secrets/token", token)
		args = append(args, "--username", username, "--token-file", "/secrets/token")
	}
	return base.WithEnvVariable("SLIPWAY_RUN", rand.Text()).WithExec(args).
		File("/out/result.json").Contents(ctx)
}
