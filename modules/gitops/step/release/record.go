package release

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"slipway/gitops/step/overlay"
	"slipway/gitops/step/remote"
	"slipway/step"
	"slipway/step/result/gitops"
)

// allDepths are how many commits are asked for, one after the other, until
// they suffice: releases are usually near the head, and the whole history (0)
// is the last resort.
var allDepths = []int{50, 1000, 0}

// nowAndThen are the depths of what is mostly decided by the newest commit alone. What
// is not was mostly never there, so that only the whole history says so.
var nowAndThen = []int{1, 1000, 0}

// errShallow is the error of a look into a past that the snapshot does not
// hold.
var errShallow = errors.New("the snapshot's history ends before the branch's")

// deepen gives look snapshots of the branch, each with more commits, until it
// ends otherwise than with errShallow.
func deepen(ctx context.Context, from *remote.Remote, depths []int, look func(*remote.Snapshot) error) error {
	for _, depth := range depths {
		snapshot, err := from.Snapshot(ctx, depth)
		if err != nil {
			return err
		}
		if err := look(snapshot); !errors.Is(err, errShallow) {
			return err
		}
	}
	return step.Infrastructure(Stage, from.Name(), "does not give its whole history",
		"use a full clone as the remote, not a shallow one")
}

// releaseRecord is one overlay's images entry in the commits of a snapshot.
type releaseRecord struct {
	snapshot *remote.Snapshot
	file     string
	// now is the entry at the branch's head.
	now overlay.Image
	// only says that now was found as the only entry there is.
	only bool
	// seen are the entries by what the file held.
	seen map[string]overlay.Image
}

// openRecord finds the images entry of repository in file at the branch's head.
// An empty repository means the only entry there is.
func openRecord(snapshot *remote.Snapshot, file, repository string) (*releaseRecord, error) {
	source, err := snapshot.File(snapshot.Head(), file)
	if err != nil {
		return nil, fmt.Errorf("read %s of commit %s: %w", file, snapshot.Head(), err)
	}
	now, err := overlay.Find(file, source, repository)
	if err != nil {
		return nil, err
	}
	return &releaseRecord{
		snapshot: snapshot, file: file, now: now, only: repository == "", seen: map[string]overlay.Image{},
	}, nil
}

// at is the entry as a commit has it. It is empty where the file is missing or
// unreadable, or has no such entry: that commit did not have the digest.
func (p *releaseRecord) at(commit plumbing.Hash) overlay.Image {
	source, err := p.snapshot.File(commit, p.file)
	if err != nil {
		return overlay.Image{}
	}
	image, known := p.seen[string(source)]
	if !known {
		image, err = overlay.Find(p.file, source, p.now.Repository())
		if err != nil && p.only {
			image, err = overlay.Find(p.file, source, "")
		}
		if err != nil {
			image = overlay.Image{}
		}
		p.seen[string(source)] = image
	}
	return image
}

// parents are a commit's parents, or errShallow.
func (p *releaseRecord) parents(commit plumbing.Hash) ([]plumbing.Hash, error) {
	parents, complete, err := p.snapshot.Parents(commit)
	if err != nil {
		return nil, fmt.Errorf("read commit %s: %w", commit, err)
	}
	if !complete {
		return nil, errShallow
	}
	return parents, nil
}

// setter is the commit that gave the entry the digest that it has in commit:
// commit itself, or one that it got the digest from, by a merge or unchanged.
func (p *releaseRecord) setter(commit plumbing.Hash) (plumbing.Hash, error) {
	digest := p.at(commit).Digest
	for {
		parents, err := p.parents(commit)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		next := plumbing.ZeroHash
		for _, parent := range parents {
			if p.at(parent).Digest == digest {
				next = parent
				break
			}
		}
		if next.IsZero() {
			return commit, nil
		}
		commit = next
	}
}

// released says whether an overlay with this images entry was released.
func released(image overlay.Image) bool {
	return image.Digest != "" && image.Digest != overlay.Unreleased
}

// Setter is the commit that gave an overlay the digest it has.
type Setter struct {
	// Commit is that commit, and Head the branch's newest one.
	Commit string
	Head   string
	// Image is the overlay's images entry.
	Image overlay.Image
	// SourceRevision is what the image was built from, and Evidence the digest of the
	// decision that allowed it, where the commit's message says so of this image.
	SourceRevision, Evidence string
}

// LastSet finds the commit that gave the images entry of repository, in the
// kustomization file of the branch's head, its present digest. An empty
// repository means the only entry there is.
func LastSet(ctx context.Context, from *remote.Remote, file, repository string) (*Setter, error) {
	var found *Setter
	err := deepen(ctx, from, allDepths, func(snapshot *remote.Snapshot) error {
		p, entry, err := lastSet(snapshot, file, repository)
		if err != nil {
			return err
		}
		found = &Setter{Commit: entry.Commit, Head: snapshot.Head().String(), Image: p.now, SourceRevision: entry.SourceRevision, Evidence: entry.Evidence}
		return nil
	})
	return found, err
}

// lastSet is LastSet in a snapshot.
func lastSet(snapshot *remote.Snapshot, file, repository string) (*releaseRecord, *gitops.Entry, error) {
	p, err := openRecord(snapshot, file, repository)
	if err != nil {
		return nil, nil, err
	}
	commit, err := p.setter(snapshot.Head())
	if err != nil {
		return nil, nil, err
	}
	entry, err := p.entry(commit, p.now)
	return p, &entry, err
}
