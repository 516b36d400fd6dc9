package bundle_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sign/step/bundle"
)

// Who does not know the digest learns the signed one, of one image alone.
func TestABundleTellsWhatItIsAbout(t *testing.T) {
	signer := newSigner(t)
	trust := bundle.TrustKey(signer.Public())
	verified, about, err := trust.VerifyOne(signed(t, signer))
	require.NoError(t, err)
	assert.Equal(t, digest, about)
	assert.Equal(t, "https://example.org/verdict/v1", verified.Statement.PredicateType)

	of := func(subjects ...bundle.Subject) []byte {
		statement, err := bundle.NewStatement(digest, "https://example.org/verdict/v1", nil, nil)
		require.NoError(t, err)
		statement.Subject = subjects
		data, err := bundle.Sign(context.Background(), signer, statement)
		require.NoError(t, err)
		return data
	}
	first, second := map[string]string{"sha256": strings.Repeat("ab", 32)}, map[string]string{"sha256": strings.Repeat("cd", 32)}
	const none = "its statement is not about one sha256 digest"
	for name, c := range map[string]struct {
		data   []byte
		kind   error
		reason string
	}{
		"no bundle":             {[]byte("hello"), bundle.ErrMalformed, "syntax error"},
		"nothing":               {nil, bundle.ErrMalformed, "syntax error"},
		"no content":            {[]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"x"}}}`), bundle.ErrMalformed, "content"},
		"no statement":          {[]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"x"}},"messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"YQ=="},"signature":"YQ=="}}`), bundle.ErrMalformed, "it holds no statement"},
		"no JSON in it":         {[]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"x"}},"dsseEnvelope":{"payload":"YQ==","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"YQ=="}]}}`), bundle.ErrMalformed, "statement: invalid character"},
		"no subject":            {of(), bundle.ErrMalformed, none},
		"two images":            {of(bundle.Subject{Digest: first}, bundle.Subject{Digest: second}), bundle.ErrMalformed, none},
		"no digest":             {of(bundle.Subject{}), bundle.ErrMalformed, none},
		"an empty digest":       {of(bundle.Subject{Digest: map[string]string{"sha256": ""}}), bundle.ErrMalformed, none},
		"another algorithm":     {of(bundle.Subject{Digest: map[string]string{"sha512": strings.Repeat("ab", 64)}}), bundle.ErrMalformed, none},
		"two digests":           {of(bundle.Subject{Digest: map[string]string{"sha256": strings.Repeat("ab", 32), "sha512": strings.Repeat("ab", 64)}}), bundle.ErrMalformed, none},
		"a stranger's":          {signed(t, newSigner(t)), bundle.ErrUntrusted, ""},
		"no hexadecimal digest": {of(bundle.Subject{Digest: map[string]string{"sha256": "zz"}}), nil, "is not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			verified, _, err := trust.VerifyOne(c.data)
			require.ErrorContains(t, err, c.reason)
			if c.kind != nil {
				require.ErrorIs(t, err, c.kind)
			}
			assert.NotContains(t, err.Error(), "runtime error")
			assert.Nil(t, verified)
		})
	}
}
