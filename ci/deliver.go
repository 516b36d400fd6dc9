package main

import (
	"context"

	"golang.org/x/sync/errgroup"

	"slipway/ci/internal/dagger"

	"slipway/ci/receipt"
)

// Deliver is the whole journey in one call: build, scan, publish, sign, plan,
// check, apply, release. Nothing is pushed before the scan has passed, and
// nothing is applied or released before the image is signed and the plan
// checked. With a kubeconfig it then waits until Argo CD has made the release
// healthy.
//
// Example: dagger call deliver --app hello --env dev json
//
// +cache="never"
func (s *Slipway) Deliver(
	ctx context.Context,
	// The app's folder below apps/.
	app string,
	// The environment to deliver to.
	env string,
	// Let the infrastructure plan destroy and replace resources.
	// +optional
	allowDestroy bool,
) (*Receipt, error) {
	infra, err := s.Infra(env)
	if err != nil {
		return nil, err
	}
	ran := &stages{}
	var (
		scanned *ScannedImage
		checked *CheckedPlan
	)
	gates, gatesCtx := errgroup.WithContext(ctx)
	gates.Go(func() error {
		a, err := s.App(gatesCtx, app)
		if err != nil {
			return err
		}
		scanned, err = a.buildAndScan(gatesCtx, ran)
		return err
	})
	gates.Go(func() error {
		var plan *Plan
		if err := ran.time("plan", func() (err error) { plan, err = infra.Plan(gatesCtx); return }); err != nil {
			return err
		}
		return ran.time("check", func() (err error) { checked, err = plan.Check(gatesCtx, allowDestroy); return })
	})
	if err := gates.Wait(); err != nil {
		return nil, err
	}
	var published *PublishedImage
	var signed *SignedImage
	if err := ran.time("publish", func() (err error) { published, err = scanned.Publish(ctx); return }); err != nil {
		return nil, err
	}
	if err := ran.time("sign", func() (err error) { signed, err = published.Sign(ctx, env); return }); err != nil {
		return nil, err
	}
	changes := receipt.PlanUnchanged
	if checked.Plan.Changes {
		if err := ran.time("apply", func() error { _, err := checked.Apply(ctx); return err }); err != nil {
			return nil, err
		}
		changes = receipt.PlanApplied
	}
	release, err := signed.release(ctx, env, origin{Kind: "release", Provisioned: true, Ran: ran})
	if err != nil {
		return nil, err
	}
	release.Tree, release.Verdict = scanned.Image.Tree, published.Verdict
	release.Plan, release.PlanCode = checked.Sha256, checked.Plan.Code
	release.PlanProgram, release.PlanChanges = checked.Plan.Program, changes
	if s.Kubeconfig == nil {
		return release.Receipt(), nil
	}
	live, err := release.Wait(ctx, defaultDeadline)
	if err != nil {
		return nil, err
	}
	return live.Receipt(), nil
}

// buildAndScan fetches the vulnerability database while the image is built. An
// image that can't be built is refused for that, whatever the database says.
func (a *App) buildAndScan(ctx context.Context, ran *stages) (*ScannedImage, error) {
	var (
		image    *Image
		database *dagger.Directory
	)
	if err := sideBySide(
		func() error { return ran.time("build", func() (err error) { image, err = a.Build(ctx); return }) },
		func() (err error) { database, err = a.Slipway.database(ctx); return },
	); err != nil {
		return nil, err
	}
	var scanned *ScannedImage
	err := ran.time("scan", func() (err error) { scanned, err = image.scan(ctx, database); return })
	return scanned, err
}
