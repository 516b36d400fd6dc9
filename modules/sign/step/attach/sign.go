package attach

import (
	"context"
	"maps"
	"net/url"
	"time"

	"slipway/sign/step/bundle"
	"slipway/sign/step/registry"
	"slipway/step"
)

// Request is what to sign.
type Request struct {
	// Stage names the stage in faults: sign.
	Stage     string
	Reference *Reference
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
	// KeyHint names the key, Identity and Issuer who signed without one.
	KeyHint  string `json:"keyHint"`
	Identity string `json:"identity,omitempty"`
	Issuer   string `json:"issuer,omitempty"`
	// Degraded is set when a service was down: the signature lacks its evidence
	// and stops to count.
	Degraded *bundle.Degraded `json:"degraded,omitempty"`
}

// Sign attaches a bundle to the image, unless one by the same signer that says
// the same is there: the same key, or whom the signing's Trust accepts.
func Sign(ctx context.Context, client *registry.Client, signing bundle.Signing, r Request) (*Signed, error) {
	if u, err := url.Parse(r.PredicateType); err != nil || u.Scheme == "" || len(r.PredicateType) > 300 {
		return nil, step.Input(r.Stage, "predicate type "+quote(r.PredicateType), "is not a URI", "give the type's URI, such as https://example.org/verdict/v1")
	}
	digest := r.Reference.Digest.String()
	statement, err := bundle.NewStatement(digest, r.PredicateType, r.Predicate, r.Annotations)
	if err != nil {
		return nil, step.Input(r.Stage, "predicate", err.Error(), "give one JSON object").Because(err)
	}
	for name := range r.Annotations {
		if bundle.ReservedAnnotation(name) {
			return nil, step.Input(r.Stage, "annotation "+quote(name), "is for degraded signatures only", "give it another name")
		}
	}
	there, err := look(ctx, r.Stage, client, r.Reference, signing.Trust())
	if err != nil {
		return nil, err
	}
	done := &Signed{
		Reference: r.Reference.Text, Digest: digest,
		PredicateType: r.PredicateType,
	}
	by := func(signer bundle.Signer) {
		done.KeyHint, done.Identity, done.Issuer = signer.KeyHint, signer.Identity, signer.Issuer
	}
	for _, f := range there.Verified {
		if same(f.Statement, statement, digest) {
			by(f.Signer)
			done.Referrer = f.Referrer.String()
			return done, nil
		}
	}
	made, err := signing.Make(ctx, statement, digest)
	if _, decided := step.AsFault(err); err != nil && !decided && ctx.Err() == nil {
		return nil, step.Infrastructure(r.Stage, "signer", "made no signature that verifies: "+oneLine(err),
			"see whether the key signs in the default way of its kind: ECDSA, RSA PKCS #1 v1.5 or Ed25519").Because(err)
	}
	if err != nil {
		return nil, err
	}
	referrer, err := client.Attach(ctx, registry.Artifact{
		Subject: there.Image,
		Type:    bundle.MediaType,
		Data:    made.Data,
		Annotations: map[string]string{
			"org.opencontainers.image.created":  time.Now().UTC().Format(time.RFC3339),
			"dev.sigstore.bundle.content":       "dsse-envelope",
			"dev.sigstore.bundle.predicateType": r.PredicateType,
		},
	})
	if err != nil {
		return nil, registryFault(r.Stage, r.Reference, err)
	}
	by(made.Signer)
	done.Signed, done.Referrer, done.Degraded = true, referrer.String(), made.Degraded
	return done, nil
}

func same(a, b *bundle.Statement, digest string) bool {
	return a.PredicateType == b.PredicateType && a.SamePredicate(b) && maps.Equal(a.Claims(digest), b.Claims(digest))
}
