package main

import (
	"context"
	"fmt"
	"strings"

	"slipway/step"
)

// Promote releases, to another environment, the very digest that is healthy in the
// first one. It refuses unless Git names that digest, Argo CD has synced it and found
// it healthy, and the image verifies again.
//
// Example: dagger call promote --app hello --from dev --to staging wait receipt text
//
// +cache="never"
func (s *Slipway) Promote(
	ctx context.Context,
	// The app.
	app string,
	// The environment that the app is healthy in.
	from string,
	// The environment to release to.
	to string,
	// Let it bring back what ran there before: a digest that was released earlier, or one
	// that was built from an ancestor of the commit that runs.
	// +optional
	older bool,
) (*Release, error) {
	const stage = "promote"
	if err := s.checkEnvironments(stage, app, from, to); err != nil {
		return nil, err
	}
	if from == to {
		return nil, step.Input(stage, "environment "+to, "is where the app is promoted from", "name two environments")
	}
	statuses, err := s.statuses(ctx, stage, app, from)
	if err != nil {
		return nil, err
	}
	releases, err := s.history(ctx, stage, app, from)
	if err != nil {
		return nil, err
	}
	subject := app + " in " + from
	if len(releases) == 0 {
		return nil, step.Policy(stage, subject, "was never released", "release it there first")
	}
	now := statuses[from]
	image := s.signed(app, releases[0].Digest)
	if err := image.unrevoked(stage, to); err != nil {
		return nil, err
	}
	switch {
	case !now.Found:
		return nil, step.Policy(stage, subject, "has no Application in Argo CD", "generate gitops/argocd with dagger call applications, and commit it")
	case !runs(now, image.Reference):
		return nil, step.Policy(stage, subject, "does not run the digest that Git says: "+releases[0].Digest, "wait for the release there: dagger call signed … release --env "+from+" wait",
			"running: "+strings.Join(now.Images, ", "))
	case now.Sync != "Synced" || now.Health != "Healthy":
		return nil, step.Policy(stage, subject, fmt.Sprintf("is %s and %s", now.Sync, now.Health), "promote what is Synced and Healthy; roll back or mend it there first")
	}
	// What Argo CD says is of a moment; the wait asks it to look again.
	seen, outcome, err := (&Release{Commit: releases[0].Commit, Environment: from, Reference: image.Reference, App: app, Slipway: s}).observe(ctx, "2m")
	if err != nil {
		return nil, err
	}
	if outcome != Healthy {
		return nil, step.Policy(stage, subject, "is not healthy: "+string(outcome), "promote what is healthy; roll back or mend it there first", seen.Message)
	}
	return image.release(ctx, to, nil, releaseReason{Kind: "promotion", From: from, Revision: releases[0].SourceRevision, Older: older})
}
