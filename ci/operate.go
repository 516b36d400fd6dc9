package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"slipway/ci/internal/dagger"

	"slipway/ci/evidence"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/argocd"
	"slipway/step/result/gitops"
)

// history returns an app's releases in an environment, the newest first.
func (s *Slipway) history(ctx context.Context, stage, app, env string) ([]gitops.Entry, error) {
	overlay, err := s.overlay(ctx, stage, app, env, dagger.GitopsRepositoryOverlayOpts{})
	if err != nil {
		return nil, err
	}
	var done gitops.Past
	text, err := overlay.History(ctx, dagger.GitopsOverlayHistoryOpts{
		Repository: s.Config.Image(app), Service: overlay.at.Service, Connect: overlay.at.Connect,
	})
	err = decodeText(text, err, &done)
	return done.Releases, err
}

// runs says whether an Application runs exactly this image.
func runs(a argocd.Status, reference Reference) bool {
	return slices.Contains(a.Images, string(reference))
}

// standing returns where the app stands in each environment of the cluster.
func (s *Slipway) standing(ctx context.Context, stage, app string, envs ...string) (map[string]argocd.Status, error) {
	cluster, err := s.argocd(ctx, stage)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, env := range envs {
		names = append(names, application(app, env))
	}
	var done argocd.Statuses
	text, err := cluster.Status(ctx, names, dagger.GitopsClusterStatusOpts(cluster.at))
	if err := decodeText(text, err, &done); err != nil {
		return nil, err
	}
	if len(done.Applications) != len(envs) {
		return nil, fmt.Errorf("asked for %d Applications, was told of %d", len(envs), len(done.Applications))
	}
	standing := map[string]argocd.Status{}
	for n, env := range envs {
		standing[env] = done.Applications[n]
	}
	return standing, nil
}

// known checks an app's name and environments before the first container starts.
func (s *Slipway) known(stage, app string, envs ...string) error {
	if err := step.Name(stage, "app", app); err != nil {
		return err
	}
	for _, env := range envs {
		if err := s.goes(stage, app, env); err != nil {
			return err
		}
	}
	return nil
}

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
	if err := s.known(stage, app, from, to); err != nil {
		return nil, err
	}
	if from == to {
		return nil, step.Input(stage, "environment "+to, "is where the app is promoted from", "name two environments")
	}
	standing, err := s.standing(ctx, stage, app, from)
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
	now := standing[from]
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
	return image.release(ctx, to, nil, origin{Kind: "promotion", From: from, Revision: releases[0].SourceRevision, Older: older})
}

// Rollback takes an environment back to the last digest that was healthy there and
// still verifies under today's policy, by a new commit that says what it reverts; Argo
// CD's automatic sync stays on. When no digest qualifies, the refusal says why of each.
// When a rollback is what runs already, it is returned again, so that a call that was
// cut off can be repeated; to go back further, release the earlier digest by name, with --older.
//
// Example: dagger call rollback --app hello --env dev wait receipt text
//
// +cache="never"
func (s *Slipway) Rollback(
	ctx context.Context,
	// The app.
	app string,
	// The environment.
	env string,
) (*Release, error) {
	const stage = "rollback"
	if err := s.known(stage, app, env); err != nil {
		return nil, err
	}
	releases, err := s.history(ctx, stage, app, env)
	if err != nil {
		return nil, err
	}
	subject := app + " in " + env
	if len(releases) < 2 {
		return nil, step.Policy(stage, subject, "has no earlier release", "release a mended image")
	}
	if last := releases[0]; last.Reverts != "" {
		image := s.signed(app, last.Digest)
		// That a commit calls itself a rollback says nothing about its image.
		if err := image.wasHealthy(ctx, stage, env); err != nil {
			return nil, err
		}
		return image.release(ctx, env, nil, origin{Kind: "rollback", Of: last.Reverts, Revision: last.SourceRevision})
	}
	tried := map[string]bool{releases[0].Digest: true}
	var details []string
	for _, earlier := range releases[1:] {
		if tried[earlier.Digest] {
			continue
		}
		tried[earlier.Digest] = true
		image := s.signed(app, earlier.Digest)
		if err := image.wasHealthy(ctx, stage, env); err != nil {
			f, ok := step.AsFault(err)
			if !ok || f.Kind != step.KindPolicy {
				return nil, err
			}
			details = append(details, earlier.Digest+": "+f.Reason)
			continue
		}
		return image.release(ctx, env, nil, origin{Kind: "rollback", Of: releases[0].Commit, Revision: earlier.SourceRevision})
	}
	return nil, step.Policy(stage, subject, "has no earlier release that was healthy and still verifies", "release a mended image", details...)
}

// wasHealthy refuses an image that does not verify today, or of which nobody
// who may sign has seen that it was healthy in the environment.
func (i *SignedImage) wasHealthy(ctx context.Context, stage, env string) error {
	judgement, err := i.verify(ctx, stage, env)
	if err != nil {
		return err
	}
	for _, s := range judgement.Statements {
		var seen health
		if s.PredicateType == healthType && json.Unmarshal(s.Predicate, &seen) == nil && seen.Environment == env {
			return nil
		}
	}
	return step.Policy(stage, i.Reference.String(), "was never seen healthy in "+env, "release it there and wait for it")
}

// newestScan returns the attested scan of an image that knows the newest
// advisories, or nil.
func (i *SignedImage) newestScan(ctx context.Context, trusted verifier) (*rules.Scan, error) {
	statements, err := i.statements(ctx, trusted)
	if err != nil {
		if f, ok := step.AsFault(err); ok && f.Kind == step.KindPolicy {
			return nil, nil
		}
		return nil, err
	}
	var newest *rules.Scan
	for _, s := range statements {
		var scan rules.Scan
		if s.PredicateType != evidence.ScanType || json.Unmarshal(s.Predicate, &scan) != nil {
			continue
		}
		if newest == nil || scan.Scanner.DB.LastUpdate.After(newest.Scanner.DB.LastUpdate) {
			newest = &scan
		}
	}
	return newest, nil
}
