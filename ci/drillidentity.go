package main

import (
	"context"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/drill"
	"slipway/ci/rules"
)

const (
	targetRoot     = "infra/trusted_root.json"
	targetSigstore = "http://localhost:8080"
)

// signing is the target for somebody who signs as subject, by a Sigstore of the
// drill's instead of a key, and trusts that subject only.
func (t *target) signing(ctx context.Context, sigstore *dagger.DrillSigstore, subject string) (*Slipway, error) {
	// It runs from here to the drill's end: one that is started again has other keys.
	service, err := sigstore.Service().Start(ctx)
	if err != nil {
		return nil, err
	}
	root, err := sigstore.TrustedRoot(ctx)
	if err != nil {
		return nil, err
	}
	s, err := t.with(func(c *config.Config) {
		c.Signing = config.Signing{
			Identities:  rules.Identities{{Issuer: drill.Issuer, Subject: subject}},
			TrustedRoot: targetRoot, Logs: 1,
		}
	})
	if err != nil {
		return nil, err
	}
	s.Source = s.Source.WithNewFile(targetRoot, root)
	s.Key, s.KeyPassword = nil, nil
	s.Identity = &SigningIdentity{
		Token: sigstore.Token(subject, drill.Issuer), Fulcio: targetSigstore + "/fulcio", Rekor: []string{targetSigstore + "/rekor1"},
		Service: service,
	}
	return s, nil
}

// deliverByIdentity has the identity that may sign take the good image through the
// gates.
func (t *target) deliverByIdentity(ctx context.Context, sigstore *dagger.DrillSigstore, baseline *delivery) error {
	s, err := t.signing(ctx, sigstore, drill.Rightful)
	if err != nil {
		return err
	}
	image := *baseline.image
	image.App = &App{Name: drill.App, Slipway: s}
	published, err := baseline.publish(ctx, baseline.scanned.Digest, &image)
	if err != nil {
		return err
	}
	signed, err := published.Sign(ctx, t.env)
	if err != nil {
		return err
	}
	return t.verify(ctx, signed)
}

// attackIdentity has somebody else sign an image, whose own settings let them.
func (t *target) attackIdentity(ctx context.Context, sigstore *dagger.DrillSigstore, image Reference, statements *dagger.Directory) error {
	theirs, err := t.signing(ctx, sigstore, drill.Stranger)
	if err != nil {
		return err
	}
	if err := t.sign(ctx, theirs, image, statements); err != nil {
		return err
	}
	ours, err := t.signing(ctx, sigstore, drill.Rightful)
	if err != nil {
		return err
	}
	return t.verify(ctx, &SignedImage{Reference: image, App: drill.App, Slipway: ours})
}
