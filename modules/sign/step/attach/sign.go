package attach

import (
	"cmp"
	"context"
	"maps"
	"net/url"
	"time"

	"slipway/sign/step/bundle"
	"slipway/sign/step/key"
	"slipway/sign/step/registry"
	"slipway/step"
)

// Envelope is how a signed statement is wrapped.
type Envelope string

const (
	// EnvelopeBundle is a Sigstore bundle around a DSSE envelope.
	EnvelopeBundle Envelope = "bundle"
	// EnvelopeDSSE is a DSSE envelope alone.
	EnvelopeDSSE Envelope = "dsse"
)

// Request is what to sign.
type Request struct {
	// Envelope is how it is wrapped; empty means EnvelopeBundle.
	Envelope Envelope
	// PredicateType is a URI; bundle.SignPredicateType for a signature.
	PredicateType string
	// Predicate is a JSON object; empty means {}.
	Predicate []byte
	// Annotations are claims about the image; may be nil.
	Annotations map[string]string
}

// Signed is how signing ended.
type Signed struct {
	// Reference is repository@digest of the image, Digest its digest.
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
	// Signed is false when this very statement, signed by this key, was there.
	Signed bool `json:"signed"`
	// Referrer is the digest of the manifest that holds the bundle.
	Referrer      string `json:"referrer"`
	PredicateType string `json:"predicateType"`
	KeyHint       string `json:"keyHint"`
}

// Sign attaches each statement to the image, in the order of the requests, unless
// one by the same key that says the same, in the same wrapping, is there. Stage
// names the stage in faults: sign.
func Sign(ctx context.Context, client *registry.Client, signer *key.Signer, stage string, reference *Reference, requests ...Request) ([]*Signed, error) {
	digest := reference.Digest.String()
	statements := make([]*bundle.Statement, len(requests))
	for n, r := range requests {
		if u, err := url.Parse(r.PredicateType); err != nil || u.Scheme == "" || len(r.PredicateType) > 300 {
			return nil, step.Input(stage, "predicate type "+quote(r.PredicateType), "is not a URI", "give the type's URI, such as https://example.org/verdict/v1")
		}
		statement, err := bundle.NewStatement(digest, r.PredicateType, r.Predicate, r.Annotations)
		if err != nil {
			return nil, step.Input(stage, "predicate "+r.PredicateType, err.Error(), "give one JSON object").Because(err)
		}
		statements[n] = statement
	}
	there, err := look(ctx, stage, client, reference, signer.Public())
	if err != nil {
		return nil, err
	}
	all := make([]*Signed, len(requests))
	for n, r := range requests {
		done := &Signed{
			Reference: reference.Text, Digest: digest,
			PredicateType: r.PredicateType, KeyHint: signer.Public().Hint(),
		}
		all[n] = done
		r.Envelope = cmp.Or(r.Envelope, EnvelopeBundle)
		if f := there.same(statements[n], r.Envelope, digest); f != nil {
			done.Referrer = f.Referrer.String()
			continue
		}
		artifact, err := wrap(ctx, signer, statements[n], r.Envelope)
		if err != nil {
			return nil, err
		}
		artifact.Subject = there.Image
		referrer, err := client.Attach(ctx, artifact)
		if err != nil {
			return nil, registryFault(stage, reference, err)
		}
		done.Signed, done.Referrer = true, referrer.String()
		there.Verified = append(there.Verified, found{Referrer: referrer, Statement: statements[n], Envelope: r.Envelope})
	}
	return all, nil
}

// wrap signs a statement as an artifact without a subject.
func wrap(ctx context.Context, signer *key.Signer, statement *bundle.Statement, envelope Envelope) (registry.Artifact, error) {
	artifact := registry.Artifact{Annotations: map[string]string{
		"org.opencontainers.image.created": time.Now().UTC().Format(time.RFC3339),
	}}
	var err error
	if envelope == EnvelopeDSSE {
		artifact.Type = bundle.EnvelopeMediaType
		artifact.Annotations["in-toto.io/predicate-type"] = statement.PredicateType
		artifact.Data, err = bundle.SignEnvelope(ctx, signer, statement)
		return artifact, err
	}
	artifact.Type = bundle.MediaType
	artifact.Annotations["dev.sigstore.bundle.content"] = "dsse-envelope"
	artifact.Annotations["dev.sigstore.bundle.predicateType"] = statement.PredicateType
	artifact.Data, err = bundle.Sign(ctx, signer, statement)
	return artifact, err
}

// same returns what says the same, in the same wrapping.
func (s *survey) same(statement *bundle.Statement, envelope Envelope, digest string) *found {
	for n, f := range s.Verified {
		if f.Envelope == envelope && same(f.Statement, statement, digest) {
			return &s.Verified[n]
		}
	}
	return nil
}

func same(a, b *bundle.Statement, digest string) bool {
	return a.PredicateType == b.PredicateType && a.SamePredicate(b) && maps.Equal(a.Claims(digest), b.Claims(digest))
}
