package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/evidence"
	"slipway/ci/receipt"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/printable"
	"slipway/step/result/argocd"
	"slipway/step/result/gitops"
	"slipway/step/result/sign"
)

// Release is a commit in the GitOps repository.
type Release struct {
	// Commit is the GitOps repository's commit that holds the release.
	Commit string
	// Created is false when the repository already held this release.
	Created bool
	// Kind is release, promotion or rollback.
	Kind string
	// Attempts is how often the commit was pushed until it landed.
	Attempts int
	// Path is the file that holds the digest.
	Path string
	// Evidence is the digest of the decision that the commit's trailer
	// Slipway-Evidence names: this release's own when Created, else that of the
	// release that made the commit. Empty when the commit has no such trailer.
	Evidence string
	// NotRefreshed is why Argo CD could not be asked to look at the commit at
	// once: it does so at its next poll. Empty when it was asked, and without a
	// kubeconfig.
	NotRefreshed string
	// Environment is where the app is released to.
	Environment string
	// Reference is repository@digest.
	Reference Reference
	// Revision is the commit that the image was built from, as its provenance says.
	Revision    string
	Uncommitted []string    // +private
	Judgement   *Judgement  // +private
	Statements  []Statement // +private
	Stages      []Stage     // +private
	Tree        string      // +private
	Verdict     *Verdict    // +private
	Applied     *Applied    // +private
	Moved       bool        // +private
	App         string      // +private
	Slipway     *Slipway    // +private
}

// Release verifies the image again, scans what the overlay at the GitOps remote renders to
// with it, and then sets its digest there, as one commit. Releasing the same image twice
// makes one commit.
//
// Example: dagger call signed --app hello --digest sha256:… release --env dev commit
//
// +cache="never"
func (i *SignedImage) Release(
	ctx context.Context,
	// The environment to release to.
	env string,
	// Let it bring back what ran before: a digest that was released there earlier, or one
	// that was built from an ancestor of the commit that runs.
	// +optional
	older bool,
) (*Release, error) {
	return i.release(ctx, env, nil, releaseReason{Kind: "release", Older: older})
}

// releaseReason is why a digest is released.
type releaseReason struct {
	// Kind is release, promotion (From an environment) or rollback (Of a commit).
	Kind, From, Of string
	// Revision is the commit that the release before said that the image was built
	// from. Its provenance is believed first.
	Revision string
	// Stored is the signed decision that this very call has found to answer for the
	// image; nil where it is still to be verified.
	Stored *decision
	// Rendered is the overlay as this very call has rendered and scanned it; nil where
	// that is still to be done.
	Rendered *rendered
	// Older lets the overlay go back, as a rollback does.
	Older bool
}

