package main

import (
	"context"
	"strings"

	"slipway/ci/internal/dagger"

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

// commit compares everything that a delivery of the app takes from its repository with
// the commit: the app's folder, and what is the platform's where it lies there, too.
// Nothing else says whether a delivery is committed.
func (a *App) commit(ctx context.Context) (*commit, error) {
	s := a.Slipway
	from, paths := s.checkout(a.Name), []string{a.folder()}
	if from.Tree == s.Source {
		paths = append(append(paths, "gitops/apps/"+a.Name), s.Config.Taken()...)
	}
	return from.committed(ctx, paths...)
}

// committed compares paths of a checkout with the commit at its head.
func (c *Checkout) committed(ctx context.Context, paths ...string) (*commit, error) {
	if c.Repository == nil {
		// A drill's source was never in Git, whose null id says so.
		return &commit{build.Compared{Commit: strings.Repeat("0", 40)}}, nil
	}
	var compared build.Compared
	err := decode(ctx, dag.Build().Committed(c.Tree, c.Repository, paths, dagger.BuildCommittedOpts{Without: leftOut}), &compared)
	return &commit{compared}, err
}
