package attach

import (
	"context"
	"maps"
	"net/url"
	"time"

	"slipway/sign/step/bundle"
	"slipway/sign/step/key"
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
	KeyHint       string `json:"keyHint"`
}

// Sign attaches a bundle to the image, unless one by the same key that says
// the same is there.
func Sign(ctx context.Context, client *registry.Client, signer *key.Signer, r Request) (*Signed, error) {
	if u, err := url.Parse(r.PredicateType); err != nil || u.Scheme == "" || len(r.PredicateType) > 300 {
		return nil, step.Input(r.Stage, "predicate type "+quote(r.PredicateType), "is not a URI", "give the type's URI, such as https://example.org/verdict/v1")
	}
	digest := r.Reference.Digest.String()
	statement, err := bundle.NewStatement(digest, r.PredicateType, r.Predicate, r.Annotations)
	if err != nil {
		return nil, step.Input(r.Stage, "predicate", err.Error(), "give one JSON object").Because(err)
	}
	there, err := look(ctx, r.Stage, client, r.Reference, bundle.TrustKey(signer.Public()))
	if err != nil {
		return nil, err
	}
	done := &Signed{
		Reference: r.Reference.Text, Digest: digest,
		PredicateType: r.PredicateType, KeyHint: signer.Public().Hint(),
	}
	for _, f := range there.Verified {
		if same(f.Statement, statement, digest) {
			done.Referrer = f.Referrer.String()
			return done, nil
		}
	}
	data, err := bundle.Sign(ctx, signer, statement)
	if err != nil {
		return nil, err
	}
	referrer, err := client.Attach(ctx, registry.Artifact{
		Subject: there.Image,
		Type:    bundle.MediaType,
		Data:    data,
		Annotations: map[string]string{
			"org.opencontainers.image.created":  time.Now().UTC().Format(time.RFC3339),
			"dev.sigstore.bundle.content":       "dsse-envelope",
			"dev.sigstore.bundle.predicateType": r.PredicateType,
		},
	})
	if err != nil {
		return nil, registryFault(r.Stage, r.Reference, err)
	}
	done.Signed, done.Referrer = true, referrer.String()
	return done, nil
}

func same(a, b *bundle.Statement, digest string) bool {
	return a.PredicateType == b.PredicateType && a.SamePredicate(b) && maps.Equal(a.Claims(digest), b.Claims(digest))
}
