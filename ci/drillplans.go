package main

import (
	"context"
	"errors"
	"strings"

	"slipway/ci/config"
	"slipway/ci/drill"
	"slipway/step"
)

// attackPlans attacks what stands between a plan and its apply.
func (t *target) attackPlans(ctx context.Context) drill.Table {
	infra := &Infra{Environment: t.env, Slipway: t.Slipway}
	next := *t.Slipway
	next.Source = t.Source.WithoutFile("infra/" + drill.Code + "/spare.tf")
	smaller := &Infra{Environment: t.env, Slipway: &next}

	var table drill.Table
	var checked *CheckedPlan
	control := func() (err error) {
		plan, err := infra.Plan(ctx)
		if err == nil {
			checked, err = plan.Check(ctx, false)
		}
		return err
	}()
	table = append(table, drill.TamperedPlan.Judge(control, func() error {
		another, err := smaller.Plan(ctx)
		if err != nil {
			return err
		}
		changed := *checked.Plan
		changed.Out = changed.Out.WithFile(planFile, another.Out.File(planFile))
		_, err = (&CheckedPlan{Sha256: checked.Sha256, Plan: &changed, Out: checked.Out}).Apply(ctx)
		return err
	}))
	if control == nil {
		_, control = checked.Apply(ctx)
	}
	// The control of a destroying plan is that an explicit yes lets it pass.
	var plan *Plan
	if control == nil {
		if plan, control = smaller.Plan(ctx); control == nil {
			_, control = plan.Check(ctx, true)
		}
	}
	return append(table, drill.DestroyingPlan.Judge(control, func() error { _, err := plan.Check(ctx, false); return err }))
}

// planFile is the name of the plan in a plan's folder.
const planFile = "plan.tfplan"

// attackCluster asks the caller's cluster about images that nobody has signed, in
// the place of one that is healthy there. It stores nothing.
func (s *Slipway) attackCluster(ctx context.Context, c *config.Config, env string) (drill.Table, error) {
	skip := func(why string) drill.Table {
		return drill.Table{drill.UnsignedPod.Skip(why), drill.NeverRuns.Skip(why)}
	}
	if s.Kubeconfig == nil {
		return skip("give --kubeconfig file:PATH"), nil
	}
	release, err := s.healthy(ctx, c, env)
	if err != nil {
		return nil, err
	}
	if release == nil {
		return skip("release an app to " + env + ": none is healthy there"), nil
	}
	cluster, err := s.argocd(ctx, "drill")
	if err != nil {
		return nil, err
	}
	nobody := step.Refer(c.Image(release.App), "sha256:"+strings.Repeat("0f", 32))
	admit := func(reference Reference) error {
		rendered, err := s.render(ctx, "drill", release.App, env, reference, true)
		if err != nil {
			return err
		}
		return cluster.admit(ctx, rendered)
	}
	// The revision that is synced, so that no later commit is in the way.
	revision := release.Commit
	wait := func(reference Reference, deadline string) error {
		next := *release
		next.Commit, next.Reference = revision, reference
		seen, outcome, err := next.observe(ctx, deadline)
		if err != nil {
			return err
		}
		if outcome == Healthy {
			revision = seen.Revision
			return nil
		}
		return next.refusal(outcome, seen)
	}
	var table drill.Table
	table = append(table, drill.UnsignedPod.Judge(admit(release.Reference), func() error { return admit(nobody) }))
	return append(table, drill.NeverRuns.Judge(wait(release.Reference, "1m"), func() error { return wait(nobody, "15s") })), nil
}

// healthy is the release of an app that is healthy in an environment, or nil.
func (s *Slipway) healthy(ctx context.Context, c *config.Config, env string) (*Release, error) {
	apps, err := s.Apps(ctx)
	if err != nil {
		return nil, err
	}
	for _, app := range apps {
		releases, err := s.history(ctx, "drill", app, env)
		var f *step.Fault
		if errors.As(err, &f) && f.Kind == step.KindInput {
			continue // has no overlay there
		}
		if err != nil {
			return nil, err
		}
		if len(releases) == 0 {
			continue
		}
		standing, err := s.standing(ctx, "drill", app, env)
		if err != nil {
			return nil, err
		}
		reference := step.Refer(c.Image(app), releases[0].Digest)
		if now := standing[env]; runs(now, reference) && now.Health == "Healthy" && now.Sync == "Synced" {
			return &Release{Commit: releases[0].Commit, Environment: env, Reference: reference, App: app, Slipway: s}, nil
		}
	}
	return nil, nil
}
