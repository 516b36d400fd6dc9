package main

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway/ci/internal/dagger"

	"slipway/ci/evidence"
	"slipway/step"
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
	// The app.
	app string,
	// The environment to deliver to.
	env string,
	// Let the infrastructure plan destroy and replace resources.
	// +optional
	allowDestroy bool,
	// Let it bring back what ran before: a digest that was released there earlier, or one
	// that was built from an ancestor of the commit that runs.
	// +optional
	older bool,
) (*Receipt, error) {
	if err := s.known("deliver", app, env); err != nil {
		return nil, err
	}
	infra, err := s.Infra(env)
	if err != nil {
		return nil, err
	}
	var (
		ready   *prepared
		checked *CheckedPlan
	)
	gates, gatesCtx := errgroup.WithContext(ctx)
	gates.Go(func() (err error) { ready, err = s.prepare(gatesCtx, app, env, older); return })
	gates.Go(func() (err error) { checked, err = infra.checked(gatesCtx, allowDestroy); return })
	if err := gates.Wait(); err != nil {
		return nil, err
	}
	if err := ready.scanned.signed().unrevoked("publish", env); err != nil {
		return nil, err
	}
	signed, standing, err := ready.signed(ctx, env, checked)
	if err != nil {
		return nil, err
	}
	applied, err := checked.settled(ctx)
	if err != nil {
		return nil, err
	}
	release, err := signed.release(ctx, env, applied, origin{Kind: "release", Standing: standing, Rendered: ready.rendered})
	if err != nil {
		return nil, err
	}
	if s.Kubeconfig == nil {
		return release.Receipt()
	}
	live, err := release.Wait(ctx, defaultDeadline)
	if err != nil {
		return nil, err
	}
	return live.Receipt()
}

// prepared is an image that every gate before the registry has let pass.
type prepared struct {
	scanned *ScannedImage
	tested  build.Tests
	// standing is the signed decision that answers for the image already; nil without one.
	standing *judged
	// rendered is the overlay with the image in it.
	rendered *rendered
}

// prepare fetches the vulnerability database while the image is built, and runs the
// app's tests beside both. An image that can't be built is refused for that, whatever
// the database says, and one that the scan refuses whatever its tests say.
func (s *Slipway) prepare(ctx context.Context, app, env string, older bool) (*prepared, error) {
	a, err := s.App(ctx, app)
	if err != nil {
		return nil, err
	}
	p := &prepared{}
	testing, stop := context.WithCancel(ctx)
	defer stop()
	began := time.Now()
	var tests []Stage
	if err := sideBySide(
		func() error {
			err := p.scan(ctx, a, env, older)
			if err != nil {
				stop()
			}
			return err
		},
		func() (err error) {
			p.tested, _, err = a.tests(testing)
			tests = after(nil, "test", began)
			return err
		},
	); err != nil {
		return nil, err
	}
	p.scanned.Stages = slices.Concat(p.scanned.Stages, tests)
	return p, nil
}

// scan builds and scans the image, renders the overlay with it, and looks for the
// decision that stands.
func (p *prepared) scan(ctx context.Context, a *App, env string, older bool) error {
	var (
		image    *Image
		database *dagger.Directory
	)
	if err := sideBySide(
		func() (err error) { image, err = a.Build(ctx); return },
		func() (err error) { database, err = a.Slipway.database(ctx); return },
	); err != nil {
		return err
	}
	return sideBySide(
		func() (err error) { p.scanned, err = image.scan(ctx, database); return },
		func() (err error) {
			s := a.Slipway
			if p.rendered, err = s.render(ctx, "release", a.Name, env, step.Refer(s.Config.Image(a.Name), image.Digest), older); err != nil {
				return err
			}
			return s.forward(ctx, p.rendered, image.Revision)
		},
		func() error { p.standing = image.standing(ctx, env); return nil },
	)
}

// signed is the image in the registry, with its statements. Where its signed decision
// stands, nothing would be attested that is not, and nothing is to be applied, neither
// publishing nor signing would change anything: that decision is returned, too.
func (p *prepared) signed(ctx context.Context, env string, checked *CheckedPlan) (*SignedImage, *judged, error) {
	files, err := p.scanned.statements(ctx, p.tested)
	if err != nil {
		return nil, nil, err
	}
	if p.standing != nil && !checked.Plan.Changes && evidence.Attested(p.standing.Statements, files) {
		return p.scanned.signed(), p.standing, nil
	}
	published, err := p.scanned.publish(ctx, files)
	if err != nil {
		return nil, nil, err
	}
	signed, err := published.Sign(ctx, env)
	return signed, nil, err
}

func (i *Infra) checked(ctx context.Context, allowDestroy bool) (*CheckedPlan, error) {
	plan, err := i.Plan(ctx)
	if err != nil {
		return nil, err
	}
	return plan.Check(ctx, allowDestroy)
}
