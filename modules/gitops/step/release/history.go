package release

import (
	"context"
	"fmt"
	"path"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"slipway/gitops/step/overlay"
	"slipway/gitops/step/remote"
	"slipway/step"
	"slipway/step/printable"
)

// MaxHistory is the most releases that History lists.
const MaxHistory = 1000

// Past is what an overlay ran on the branch.
type Past struct {
	// Releases are newest first, and empty before the first release.
	Releases []Entry `json:"releases"`
}

// Entry is one release of an overlay: a commit that changed its digest.
type Entry struct {
	// Digest and Repository are the image that the overlay ran from then on.
	Digest     string `json:"digest"`
	Repository string `json:"repository"`
	// Commit is the commit that set the digest.
	Commit string `json:"commit"`
	// Author and Email are the commit's author, and At is when it was made.
	Author string    `json:"author"`
	Email  string    `json:"email"`
	At     time.Time `json:"at"`
	// Subject is the first line of the commit's message.
	Subject string `json:"subject"`
	// SourceRevision is the commit that the image was built from, where the
	// message says so.
	SourceRevision string `json:"sourceRevision,omitempty"`
	// PromotedFrom is the environment that a promotion came from.
	PromotedFrom string `json:"promotedFrom,omitempty"`
	// Reverts is the commit whose release a rollback took back.
	Reverts string `json:"reverts,omitempty"`
	// Evidence is the digest of the decision that allowed the release, where the
	// message says so.
	Evidence string `json:"evidence,omitempty"`
}

// History lists up to limit releases of the overlay of app in env, newest
// first, along the branch's first parents. What a merge brought is told by the
// commit that it brought it from. Changes back to no release are left out. An
// empty repository means the overlay's only images entry.
func History(ctx context.Context, from *remote.Remote, root, app, env, repository string, limit int) (*Past, error) {
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
	result := &Past{Releases: []Entry{}}
	err := deepen(ctx, from, allDepths, func(snapshot *remote.Snapshot) error {
		tree, err := snapshot.Tree(root)
		if err != nil {
			return err
		}
		if _, err := tree.Lookup(app, env); err != nil {
			return err
		}
		p, err := openPast(snapshot, path.Join(root, overlay.File(app, env)), repository)
		if err != nil {
			return err
		}
		result.Releases = result.Releases[:0]
		return p.releases(func(e Entry) bool {
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
func (p *past) releases(yield func(Entry) bool) error {
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

func (p *past) entry(hash plumbing.Hash, image overlay.Image) (Entry, error) {
	commit, err := p.snapshot.Commit(hash)
	if err != nil {
		return Entry{}, fmt.Errorf("read commit %s: %w", hash, err)
	}
	said := readMessage(commit.Message)
	e := Entry{
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
