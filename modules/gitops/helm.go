package main

import "dagger/gitops/internal/dagger"

// Helm is the program that inflates charts, compiled from source once.
//
// +cache="168h"
func (*Gitops) Helm() *dagger.File {
	return dag.Toolbox().Binary(dag.CurrentModule().Source().Directory("helm"), "helm.sh/helm/v3/cmd/helm",
		dagger.ToolboxBinaryOpts{Define: "helm.sh/helm/v3/internal/version.version=v3.22.0"})
}
