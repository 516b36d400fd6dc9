package attach_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/registry"
	"slipway/sign/step/attach"
	"slipway/sign/step/bundle"
	"slipway/step"
	"slipway/step/result/sign"
)

func TestOneBundleIsFetched(t *testing.T) {
	w := newWorld(t, true)
	trust := bundle.TrustKey(w.key.Public())
	made, err := w.attest(`{"n":1}`)
	require.NoError(t, err)
	data, verified, err := attach.Fetch(ctx, w.client(), trust, "verify", w.ref, made.Referrer)
	require.NoError(t, err)
	assert.JSONEq(t, `{"n":1}`, string(verified.Statement.Predicate))
	again, err := trust.Verify(data, w.ref.Digest.String())
	require.NoError(t, err)
	assert.Equal(t, verified.Statement, again.Statement, "byte for byte")

	enveloped, err := w.one(attach.Request{PredicateType: verdictType, Predicate: []byte(`{"n":1}`), Envelope: sign.EnvelopeDSSE})
	require.NoError(t, err)
	elsewhere, err := bundle.NewStatement("sha256:"+strings.Repeat("00", 32), verdictType, nil, nil)
	require.NoError(t, err)
	other, err := bundle.Sign(ctx, w.key, elsewhere)
	require.NoError(t, err)
	others, err := stranger()
	require.NoError(t, err)
	for name, c := range map[string]struct {
		trust    *bundle.Trust
		referrer string
		kind     step.Kind
		reason   string
	}{
		"no digest":           {trust, "latest", step.KindInput, "is not a sha256 digest"},
		"nothing there":       {trust, "sha256:" + strings.Repeat("11", 32), step.KindInput, "is not in the registry"},
		"an envelope":         {trust, enveloped.Referrer, step.KindInput, "is not a bundle"},
		"the image itself":    {trust, w.ref.Digest.String(), step.KindInput, "is not a bundle"},
		"rubbish":             {trust, w.attachRaw([]byte("{}")).String(), step.KindPolicy, ""},
		"another image's":     {trust, w.attachRaw(other).String(), step.KindPolicy, ""},
		"a stranger's":        {bundle.TrustKey(others.Public()), made.Referrer, step.KindPolicy, "is not trusted"},
		"where nobody counts": {nil, made.Referrer, step.KindPolicy, "nobody is trusted"},
	} {
		data, verified, err := attach.Fetch(ctx, w.client(), c.trust, "verify", w.ref, c.referrer)
		fault := refused(t, err, c.kind, "verify")
		assert.Contains(t, fault.Reason, c.reason, name)
		assert.Empty(t, data)
		assert.Nil(t, verified)
	}
}

// What is signed already, in whichever place, is not signed again; what says another
// thing is.
func TestOnlyWhatSaysTheSameIsTheSame(t *testing.T) {
	w := newWorld(t, true)
	requests := []attach.Request{
		{PredicateType: verdictType, Predicate: []byte(`{"n":1}`)}, {PredicateType: verdictType, Predicate: []byte(`{"n":2}`)}, {PredicateType: verdictType + "b", Predicate: []byte(`{"n":1}`)},
		{PredicateType: verdictType, Predicate: []byte(`{"n":1}`), Annotations: map[string]string{"a": "b"}}, {PredicateType: verdictType, Predicate: []byte(`{"n":1}`), Envelope: sign.EnvelopeDSSE},
		{PredicateType: verdictType, Predicate: []byte(` {"n": 1}`)},
	}
	all, err := attach.Sign(ctx, w.signing(), bundle.SignKey(w.key), "sign", w.ref, requests...)
	require.NoError(t, err)
	referrers := map[string]bool{}
	for n, one := range all {
		assert.Equal(t, n < 5, one.Signed, n)
		assert.Equal(t, w.key.Public().Hint(), one.KeyHint)
		assert.Equal(t, w.ref.Text, one.Reference)
		referrers[one.Referrer] = true
	}
	assert.Len(t, referrers, 5)
	assert.Equal(t, all[0].Referrer, all[5].Referrer)
	again, err := attach.Sign(ctx, w.signing(), bundle.SignKey(w.key), "sign", w.ref, requests[4], requests[1])
	require.NoError(t, err)
	assert.Equal(t, []any{false, all[4].Referrer, false, all[1].Referrer}, []any{again[0].Signed, again[0].Referrer, again[1].Signed, again[1].Referrer})

	// A claim counts with its value, each of several.
	for name, wanted := range map[string]map[string]string{"none": nil, "the claim": {"a": "b"}} {
		found, err := attach.Verify(ctx, w.client(), bundle.TrustKey(w.key.Public()), attach.Wanted{Stage: "verify", Reference: w.ref, PredicateType: verdictType, Annotations: wanted})
		require.NoError(t, err, name)
		assert.Equal(t, map[string]int{"none": 4, "the claim": 1}[name], found.Verified)
		assert.Len(t, found.Predicates, found.Verified)
		assert.Len(t, found.Annotations, found.Verified)
		assert.Len(t, found.Referrers, found.Verified)
		assert.Empty(t, found.Signers, "a key is told by its hint")
	}
	for _, wanted := range []map[string]string{{"a": "c"}, {"a": "b", "c": ""}, {"c": "b"}} {
		_, err := attach.Verify(ctx, w.client(), bundle.TrustKey(w.key.Public()), attach.Wanted{Stage: "verify", Reference: w.ref, PredicateType: verdictType, Annotations: wanted})
		assert.Contains(t, refused(t, err, step.KindPolicy, "verify").Reason, "with the wanted claims")
	}
}

