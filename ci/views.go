package main

import (
	"context"
	"sync"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/receipt"
	"slipway/ci/render"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/argocd"
)

// AppStatus is where an app stands in each environment.
type AppStatus struct {
	// App that it is about.
	App  string
	Rows []Status // +private
}

// Status shows where an app stands in every environment: what Git says was released, by
// whom and when; what Argo CD has synced and found healthy, when a kubeconfig is given;
// and how old the advisories of its last scan are.
//
// Example: dagger call status --app hello text
//
// +cache="never"
func (s *Slipway) Status(
	ctx context.Context,
	// The app.
	app string,
) (*AppStatus, error) {
	const stage = "status"
	if err := s.checkEnvironments(stage, app); err != nil {
		return nil, err
	}
	envs := s.Config.EnvironmentNames()
	var statuses map[string]argocd.Status
	if s.Kubeconfig != nil {
		here, err := s.reached(ctx, stage)
		if err == nil && len(here) > 0 {
			statuses, err = s.statuses(ctx, stage, app, here...)
		}
		if err != nil {
			return nil, err
		}
	}
	rows, failures := make([]Status, len(envs)), make([]error, len(envs))
	var all sync.WaitGroup
	for n, env := range envs {
		all.Go(func() {
			rows[n], failures[n] = s.environmentStatus(ctx, stage, app, env, statuses[env])
		})
	}
	all.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return &AppStatus{App: app, Rows: rows}, nil
}

func (s *Slipway) environmentStatus(ctx context.Context, stage, app, env string, now argocd.Status) (Status, error) {
	r := Status{Environment: env, Sync: now.Sync, Health: now.Health}
	releases, err := s.history(ctx, stage, app, env)
	if err != nil || len(releases) == 0 {
		return r, err
	}
	last := releases[0]
	image := s.signed(app, last.Digest)
	r.Digest, r.Commit, r.Author, r.At, r.Running = last.Digest, last.Commit, last.Author, last.At.Format(time.RFC3339), runs(now, image.Reference)
	r.Revoked = rules.Revoked(s.Revocations, last.Digest, env)
	at, err := s.signing(ctx, stage, image.Reference.Repository())
	if err != nil {
		return r, err
	}
	approvals, err := image.approvals(ctx, at, env)
	if err != nil {
		return r, err
	}
	r.Approved = rules.Said(approvals, image.Reference.String(), env)
	// Scans can only be shown where it is known whose of them count.
	if must, err := s.trust(ctx, at.Sign, stage, env); err == nil {
		scan, err := image.newestScan(ctx, verifier{must, at.reached})
		if err != nil {
			return r, err
		}
		if scan != nil && !scan.Scanner.DB.LastUpdate.IsZero() {
			r.Scanned = scan.Scanner.DB.LastUpdate.UTC().Format(time.RFC3339)
		}
	}
	return r, nil
}

// Json is the table as JSON.
//
// +cache="168h"
func (s *AppStatus) Json() (string, error) { return render.JSON(s.Rows) }

// Text is the table for people.
//
// +cache="never"
func (s *AppStatus) Text() string { return render.Statuses(s.Rows, time.Now()) }

// Verification is what every rule says about an image for an environment.
type Verification struct {
	// Reference is repository@digest.
	Reference Reference
	// Environment whose rules were applied.
	Environment string
	// Passed is false when a rule refuses.
	Passed bool
	// Answered is true when a signed summary of an earlier decision answered, because
	// nothing has changed since.
	Answered bool
	// DecidedAt is when it was decided, in RFC 3339.
	DecidedAt string
	Judgement *Judgement // +private
}

// Inspect shows what every rule of an environment says about an image, whoever built
// it, in any registry that can be reached: verify's table, also for an image that is
// refused.
//
// Example: dagger call inspect --reference localhost:5000/hello@sha256:… --env production text
//
// +cache="never"
func (s *Slipway) Inspect(
	ctx context.Context,
	// The image: repository@sha256:….
	reference string,
	// The environment whose rules count.
	env string,
) (*Verification, error) {
	return s.inspect(ctx, "inspect", reference, env)
}

// Verify refuses an image that may not run in an environment, and names every
// rule's verdict and what mends it. It checks every blob against its digest, the
// signature against the platform's public key or the identities that may sign for
// the environment, and what they attested against the rules of slipway.yaml.
//
// Example: dagger call verify --reference localhost:5000/hello@sha256:… --env production text
//
// +cache="never"
func (s *Slipway) Verify(
	ctx context.Context,
	// The image: repository@sha256:….
	reference string,
	// The environment whose rules count.
	env string,
) (*Verification, error) {
	v, err := s.inspect(ctx, "verify", reference, env)
	if err != nil {
		return nil, err
	}
	return v, v.Judgement.Refusal("verify")
}

