package key

import (
	"context"
	"crypto"
	"fmt"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/signature"
)

// Remote is a private key that a key management service holds. Like Signer, it
// is the Keypair that sigstore-go signs bundles with.
type Remote struct {
	public  *Public
	key     crypto.PublicKey
	details signature.AlgorithmDetails
	sign    func(ctx context.Context, data []byte) ([]byte, error)
}

// NewRemote makes a key of its public half and of what signs data: hashed with
// HashOf, in the default algorithm of the public key's kind (ECDSA, RSA PKCS #1
// v1.5 or Ed25519).
func NewRemote(public crypto.PublicKey, sign func(ctx context.Context, data []byte) ([]byte, error)) (*Remote, error) {
	details, err := signature.GetDefaultAlgorithmDetails(public)
	if err != nil {
		return nil, fmt.Errorf("%w: no signature can be made with it: %w", ErrMalformed, err)
	}
	half, err := newPublic(public)
	if err != nil {
		return nil, err
	}
	return &Remote{public: half, key: public, details: details, sign: sign}, nil
}

// HashOf is the hash that a key's kind signs; 0 for Ed25519, which signs the
// data itself.
func HashOf(public crypto.PublicKey) (crypto.Hash, error) {
	details, err := signature.GetDefaultAlgorithmDetails(public)
	if err != nil {
		return 0, fmt.Errorf("%w: no signature can be made with it: %w", ErrMalformed, err)
	}
	return details.GetHashType(), nil
}

// Public is the key's public half.
func (r *Remote) Public() *Public { return r.public }

// GetHashAlgorithm is the hash of the key's kind.
func (r *Remote) GetHashAlgorithm() protocommon.HashAlgorithm { return r.details.GetProtoHashType() }

// GetSigningAlgorithm is the default one of the key's kind.
func (r *Remote) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return r.details.GetSignatureAlgorithm()
}

// GetHint is the public key's hint.
func (r *Remote) GetHint() []byte { return []byte(r.public.hint) }

// GetKeyAlgorithm is "ECDSA", "RSA" or "ED25519".
func (r *Remote) GetKeyAlgorithm() string {
	switch r.details.GetKeyType() {
	case signature.ECDSA:
		return "ECDSA"
	case signature.RSA:
		return "RSA"
	}
	return "ED25519"
}

// GetPublicKey is the public half.
func (r *Remote) GetPublicKey() crypto.PublicKey { return r.key }

// GetPublicKeyPem is the public half as PEM.
func (r *Remote) GetPublicKeyPem() (string, error) { return string(r.public.pem), nil }

// SignData lets the service sign, and returns the signature and what it covers:
// data's digest, or data itself for Ed25519.
func (r *Remote) SignData(ctx context.Context, data []byte) ([]byte, []byte, error) {
	sig, err := r.sign(ctx, data)
	if err != nil {
		return nil, nil, err
	}
	if r.details.GetHashType() == 0 {
		return sig, data, nil
	}
	hash := r.details.GetHashType().New()
	hash.Write(data)
	return sig, hash.Sum(nil), nil
}
