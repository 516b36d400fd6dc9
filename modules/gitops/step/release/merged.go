package release

import (
	"context"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"slipway/gitops/step/remote"
	"slipway/step"
	"slipway/step/result/gitops"
)

// Merged says that a commit is on the branch: its newest one, or one that led to it.
//
// Faults: of KindInput for what is no commit, of KindPolicy for one that is not on the
// branch, and those of the remote.
func Merged(ctx context.Context, from *remote.Remote, commit string) (*gitops.Merged, error) {
	if !plumbing.IsHash(commit) {
		return nil, step.Input(Stage, fmt.Sprintf("commit %.80q", commit), "is not a commit's id", "give all of its 40 hexadecimal digits")
	}
	var head plumbing.Hash
	err := deepen(ctx, from, allDepths, func(snapshot *remote.Snapshot) error {
		head = snapshot.Head()
		return leadsTo(snapshot, plumbing.NewHash(commit), from.Name())
	})
	if err != nil {
		return nil, err
	}
	return &gitops.Merged{Commit: commit, Head: head.String()}, nil
}

// leadsTo refuses a commit that is not in the snapshot's history.
func leadsTo(snapshot *remote.Snapshot, commit plumbing.Hash, branch string) error {
	seen, shallow := map[plumbing.Hash]bool{}, false
	for at := []plumbing.Hash{snapshot.Head()}; len(at) > 0; {
		next := at[0]
		at = at[1:]
		if next == commit {
			return nil
		}
		if seen[next] {
			continue
		}
		seen[next] = true
		parents, complete, err := snapshot.Parents(next)
		if err != nil {
			return fmt.Errorf("read commit %s: %w", next, err)
		}
		at, shallow = append(at, parents...), shallow || !complete
	}
	if shallow {
		return errShallow
	}
	return step.Policy(Stage, "commit "+commit.String(), "is not on "+branch, "merge it there first, or use a checkout of that branch")
}
