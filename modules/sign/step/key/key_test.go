package key_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sign/step/key"
)

const password = "correct horse battery"

func TestGenerateMakesAKeyThatItsPasswordOpens(t *testing.T) {
	pair, err := key.Generate([]byte(password))
	require.NoError(t, err)
	block, rest := pem.Decode(pair.Private)
	require.NotNil(t, block)
	assert.Empty(t, rest)
	assert.Equal(t, "ENCRYPTED SIGSTORE PRIVATE KEY", block.Type)

	signer, err := key.Open(pair.Private, []byte(password))
	require.NoError(t, err)
	assert.Equal(t, pair.Public, signer.Public().PEM())
	assert.Equal(t, pair.Hint, signer.Public().Hint())
	assert.Equal(t, pair.Hint, string(signer.GetHint()))
	assert.Equal(t, "ECDSA", signer.GetKeyAlgorithm())
	assert.Equal(t, protocommon.HashAlgorithm_SHA2_256, signer.GetHashAlgorithm())
	assert.Equal(t, protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256, signer.GetSigningAlgorithm())
	text, err := signer.GetPublicKeyPem()
	require.NoError(t, err)
	assert.Equal(t, string(pair.Public), text)
	parsed, err := cryptoutils.UnmarshalPEMToPublicKey(pair.Public)
	require.NoError(t, err)
	assert.Equal(t, parsed, signer.GetPublicKey())
	der, _ := pem.Decode(pair.Public)
	sum := sha256.Sum256(der.Bytes)
	assert.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), pair.Hint)

	public, err := key.ParsePublic(pair.Public)
	require.NoError(t, err)
	assert.Equal(t, pair.Hint, public.Hint())
	sig, _, err := signer.SignData(context.Background(), []byte("data"))
	require.NoError(t, err)
	assert.NoError(t, public.Verifier().VerifySignature(bytes.NewReader(sig), bytes.NewReader([]byte("data"))))
	assert.Error(t, public.Verifier().VerifySignature(bytes.NewReader(sig), bytes.NewReader([]byte("date"))))
}

func TestGenerateRefusesNoPassword(t *testing.T) {
	_, err := key.Generate(nil)
	assert.ErrorIs(t, err, key.ErrNoPassword)
}

func TestOpenRefuses(t *testing.T) {
	pair, err := key.Generate([]byte(password))
	require.NoError(t, err)
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	p384, err := encrypted.Encrypt(der, []byte(password))
	require.NoError(t, err)
	rubbish, err := encrypted.Encrypt([]byte("rubbish"), []byte(password))
	require.NoError(t, err)
	edwards, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	require.NoError(t, err)
	other, err := encrypted.Encrypt(edwards, []byte(password))
	require.NoError(t, err)
	seal := func(kind string, data []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}) }

	for name, c := range map[string]struct {
		data     []byte
		password string
		want     error
		reason   string
	}{
		"wrong password":      {pair.Private, "wrong horse", key.ErrWrongPassword, ""},
		"no password":         {pair.Private, "", key.ErrNoPassword, ""},
		"stored in clear":     {seal("PRIVATE KEY", der), password, key.ErrNotEncrypted, ""},
		"an EC key in clear":  {seal("EC PRIVATE KEY", der), password, key.ErrNotEncrypted, ""},
		"an RSA key in clear": {seal("RSA PRIVATE KEY", der), password, key.ErrNotEncrypted, ""},
		"not PEM":             {[]byte("hello"), password, key.ErrMalformed, "no PEM block"},
		"empty":               {nil, password, key.ErrMalformed, "no PEM block"},
		"public key":          {pair.Public, password, key.ErrMalformed, `PEM block is "PUBLIC KEY", not "ENCRYPTED SIGSTORE PRIVATE KEY"`},
		"not sealed":          {seal(key.PEMType, []byte("hello")), password, key.ErrMalformed, "not in cosign's format"},
		"other curve":         {seal(key.PEMType, p384), password, key.ErrMalformed, "not ECDSA P-256"},
		"another kind":        {seal(key.PEMType, other), password, key.ErrMalformed, "not ECDSA P-256"},
		"no key inside":       {seal(key.PEMType, rubbish), password, key.ErrMalformed, "not PKCS #8"},
	} {
		t.Run(name, func(t *testing.T) {
			opened, err := key.Open(c.data, []byte(c.password))
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.reason)
			assert.NotContains(t, err.Error(), "horse")
			assert.Nil(t, opened)
		})
	}
	block, _ := pem.Decode(pair.Private)
	old, err := key.Open(seal("ENCRYPTED COSIGN PRIVATE KEY", block.Bytes), []byte(password))
	require.NoError(t, err)
	assert.Equal(t, pair.Hint, old.Public().Hint())
}

func TestParsePublicRefuses(t *testing.T) {
	pair, err := key.Generate([]byte(password))
	require.NoError(t, err)
	exchange, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(exchange.PublicKey())
	require.NoError(t, err)
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("hello"), "private key": pair.Private,
		"a key that signs nothing": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
	} {
		public, err := key.ParsePublic(data)
		assert.ErrorIs(t, err, key.ErrMalformed, name)
		assert.Nil(t, public, name)
	}
}
