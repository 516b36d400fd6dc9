package main

import "dagger/gitops/internal/dagger"

// Helm is the program that inflates charts, compiled from source once.
//
// +cache="168h"
func (*Gitops) Helm() *dagger.File {
	return dag.Toolbox().Binary(dag.CurrentModule().Source().Directory("helm"), "helm.sh/helm/v3/cmd/helm",
		dagger.ToolboxBinaryOpts{Define: "helm.sh/helm/v3/internal/version.version=v3.22.0"})
}

// helmProgram is where the step finds Helm.
const helmProgram = "/helm"

// rendering is the container of a step that renders, and its arguments. What
// Helm is not needed for does not wait for its compilation.
func rendering(helm bool, args ...string) (*dagger.Container, []string) {
	if !helm {
		return runner(), args
	}
	return runner().WithMountedFile(helmProgram, (&Gitops{}).Helm()), append(args, "--helm", helmProgram)
}