// release releases the image to an environment. The infrastructure is what this very
// call has made of it; without, it is looked at.
func (i *SignedImage) release(ctx context.Context, env string, applied *Applied, reason releaseReason) (*Release, error) {
	s := i.Slipway
	if err := s.goes("release", i.App, env); err != nil {
		return nil, err
	}
	if err := s.mayRelease(ctx, "release", env); err != nil {
		return nil, err
	}
	var (
		cluster *cluster
		err     error
	)
	if s.Kubeconfig != nil {
		if cluster, err = s.argocd(ctx, "admit", env); err != nil {
			return nil, err
		}
	}
	// None of these writes anything, and nothing is signed or written before all of
	// them have passed. The first one's refusal is told before the others'.
	judgement, rendered := reason.Stored, reason.Rendered
	var (
		verified, admitted []Stage
		platform           *rules.Platform
	)
	began := time.Now()
	if err := sideBySide(
		func() (err error) {
			if judgement != nil {
				return nil
			}
			judgement, err = i.verify(ctx, "release", env, applied.plan())
			verified = after(nil, "verify", began)
			return err
		},
		func() (err error) { platform, err = s.rulesFrom(ctx, "release", env); return },
		func() error {
			if applied != nil {
				return nil
			}
			_, err := (&Infrastructure{Environment: env, Slipway: s}).Ready(ctx)
			return err
		},
		func() (err error) {
			if rendered == nil {
				if rendered, err = s.render(ctx, "release", i.App, env, i.Reference, reason.Older || reason.Kind == "rollback"); err != nil {
					return err
				}
			}
			if reason.Rendered != nil {
				return nil
			}
			_, err = s.judge(ctx, i.App, env, rendered)
			return err
		},
	); err != nil {
		return nil, err
	}
	judgement.Basis = rules.Basis{Manifests: rendered.SHA256, Platform: platform}
	revision, uncommitted := evidence.Source(judgement.In.Statements, or(reason.Revision, i.Revision))
	if revision == "" {
		return nil, step.Policy("release", i.Reference.String(), "has no signed provenance that names the commit it was built from",
			"deliver the app, or build, scan, publish and sign it again with this pipeline")
	}
	if reason.Rendered == nil {
		if err := s.forward(ctx, i.App, rendered, revision); err != nil {
			return nil, err
		}
	}
	if err := i.summarise(ctx, "release", judgement); err != nil {
		return nil, err
	}
	// The cluster asks for the decision that has just been signed.
	if cluster != nil {
		began = time.Now()
		if err := cluster.admit(ctx, rendered); err != nil {
			return nil, err
		}
		admitted = after(nil, "admit", began)
	}
	began = time.Now()
	done, err := rendered.release(ctx, i.Reference, revision, judgement.Decision().Digest(), reason)
	if err != nil {
		return nil, err
	}
	if done.Commit == "" {
		return nil, fmt.Errorf("release of %s to %s ended without a commit", i.Reference, env)
	}
	notRefreshed := ""
	if done.Created && cluster != nil {
		notRefreshed = cluster.refresh(ctx, application(i.App, env))
	}
	stages := slices.Concat(i.Stages, applied.stages(), verified, admitted)
	return &Release{
		Judgement: &judgement.Judgement, Statements: recorded(judgement.In.Statements), Stages: after(stages, "commit", began),
		Commit: done.Commit, Created: done.Created, Attempts: done.Attempts, Path: done.Path, Evidence: done.Evidence, NotRefreshed: printable.Line(notRefreshed),
		Kind: reason.Kind, Revision: revision, Uncommitted: uncommitted, Environment: env, Reference: i.Reference, Moved: i.Moved, Tree: i.Tree, Verdict: i.Verdict, Applied: applied, App: i.App, Slipway: s,
	}, nil
}

// recorded are the statements that a receipt is made of. Bills of materials are too long
// to be handed on for nothing.
func recorded(statements []sign.Statement) []sign.Statement {
	return slices.DeleteFunc(slices.Clone(statements), func(s sign.Statement) bool {
		return s.PredicateType != evidence.ScanType && s.PredicateType != receipt.PredicateType
	})
}

// history returns an app's releases in an environment, the newest first.
func (s *Slipway) history(ctx context.Context, stage, app, env string) ([]gitops.Entry, error) {
	overlay, err := s.overlay(ctx, stage, app, env, dagger.GitopsRepositoryOverlayOpts{})
	if err != nil {
		return nil, err
	}
	done, err := result[gitops.History](overlay.History(ctx, dagger.GitopsOverlayHistoryOpts{
		Repository: s.Config.Image(app), Service: overlay.at.Service, Connect: overlay.at.Connect,
	}))
	return done.Releases, err
}

// runs says whether an Application runs exactly this image.
func runs(a argocd.Status, reference Reference) bool {
	return slices.Contains(a.Images, string(reference))
}

// statuses returns where the app stands in each of these environments of the cluster, of
// which there is at least one.
func (s *Slipway) statuses(ctx context.Context, stage, app string, envs ...string) (map[string]argocd.Status, error) {
	cluster, err := s.argocd(ctx, stage, envs[0])
	if err != nil {
		return nil, err
	}
	var names []string
	for _, env := range envs {
		names = append(names, application(app, env))
	}
	done, err := result[argocd.Statuses](cluster.Status(ctx, names, dagger.GitopsClusterStatusOpts(cluster.at)))
	if err != nil {
		return nil, err
	}
	if len(done.Applications) != len(envs) {
		return nil, fmt.Errorf("asked for %d Applications, was told of %d", len(envs), len(done.Applications))
	}
	statuses := map[string]argocd.Status{}
	for n, env := range envs {
		statuses[env] = done.Applications[n]
	}
	return statuses, nil
}

// checkEnvironments checks an app's name and environments before the first container starts.
func (s *Slipway) checkEnvironments(stage, app string, envs ...string) error {
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
