package main

import (
	"context"
	"encoding/json"

	"slipway/step"
)

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
	if err := s.checkEnvironments(stage, app, env); err != nil {
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
		return image.release(ctx, env, nil, releaseReason{Kind: "rollback", Of: last.Reverts, Revision: last.SourceRevision})
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
			details = append(details, earlier.Digest+": "+f.Reason+"; "+f.Mend)
			continue
		}
		return image.release(ctx, env, nil, releaseReason{Kind: "rollback", Of: releases[0].Commit, Revision: earlier.SourceRevision})
	}
	return nil, step.Policy(stage, subject, "has no earlier release that was healthy and still verifies", "release a mended image", details...)
}

// wasHealthy refuses an image that does not verify today, or that no signed statement
// says was healthy in the environment.
func (i *SignedImage) wasHealthy(ctx context.Context, stage, env string) error {
	judgement, err := i.verify(ctx, stage, env, "")
	if err != nil {
		return err
	}
	for _, s := range judgement.In.Statements {
		var seen health
		if s.PredicateType == healthType && json.Unmarshal(s.Predicate, &seen) == nil && seen.Environment == env {
			return nil
		}
	}
	return step.Policy(stage, i.Reference.String(), "was never seen healthy in "+env, "release it there and wait for it")
}
