package release

import (
	"cmp"

	"slipway/gitops/step/remote"
	"slipway/step"
	"slipway/step/result/gitops"
)

// forward refuses a digest that file had before the release that runs now: whoever
// delivers an old checkout, or repeats an old run, would go back without a word. It
// returns the release that runs, if one does.
func forward(base *remote.Snapshot, file, repository, digest string) (*gitops.Entry, error) {
	p, err := openRecord(base, file, repository)
	if err != nil || !released(p.now) {
		return nil, err
	}
	var running, before *gitops.Entry
	err = p.releases(func(e gitops.Entry) bool {
		switch {
		case running == nil:
			running = &e
		case e.Digest == digest:
			before = &e
		}
		return before == nil
	})
	if err != nil || before == nil {
		return running, err
	}
	return running, step.Policy(Stage, file, "would go back: "+digest+" was released by commit "+before.Commit+", before what runs now",
		"take the newer release back with rollback, or say --older to put the older image over it",
		"runs: "+running.Digest+", since commit "+running.Commit+", built from "+cmp.Or(running.SourceRevision, "a source that it does not name"))
}