func (s *Slipway) inspect(ctx context.Context, stage, reference, env string) (*Verification, error) {
	c := s.Config
	if _, err := c.Environment(stage, env); err != nil {
		return nil, err
	}
	image := Reference(reference)
	if err := step.Digest(stage, "reference", image.Digest()); err != nil {
		return nil, err
	}
	if !config.SameHost("//"+image.Repository(), "//"+c.Registry.Repository) {
		// Its credentials and its service are for the configured registry only.
		next := *s
		next.Registry = &Endpoint{}
		s = &next
	}
	return (&SignedImage{Reference: image, Slipway: s}).inspect(ctx, stage, env)
}

// inspect is what every rule says about the image.
func (i *SignedImage) inspect(ctx context.Context, stage, env string) (*Verification, error) {
	j, err := i.judge(ctx, stage, env, "")
	if err != nil {
		return nil, err
	}
	return &Verification{
		Reference: i.Reference, Environment: env, Passed: j.Refusal(stage) == nil, Answered: j.Answered,
		DecidedAt: j.At.Format(time.RFC3339), Judgement: &j.Judgement,
	}, nil
}

// Json is everything about the decision, as JSON: each rule's verdict with its
// reason and mend, the digest of the policy, and the statements that it stands on.
//
// +cache="168h"
func (v *Verification) Json() (string, error) { return render.JSON(v.Judgement) }

// Text is the table for people.
//
// +cache="168h"
func (v *Verification) Text() string {
	decided := ""
	if v.Answered {
		decided = v.DecidedAt
	}
	return render.Judgement(*v.Judgement, decided)
}

// Applications generates the Argo CD objects that make the cluster follow the
// GitOps repository: an Application for each overlay below gitops/apps, in the
// AppProject of its name, by the remote and branch of its environment. Generate and
// commit them after a new app or environment, or another GitOps remote.
//
// Example: dagger call applications export --path gitops/argocd
//
// +cache="168h"
func (s *Slipway) Applications(ctx context.Context) (*dagger.Directory, error) {
	tree, objects := s.Source.Directory("gitops"), dag.Directory()
	generate := func(env string, tree *dagger.Directory) error {
		out := s.gitopsRepository(env).Applications(tree)
		objects = objects.WithDirectory("", out.Directory("argocd"))
		return passedIn(ctx, out)
	}
	for _, env := range s.Config.EnvironmentNames() {
		own, overlays := s.Config.Environments[env].GitOps, "apps/*/overlays/"+env+"/**"
		if own.Remote+own.Branch == "" {
			continue
		}
		its := tree.Filter(dagger.DirectoryFilterOpts{Include: []string{overlays}})
		if there, err := its.Glob(ctx, "**/kustomization.yaml"); err != nil || len(there) == 0 {
			if err != nil {
				return nil, err
			}
			continue
		}
		if err := generate(env, its); err != nil {
			return nil, err
		}
		tree = tree.Filter(dagger.DirectoryFilterOpts{Exclude: []string{overlays}})
	}
	rest, err := tree.Glob(ctx, "apps/*/overlays/*/kustomization.yaml")
	if err != nil {
		return nil, err
	}
	made, err := objects.Entries(ctx)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 || len(made) == 0 {
		err = generate("", tree)
	}
	return objects, err
}

// Parity says in one line that two receipts record the same delivery: the same image,
// scan, decision and plan, in the same place. That has to hold when a laptop and a CI
// system deliver the same commit. Otherwise it refuses, and names the first difference.
// It leaves out only what two deliveries can't have in common: who ran them, when, and
// what the second one found done already.
//
// Example: dagger call parity --first laptop.json --second pipeline.json
//
// +cache="168h"
func (s *Slipway) Parity(
	ctx context.Context,
	// One receipt, as document and receipt json print it. Example: ./laptop.json
	first *dagger.File,
	// Another one. Of two about one environment, the later.
	second *dagger.File,
) (string, error) {
	var both [2][]byte
	for n, file := range []*dagger.File{first, second} {
		text, err := file.Contents(ctx)
		if err != nil {
			return "", step.Input("parity", [...]string{"--first", "--second"}[n], "can't be read: "+err.Error(), "give the file of a receipt, as document prints it")
		}
		both[n] = []byte(text)
	}
	said, err := receipt.Compare(both[0], both[1])
	return said + "\n", err
}
