package main

import (
	"context"

	"slipway/ci/internal/dagger"

	"slipway/ci/receipt"
	"slipway/step"
	"slipway/step/printable"
	"slipway/step/result/sign"
)

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
	if err := s.checkEnvironments(stage, app, env); err != nil {
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
	signed, err := result[sign.Bundled](trusted.VerifyBundle(ctx, bundle))
	if err != nil {
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
		if err := passed(s.gitops().CheckCommit(ctx, repository, d.GitOps.Commit, d.GitOps.Path, d.Image.Reference.String(), dagger.GitopsCheckCommitOpts{Evidence: d.GitOps.Evidence})); err != nil {
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
	return out.File("bundle.sigstore.json"), passedIn(ctx, out)
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
