package attach

import (
	"cmp"
	"context"
	"maps"
	"net/url"
	"time"

	"slipway/registry"
	"slipway/sign/step/bundle"
	"slipway/step"
	"slipway/step/result/sign"
)

// Request is what to sign.
type Request struct {
	// Envelope is how it is wrapped; empty means a bundle.
	Envelope sign.Envelope
	// PredicateType is a URI; bundle.SignPredicateType for a signature.
	PredicateType string
	// Predicate is a JSON object; empty means {}.
	Predicate []byte
	// Annotations are claims about the image; may be nil.
	Annotations map[string]string
}

// Sign attaches each statement to the image, in the order of the requests, unless
// one by the same signer that says the same, in the same wrapping, is there: the
// same key, or whom the signing's Trust accepts. Stage names the stage in faults:
// sign.
func Sign(ctx context.Context, client *registry.Client, signing bundle.Signing, stage string, reference *registry.Reference, requests ...Request) ([]*sign.Attached, error) {
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
		for name := range r.Annotations {
			if bundle.ReservedAnnotation(name) {
				return nil, step.Input(stage, "annotation "+quote(name), "is for degraded signatures only", "give it another name")
			}
		}
		statements[n] = statement
	}
	there, err := look(ctx, client, stage, reference, signing.Trust())
	if err != nil {
		return nil, err
	}
	all := make([]*sign.Attached, len(requests))
	for n, r := range requests {
		done := &sign.Attached{Reference: reference.Text, Digest: digest, PredicateType: r.PredicateType}
		all[n] = done
		r.Envelope = cmp.Or(r.Envelope, sign.EnvelopeBundle)
		if f := there.same(statements[n], r.Envelope, digest); f != nil {
			by(done, f.Signer)
			done.Referrer = f.Referrer.String()
			continue
		}
		artifact, made, err := wrap(ctx, stage, signing, statements[n], r.Envelope, digest)
		if err != nil {
			return nil, err
		}
		artifact.Subject = there.Image
		referrer, err := client.Attach(ctx, artifact)
		if err != nil {
			return nil, err
		}
		by(done, made.Signer)
		done.Signed, done.Referrer, done.Degraded = true, referrer.String(), made.Degraded
		there.Verified = append(there.Verified, found{Referrer: referrer, Statement: statements[n], Signer: made.Signer, Envelope: r.Envelope})
	}
	return all, nil
}

func by(a *sign.Attached, signer sign.Signer) {
	a.KeyHint, a.Identity, a.Issuer = signer.KeyHint, signer.Identity, signer.Issuer
}

// wrap signs a statement as an artifact without a subject.
func wrap(ctx context.Context, stage string, signing bundle.Signing, statement *bundle.Statement, envelope sign.Envelope, digest string) (registry.Artifact, *bundle.Made, error) {
	artifact := registry.Artifact{Type: bundle.MediaType, Annotations: map[string]string{
		"org.opencontainers.image.created":  time.Now().UTC().Format(time.RFC3339),
		"dev.sigstore.bundle.content":       "dsse-envelope",
		"dev.sigstore.bundle.predicateType": statement.PredicateType,
	}}
	wrapped := signing.Make
	if envelope == sign.EnvelopeDSSE {
		enveloping, ok := signing.(bundle.Enveloping)
		if !ok {
			return artifact, nil, step.Input(stage, "envelope dsse", "holds no certificate, so an identity can't sign one", "sign with a key, or leave the envelope out")
		}
		wrapped = enveloping.MakeEnvelope
		artifact.Type = bundle.EnvelopeMediaType
		artifact.Annotations = map[string]string{
			"org.opencontainers.image.created": artifact.Annotations["org.opencontainers.image.created"],
			"in-toto.io/predicate-type":        statement.PredicateType,
		}
	}
	made, err := wrapped(ctx, statement, digest)
	if _, decided := step.AsFault(err); err != nil && !decided && ctx.Err() == nil {
		return artifact, nil, step.Infrastructure(stage, "signer", "made no signature that verifies: "+oneLine(err),
			"see whether the key signs in the default way of its kind: ECDSA, RSA PKCS #1 v1.5 or Ed25519").Because(err)
	}
	if err != nil {
		return artifact, nil, err
	}
	artifact.Data = made.Data
	return artifact, made, nil
}

// same returns what says the same, in the same wrapping.
func (s *survey) same(statement *bundle.Statement, envelope sign.Envelope, digest string) *found {
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
