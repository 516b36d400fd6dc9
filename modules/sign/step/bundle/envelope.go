package bundle

import (
	"context"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/sigstore/pkg/signature"

	"slipway/sign/step/key"
	results "slipway/step/result/sign"
)

// EnvelopeMediaType is the media type of a DSSE envelope that no bundle holds,
// and its artifact type in a registry.
const EnvelopeMediaType = "application/vnd.dsse.envelope.v1+json"

// SignEnvelope wraps the statement in a DSSE envelope (v1.0) alone, signs it and
// returns the envelope's JSON: for readers that know no bundles, such as
// verifiers of SLSA verification summaries.
func SignEnvelope(ctx context.Context, signer Keypair, statement *Statement) ([]byte, error) {
	payload, err := encode(statement)
	if err != nil {
		return nil, err
	}
	wrapper, err := dsse.NewEnvelopeSigner(envelopeKey{signer: signer, public: signer.Public()})
	if err != nil {
		return nil, fmt.Errorf("make envelope signer: %w", err)
	}
	envelope, err := wrapper.SignPayload(ctx, PayloadType, payload)
	if err != nil {
		return nil, fmt.Errorf("sign statement: %w", err)
	}
	return json.Marshal(envelope)
}

// VerifyEnvelope is Verify for a DSSE envelope that no bundle holds: one by a key,
// since it carries no certificate. An error matches ErrMalformed or ErrUntrusted.
func (t *Trust) VerifyEnvelope(ctx context.Context, data []byte, digest string) (*Verified, error) {
	public := t.Key()
	if public == nil {
		return nil, fmt.Errorf("%w: an envelope alone names no identity", ErrUntrusted)
	}
	var envelope dsse.Envelope
	if err := json.Unmarshal(data, &envelope); err != nil {
		return nil, fmt.Errorf("%w: it is no DSSE envelope: %w", ErrMalformed, err)
	}
	if envelope.PayloadType != PayloadType {
		return nil, fmt.Errorf("%w: its payload type is %q", ErrMalformed, cut(envelope.PayloadType))
	}
	verifier, err := dsse.NewEnvelopeVerifier(envelopeKey{public: public})
	if err != nil {
		return nil, fmt.Errorf("make envelope verifier: %w", err)
	}
	if _, err := verifier.Verify(ctx, &envelope); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	statement, err := statementOf(&envelope)
	if err != nil {
		return nil, err
	}
	if !statement.about(digest) {
		return nil, fmt.Errorf("%w: the statement is about something else", ErrUntrusted)
	}
	return &Verified{Statement: statement, Signer: results.Signer{KeyHint: public.Hint()}}, nil
}

// Enveloping is a Signing that can also sign envelopes alone.
type Enveloping interface {
	MakeEnvelope(ctx context.Context, statement *Statement, digest string) (*Made, error)
}

func (k byKey) MakeEnvelope(ctx context.Context, statement *Statement, digest string) (*Made, error) {
	data, err := SignEnvelope(ctx, k.pair, statement)
	if err != nil {
		return nil, err
	}
	// A key elsewhere may sign in a way that nobody can verify.
	verified, err := k.Trust().VerifyEnvelope(ctx, data, digest)
	if err != nil {
		return nil, err
	}
	return &Made{Data: data, Signer: verified.Signer}, nil
}

// about says whether the statement has this digest among its subjects.
func (s *Statement) about(digest string) bool {
	algorithm, digits, _ := strings.Cut(digest, ":")
	if sum, err := hex.DecodeString(digits); err != nil || len(sum) == 0 {
		return false
	}
	for _, subject := range s.Subject {
		if subject.Digest[algorithm] == digits {
			return true
		}
	}
	return false
}

// envelopeKey is a key as the dsse package wants it. It says no key id: the
// package would take another id for another key, and an id is not signed.
type envelopeKey struct {
	signer Keypair
	public *key.Public
}

func (k envelopeKey) Sign(ctx context.Context, data []byte) ([]byte, error) {
	sig, _, err := k.signer.SignData(ctx, data)
	return sig, err
}

func (k envelopeKey) Verify(_ context.Context, data, sig []byte) error {
	return k.public.Verifier().VerifySignature(strings.NewReader(string(sig)), strings.NewReader(string(data)))
}

func (envelopeKey) KeyID() (string, error) { return "", nil }

func (k envelopeKey) Public() crypto.PublicKey {
	public, err := k.public.Verifier().(signature.PublicKeyProvider).PublicKey()
	if err != nil {
		return nil
	}
	return public
}
