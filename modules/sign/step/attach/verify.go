package attach

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"slipway/registry"
	"slipway/sign/step/bundle"
	"slipway/step"
	"slipway/step/result/sign"
)

// Wanted is what an image must carry.
type Wanted struct {
	// Stage names the stage in faults: verify.
	Stage     string
	Reference *registry.Reference
	// PredicateType is the type of the statements that count.
	PredicateType string
	// Annotations are claims that a statement must make, among others.
	Annotations map[string]string
}

// Verify checks that the image carries at least one statement of the wanted
// type by a signer that is trusted. One is enough: whoever can push can also attach
// rubbish, which must not stop a release; what does not count is named.
func Verify(ctx context.Context, client *registry.Client, trust *bundle.Trust, w Wanted) (*sign.Found, error) {
	there, err := look(ctx, client, w.Stage, w.Reference, trust)
	if err != nil {
		return nil, err
	}
	digest := w.Reference.Digest.String()
	done := &sign.Found{
		Reference: w.Reference.Text, Digest: digest,
		PredicateType: w.PredicateType, Ignored: there.ignored(),
	}
	if public := trust.Key(); public != nil {
		done.KeyHint = public.Hint()
	}
	var otherClaims []string
	for _, f := range there.Verified {
		if f.Statement.PredicateType != w.PredicateType {
			continue
		}
		claims := f.Statement.Claims(digest)
		if missing := lacks(claims, w.Annotations); missing != "" {
			otherClaims = append(otherClaims, fmt.Sprintf("%s: does not claim %s", f.Referrer, missing))
			continue
		}
		if claims == nil {
			claims = map[string]string{}
		}
		done.Verified++
		done.Predicates = append(done.Predicates, f.Statement.Predicate)
		done.Annotations = append(done.Annotations, claims)
		done.Referrers = append(done.Referrers, f.Referrer.String())
		if trust.Key() == nil {
			done.Signers = append(done.Signers, f.Signer)
		}
	}
	done.Ignored = append(done.Ignored, otherClaims...)
	if done.Verified > 0 {
		return done, nil
	}
	return nil, refuse(w, trust, there, len(otherClaims), done.Ignored)
}

// VerifyAll returns every statement that who is trusted signed about the image. It
// refuses an image without a signature by them, whatever else is there.
func VerifyAll(ctx context.Context, client *registry.Client, trust *bundle.Trust, stage string, reference *registry.Reference) (*sign.Evidence, error) {
	there, err := look(ctx, client, stage, reference, trust)
	if err != nil {
		return nil, err
	}
	digest := reference.Digest.String()
	hint := ""
	if key := trust.Key(); key != nil {
		hint = key.Hint()
	}
	all := &sign.Evidence{Reference: reference.Text, Digest: digest, KeyHint: hint, Statements: []sign.Statement{}, Ignored: there.ignored()}
	isSigned := false
	for _, f := range there.Verified {
		claims := f.Statement.Claims(digest)
		if claims == nil {
			claims = map[string]string{}
		}
		isSigned = isSigned || f.Statement.PredicateType == bundle.SignPredicateType
		statement := sign.Statement{
			PredicateType: f.Statement.PredicateType, Predicate: f.Statement.Predicate, Annotations: claims,
			Referrer: f.Referrer.String(), Envelope: f.Envelope,
		}
		if trust.Key() == nil {
			statement.Signer = &f.Signer
		}
		all.Statements = append(all.Statements, statement)
	}
	if !isSigned {
		w := Wanted{Stage: stage, Reference: reference, PredicateType: bundle.SignPredicateType}
		return nil, refuse(w, trust, there, 0, there.ignored())
	}
	return all, nil
}

func refuse(w Wanted, trust *bundle.Trust, there *survey, otherClaims int, details []string) error {
	what, verb := "signature", "sign"
	if w.PredicateType != bundle.SignPredicateType {
		what, verb = "attestation "+w.PredicateType, "attest"
	}
	mend := verb + " the image with the key of this public key"
	if trust.Key() == nil {
		mend = verb + " the image as " + trust.String() + ", under a Sigstore that the trusted root names"
	}
	reason := fmt.Sprintf("has no %s", what)
	switch {
	case len(there.Rejected) > 0:
		reason = fmt.Sprintf("has no valid %s by %s: %d bundles are attached that do not verify", what, trust, len(there.Rejected))
		if len(there.Strangers) > 0 {
			reason += "; signed by " + oneLine(errors.New(strings.Join(there.Strangers, ", ")))
		}
	case otherClaims > 0:
		reason = fmt.Sprintf("has no %s with the wanted claims", what)
	}
	return step.Policy(w.Stage, w.Reference.Text, reason, mend, details...)
}

// lacks names the first wanted claim that is missing or different.
func lacks(claims, wanted map[string]string) string {
	for k, v := range wanted {
		if got, ok := claims[k]; !ok || got != v {
			return quote(k + "=" + v)
		}
	}
	return ""
}
