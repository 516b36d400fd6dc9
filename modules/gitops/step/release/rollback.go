package release

import (
	"fmt"

	"slipway/gitops/step/overlay"
	"slipway/gitops/step/remote"
	"slipway/step"
	"slipway/step/result/gitops"
)

// rolledBack is what the past says about a rollback.
type rolledBack struct {
	// commit is the rollback, where it was made before, and evidence what its
	// trailer says.
	commit, evidence string
	// revision is what the earlier image was built from, where its release
	// says so.
	revision string
}

// rollback decides on one snapshot whether q, a rollback, may be made: the
// release that it takes back must be the one that runs, so that nothing that
// came after it is taken back unseen, and the digest that it puts back must
// have been released to this overlay before. file is the overlay's
// kustomization.yaml.
func rollback(base *remote.Snapshot, file string, q Request) (rolledBack, error) {
	p, err := openRecord(base, file, q.Repository)
	if err != nil {
		return rolledBack{}, err
	}
	if !released(p.now) {
		return rolledBack{}, step.Input(Stage, file, "runs no release, so there is none to take back",
			"release an image first")
	}
	var result rolledBack
	var refused error
	found, first := false, true
	err = p.releases(func(e gitops.Entry) bool {
		if !first {
			if found = e.Digest == q.Digest; found {
				result.revision = e.SourceRevision
			}
			return !found
		}
		first = false
		switch {
		case e.Digest == q.Digest && e.Reverts == q.RollbackOf:
			result.commit, result.evidence, found = e.Commit, e.Evidence, true
			return false
		case e.Digest == q.Digest:
			refused = step.Input(Stage, "digest "+q.Digest, "is what the overlay runs already, since commit "+e.Commit,
				"give the digest of an earlier release, as history lists them")
			return false
		case e.Commit != q.RollbackOf:
			refused = step.Input(Stage, "rollback-of "+q.RollbackOf,
				"did not make the release that runs: commit "+e.Commit+" did",
				"look at the history again: only the release that runs can be taken back",
				fmt.Sprintf("runs: %s, %q by %s", e.Digest, e.Subject, e.Author))
			return false
		}
		return true
	})
	switch {
	case err != nil:
		return rolledBack{}, err
	case refused != nil:
		return rolledBack{}, refused
	case !found:
		return rolledBack{}, step.Input(Stage, "digest "+q.Digest, "was never released to "+file,
			"give the digest of an earlier release, as history lists them; a new image is a release of its own")
	}
	return result, nil
}

// promotable checks that the environment that q, a promotion, comes from runs
// the very digest.
func promotable(tree overlay.Tree, q Request) error {
	source, err := tree.Lookup(q.App, q.From)
	if err != nil {
		return err
	}
	file := overlay.File(q.App, q.From)
	image, err := overlay.Find(file, source, q.Repository)
	if err != nil {
		// The environments may pull the same image from different places.
		only, otherwise := overlay.Find(file, source, "")
		if otherwise != nil {
			return err
		}
		image = only
	}
	if !released(image) {
		return step.Input(Stage, file, "was never released", "release to "+q.From+" first")
	}
	if image.Digest != q.Digest {
		return step.Policy(Stage, file, fmt.Sprintf("runs another image than the one to promote: %s, not %s", image.Digest, q.Digest),
			"promote what "+q.From+" runs, or release the image to it first")
	}
	return nil
}
