// The GitOps repository: releases as commits, what they render to, and what Argo
// CD follows.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"

	"dagger/gitops/internal/dagger"

	"slipway/step"
	"slipway/step/result/argocd"
	"slipway/step/result/gitops"
)

// Gitops changes the GitOps repository.
type Gitops struct {
	// +private
	Prebuilt *dagger.Directory
	// +private
	Azure *Azure
}

// New takes the module's programs, or leaves them to be compiled.
//
// +cache="168h"
func New(
	// What Programs returned for these very sources; any other programs are refused.
	// +optional
	prebuilt *dagger.Directory,
) *Gitops {
	if prebuilt != nil {
		prebuilt = dag.Toolbox().Unseal("gitops", dag.CurrentModule().Source(), prebuilt)
	}
	return &Gitops{Prebuilt: prebuilt}
}

// The module's programs: the step program, the one that stands on Argo CD's
// types, and Helm.
const (
	stepProgram   = "step"
	argocdProgram = "argocd"
	helmProgram   = "helm"
)

// program is one of the module's programs: the one it was given, or else
// compiled.
func (g *Gitops) program(name string) *dagger.File {
	if g.Prebuilt != nil {
		return g.Prebuilt.File(name)
	}
	source := dag.CurrentModule().Source().Directory(name)
	if name == helmProgram {
		return dag.Toolbox().Binary(source, helmTool, dagger.ToolboxBinaryOpts{Define: helmVersion})
	}
	return dag.Toolbox().Step("modules/gitops/"+name, source)
}

// Programs is everything that this module compiles, sealed with the key of its
// sources, for New.
//
// +cache="168h"
func (g *Gitops) Programs() *dagger.Directory {
	programs := dag.Directory()
	for _, name := range []string{stepProgram, argocdProgram, helmProgram} {
		programs = programs.WithFile(name, g.program(name))
	}
	return dag.Toolbox().Seal(dag.CurrentModule().Source(), programs)
}

func (g *Gitops) runner(program string) *dagger.Container {
	return dag.Toolbox().Runner(g.program(program))
}

// Render renders an app's overlay with kustomize. The result's folder holds
// result.json and manifests.yaml.
//
// +cache="168h"
func (g *Gitops) Render(
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
	base, args := g.rendering(helm, "/step", "render", "--out", "/out", "--tree", "/gitops", "--app", app, "--env", env)
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
func (g *Gitops) Applications(
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
	return g.runner(argocdProgram).
		WithMountedDirectory("/gitops", tree).
		WithExec([]string{
			"/step", "generate", "--out", "/out", "--objects", "/out/argocd",
			"--tree", "/gitops", "--remote", remote, "--branch", branch, "--root", root,
		}).
		Directory("/out")
}

// Release sets an app's image in an overlay of the GitOps repository, as one
// commit, and returns the step's result. With a kubeconfig it then asks Argo CD
// to look at the commit now, and the result's notRefreshed says why it could not be asked.
//
// +cache="never"
func (g *Gitops) Release(
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
	// The digest of the decision that allows it, sha256:…, for the commit's trailer
	// Slipway-Evidence. The result says what the commit's trailer is.
	// +optional
	evidence string,
	// The overlay inflates a Helm chart: bring Helm.
	// +optional
	helm bool,
	// A kubeconfig that holds its certificates and credentials itself. Its user
	// may patch Applications.
	// +optional
	kubeconfig *dagger.Secret,
	// The Application that follows the overlay, such as hello-dev.
	// +optional
	application string,
	// The namespace of the Application object.
	// +default="argocd"
	namespace string,
	// The service that answers for the API server, as host "kubernetes".
	// +optional
	kubernetes *dagger.Service,
	// Where the API server's address is reached: LOGICAL=ACTUAL, such as
	// localhost:6443=kubernetes:6443.
	// +optional
	kubernetesConnect string,
) (string, error) {
	base, args := g.rendering(helm,
		"/step", "release", "--out", "/out", "--remote", remote, "--branch", branch, "--root", root,
		"--app", app, "--env", env, "--repository", repository, "--digest", digest, "--source-revision", revision,
		"--author-name", authorName, "--author-email", authorEmail,
		"--kind", kind, "--from", from, "--rollback-of", rollbackOf, "--evidence", evidence,
	)
	if service != nil {
		base = base.WithServiceBinding("git", service)
		args = append(args, "--connect", connect)
	}
	if token != nil {
		base = base.WithMountedSecret("/secrets/token", token)
		args = append(args, "--username", username, "--token-file", "/secrets/token")
	}
	text, err := base.WithEnvVariable("SLIPWAY_RUN", rand.Text()).WithExec(args).
		File("/out/result.json").Contents(ctx)
	if err != nil || kubeconfig == nil {
		return text, err
	}
	var done gitops.Released
	if err := step.Decode([]byte(text), &done); err != nil || !done.Created {
		return text, nil // a fault is the caller's to read
	}
	asking, args := g.inCluster("refresh", kubeconfig, kubernetes, kubernetesConnect, "--namespace", namespace, "--application", application)
	done.NotRefreshed = notRefreshed(asking.WithExec(args).File("/out/result.json").Contents(ctx))
	value, err := json.Marshal(done)
	if err != nil {
		return "", err
	}
	merged, err := json.Marshal(step.Result{Value: value})
	return string(merged), err
}

// notRefreshed is why a refresh was not asked for, and empty when it was. What went
// wrong is told and does not fail the release, which is in Git by now.
func notRefreshed(text string, err error) string {
	var asked argocd.Refreshed
	if err == nil {
		err = step.Decode([]byte(text), &asked)
	}
	if f, ok := step.AsFault(err); ok {
		return f.Reason
	}
	switch {
	case err != nil:
		return err.Error()
	case asked.Asked:
		return ""
	}
	return cmp.Or(asked.Message, "no reason was given")
}
