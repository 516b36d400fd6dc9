package attach_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/drill/sigstore/standintest"
	"slipway/sign/step/attach"
	"slipway/sign/step/bundle"
	"slipway/step"
	"slipway/step/result/sign"
)

func TestVerifyByIdentity(t *testing.T) {
	const who, issuer = "release@example.org", "https://issuer.example.org"
	eachRegistry(t, func(t *testing.T, w *world) {
		sigstore := standintest.New(t)
		root, err := bundle.ParseRoot(sigstore.Root(t))
		require.NoError(t, err)
		verify := func(subject string) (*sign.Found, error) {
			trust, err := bundle.TrustIdentities([]bundle.Identity{{Subject: subject, Issuer: issuer}}, root, bundle.Evidence{CertificateLogs: bundle.None})
			require.NoError(t, err)
			return attach.Verify(ctx, w.client(), trust, attach.Wanted{Stage: "verify", Reference: w.ref, PredicateType: verdictType})
		}
		attest := func(digest string) string {
			statement, err := bundle.NewStatement(digest, verdictType, []byte(`{"passed":true}`), nil)
			require.NoError(t, err)
			data, err := json.Marshal(statement)
			require.NoError(t, err)
			return w.attachRaw(sigstore.Attest(t, who, issuer, data)).String()
		}

		// The same statement by a key, and one about another image, don't count.
		_, err = w.attest(`{"passed":true}`)
		require.NoError(t, err)
		elsewhere := attest("sha256:" + "ab" + w.ref.Digest.Hex[2:])
		_, err = verify(who)
		fault := refused(t, err, step.KindPolicy, "verify")
		assert.Contains(t, fault.Reason, `by identity "release@example.org" of issuer "https://issuer.example.org": 2 bundles`)
		assert.Contains(t, fault.Mend, `as identity "release@example.org" of issuer "https://issuer.example.org"`)

		here := attest(w.ref.Digest.String())
		got, err := verify(who)
		require.NoError(t, err)
		assert.Equal(t, 1, got.Verified)
		assert.Equal(t, []string{here}, got.Referrers)
		assert.Empty(t, got.KeyHint)
		require.Len(t, got.Signers, 1)
		assert.Equal(t, who, got.Signers[0].Identity)
		assert.Equal(t, issuer, got.Signers[0].Issuer)
		assert.NotEmpty(t, got.Signers[0].Times)
		require.Len(t, got.Ignored, 2)
		assert.Contains(t, got.Ignored[0]+got.Ignored[1], elsewhere)

		_, err = verify("other@example.org")
		fault = refused(t, err, step.KindPolicy, "verify")
		assert.Contains(t, fault.Reason, `by identity "other@example.org" of issuer "https://issuer.example.org": 3 bundles`)
		assert.Contains(t, fault.Reason, `signed by identity "release@example.org" of issuer "https://issuer.example.org"`)
		assert.NotContains(t, fault.Reason, ", identity", "each is named once")

		either, err := bundle.TrustIdentities([]bundle.Identity{{Subject: "other@example.org", Issuer: issuer}, {SubjectPattern: "release@.*", Issuer: issuer}}, root, bundle.Evidence{CertificateLogs: bundle.None})
		require.NoError(t, err)
		assert.Equal(t, `identity "other@example.org" of issuer "https://issuer.example.org" or identity matching "release@.*" of issuer "https://issuer.example.org"`, either.String())
		all, err := attach.VerifyAll(ctx, w.client(), either, "verify", w.ref)
		assert.Nil(t, all)
		assert.Contains(t, refused(t, err, step.KindPolicy, "verify").Reason, "has no valid signature")
		statement, err := bundle.NewStatement(w.ref.Digest.String(), bundle.SignPredicateType, nil, nil)
		require.NoError(t, err)
		data, err := json.Marshal(statement)
		require.NoError(t, err)
		w.attachRaw(sigstore.Attest(t, who, issuer, data))
		all, err = attach.VerifyAll(ctx, w.client(), either, "verify", w.ref)
		require.NoError(t, err)
		require.Len(t, all.Statements, 2)
		assert.Empty(t, all.KeyHint)
		for _, s := range all.Statements {
			require.NotNil(t, s.Signer)
			assert.Equal(t, who, s.Signer.Identity)
		}
	})
}
