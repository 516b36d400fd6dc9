package main

import "dagger/gitops/internal/dagger"

// Helm's main package and what it calls itself; the version that is compiled is
// the one in helm/go.mod.
const (
	helmTool    = "helm.sh/helm/v3/cmd/helm"
	helmVersion = "helm.sh/helm/v3/internal/version.version=v3.22.0"
)

// Helm is the program that inflates charts, compiled from source once.
//
// +cache="168h"
func (g *Gitops) Helm() *dagger.File { return g.program(helmProgram) }

// helmPath is where the step finds Helm.
const helmPath = "/helm"

// rendering is the container of a step that renders, and its arguments. What
// Helm is not needed for does not wait for its compilation.
func (g *Gitops) rendering(helm bool, args ...string) (*dagger.Container, []string) {
	base := g.runner(stepProgram)
	if !helm {
		return base, args
	}
	return base.WithMountedFile(helmPath, g.program(helmProgram)), append(args, "--helm", helmPath)
}
