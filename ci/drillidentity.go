package main

import (
	"context"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/drill"
)

// The identities of a drill: whose signature counts there, and somebody else.
const (
	drillIssuer = "https://issuer.drill.example"
	rightful    = "release@drill.example"
	stranger    = "stranger@drill.example"
)

const (
	drillRoot     = "infra/trusted_root.json"
	drillSigstore = "http://localhost:8080"
)

// identities is the ground with a Sigstore of its own, where identities sign
// instead of a key.
type identities struct {
	*ground
	sigstore *dagger.DrillgroundSigstore
}

func (g *ground) identities() *identities {
	return &identities{ground: g, sigstore: g.remote.Sigstore()}
}

// signing is the ground as somebody sees it who signs as subject, and trusts that
// subject only.
func (i *identities) signing(ctx context.Context, subject string) (*Slipway, error) {
	// It runs from here to the drill's end: one that is started again has other keys.
	service, err := i.sigstore.Service().Start(ctx)
	if err != nil {
		return nil, err
	}
	root, err := i.sigstore.TrustedRoot(ctx)
	if err != nil {
		return nil, err
	}
	s, err := i.with(func(c *config.Config) {
		c.Signing = config.Signing{
			Identities:  []config.Identity{{Issuer: drillIssuer, Subject: subject}},
			TrustedRoot: drillRoot, Logs: 1,
		}
	})
	if err != nil {
		return nil, err
	}
	s.Source = s.Source.WithNewFile(drillRoot, root)
	s.Key, s.KeyPassword = nil, nil
	s.Identity = &SigningIdentity{
		Token: i.sigstore.Token(subject, drillIssuer), Fulcio: drillSigstore + "/fulcio", Rekor: []string{drillSigstore + "/rekor1"},
		Service: service,
	}
	return s, nil
}

// control has the identity that may sign take the good image through the gates.
func (i *identities) control(ctx context.Context, good *good) error {
	s, err := i.signing(ctx, rightful)
	if err != nil {
		return err
	}
	image := *good.image
	image.App = &App{Name: drill.App, Slipway: s}
	published, err := (&ScannedImage{Digest: good.scanned.Digest, Decided: good.scanned.Decided, Image: &image, Out: good.scanned.Out}).Publish(ctx)
	if err != nil {
		return err
	}
	signed, err := published.Sign(ctx, i.env)
	if err != nil {
		return err
	}
	_, err = signed.verify(ctx, "verify", i.env)
	return err
}

// attack has somebody else sign an image, whose own settings let them.
func (i *identities) attack(ctx context.Context, good *good, image *SignedImage) error {
	theirs, err := i.signing(ctx, stranger)
	if err != nil {
		return err
	}
	if _, err := (&PublishedImage{Reference: image.Reference, App: drill.App, Statements: good.published.Statements, Slipway: theirs}).Sign(ctx, i.env); err != nil {
		return err
	}
	ours, err := i.signing(ctx, rightful)
	if err != nil {
		return err
	}
	_, err = (&SignedImage{Reference: image.Reference, App: drill.App, Slipway: ours}).verify(ctx, "verify", i.env)
	return err
}
