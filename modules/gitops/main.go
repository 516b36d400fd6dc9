// The GitOps repository: releases as commits, what they render to, and what Argo
// CD follows.
package main

import (
	"context"

	"dagger/gitops/internal/dagger"

	"slipway/step"
)

// Gitops changes the GitOps repository, and asks Argo CD what became of it.
type Gitops struct {
	// +private
	Prebuilt *dagger.Directory
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
	// The image that the file must hold, repository@sha256:….
	image string,
	// The digest that the commit's trailer Slipway-Evidence must name; without one,
	// it must name none.
	// +optional
	evidence string,
) (string, error) {
	reference := step.Reference(image)
	return g.runner(stepProgram).
		WithMountedDirectory("/checkout", checkout).
		WithExec([]string{
			"/step", "check-commit", "--out", "/out", "--checkout", "/checkout", "--commit", commit, "--path", path,
			"--repository", reference.Repository(), "--digest", reference.Digest(), "--evidence", evidence,
		}).
		File("/out/result.json").Contents(ctx)
}
