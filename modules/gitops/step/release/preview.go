package release

import (
	"context"
	"path"

	"slipway/gitops/step/overlay"
	"slipway/gitops/step/remote"
	"slipway/step/result/gitops"
)

// Preview says what a release would change.
type Preview struct {
	gitops.Preview
	// Manifests is what the overlay would render to.
	Manifests []byte `json:"-"`
}

// PreviewRequest is a release to look at: which digest of which app would go
// to which environment of the GitOps folder at Root.
type PreviewRequest struct {
	Root       string
	App        string
	Env        string
	Repository string
	Digest     string
	// Older lets the release bring back what the overlay ran before.
	Older bool
	// Renderer builds the overlay.
	Renderer overlay.Renderer
}

// Check validates everything about a preview that needs no network.
func (q PreviewRequest) Check() error {
	if err := checkOverlay(q.Root, q.App, q.Env); err != nil {
		return err
	}
	return checkImage(q.Repository, q.Digest)
}

// PreviewRemote previews a release to the branch's head, and returns the
// unified diff of the rendered manifests beside it. Nothing is pushed. What a
// release would refuse is refused here in the same words.
func PreviewRemote(ctx context.Context, from *remote.Remote, q PreviewRequest) (*Preview, []byte, error) {
	if err := q.Check(); err != nil {
		return nil, nil, err
	}
	var (
		preview *Preview
		diff    []byte
	)
	err := deepen(ctx, from, nowAndThen, func(snapshot *remote.Snapshot) error {
		tree, err := snapshot.Tree(q.Root)
		if err != nil {
			return err
		}
		if preview, diff, err = PreviewTree(tree, q); err != nil {
			return err
		}
		preview.Head = snapshot.Head().String()
		switch {
		case preview.Before == preview.After:
			_, preview.Standing, err = lastSet(snapshot, preview.Path, q.Repository)
		case !q.Older:
			preview.Running, err = forward(snapshot, preview.Path, q.Repository, q.Digest)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return preview, diff, nil
}

// PreviewTree is PreviewRemote for a GitOps folder at hand.
func PreviewTree(tree overlay.Tree, q PreviewRequest) (*Preview, []byte, error) {
	if err := q.Check(); err != nil {
		return nil, nil, err
	}
	e, err := edit(q.Renderer, tree, q.App, q.Env, q.Repository, q.Digest)
	if err != nil {
		return nil, nil, err
	}
	diff, err := overlay.Diff(overlay.Folder(q.App, q.Env), e.before, e.after)
	if err != nil {
		return nil, nil, err
	}
	return &Preview{
		Preview:   gitops.Preview{Before: e.had(), After: q.Digest, Path: path.Join(q.Root, e.file), Changes: len(diff) > 0, SHA256: hashed(e.after), Images: e.images},
		Manifests: e.after,
	}, diff, nil
}
