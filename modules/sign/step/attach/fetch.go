package attach

import (
	"context"
	"errors"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/registry"
	"slipway/sign/step/bundle"
	"slipway/step"
	"slipway/step/result/sign"
)

// Fetch reads the bundle that a referrer holds, byte for byte, and refuses it
// unless it is a statement about the image whose signer is trusted.
func Fetch(ctx context.Context, client *registry.Client, trust *bundle.Trust, stage string, reference *registry.Reference, referrer string) ([]byte, *bundle.Verified, error) {
	if err := step.Digest(stage, "referrer", referrer); err != nil {
		return nil, nil, err
	}
	algorithm, digits, _ := strings.Cut(referrer, ":")
	data, envelope, err := fetch(ctx, client, v1.Hash{Algorithm: algorithm, Hex: digits})
	switch {
	case errors.Is(err, errNoBundle) || err == nil && envelope != sign.EnvelopeBundle:
		return nil, nil, step.Input(stage, "referrer "+referrer, "is not a bundle", "give the digest of a manifest that holds one, as verify --all lists them")
	case err != nil:
		return nil, nil, err
	}
	verified, err := trust.Verify(data, reference.Digest.String())
	if err != nil {
		return nil, nil, step.Policy(stage, "referrer "+referrer, oneLine(err), "find out who attached it: it is no statement about "+reference.Text+" by "+trust.String())
	}
	return data, verified, nil
}
