package bundle

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	sigstore "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"

	results "slipway/step/result/sign"
)

// ErrMalformed means that the bytes are not a bundle that Verify can read.
var ErrMalformed = errors.New("is not a readable Sigstore bundle")

// ErrUntrusted means that a bundle was read, and its signature, signer, digest,
// log entry or time is not the wanted one.
var ErrUntrusted = errors.New("is not trusted")

// Sign wraps the statement in a DSSE envelope, signs it and returns the
// bundle's JSON.
func Sign(ctx context.Context, signer Keypair, statement *Statement) ([]byte, error) {
	content, err := statement.Content()
	if err != nil {
		return nil, err
	}
	made, err := sign.Bundle(content, signer, sign.BundleOptions{
		Context:     ctx,
		TrustedRoot: material(signer.Public()),
	})
	if err != nil {
		return nil, fmt.Errorf("sign statement: %w", err)
	}
	return Encode(made)
}

// Verified is a statement and who signed it.
type Verified struct {
	Statement *Statement
	Signer    results.Signer
}

// Verify checks that data is a bundle with a statement about digest (sha256:…)
// whose signer is trusted. A statement that is marked degraded counts until its
// expiry, one by an identity only as long as its Trust accepts that. An error matches ErrMalformed or ErrUntrusted.
func (t *Trust) Verify(data []byte, digest string) (verified *Verified, err error) {
	defer decided(&err)
	b, err := parse(data)
	if err != nil {
		return nil, err
	}
	envelope, err := envelopeOf(b)
	if err != nil {
		return nil, err
	}
	result, refused := t.check(b, digest)
	if refused != nil {
		if result = t.checkDegraded(b, digest); result == nil {
			return nil, t.stranger(b, digest, refused)
		}
	}
	statement, err := statementOf(envelope)
	if err != nil {
		return nil, err
	}
	// Two readers of the same bytes must agree on what was signed.
	if result.Statement.GetPredicateType() != statement.PredicateType {
		return nil, fmt.Errorf("%w: two readers disagree on its predicate type", ErrMalformed)
	}
	signer := t.signer(result)
	if signer.Degraded, err = statement.inTime(digest, time.Now()); err != nil {
		return nil, err
	}
	if t.key == nil && (refused != nil || signer.Degraded != nil) {
		if err := t.acceptDegraded(signer, time.Now()); err != nil {
			return nil, fmt.Errorf("%w: %w", cmp.Or(refused, ErrUntrusted), err)
		}
	}
	return &Verified{Statement: statement, Signer: signer}, nil
}

// envelopeOf is the envelope of the statement that a bundle holds.
func envelopeOf(b *sigstore.Bundle) (*dsse.Envelope, error) {
	content, err := b.SignatureContent()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if content.EnvelopeContent() == nil {
		return nil, fmt.Errorf("%w: it holds no statement", ErrMalformed)
	}
	return content.EnvelopeContent().RawEnvelope(), nil
}

func statementOf(envelope *dsse.Envelope) (*Statement, error) {
	payload, err := envelope.DecodeB64Payload()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var statement Statement
	if err := json.Unmarshal(payload, &statement); err != nil {
		return nil, fmt.Errorf("%w: statement: %w", ErrMalformed, err)
	}
	if statement.Type != StatementType || statement.PredicateType == "" {
		return nil, fmt.Errorf("%w: statement is not an in-toto statement v1", ErrMalformed)
	}
	return &statement, nil
}

// decided makes a refusal of a bundle that the libraries fall over: whoever can
// push could stop every release with it.
func decided(err *error) {
	if fell := recover(); fell != nil {
		*err = fmt.Errorf("%w: %v", ErrMalformed, fell)
	}
}

// parse reads a bundle of version 0.1 to 0.3. A chain in it must end below its
// root, which only the trusted root may name: sigstore-go leaves that out.
func parse(data []byte) (*sigstore.Bundle, error) {
	var b sigstore.Bundle
	if err := b.UnmarshalJSON(data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	for _, certificate := range b.GetVerificationMaterial().GetX509CertificateChain().GetCertificates() {
		parsed, err := x509.ParseCertificate(certificate.GetRawBytes())
		if err != nil {
			return nil, fmt.Errorf("%w: certificate chain: %w", ErrMalformed, err)
		}
		if bytes.Equal(parsed.RawIssuer, parsed.RawSubject) {
			return nil, fmt.Errorf("%w: its certificate chain holds a root", ErrMalformed)
		}
	}
	return &b, nil
}

// check is the decision itself: sigstore-go's verifier, and the digest that
// must have been signed.
func (t *Trust) check(b *sigstore.Bundle, digest string) (*verify.VerificationResult, error) {
	algorithm, digits, _ := strings.Cut(digest, ":")
	sum, err := hex.DecodeString(digits)
	if err != nil || len(sum) == 0 {
		return nil, fmt.Errorf("digest %q is not valid", digest)
	}
	if t == nil || t.verify == nil {
		return nil, fmt.Errorf("%w: nobody is trusted", ErrUntrusted)
	}
	result, err := t.verify(b, verify.WithArtifactDigest(algorithm, sum))
	if err != nil {
		return nil, fmt.Errorf("%w: %w%s", ErrUntrusted, err, t.otherKey(b))
	}
	return result, nil
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
