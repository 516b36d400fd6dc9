package attach_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/registry"
	"slipway/sign/step/attach"
	"slipway/sign/step/bundle"
	"slipway/step"
	"slipway/step/result/sign"
)

func TestEverythingIsSignedAndVerifiedTogether(t *testing.T) {
	for _, api := range []bool{true, false} {
		w := newWorld(t, api)
		requests := []attach.Request{
			{PredicateType: bundle.SignPredicateType},
			{PredicateType: verdictType, Predicate: []byte(`{"n":1}`)},
			{PredicateType: verdictType, Predicate: []byte(`{"n":1}`), Envelope: sign.EnvelopeDSSE},
			{PredicateType: verdictType, Predicate: []byte(`{"n":2}`)},
			{PredicateType: verdictType, Predicate: []byte(`{ "n": 2 }`)},
		}
		first, err := attach.Sign(ctx, w.signing(), bundle.SignKey(w.key), "sign", w.ref, requests...)
		require.NoError(t, err)
		require.Len(t, first, 5)
		for n, done := range first {
			assert.Equal(t, n != 4, done.Signed, "statement %d: the last says what the one before it says", n)
		}
		assert.Equal(t, first[3].Referrer, first[4].Referrer)
		assert.NotEqual(t, first[1].Referrer, first[2].Referrer, "a bundle is no envelope")
		again, err := attach.Sign(ctx, w.signing(), bundle.SignKey(w.key), "sign", w.ref, requests...)
		require.NoError(t, err)
		for n, done := range again {
			assert.False(t, done.Signed, "statement %d", n)
			assert.Equal(t, first[n].Referrer, done.Referrer)
		}

		all, err := attach.VerifyAll(ctx, w.client(), bundle.TrustKey(w.key.Public()), "verify", w.ref)
		require.NoError(t, err)
		var seen []string
		for _, s := range all.Statements {
			seen = append(seen, s.PredicateType+" "+string(s.Predicate)+" "+string(s.Envelope))
			assert.Equal(t, map[string]string{}, s.Annotations)
		}
		assert.ElementsMatch(t, []string{
			bundle.SignPredicateType + " {} bundle", verdictType + ` {"n":1} bundle`, verdictType + ` {"n":1} dsse`, verdictType + ` {"n":2} bundle`,
		}, seen)
		assert.Empty(t, all.Ignored)
		assert.Equal(t, []string{w.ref.Text, w.ref.Digest.String(), w.key.Public().Hint()}, []string{all.Reference, all.Digest, all.KeyHint})

		other, err := stranger()
		require.NoError(t, err)
		_, err = attach.VerifyAll(ctx, w.client(), bundle.TrustKey(other.Public()), "verify", w.ref)
		fault := refused(t, err, step.KindPolicy, "verify")
		assert.Contains(t, fault.Reason, "has no valid signature by key")
		assert.Len(t, fault.Details, 4)
	}
}

func TestAttestationsAreNoSignature(t *testing.T) {
	w := newWorld(t, true)
	_, err := w.attest(`{"n":1}`)
	require.NoError(t, err)
	_, err = attach.VerifyAll(ctx, w.client(), bundle.TrustKey(w.key.Public()), "verify", w.ref)
	assert.Equal(t, "has no signature", refused(t, err, step.KindPolicy, "verify").Reason)
}

func TestAnEnvelopeCountsOnlyForItsKeyAndImage(t *testing.T) {
	w := newWorld(t, true)
	_, err := w.sign(nil)
	require.NoError(t, err)
	other, err := stranger()
	require.NoError(t, err)
	envelope := func(digest string) []byte {
		statement, err := bundle.NewStatement(digest, verdictType, []byte(`{"n":1}`), nil)
		require.NoError(t, err)
		data, err := bundle.SignEnvelope(ctx, w.key, statement)
		require.NoError(t, err)
		return data
	}
	good := envelope(w.ref.Digest.String())
	verified, err := bundle.TrustKey(w.key.Public()).VerifyEnvelope(ctx, good, w.ref.Digest.String())
	require.NoError(t, err)
	assert.JSONEq(t, `{"n":1}`, string(verified.Statement.Predicate))
	_, err = bundle.TrustKey(other.Public()).VerifyEnvelope(ctx, good, w.ref.Digest.String())
	require.ErrorIs(t, err, bundle.ErrUntrusted)

	image, _, err := w.client().Manifest(ctx, w.ref.Digest)
	require.NoError(t, err)
	zero := "sha256:" + strings.Repeat("00", 32)
	bad := map[string][]byte{
		"another image's":     envelope(zero),
		"no JSON":             []byte("{"),
		"no envelope":         []byte("{}"),
		"another payload":     bytes.Replace(good, []byte(`"payload":"`), []byte(`"payload":"AAAA`), 1),
		"another type":        bytes.Replace(good, []byte(bundle.PayloadType), []byte("application/vnd.in-toto+JSON"), 1),
		"without a signature": []byte(`{"payloadType":"` + bundle.PayloadType + `","payload":"e30=","signatures":[]}`),
	}
	for name, data := range bad {
		_, err := bundle.TrustKey(w.key.Public()).VerifyEnvelope(ctx, data, w.ref.Digest.String())
		require.Error(t, err, name)
		_, err = w.client().Attach(ctx, registry.Artifact{Subject: image, Type: bundle.EnvelopeMediaType, Data: data})
		require.NoError(t, err)
	}
	all, err := attach.VerifyAll(ctx, w.client(), bundle.TrustKey(w.key.Public()), "verify", w.ref)
	require.NoError(t, err)
	require.Len(t, all.Statements, 1, "only the signature")
	assert.Equal(t, bundle.SignPredicateType, all.Statements[0].PredicateType)
	assert.Len(t, all.Ignored, len(bad))
}

func TestSigningManyStatementsLooksOnce(t *testing.T) {
	lists := func(requests ...attach.Request) (n int) {
		w := newWorld(t, true)
		w.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/referrers/") {
				n++
			}
			return false
		}
		_, err := attach.Sign(ctx, w.signing(), bundle.SignKey(w.key), "sign", w.ref, requests...)
		require.NoError(t, err)
		return n
	}
	request := attach.Request{PredicateType: bundle.SignPredicateType}
	assert.Equal(t, lists(request), lists(request, request, request))
}