// A manifest that is listed as a statement's is told; one of something else is not looked at.
func TestWhatIsListedAsAStatementIsTold(t *testing.T) {
	w := newWorld(t, true)
	_, err := w.sign(nil)
	require.NoError(t, err)
	image, _, err := w.client().Manifest(ctx, w.ref.Digest)
	require.NoError(t, err)
	var ignored []v1.Hash
	for _, artifactType := range []string{bundle.MediaType, bundle.EnvelopeMediaType, "application/vnd.dev.sigstore.bundle.v0.9+json", "application/spdx+json"} {
		digest, err := w.client().Attach(ctx, registry.Artifact{Subject: image, Type: artifactType, Data: []byte(`{"x":"` + artifactType + `"}`)})
		require.NoError(t, err)
		ignored = append(ignored, digest)
	}
	all, err := attach.VerifyAll(ctx, w.client(), bundle.TrustKey(w.key.Public()), "verify", w.ref)
	require.NoError(t, err)
	require.Len(t, all.Statements, 1)
	assert.Len(t, all.Ignored, 3)
	text, err := json.Marshal(all.Ignored)
	require.NoError(t, err)
	for n, digest := range ignored {
		assert.Equal(t, n < 3, strings.Contains(string(text), digest.String()), n)
	}

	// One that has no single content is no statement; it is told where it is listed as one.
	for artifactType, told := range map[string]string{"": "", bundle.MediaType: w.ref.Digest.String() + ": is not a bundle"} {
		w.list(artifactType, w.ref.Digest)
		again, err := attach.VerifyAll(ctx, w.client(), bundle.TrustKey(w.key.Public()), "verify", w.ref)
		require.NoError(t, err)
		want := slices.Clone(all.Ignored)
		if told != "" {
			want = append(want, told)
		}
		assert.ElementsMatch(t, want, again.Ignored, artifactType)
	}
}

// Not every registry tells what a referrer is: then it is looked at.
func TestAReferrerOfNoTypeIsLookedAt(t *testing.T) {
	w := newWorld(t, true)
	_, err := w.sign(nil)
	require.NoError(t, err)
	for artifactType, counts := range map[string]bool{
		"": true, registry.EmptyMediaType: true, bundle.MediaType: true, bundle.EnvelopeMediaType: true,
		"application/vnd.dev.sigstore.bundle.v0.9+json": true, "application/vnd.dev.sigstore": false, "application/spdx+json": false,
	} {
		w.change = func(path string, body []byte) []byte {
			if !strings.Contains(path, "/referrers/") {
				return body
			}
			var index v1.IndexManifest
			assert.NoError(t, json.Unmarshal(body, &index))
			for n := range index.Manifests {
				index.Manifests[n].ArtifactType = artifactType
			}
			body, err := json.Marshal(index)
			assert.NoError(t, err)
			return body
		}
		all, err := attach.VerifyAll(ctx, w.client(), bundle.TrustKey(w.key.Public()), "verify", w.ref)
		if !counts {
			assert.Equal(t, "has no signature", refused(t, err, step.KindPolicy, "verify").Reason, artifactType)
			continue
		}
		require.NoError(t, err, artifactType)
		assert.Len(t, all.Statements, 1, artifactType)
	}
}
