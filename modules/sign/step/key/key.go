// Package key makes and reads key pairs in cosign's format: an ECDSA P-256
// private key as PKCS #8, sealed with scrypt and NaCl secretbox under a
// password, in a PEM block "ENCRYPTED SIGSTORE PRIVATE KEY", and the public
// half as a PEM SubjectPublicKeyInfo (RFC 5280). No error of this package
// holds a password or a private key's bytes.
package key

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

// PEMType is the PEM block type that cosign writes, and OldPEMType the one
// that its first releases wrote.
const (
	PEMType    = "ENCRYPTED SIGSTORE PRIVATE KEY"
	OldPEMType = "ENCRYPTED COSIGN PRIVATE KEY"
)

// What can be wrong with a key; the errors that Generate, Open and Public
// return match one of them.
var (
	// ErrNoPassword means that the password is empty.
	ErrNoPassword = errors.New("password is empty")
	// ErrWrongPassword means that the password does not open the key.
	ErrWrongPassword = errors.New("password does not open the key")
	// ErrNotEncrypted means that the private key is stored in the clear.
	ErrNotEncrypted = errors.New("private key is not protected by a password")
	// ErrMalformed means that the bytes are not a key of the wanted kind.
	ErrMalformed = errors.New("is not a key")
)

// Pair is a freshly made key pair, both halves as PEM.
type Pair struct {
	Private, Public []byte
	// Hint names the public key, as Public's Hint does.
	Hint string
}

// Generate makes a key pair whose private half is sealed under password.
func Generate(password []byte) (*Pair, error) {
	if len(password) == 0 {
		return nil, ErrNoPassword
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	sealed, err := encrypted.Encrypt(der, password)
	if err != nil {
		return nil, fmt.Errorf("seal private key: %w", err)
	}
	public, err := newPublic(private.Public())
	if err != nil {
		return nil, err
	}
	return &Pair{
		Private: pem.EncodeToMemory(&pem.Block{Type: PEMType, Bytes: sealed}),
		Public:  public.pem,
		Hint:    public.hint,
	}, nil
}

// Signer is an opened private key. It is the Keypair that sigstore-go signs
// bundles with.
type Signer struct {
	private *ecdsa.PrivateKey
	public  *Public
}

// Open reads a PEM private key and opens it with password.
func Open(data, password []byte) (*Signer, error) {
	block, _ := pem.Decode(data)
	switch {
	case block == nil:
		return nil, fmt.Errorf("%w: no PEM block", ErrMalformed)
	case block.Type == "PRIVATE KEY" || block.Type == "EC PRIVATE KEY" || block.Type == "RSA PRIVATE KEY":
		return nil, ErrNotEncrypted
	case block.Type != PEMType && block.Type != OldPEMType:
		return nil, fmt.Errorf("%w: PEM block is %q, not %q", ErrMalformed, block.Type, PEMType)
	case !json.Valid(block.Bytes):
		return nil, fmt.Errorf("%w: sealed key is not in cosign's format", ErrMalformed)
	case len(password) == 0:
		return nil, ErrNoPassword
	}
	der, err := encrypted.Decrypt(block.Bytes, password)
	if err != nil {
		return nil, ErrWrongPassword
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: sealed key is not PKCS #8", ErrMalformed)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: sealed key is not ECDSA P-256", ErrMalformed)
	}
	public, err := newPublic(private.Public())
	if err != nil {
		return nil, err
	}
	return &Signer{private: private, public: public}, nil
}

// Public is the key's public half.
func (s *Signer) Public() *Public { return s.public }

// GetHashAlgorithm is SHA-256, the one for P-256.
func (s *Signer) GetHashAlgorithm() protocommon.HashAlgorithm {
	return protocommon.HashAlgorithm_SHA2_256
}

// GetSigningAlgorithm is ECDSA P-256 with SHA-256.
func (s *Signer) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
}

// GetHint is the public key's hint.
func (s *Signer) GetHint() []byte { return []byte(s.public.hint) }

// GetKeyAlgorithm is "ECDSA".
func (s *Signer) GetKeyAlgorithm() string { return "ECDSA" }

// GetPublicKey is the public half.
func (s *Signer) GetPublicKey() crypto.PublicKey { return s.private.Public() }

// GetPublicKeyPem is the public half as PEM.
func (s *Signer) GetPublicKeyPem() (string, error) { return string(s.public.pem), nil }

// SignData signs data's SHA-256 digest, and returns the ASN.1 signature and
// that digest.
func (s *Signer) SignData(_ context.Context, data []byte) ([]byte, []byte, error) {
	digest := sha256.Sum256(data)
	sig, err := s.private.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, nil, err
	}
	return sig, digest[:], nil
}

// Public is a key that signatures are checked with.
type Public struct {
	verifier signature.Verifier
	pem      []byte
	hint     string
}

// ParsePublic reads a PEM public key: ECDSA, RSA or Ed25519, as cosign does.
func ParsePublic(data []byte) (*Public, error) {
	parsed, err := cryptoutils.UnmarshalPEMToPublicKey(data)
	if err != nil {
		return nil, fmt.Errorf("%w: not a PEM public key", ErrMalformed)
	}
	return newPublic(parsed)
}

func newPublic(parsed crypto.PublicKey) (*Public, error) {
	verifier, err := signature.LoadDefaultVerifier(parsed)
	if err != nil {
		return nil, fmt.Errorf("%w: no signature can be checked with it: %w", ErrMalformed, err)
	}
	data, err := cryptoutils.MarshalPublicKeyToPEM(parsed)
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	block, _ := pem.Decode(data)
	sum := sha256.Sum256(block.Bytes)
	return &Public{verifier: verifier, pem: data, hint: base64.StdEncoding.EncodeToString(sum[:])}, nil
}

// Verifier checks signatures made by the key.
func (p *Public) Verifier() signature.Verifier { return p.verifier }

// PEM is the key as a PEM SubjectPublicKeyInfo.
func (p *Public) PEM() []byte { return p.pem }

// Hint is the base64 of the SHA-256 digest of the key's DER
// SubjectPublicKeyInfo: what cosign writes into a bundle to name the key. It
// proves nothing.
func (p *Public) Hint() string { return p.hint }
