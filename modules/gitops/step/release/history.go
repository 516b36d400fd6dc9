package release

import (
	"context"
	"fmt"
	"path"

	"github.com/go-git/go-git/v5/plumbing"

	"slipway/gitops/step/overlay"
	"slipway/gitops/step/remote"
	"slipway/step"
	"slipway/step/printable"
	"slipway/step/result/gitops"
)

// MaxHistory is the most releases that History lists.
const MaxHistory = 1000

// History lists up to limit releases of the overlay of app in env, newest
// first, along the branch's first parents. What a merge brought is told by the
// commit that it brought it from. Changes back to no release are left out. An
// empty repository means the overlay's only images entry.
func History(ctx context.Context, from *remote.Remote, root, app, env, repository string, limit int) (*gitops.History, error) {
	if err := checkOverlay(root, app, env); err != nil {
		return nil, err
	}
	if repository != "" {
		if err := overlay.Repository(repository); err != nil {
			return nil, err
		}
	}
	if limit < 1 || limit > MaxHistory {
		return nil, step.Input(Stage, fmt.Sprintf("limit %d", limit), "is out of range",
			fmt.Sprintf("give 1 to %d", MaxHistory))
	}
	result := &gitops.History{Releases: []gitops.Entry{}}
	err := deepen(ctx, from, allDepths, func(snapshot *remote.Snapshot) error {
		tree, err := snapshot.Tree(root)
		if err != nil {
			return err
		}
		if _, err := tree.Lookup(app, env); err != nil {
			return err
		}
		p, err := openRecord(snapshot, path.Join(root, overlay.File(app, env)), repository)
		if err != nil {
			return err
		}
		result.Releases = result.Releases[:0]
		return p.releases(func(e gitops.Entry) bool {
			result.Releases = append(result.Releases, e)
			return len(result.Releases) < limit
		})
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// releases yields the overlay's releases, newest first, until yield returns
// false or the branch begins.
func (p *releaseRecord) releases(yield func(gitops.Entry) bool) error {
	at, now := p.snapshot.Head(), p.now
	for {
		parents, err := p.parents(at)
		if err != nil {
			return err
		}
		var before overlay.Image
		if len(parents) > 0 {
			before = p.at(parents[0])
		}
		if released(now) && now.Digest != before.Digest {
			setter, err := p.setter(at)
			if err != nil {
				return err
			}
			e, err := p.entry(setter, now)
			if err != nil {
				return err
			}
			if !yield(e) {
				return nil
			}
		}
		if len(parents) == 0 {
			return nil
		}
		at, now = parents[0], before
	}
}

func (p *releaseRecord) entry(hash plumbing.Hash, image overlay.Image) (gitops.Entry, error) {
	commit, err := p.snapshot.Commit(hash)
	if err != nil {
		return gitops.Entry{}, fmt.Errorf("read commit %s: %w", hash, err)
	}
	said := readMessage(commit.Message)
	e := gitops.Entry{
		Digest: image.Digest, Repository: image.Repository(), Commit: hash.String(),
		Author: printable.Line(commit.Author.Name), Email: printable.Line(commit.Author.Email), At: commit.Committer.When.UTC(),
		Subject: printable.Line(said.subject), Reverts: said.reverts,
	}
	// A message that is about another image says nothing about this one.
	if said.digest == image.Digest {
		e.SourceRevision, e.PromotedFrom, e.Evidence = said.revision, said.from, said.evidence
	}
	return e, nil
}
