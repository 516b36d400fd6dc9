package main

import (
	"context"

	"golang.org/x/sync/errgroup"

	"slipway/ci/internal/dagger"
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
		scanned, err = a.buildAndScan(gatesCtx)
		return err
	})
	gates.Go(func() error {
		plan, err := infra.Plan(gatesCtx)
		if err != nil {
			return err
		}
		checked, err = plan.Check(gatesCtx, allowDestroy)
		return err
	})
	if err := gates.Wait(); err != nil {
		return nil, err
	}
	published, err := scanned.Publish(ctx)
	if err != nil {
		return nil, err
	}
	signed, err := published.Sign(ctx)
	if err != nil {
		return nil, err
	}
	changes := "no changes"
	if checked.Plan.Changes {
		if _, err := checked.Apply(ctx); err != nil {
			return nil, err
		}
		changes = "applied"
	}
	release, err := signed.release(ctx, env, origin{Kind: "release", Provisioned: true})
	if err != nil {
		return nil, err
	}
	receipt := release.Receipt()
	if s.Kubeconfig != nil {
		live, err := release.Wait(ctx, defaultDeadline)
		if err != nil {
			return nil, err
		}
		receipt = live.Receipt()
	}
	receipt.SourceTree = scanned.Image.Tree
	receipt.Verdict = published.Verdict
	receipt.Plan = checked.Sha256
	receipt.PlanChanges = changes
	return receipt, nil
}

// buildAndScan fetches the vulnerability database while the image is built. An
// image that can't be built is refused for that, whatever the database says.
func (a *App) buildAndScan(ctx context.Context) (*ScannedImage, error) {
	var (
		image    *Image
		database *dagger.Directory
	)
	if err := sideBySide(
		func() (err error) { image, err = a.Build(ctx); return },
		func() (err error) { database, err = a.Slipway.database(ctx); return },
	); err != nil {
		return nil, err
	}
	return image.scan(ctx, database)
}
