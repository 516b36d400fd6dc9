package program

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sign/step/bundle"
	"slipway/sign/step/key"
	"slipway/step"
	"slipway/step/result/sign"
)

func TestABundleIsExportedAndVerifiedWithoutARegistry(t *testing.T) { eachRegistry(t, exportAndVerify) }

func exportAndVerify(t *testing.T, address string) {
	const verdict = "https://example.org/verdict/v1"
	private, public, secret := keys(t)
	_, stranger, _ := keys(t)
	reference, other := image(t, address), image(t, address)
	_, digest, _ := strings.Cut(reference, "@")
	access := []string{"--connect", "localhost:5000=" + address}
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "1.statement.json"), []byte(`{"predicateType":"`+verdict+`","predicate":{"passed": true}}`), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "2.statement.json"), []byte(`{"predicateType":"`+verdict+`","predicate":{},"envelope":"dsse"}`), 0o600))
	var attested struct{ Attestations []struct{ Referrer string } }
	require.NoError(t, run(t, &attested, append([]string{"attest", "--key-file", private, "--password-file", secret, "--reference", reference, "--statements", folder}, access...)...))
	require.Len(t, attested.Attestations, 2)

	export := func(reference, public, referrer string) []string {
		return append([]string{"bundle", "--public-key", public, "--reference", reference, "--referrer", referrer}, access...)
	}
	out := t.TempDir()
	var exported, verified sign.Bundled
	require.NoError(t, runInto(t, out, &exported, export(reference, public, attested.Attestations[0].Referrer)...))
	bundleAt := filepath.Join(out, "bundle.sigstore.json")
	require.NoError(t, run(t, &verified, "verify-bundle", "--public-key", public, "--bundle", bundleAt))
	assert.Equal(t, exported, verified)
	assert.Equal(t, digest, verified.Digest)
	assert.Equal(t, verdict, verified.PredicateType)
	assert.JSONEq(t, `{"passed":true}`, string(verified.Predicate))
	assert.NotEmpty(t, verified.Signer.KeyHint)

	for name, c := range map[string]struct {
		args          []string
		kind          step.Kind
		input, reason string
	}{
		"another key":   {export(reference, stranger, attested.Attestations[0].Referrer), step.KindPolicy, "referrer " + attested.Attestations[0].Referrer, "is not trusted"},
		"another image": {export(other, public, attested.Attestations[0].Referrer), step.KindPolicy, "referrer " + attested.Attestations[0].Referrer, "is not trusted"},
		"an envelope":   {export(reference, public, attested.Attestations[1].Referrer), step.KindInput, "referrer " + attested.Attestations[1].Referrer, "is not a bundle"},
		"an image":      {export(reference, public, digest), step.KindInput, "referrer " + digest, "is not a bundle"},
		"no digest":     {export(reference, public, "latest"), step.KindInput, `referrer "latest"`, "is not a sha256 digest"},
		"nothing there": {export(reference, public, "sha256:"+strings.Repeat("0", 64)), step.KindInput, "localhost:5000/apps/hello@sha256:" + strings.Repeat("0", 64), "is not in the registry"},
	} {
		out := t.TempDir()
		f := fault(t, runInto(t, out, nil, c.args...))
		assert.Equal(t, c.kind, f.Kind, name)
		assert.Equal(t, c.input, f.Input, name)
		assert.Contains(t, f.Reason, c.reason, name)
		assert.NoFileExists(t, filepath.Join(out, "bundle.sigstore.json"), name)
	}
}

func TestVerifyBundleRefuses(t *testing.T) {
	private, public, _ := keys(t)
	_, stranger, _ := keys(t)
	data, err := os.ReadFile(private)
	require.NoError(t, err)
	signer, err := key.Open(data, []byte(password))
	require.NoError(t, err)
	digest := "sha256:" + strings.Repeat("ab", 32)
	statement, err := bundle.NewStatement(digest, "https://example.org/verdict/v1", []byte(`{"passed":true}`), map[string]string{"app": "hello"})
	require.NoError(t, err)
	good, err := bundle.Sign(t.Context(), signer, statement)
	require.NoError(t, err)
	var verified sign.Bundled
	require.NoError(t, run(t, &verified, "verify-bundle", "--public-key", public, "--bundle", file(t, string(good))))
	assert.Equal(t, map[string]string{"app": "hello"}, verified.Annotations)

	sign := func(subjects ...bundle.Subject) []byte {
		statement := *statement
		statement.Subject = subjects
		data, err := bundle.Sign(t.Context(), signer, &statement)
		require.NoError(t, err)
		return data
	}
	one := statement.Subject[0]
	for name, c := range map[string]struct {
		public        string
		data          []byte
		kind          step.Kind
		input, reason string
	}{
		"another key":    {stranger, good, step.KindPolicy, "bundle", "is not trusted"},
		"two subjects":   {public, sign(one, bundle.Subject{Digest: map[string]string{"sha256": strings.Repeat("cd", 32)}}), step.KindPolicy, "bundle", "is not about one sha256 digest"},
		"another digest": {public, sign(bundle.Subject{Digest: map[string]string{"sha512": strings.Repeat("ab", 64)}}), step.KindPolicy, "bundle", "is not about one sha256 digest"},
		"no subject":     {public, sign(), step.KindPolicy, "bundle", "is not about one sha256 digest"},
		"half of it":     {public, good[:len(good)/2], step.KindPolicy, "bundle", "is not a readable Sigstore bundle"},
		"nothing":        {public, nil, step.KindPolicy, "bundle", "is not a readable Sigstore bundle"},
		"too much":       {public, bytes.Repeat([]byte(" "), maxBundle+1), step.KindInput, "bundle", "is too large"},
		"no key":         {"", good, step.KindInput, "--public-key", "is not given"},
	} {
		f := fault(t, run(t, nil, "verify-bundle", "--public-key", c.public, "--bundle", file(t, string(c.data))))
		assert.Equal(t, c.kind, f.Kind, name)
		assert.Equal(t, c.input, f.Input, name)
		assert.Contains(t, f.Reason, c.reason, name)
		assert.NotEmpty(t, f.Mend, name)
	}
	assert.Equal(t, "--bundle", fault(t, run(t, nil, "verify-bundle", "--public-key", public)).Input)

	// Whichever byte of what was signed or of the signature changes, it is refused.
	var envelope struct {
		DSSE struct {
			Payload    []byte
			Signatures []struct{ Sig []byte }
		} `json:"dsseEnvelope"`
	}
	require.NoError(t, json.Unmarshal(good, &envelope))
	for _, part := range [][]byte{envelope.DSSE.Payload, envelope.DSSE.Signatures[0].Sig} {
		text, err := json.Marshal(part)
		require.NoError(t, err)
		for n := 0; n < len(part); n += 7 {
			changed := bytes.Clone(part)
			changed[n] ^= 1
			other, err := json.Marshal(changed)
			require.NoError(t, err)
			spoilt := bytes.Replace(good, text, other, 1)
			require.NotEqual(t, good, spoilt)
			f := fault(t, run(t, nil, "verify-bundle", "--public-key", public, "--bundle", file(t, string(spoilt))))
			assert.Equal(t, step.KindPolicy, f.Kind, "byte %d", n)
		}
	}
}
