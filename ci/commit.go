package main

import (
	"context"
	"path"
	"strings"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/evidence"
	"slipway/step/result/build"
)

// leftOut are the name patterns of what New leaves out of infra/.
var leftOut = []string{".terraform", "*.tfstate*"}

// commit is the commit at a source's head, and what was taken that is not as it
// has it.
type commit struct{ build.Compared }

// revision is the commit's id, marked when anything differs.
func (c *commit) revision() string {
	if len(c.Uncommitted) > 0 {
		return c.Commit + evidence.Dirty
	}
	return c.Commit
}

// commit compares everything that a delivery of the app takes from the source with
// the commit. Nothing else says whether a delivery is committed.
func (a *App) commit(ctx context.Context) (*commit, error) {
	c := a.Slipway.Config
	paths := []string{config.File, "apps/" + a.Name, "gitops/apps/" + a.Name, "infra"}
	for _, file := range []string{c.Signing.PublicKey, c.Signing.TrustedRoot} {
		if file != "" {
			paths = append(paths, path.Clean(file))
		}
	}
	return a.Slipway.committed(ctx, paths...)
}

// committed compares paths of the source with the commit.
func (s *Slipway) committed(ctx context.Context, paths ...string) (*commit, error) {
	if s.Repository == nil {
		// A drill's source was never in Git, whose null id says so.
		return &commit{build.Compared{Commit: strings.Repeat("0", 40)}}, nil
	}
	var compared build.Compared
	err := decode(ctx, dag.Build().Committed(s.Source, s.Repository, paths, dagger.BuildCommittedOpts{Without: leftOut}), &compared)
	return &commit{compared}, err
}
