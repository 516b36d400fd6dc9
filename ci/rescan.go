package main

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/evidence"
	"slipway/ci/render"
	"slipway/ci/rules"
	"slipway/step"
)

const rescanStage = "rescan"

// Rescan is how the apps of an environment stand under today's advisories.
type Rescan struct {
	// Environment that was looked at.
	Environment string
	// Passed is false when the release of an app has fallen out of policy.
	Passed  bool
	Rows    []*AppRescan // +private
	Slipway *Slipway     // +private
}

// Rescan scans again what runs in an environment against today's advisories,
// without a rebuild, and what its overlay renders to, and says which releases have fallen
// out of policy, since when, and what mends them. With a signer it attests what it found:
// an image that has fallen out can't be released, promoted or rolled back to any more.
//
// Example: dagger call rescan --env production text
//
// +cache="never"
func (s *Slipway) Rescan(
	ctx context.Context,
	// The environment to look at.
	env string,
) (*Rescan, error) {
	c := s.Config
	if _, err := c.Environment(rescanStage, env); err != nil {
		return nil, err
	}
	apps, err := s.Apps(ctx)
	if err != nil {
		return nil, err
	}
	database, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	rows, failures := make([]*AppRescan, len(apps)), make([]error, len(apps))
	var all sync.WaitGroup
	for n, app := range apps {
		all.Go(func() { rows[n], failures[n] = s.rescan(ctx, app, env, database) })
	}
	all.Wait()
	result := &Rescan{Environment: env, Passed: true, Rows: rows, Slipway: s}
	for n, err := range failures {
		if err != nil {
			return nil, err
		}
		result.Passed = result.Passed && rows[n].InPolicy()
	}
	return result, nil
}

func (s *Slipway) rescan(ctx context.Context, app, env string, database *dagger.Directory) (*AppRescan, error) {
	rescanned := &AppRescan{App: app}
	releases, err := s.history(ctx, rescanStage, app, env)
	if err != nil || len(releases) == 0 {
		return rescanned, err
	}
	rescanned.Digest = releases[0].Digest
	rescanned.Revoked = rules.Revoked(s.Revocations, rescanned.Digest, env)
	image := s.signed(app, rescanned.Digest)
	if s.Kubeconfig != nil {
		statuses, err := s.statuses(ctx, rescanStage, app, env)
		if err != nil {
			return nil, err
		}
		running := runs(statuses[env], image.Reference)
		rescanned.Running = &running
	}
	rendered, err := s.render(ctx, rescanStage, app, env, image.Reference, true)
	if err == nil {
		_, err = s.judge(ctx, app, env, rendered)
	}
	if rescanned.Overlay, err = refusalOf(err); err != nil {
		return nil, err
	}
	trusted, err := image.trust(ctx, rescanStage, env)
	if err != nil {
		return nil, err
	}
	signed, err := image.statements(ctx, trusted)
	if err != nil {
		return nil, err
	}
	var history []json.RawMessage
	for _, statement := range signed {
		if statement.PredicateType == evidence.ScanType {
			history = append(history, statement.Predicate)
		}
	}
	layout, err := s.pulled(ctx, rescanStage, image.Reference)
	if err != nil {
		return nil, err
	}
	pulled := &Image{Digest: rescanned.Digest, App: &App{Name: app, Slipway: s}, Layout: layout}
	found, run, err := pulled.scanned(ctx, database)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	vex, err := pulled.vex(ctx, now)
	if err != nil {
		return nil, err
	}
	policy, err := s.policy(ctx)
	if err != nil {
		return nil, err
	}
	said, statement := policy.Rescan(image.Reference.String(), rules.Scanned{
		App: app, Digest: rescanned.Digest, Findings: *found, VEX: vex, Now: now,
	}, history, *run)
	rescanned.Rescanned = &said
	if !said.Passed && len(said.Refused) == 0 {
		return nil, step.Policy(rescanStage, image.Reference.String(), said.Reason, "mend what the reason names, and scan again: nothing was decided about the image")
	}
	if !s.signs() {
		return rescanned, nil
	}
	return rescanned, image.attest(ctx, rescanStage, env, map[string]evidence.File{"rescan": {PredicateType: evidence.ScanType, Predicate: statement}})
}

// Check refuses an environment in which a release has fallen out of policy.
//
// Example: dagger call rescan --env production check text
//
// +cache="168h"
func (r *Rescan) Check() (*Rescan, error) { return r, rules.InPolicy(r.Environment, r.Rows) }

// Json is everything about each app, as JSON: what refuses it and since when, and
// what is left unfixed, with the day that it was first seen.
//
// +cache="168h"
func (r *Rescan) Json() (string, error) { return render.JSON(r.Rows) }

// Text is the table for people.
//
// +cache="168h"
func (r *Rescan) Text() string { return render.Rescans(r.Rows) }
