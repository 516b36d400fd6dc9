package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/evidence"
	"slipway/ci/receipt"
	"slipway/ci/render"
	"slipway/step"
	"slipway/step/printable"
	"slipway/step/result/sign"
)

// hasReceipt says whether the image carries the receipt of this very commit.
func (r *Release) hasReceipt() bool {
	return slices.ContainsFunc(r.Statements, func(s sign.Statement) bool {
		if s.PredicateType != receipt.PredicateType {
			return false
		}
		d, err := receipt.Parse(s.Predicate)
		return err == nil && d.GitOps != nil && d.GitOps.Commit == r.Commit && d.Environment == r.Environment
	})
}

// document is the receipt in the form that is signed, checked for sense.
func (r *Receipt) document(ctx context.Context) (*receipt.Document, error) {
	release := r.Release
	s := release.Slipway
	c := s.Config
	remote, err := url.Parse(c.GitOps.Remote)
	if err != nil {
		return nil, fmt.Errorf("gitops.remote: %w", err)
	}
	remote.User = nil
	d := &receipt.Document{
		App: r.App, Environment: r.Environment, Kind: receipt.Kind(or(release.Kind, string(receipt.KindRelease))),
		Image:  receipt.Image{Reference: release.Reference, Pushed: r.ImagePushed},
		GitOps: &receipt.GitOps{Remote: remote.String(), Commit: r.GitopsCommit, Path: r.GitopsPath, Created: r.ReleaseCreated, Evidence: r.GitopsEvidence},
		Runner: evidence.Runner(or(s.Runner, string(evidence.RunnerLocal))),
	}
	if commit, dirty := strings.CutSuffix(r.SourceRevision, evidence.Dirty); commit != "" {
		d.Source = &receipt.Source{Commit: commit, Tree: r.SourceTree, Dirty: dirty, Uncommitted: r.Uncommitted}
	}
	if r.Plan != "" {
		d.Plan = &receipt.Plan{SHA256: r.Plan, Code: release.Applied.Code, Program: r.PlanProgram, Changes: r.PlanChanges}
	}
	if r.Health != "" {
		d.Live = &receipt.Live{SyncedRevision: r.SyncedRevision, Health: r.Health, HealthyAt: r.HealthyAt}
	}
	if release.Judgement != nil {
		d.Decision, d.Evidence = receipt.FromJudgement(*release.Judgement)
	}
	var scans []json.RawMessage
	for _, statement := range release.Statements {
		if statement.PredicateType == evidence.ScanType {
			scans = append(scans, statement.Predicate)
		}
	}
	policy, err := s.policy(ctx)
	if err != nil {
		return nil, err
	}
	scan, err := policy.Newest("receipt", r.Image, scans, time.Now())
	if err != nil {
		return nil, err
	}
	d.Scan = receipt.FromScan(*scan)
	// A call that found the release there ran none of its stages.
	if release.Created {
		d.Stages = release.Stages
	}
	return d, d.Validate()
}

// Document is everything that this receipt binds, as JSON: the form that is signed
// and attached to the image once the release is healthy.
//
// Example: dagger call deliver --app hello --env dev document
//
// +cache="168h"
func (r *Receipt) Document(ctx context.Context) (string, error) {
	d, err := r.document(ctx)
	if err != nil {
		return "", err
	}
	return render.Indented(d)
}

// Html is the receipt as one page, with the journey as a picture.
//
// Example: dagger call deliver --app hello --env dev html export --path receipt.html
//
// +cache="168h"
func (r *Receipt) Html(ctx context.Context) (*dagger.File, error) {
	d, err := r.document(ctx)
	if err != nil {
		return nil, err
	}
	page, err := d.HTML()
	return dag.File("receipt.html", string(page)), err
}

// SignedReceipt is the newest receipt that the platform has signed about an image
// in an environment.
type SignedReceipt struct {
	// Referrer is the digest of the manifest that holds it; empty for one from a file.
	Referrer string
	// Checked is what receipt-verify has checked, one line each.
	Checked   []string
	Predicate []byte       // +private
	Document  *Document    // +private
	File      *dagger.File // +private
	Image     *SignedImage // +private
}

