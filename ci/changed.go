package main

import (
	"context"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/render"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/build"
)

// Deliveries is what became of the apps that a push has changed.
type Deliveries struct {
	// Environment that they went to.
	Environment string
	// Receipts are those of the apps that were delivered.
	Receipts []*Receipt
	Rows     []Delivery // +private
}

// DeliverChanged delivers each app of apps/ that differs from a commit, as deliver does,
// side by side. The environment's infrastructure is planned, checked and applied once for
// all. One that is refused stops no other: text and json say what became of each, and
// check refuses unless all were delivered.
//
// Example: dagger call deliver-changed --since "$BEFORE" --env dev check text
//
// +cache="never"
func (s *Slipway) DeliverChanged(
	ctx context.Context,
	// The id of the commit to compare with, such as the one that a branch was at before
	// the push; forty zeros, as for a new branch, deliver all apps.
	since string,
	// The environment to deliver to.
	env string,
	// How many apps are on their way at the same time.
	// +default=4
	atOnce int,
	// Let the infrastructure plan destroy and replace resources.
	// +optional
	allowDestroy bool,
	// Let it bring back what ran before, as with deliver.
	// +optional
	older bool,
) (*Deliveries, error) {
	if err := s.goes("deliver", "", env); err != nil {
		return nil, err
	}
	if err := s.mayRelease(ctx, "deliver", env); err != nil {
		return nil, err
	}
	infra, err := s.Infra(env)
	if err != nil {
		return nil, err
	}
	if atOnce < 1 {
		return nil, step.Input("deliver", "at-once", "is less than one", "give how many apps are delivered at the same time")
	}
	apps, err := s.changed(ctx, since)
	if err != nil {
		return nil, err
	}
	checked := sync.OnceValues(func() (*CheckedPlan, error) { return infra.checked(ctx, allowDestroy) })
	applied := sync.OnceValues(func() (*Applied, error) {
		plan, err := checked()
		if err != nil {
			return nil, err
		}
		return plan.applyChanges(ctx)
	})
	once := provisioning{
		check: func(context.Context) (*CheckedPlan, error) { return checked() },
		apply: func(context.Context, *CheckedPlan) (*Applied, error) { return applied() },
	}
	rows, receipts := make([]Delivery, len(apps)), make([]*Receipt, len(apps))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for n, app := range apps {
		group.Go(func() error {
			receipt, err := s.deliver(ctx, app, env, older, once)
			receipts[n], rows[n] = receipt, outcome(app, receipt, err)
			return nil
		})
	}
	_ = group.Wait() // a row tells what went wrong
	return &Deliveries{Environment: env, Rows: rows, Receipts: slices.DeleteFunc(receipts, func(r *Receipt) bool { return r == nil })}, ctx.Err()
}

// outcome is what the receipt, or the error in its place, says of an app.
func outcome(app string, r *Receipt, err error) Delivery {
	if err == nil {
		return Delivery{App: app, Image: r.Image, Commit: r.GitopsCommit, Created: r.ReleaseCreated}
	}
	d := Delivery{App: app, Refusal: err.Error()}
	if f, ok := step.AsFault(err); ok {
		d.Kind = f.Kind
	}
	return d
}

// nowhere is the id that stands for no commit.
var nowhere = strings.Repeat("0", 40)

// changed are the apps of the platform's repository that differ from a commit.
func (s *Slipway) changed(ctx context.Context, since string) ([]string, error) {
	files, err := s.Source.Glob(ctx, "apps/*/"+config.AppFile)
	if err != nil {
		return nil, err
	}
	var folders, apps []string
	for _, file := range files {
		folders = append(folders, path.Dir(file))
	}
	slices.Sort(folders)
	if since != nowhere && len(folders) > 0 {
		compared, err := resultIn[build.Compared](ctx, dag.Build().Committed(s.Source, s.Repository, folders, dagger.BuildCommittedOpts{Since: since}))
		if err != nil {
			return nil, err
		}
		folders = compared.Changed
	}
	for _, folder := range folders {
		apps = append(apps, path.Base(folder))
	}
	return apps, nil
}

// Check refuses unless each app that has changed is delivered.
//
// Example: dagger call deliver-changed --since "$BEFORE" --env dev check text
//
// +cache="168h"
func (d *Deliveries) Check() (*Deliveries, error) { return d, rules.Delivered(d.Environment, d.Rows) }

// Json is what became of each app, as JSON.
//
// +cache="168h"
func (d *Deliveries) Json() (string, error) { return render.JSON(d.Rows) }

// Text is the table for people.
//
// +cache="168h"
func (d *Deliveries) Text() string { return render.Deliveries(d.Rows) }
