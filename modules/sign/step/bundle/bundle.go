package bundle

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	sigstore "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"slipway/sign/step/key"
)

// ErrMalformed means that the bytes are not a bundle that Verify can read.
var ErrMalformed = errors.New("is not a readable Sigstore bundle")

// ErrUntrusted means that a bundle was read, and its signature, key or digest
// is not the wanted one.
var ErrUntrusted = errors.New("is not trusted")

// Sign wraps the statement in a DSSE envelope, signs it and returns the
// bundle's JSON.
func Sign(ctx context.Context, signer *key.Signer, statement *Statement) ([]byte, error) {
	payload, err := encode(statement)
	if err != nil {
		return nil, err
	}
	made, err := sign.Bundle(&sign.DSSEData{Data: payload, PayloadType: PayloadType}, signer, sign.BundleOptions{
		Context:     ctx,
		TrustedRoot: trust(signer.Public()),
	})
	if err != nil {
		return nil, fmt.Errorf("sign statement: %w", err)
	}
	b, err := sigstore.NewBundle(made)
	if err != nil {
		return nil, fmt.Errorf("made bundle is not valid: %w", err)
	}
	return b.MarshalJSON()
}

// Verify checks that data is a bundle with a statement about digest (sha256:…)
// signed by the public key, and returns the statement. An error matches
// ErrMalformed or ErrUntrusted.
//
// It asks for the key only: no transparency log and no time, see the package's
// comment.
func Verify(data []byte, public *key.Public, digest string) (*Statement, error) {
	var b sigstore.Bundle
	if err := b.UnmarshalJSON(data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	content, err := b.SignatureContent()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	envelope := content.EnvelopeContent()
	if envelope == nil {
		return nil, fmt.Errorf("%w: it holds no statement", ErrMalformed)
	}
	result, err := check(&b, public, digest)
	if err != nil {
		return nil, err
	}
	payload, err := envelope.RawEnvelope().DecodeB64Payload()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var statement Statement
	if err := json.Unmarshal(payload, &statement); err != nil {
		return nil, fmt.Errorf("%w: statement: %w", ErrMalformed, err)
	}
	// Two readers of the same bytes must agree on what was signed.
	if statement.Type != StatementType || result.Statement == nil || result.Statement.GetPredicateType() != statement.PredicateType {
		return nil, fmt.Errorf("%w: statement is not an in-toto statement v1", ErrMalformed)
	}
	return &statement, nil
}

// check is the decision itself: sigstore-go's verifier with the one key and
// the digest that must have been signed.
func check(b *sigstore.Bundle, public *key.Public, digest string) (*verify.VerificationResult, error) {
	algorithm, digits, _ := strings.Cut(digest, ":")
	sum, err := hex.DecodeString(digits)
	if err != nil || len(sum) == 0 {
		return nil, fmt.Errorf("digest %q is not valid", digest)
	}
	verifier, err := verify.NewVerifier(trust(public), verify.WithNoObserverTimestamps())
	if err != nil {
		return nil, fmt.Errorf("make verifier: %w", err)
	}
	policy := verify.NewPolicy(verify.WithArtifactDigest(algorithm, sum), verify.WithKey())
	result, err := verifier.Verify(b, policy)
	if err != nil {
		return nil, fmt.Errorf("%w: %w%s", ErrUntrusted, err, otherKey(b, public))
	}
	return result, nil
}

// trust is the one key, whatever a bundle's hint says: a hint is not signed.
func trust(public *key.Public) root.TrustedMaterial {
	only := root.NewExpiringKey(public.Verifier(), time.Time{}, time.Time{})
	return root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return only, nil })
}

// otherKey helps a reader who checks with the wrong key.
func otherKey(b *sigstore.Bundle, public *key.Public) string {
	content, err := b.VerificationContent()
	if err != nil || content.PublicKey() == nil {
		return " (the bundle names no key)"
	}
	if hint := content.PublicKey().Hint(); hint != public.Hint() {
		return fmt.Sprintf(" (it names another key, %q)", cut(hint))
	}
	return ""
}

func cut(text string) string {
	const most = 64
	if len(text) > most {
		return text[:most]
	}
	return text
}

// encode writes < > & as themselves, as protojson does.
func encode(statement *Statement) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(statement); err != nil {
		return nil, fmt.Errorf("encode statement: %w", err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
