package bundle

import (
	"context"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	sigstore "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/sign"

	"slipway/sign/step/key"
	results "slipway/step/result/sign"
)

// Keypair is a private key, here or in a key management service: sigstore-go's,
// with its public half.
type Keypair interface {
	sign.Keypair
	Public() *key.Public
}

// Signing makes bundles: SignKey by a key, package keyless by an identity.
type Signing interface {
	// Make signs a statement about digest (sha256:…).
	Make(ctx context.Context, statement *Statement, digest string) (*Made, error)
	// Trust is whose earlier bundles count as this signer's own; nil when none
	// can be told.
	Trust() *Trust
}

// Made is a bundle that was just made.
type Made struct {
	// Data is its JSON.
	Data   []byte
	Signer results.Signer
	// Degraded is nil for a bundle with all the evidence that was asked for.
	Degraded *results.Degraded
}

// SignKey signs by a key, without a log and without a time.
func SignKey(pair Keypair) Signing { return byKey{pair} }

type byKey struct{ pair Keypair }

func (k byKey) Trust() *Trust { return TrustKey(k.pair.Public()) }

func (k byKey) Make(ctx context.Context, statement *Statement, _ string) (*Made, error) {
	data, err := Sign(ctx, k.pair, statement)
	if err != nil {
		return nil, err
	}
	return &Made{Data: data, Signer: results.Signer{KeyHint: k.pair.Public().Hint()}}, nil
}

// Content is what a signature of the statement covers.
func (s *Statement) Content() (sign.Content, error) {
	payload, err := encode(s)
	if err != nil {
		return nil, err
	}
	return &sign.DSSEData{Data: payload, PayloadType: PayloadType}, nil
}

// Encode checks a bundle's shape and returns its JSON.
func Encode(made *protobundle.Bundle) ([]byte, error) {
	b, err := sigstore.NewBundle(made)
	if err != nil {
		return nil, fmt.Errorf("made bundle is not valid: %w", err)
	}
	return b.MarshalJSON()
}