// Receipt reads, from beside the image, the newest signed receipt of what runs in an
// environment according to Git. It refuses an image without the platform's signature,
// and one whose receipt is missing or contradicts itself.
//
// Example: dagger call receipt --app hello --env dev text
//
// +cache="never"
func (s *Slipway) Receipt(
	ctx context.Context,
	// The app.
	app string,
	// The environment.
	env string,
) (*SignedReceipt, error) {
	const stage = "receipt"
	if err := s.known(stage, app, env); err != nil {
		return nil, err
	}
	releases, err := s.history(ctx, stage, app, env)
	if err != nil {
		return nil, err
	}
	subject := app + " in " + env
	if len(releases) == 0 {
		return nil, step.Policy(stage, subject, "was never released", "release it there first")
	}
	image := s.signed(app, releases[0].Digest)
	trusted, err := image.trust(ctx, stage, env)
	if err != nil {
		return nil, err
	}
	statements, err := image.statements(ctx, trusted)
	if err != nil {
		return nil, err
	}
	var newest *SignedReceipt
	var at string
	for _, statement := range statements {
		if statement.PredicateType != receipt.PredicateType {
			continue
		}
		d, err := receipt.Parse(statement.Predicate)
		if err != nil {
			return nil, err
		}
		if err := d.Validate(); err != nil {
			return nil, err
		}
		if d.App != app || d.Environment != env || d.Image.Reference != image.Reference || d.GitOps == nil || d.GitOps.Commit != releases[0].Commit || d.Live == nil || d.Live.HealthyAt <= at {
			continue
		}
		at = d.Live.HealthyAt
		newest = &SignedReceipt{Referrer: statement.Referrer, Predicate: statement.Predicate, Document: d, Image: image}
	}
	if newest == nil {
		return nil, step.Policy(stage, subject, "has no signed receipt: nobody who may sign has seen commit "+releases[0].Commit+" healthy there", "release it with --kubeconfig and a signer, and wait for it")
	}
	return newest, nil
}

// ReceiptVerify checks a receipt's bundle without registry, cluster or any other
// network: the signature by the key or by an identity that may sign for the
// environment, that the receipt is about the image that was signed, that it goes from a
// decision to Healthy without contradicting itself, and that the decision's digest is
// that of its verdicts and statements. With a checkout, the release's commit has to be
// in the history of its head, has to put the digest into the named file, and has to
// name the same decision as the receipt.
//
// Example: dagger call receipt-verify --bundle receipt.sigstore.json --repository ../gitops checked
//
// +cache="never"
func (s *Slipway) ReceiptVerify(
	ctx context.Context,
	// The bundle, as receipt bundle exports it.
	bundle *dagger.File,
	// The PEM public key that must have signed; by default whoever the platform
	// trusts.
	// +optional
	publicKey *dagger.File,
	// The environment that the receipt has to be about. Where identities sign, it is
	// required, and says which of them may have signed.
	// +optional
	env string,
	// A clone of the GitOps repository, with its folder .git and its whole history.
	// +optional
	// +ignore=["*", "!.git"]
	repository *dagger.Directory,
) (*SignedReceipt, error) {
	const stage = "receipt"
	trusted, err := s.trustOr(ctx, dag.Sign(), publicKey, stage, env)
	if err != nil {
		return nil, err
	}
	var signed sign.Bundled
	text, err := trusted.VerifyBundle(ctx, bundle)
	if err := decodeText(text, err, &signed); err != nil {
		return nil, err
	}
	d, err := receipt.Open(signed.PredicateType, signed.Digest, signed.Predicate)
	if err != nil {
		return nil, err
	}
	if env != "" && d.Environment != env {
		return nil, step.Policy(stage, "environment "+env, "is not the receipt's, which is of "+d.Environment, "give --env "+d.Environment+", or the receipt of a release to "+env)
	}
	checked := d.Checked(signed.Signer)
	if repository != nil {
		text, err := s.gitops().CheckCommit(ctx, repository, d.GitOps.Commit, d.GitOps.Path, d.Image.Reference.String(), dagger.GitopsCheckCommitOpts{Evidence: d.GitOps.Evidence})
		if err := decodeText(text, err, nil); err != nil {
			return nil, err
		}
		checked = append(checked, "commit: "+d.GitOps.Commit+" puts the digest into "+d.GitOps.Path, d.Binding())
	}
	return &SignedReceipt{Checked: printable.List(checked), Predicate: signed.Predicate, Document: d, File: bundle}, nil
}

// Bundle is the receipt with its signature, as one Sigstore bundle: what
// receipt-verify takes.
//
// Example: dagger call receipt --app hello --env dev bundle export --path receipt.sigstore.json
//
// +cache="never"
func (r *SignedReceipt) Bundle(ctx context.Context) (*dagger.File, error) {
	if r.File != nil {
		return r.File, nil
	}
	const stage = "receipt"
	trusted, err := r.Image.trust(ctx, stage, r.Document.Environment)
	if err != nil {
		return nil, err
	}
	// Without Sync it would be read again wherever it is used.
	out, err := trusted.Bundle(r.Image.Reference.String(), r.Referrer, dagger.SignVerifierBundleOpts(trusted.reached)).Sync(ctx)
	if err != nil {
		return nil, err
	}
	return out.File("bundle.sigstore.json"), decode(ctx, out, nil)
}

// Json is the receipt as it was signed.
//
// +cache="168h"
func (r *SignedReceipt) Json() string { return printable.JSON(string(r.Predicate)) + "\n" }

// Text is the receipt for people.
//
// +cache="168h"
func (r *SignedReceipt) Text() string { return r.Document.Text() }

// Html is the receipt as one page, with the journey as a picture.
//
// Example: dagger call receipt --app hello --env dev html export --path receipt.html
//
// +cache="168h"
func (r *SignedReceipt) Html() (*dagger.File, error) {
	page, err := r.Document.HTML()
	return dag.File("receipt.html", string(page)), err
}
