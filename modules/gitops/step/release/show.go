package release

import (
	"context"
	"path"

	"slipway/gitops/step/overlay"
	"slipway/gitops/step/remote"
	"slipway/step/result/gitops"
)

// Show reads the state of the overlay of app in env. An empty repository means
// the overlay's only images entry.
func Show(ctx context.Context, from *remote.Remote, branch, root, app, env, repository string) (*gitops.State, error) {
	if err := checkOverlay(root, app, env); err != nil {
		return nil, err
	}
	if repository != "" {
		if err := overlay.Repository(repository); err != nil {
			return nil, err
		}
	}
	snapshot, err := from.Snapshot(ctx, 1)
	if err != nil {
		return nil, err
	}
	tree, err := snapshot.Tree(root)
	if err != nil {
		return nil, err
	}
	if _, err := tree.Lookup(app, env); err != nil {
		return nil, err
	}
	file := path.Join(root, overlay.File(app, env))
	setter, err := LastSet(ctx, from, file, repository)
	if err != nil {
		return nil, err
	}
	return &gitops.State{
		App: app, Env: env, Repository: setter.Image.Repository(), Digest: setter.Image.Digest,
		Released: released(setter.Image),
		Commit:   setter.Commit, Head: setter.Head, Path: file, Branch: branch,
	}, nil
}
