// Package attach signs images and checks their signatures: a bundle beside
// the image in its registry, found as its referrer. Every refusal is a
// step.Fault.
package attach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"slipway/registry"
	"slipway/sign/step/bundle"
	"slipway/step"
	"slipway/step/result/sign"
)

// bundleType begins the media type of any version of a Sigstore bundle.
const bundleType = "application/vnd.dev.sigstore.bundle"

// MaxStatements is the largest number of statements by who is trusted that an image may
// carry. Those of others don't count.
const MaxStatements = 1000

// atOnce is how many referrers are read at the same time; each may be registry.MaxRead
// bytes long.
const atOnce = 4

// found is one verified bundle.
type found struct {
	Referrer  v1.Hash
	Statement *bundle.Statement
	Signer    sign.Signer
	// Envelope is how it is wrapped.
	Envelope sign.Envelope
}

// survey is what the referrers of an image hold.
type survey struct {
	Image v1.Descriptor
	// Verified are the bundles whose signer is trusted, for any predicate type.
	Verified []found
	// Rejected are one line for each bundle that is not, and Strangers the
	// identities of those that only an identity is wrong with.
	Rejected, Strangers []string
}

// ignored are the first lines of those that are rejected: whoever can push can make as
// many as they like.
func (s *survey) ignored() []string {
	const most = 20
	if len(s.Rejected) <= most {
		return s.Rejected
	}
	return append(s.Rejected[:most:most], fmt.Sprintf("and %d more", len(s.Rejected)-most))
}

// look reads an image's manifest and all its bundles; when nobody is trusted,
// the manifest only.
func look(ctx context.Context, client *registry.Client, stage string, ref *registry.Reference, trust *bundle.Trust) (*survey, error) {
	image, _, err := client.Manifest(ctx, ref.Digest)
	if err != nil {
		return nil, err
	}
	if trust == nil {
		return &survey{Image: image}, nil
	}
	referrers, err := client.Referrers(ctx, ref.Digest)
	if err != nil {
		return nil, err
	}
	var candidates []v1.Descriptor
	for _, descriptor := range referrers {
		if candidate(descriptor) {
			candidates = append(candidates, descriptor)
		}
	}
	all := make([]inspected, len(candidates))
	group, reading := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for n, descriptor := range candidates {
		group.Go(func() (err error) {
			all[n], err = read(reading, client, ref, trust, descriptor)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	s := &survey{Image: image}
	for n, one := range all {
		switch {
		case one.found != nil:
			s.Verified = append(s.Verified, *one.found)
		case one.rejected != nil:
			s.reject(candidates[n].Digest, one.rejected)
		}
	}
	if len(s.Verified) > MaxStatements {
		return nil, step.Policy(stage, ref.Text, fmt.Sprintf("carries more than %d statements by %s", MaxStatements, trust),
			"delete in the registry those that newer ones have replaced")
	}
	return s, nil
}

// inspected is a referrer that was read: a statement, or why it does not count; neither
// where it is something else.
type inspected struct {
	found    *found
	rejected error
}

// read reads a referrer. It fails where the registry can't tell.
func read(ctx context.Context, client *registry.Client, ref *registry.Reference, trust *bundle.Trust, descriptor v1.Descriptor) (inspected, error) {
	data, envelope, err := fetch(ctx, client, descriptor.Digest)
	switch {
	case errors.Is(err, errNoBundle) && !signed(descriptor.ArtifactType):
		return inspected{}, nil
	case errors.Is(err, errNoBundle) || errors.Is(err, registry.ErrContent) || errors.Is(err, registry.ErrNotFound) || errors.Is(err, registry.ErrTooLarge):
		return inspected{rejected: err}, nil
	case err != nil:
		return inspected{}, err
	}
	verified, err := verify(ctx, envelope, data, trust, ref.Digest.String())
	if err != nil {
		return inspected{rejected: err}, nil
	}
	return inspected{found: &found{Referrer: descriptor.Digest, Statement: verified.Statement, Signer: verified.Signer, Envelope: envelope}}, nil
}

func (s *survey) reject(digest v1.Hash, err error) {
	s.Rejected = append(s.Rejected, fmt.Sprintf("%s: %s", digest, oneLine(err)))
	var stranger *bundle.StrangerError
	if errors.As(err, &stranger) {
		if name := (bundle.Identity{Subject: stranger.Identity, Issuer: stranger.Issuer}).String(); !slices.Contains(s.Strangers, name) {
			s.Strangers = append(s.Strangers, name)
		}
	}
}

// candidate leaves out what says it is something else, such as an SBOM. Not
// every registry tells a referrer's artifact type, so that none is no answer.
func candidate(d v1.Descriptor) bool {
	return d.ArtifactType == "" || d.ArtifactType == registry.EmptyMediaType || signed(d.ArtifactType)
}

// signed says whether an artifact type is that of a signed statement.
func signed(artifactType string) bool {
	return strings.HasPrefix(artifactType, bundleType) || artifactType == bundle.EnvelopeMediaType
}

func verify(ctx context.Context, envelope sign.Envelope, data []byte, trust *bundle.Trust, digest string) (*bundle.Verified, error) {
	if envelope == sign.EnvelopeDSSE {
		return trust.VerifyEnvelope(ctx, data, digest)
	}
	return trust.Verify(data, digest)
}

// errNoBundle means that a referrer is something else.
var errNoBundle = errors.New("is not a bundle")

// fetch reads a referrer's manifest and, when that says so, its signed statement.
func fetch(ctx context.Context, client *registry.Client, digest v1.Hash) ([]byte, sign.Envelope, error) {
	_, data, err := client.Manifest(ctx, digest)
	if err != nil {
		return nil, "", err
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(data, &manifest); err != nil || len(manifest.Layers) != 1 {
		return nil, "", errNoBundle
	}
	layer := manifest.Layers[0]
	envelope := sign.EnvelopeBundle
	switch {
	case string(layer.MediaType) == bundle.EnvelopeMediaType:
		envelope = sign.EnvelopeDSSE
	case !strings.HasPrefix(string(layer.MediaType), bundleType):
		return nil, "", errNoBundle
	}
	data, err = client.Read(ctx, layer)
	return data, envelope, err
}

// oneLine renders an error, or of a fault its reason, for a fault's one-line fields,
// cut when long: parts of it come from the registry.
func oneLine(err error) string {
	const most = 400
	text := err.Error()
	if f, ok := step.AsFault(err); ok {
		text = f.Reason
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

func quote(text string) string {
	const most = 200
	if len(text) > most {
		return fmt.Sprintf("%q… (%d bytes)", text[:most], len(text))
	}
	return fmt.Sprintf("%q", text)
}
