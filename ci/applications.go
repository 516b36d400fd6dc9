package main

import (
	"context"

	"slipway/ci/internal/dagger"
)

// Applications generates the Argo CD objects that make the cluster follow the
// GitOps repository: an Application for each overlay below gitops/apps, in the
// AppProject of its name. Generate and commit them after a new app or
// environment, or another GitOps remote.
//
// Example: dagger call applications export --path gitops/argocd
//
// +cache="168h"
func (s *Slipway) Applications(ctx context.Context) (*dagger.Directory, error) {
	out := s.gitopsRepository().Applications(s.Source.Directory("gitops"))
	if err := decode(ctx, out, nil); err != nil {
		return nil, err
	}
	return out.Directory("argocd"), nil
}
