package key_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"testing"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sign/step/key"
)

func TestAKeyElsewhereSignsAsItsKindDoes(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	rivest, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	data := []byte("what is signed")
	digest := func(hash crypto.Hash) []byte {
		h := hash.New()
		h.Write(data)
		return h.Sum(nil)
	}
	for name, c := range map[string]struct {
		private crypto.Signer
		hash    crypto.Hash
		covered []byte
		proto   protocommon.HashAlgorithm
		kind    string
		details protocommon.PublicKeyDetails
	}{
		"P-256":   {p256, crypto.SHA256, digest(crypto.SHA256), protocommon.HashAlgorithm_SHA2_256, "ECDSA", protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256},
		"P-384":   {p384, crypto.SHA384, digest(crypto.SHA384), protocommon.HashAlgorithm_SHA2_384, "ECDSA", protocommon.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384},
		"RSA":     {rivest, crypto.SHA256, digest(crypto.SHA256), protocommon.HashAlgorithm_SHA2_256, "RSA", protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_2048_SHA256},
		"Ed25519": {edwards, 0, data, protocommon.HashAlgorithm_HASH_ALGORITHM_UNSPECIFIED, "ED25519", protocommon.PublicKeyDetails_PKIX_ED25519},
	} {
		t.Run(name, func(t *testing.T) {
			hash, err := key.HashOf(c.private.Public())
			require.NoError(t, err)
			assert.Equal(t, c.hash, hash)
			broken := false
			remote, err := key.NewRemote(c.private.Public(), func(_ context.Context, given []byte) ([]byte, error) {
				if broken {
					return []byte("half"), errors.New("the service is down")
				}
				assert.Equal(t, data, given)
				return c.private.Sign(rand.Reader, c.covered, c.hash)
			})
			require.NoError(t, err)
			sig, covered, err := remote.SignData(t.Context(), data)
			require.NoError(t, err)
			assert.Equal(t, c.covered, covered)
			require.NoError(t, remote.Public().Verifier().VerifySignature(bytes.NewReader(sig), bytes.NewReader(data)))
			assert.Equal(t, []any{c.proto, c.details, c.kind, c.private.Public()}, []any{remote.GetHashAlgorithm(), remote.GetSigningAlgorithm(), remote.GetKeyAlgorithm(), remote.GetPublicKey()})
			text, err := remote.GetPublicKeyPem()
			require.NoError(t, err)
			assert.Equal(t, string(remote.Public().PEM()), text)
			same, err := key.ParsePublic([]byte(text))
			require.NoError(t, err)
			assert.Equal(t, same.Hint(), remote.Public().Hint())
			assert.Equal(t, same.Hint(), string(remote.GetHint()))

			broken = true
			sig, covered, err = remote.SignData(t.Context(), data)
			require.EqualError(t, err, "the service is down")
			assert.Nil(t, sig)
			assert.Nil(t, covered)
		})
	}
}

func TestAKeyThatSignsNothingIsRefused(t *testing.T) {
	exchange, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	for _, public := range []crypto.PublicKey{nil, "text", exchange.Public()} {
		remote, err := key.NewRemote(public, nil)
		require.ErrorIs(t, err, key.ErrMalformed)
		assert.Nil(t, remote)
		hash, err := key.HashOf(public)
		require.ErrorIs(t, err, key.ErrMalformed)
		assert.Zero(t, hash)
	}
}
