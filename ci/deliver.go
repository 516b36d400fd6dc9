package main

import (
	"context"

	"golang.org/x/sync/errgroup"

	"slipway/ci/internal/dagger"

	"slipway/ci/evidence"
	"slipway/ci/receipt"
	"slipway/step/result/build"
)

// Deliver is the whole journey in one call: build, scan, publish, sign, plan,
// check, apply, release. Nothing is pushed before the scan has passed, and
// nothing is applied or released before the image is signed and the plan
// checked. With a kubeconfig it then waits until Argo CD has made the release
// healthy. Where all of that has been done and a signed decision still answers for
// the image, nothing is published, signed or decided again.
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
		ready   *prepared
		checked *CheckedPlan
	)
	gates, gatesCtx := errgroup.WithContext(ctx)
	gates.Go(func() error {
		a, err := s.App(gatesCtx, app)
		if err != nil {
			return err
		}
		ready, err = a.prepare(gatesCtx, env, ran)
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
	signed, standing, err := ready.signed(ctx, env, checked, ran)
	if err != nil {
		return nil, err
	}
	changes := receipt.PlanUnchanged
	if checked.Plan.Changes {
		if err := ran.time("apply", func() error { _, err := checked.Apply(ctx); return err }); err != nil {
			return nil, err
		}
		changes = receipt.PlanApplied
	}
	release, err := signed.release(ctx, env, origin{Kind: "release", Provisioned: true, Standing: standing, Ran: ran})
	if err != nil {
		return nil, err
	}
	release.Tree, release.Verdict = ready.scanned.Image.Tree, ready.scanned.Verdict
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

// prepared is an image that every gate before the registry has let pass.
type prepared struct {
	scanned *ScannedImage
	tested  build.Tests
	// standing is the signed decision that answers for the image already; nil without one.
	standing *judged
}

// prepare fetches the vulnerability database while the image is built, and runs the
// app's tests beside both. An image that can't be built is refused for that, whatever
// the database says, and one that the scan refuses whatever its tests say.
func (a *App) prepare(ctx context.Context, env string, ran *stages) (*prepared, error) {
	p := &prepared{}
	var (
		image    *Image
		database *dagger.Directory
	)
	testing, stop := context.WithCancel(ctx)
	defer stop()
	err := sideBySide(
		func() (err error) {
			defer func() {
				if err != nil {
					stop()
				}
			}()
			if err := sideBySide(
				func() error { return ran.time("build", func() (err error) { image, err = a.Build(ctx); return }) },
				func() (err error) { database, err = a.Slipway.database(ctx); return },
			); err != nil {
				return err
			}
			return sideBySide(
				func() error {
					return ran.time("scan", func() (err error) { p.scanned, err = image.scan(ctx, database); return })
				},
				func() error { p.standing = image.standing(ctx, env); return nil },
			)
		},
		func() error {
			return ran.time("test", func() (err error) { p.tested, _, err = a.tests(testing); return })
		},
	)
	return p, err
}

// signed is the image in the registry, with its statements. Where its signed decision
// stands, nothing would be attested that is not, and nothing is to be applied, neither
// publishing nor signing would change anything: that decision is returned, too.
func (p *prepared) signed(ctx context.Context, env string, checked *CheckedPlan, ran *stages) (*SignedImage, *judged, error) {
	image := p.scanned.Image
	files, err := p.scanned.statements(ctx, p.tested)
	if err != nil {
		return nil, nil, err
	}
	if p.standing != nil && !checked.Plan.Changes && evidence.Attested(p.standing.Statements, files) {
		signed, err := image.signed()
		return signed, p.standing, err
	}
	var (
		published *PublishedImage
		signed    *SignedImage
	)
	if err := ran.time("publish", func() (err error) { published, err = p.scanned.publish(ctx, files); return }); err != nil {
		return nil, nil, err
	}
	err = ran.time("sign", func() (err error) { signed, err = published.Sign(ctx, env); return })
	return signed, nil, err
}
