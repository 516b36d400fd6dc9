package bundle_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sign/step/bundle"
	"slipway/sign/step/key"
)

var digest = "sha256:" + strings.Repeat("ab", 32)

func newSigner(t *testing.T) *key.Signer {
	t.Helper()
	pair, err := key.Generate([]byte("secret"))
	require.NoError(t, err)
	signer, err := key.Open(pair.Private, []byte("secret"))
	require.NoError(t, err)
	return signer
}

func signed(t *testing.T, signer *key.Signer) []byte {
	t.Helper()
	statement, err := bundle.NewStatement(digest, "https://example.org/verdict/v1", []byte(`{"passed": true, "big": 9007199254740993}`), map[string]string{"app": "hello<1>"})
	require.NoError(t, err)
	data, err := bundle.Sign(context.Background(), signer, statement)
	require.NoError(t, err)
	return data
}

func TestSignMakesABundleV03WithTheKeysHint(t *testing.T) {
	signer := newSigner(t)
	var b struct {
		MediaType            string `json:"mediaType"`
		VerificationMaterial struct {
			PublicKey struct{ Hint string } `json:"publicKey"`
		} `json:"verificationMaterial"`
		Envelope struct {
			Payload     []byte `json:"payload"`
			PayloadType string `json:"payloadType"`
			Signatures  []struct{ Sig []byte }
		} `json:"dsseEnvelope"`
	}
	require.NoError(t, json.Unmarshal(signed(t, signer), &b))
	assert.Equal(t, "application/vnd.dev.sigstore.bundle.v0.3+json", b.MediaType)
	assert.Equal(t, signer.Public().Hint(), b.VerificationMaterial.PublicKey.Hint)
	assert.Equal(t, "application/vnd.in-toto+json", b.Envelope.PayloadType)
	assert.Len(t, b.Envelope.Signatures, 1)
	assert.Equal(t, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"`+strings.Repeat("ab", 32)+
		`"},"annotations":{"app":"hello<1>"}}],"predicateType":"https://example.org/verdict/v1","predicate":{"passed":true,"big":9007199254740993}}`,
		string(b.Envelope.Payload))
}

func TestVerifyReturnsTheStatementAsSigned(t *testing.T) {
	signer := newSigner(t)
	verified, err := bundle.TrustKey(signer.Public()).Verify(signed(t, signer), digest)
	require.NoError(t, err)
	assert.Equal(t, "https://example.org/verdict/v1", verified.Statement.PredicateType)
	assert.Equal(t, `{"passed":true,"big":9007199254740993}`, string(verified.Statement.Predicate))
	assert.Equal(t, map[string]string{"app": "hello<1>"}, verified.Statement.Claims(digest))
}

func TestVerifyRefuses(t *testing.T) {
	signer := newSigner(t)
	good := signed(t, signer)
	var members map[string]any
	require.NoError(t, json.Unmarshal(good, &members))
	edit := func(change func(envelope map[string]any)) []byte {
		var b map[string]any
		require.NoError(t, json.Unmarshal(good, &b))
		change(b["dsseEnvelope"].(map[string]any))
		data, err := json.Marshal(b)
		require.NoError(t, err)
		return data
	}
	payload, err := base64.StdEncoding.DecodeString(members["dsseEnvelope"].(map[string]any)["payload"].(string))
	require.NoError(t, err)
	lie := base64.StdEncoding.EncodeToString(bytes.Replace(payload, []byte(`"passed":true`), []byte(`"passed":null`), 1))

	for name, c := range map[string]struct {
		data   []byte
		public *key.Public
		digest string
		want   error
	}{
		"another key":        {good, newSigner(t).Public(), digest, bundle.ErrUntrusted},
		"another digest":     {good, signer.Public(), "sha256:" + strings.Repeat("cd", 32), bundle.ErrUntrusted},
		"changed payload":    {edit(func(e map[string]any) { e["payload"] = lie }), signer.Public(), digest, bundle.ErrUntrusted},
		"other payload type": {edit(func(e map[string]any) { e["payloadType"] = "text/plain" }), signer.Public(), digest, bundle.ErrUntrusted},
		"no signature":       {edit(func(e map[string]any) { e["signatures"] = []any{} }), signer.Public(), digest, bundle.ErrUntrusted},
		"two signatures": {edit(func(e map[string]any) {
			s := e["signatures"].([]any)
			e["signatures"] = append(s, s[0])
		}), signer.Public(), digest, bundle.ErrUntrusted},
		"not JSON": {[]byte("hello"), signer.Public(), digest, bundle.ErrMalformed},
		"empty":    {nil, signer.Public(), digest, bundle.ErrMalformed},
		"no content": {[]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"x"}}}`),
			signer.Public(), digest, bundle.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bundle.TrustKey(c.public).Verify(c.data, c.digest)
			require.Error(t, err)
			assert.ErrorIs(t, err, c.want)
		})
	}
	_, err = bundle.TrustKey(newSigner(t).Public()).Verify(good, digest)
	assert.ErrorContains(t, err, signer.Public().Hint(), "the refusal names the key that the bundle names")
}

// A trusted key may sign what is no statement, or what two readers read two ways.
func TestASignedStatementThatIsNoneIsRefused(t *testing.T) {
	signer := newSigner(t)
	of := func(members string) []byte {
		payload := []byte(`{` + members + `,"subject":[{"digest":{"sha256":"` + strings.Repeat("ab", 32) + `"}}],"predicate":{}}`)
		sig, _, err := signer.SignData(t.Context(), dsse.PAE(bundle.PayloadType, payload))
		require.NoError(t, err)
		var b map[string]any
		require.NoError(t, json.Unmarshal(signed(t, signer), &b))
		b["dsseEnvelope"] = map[string]any{"payloadType": bundle.PayloadType, "payload": payload, "signatures": []any{map[string]any{"sig": sig}}}
		data, err := json.Marshal(b)
		require.NoError(t, err)
		return data
	}
	const v1, verdict = `"_type":"https://in-toto.io/Statement/v1"`, `,"predicateType":"https://example.org/verdict/v1"`
	trust := bundle.TrustKey(signer.Public())
	verified, err := trust.Verify(of(v1+verdict), digest)
	require.NoError(t, err)
	assert.Equal(t, "https://example.org/verdict/v1", verified.Statement.PredicateType)
	for name, c := range map[string]struct {
		members string
		kind    error
		reason  string
	}{
		"another version":          {`"_type":"https://in-toto.io/Statement/v2"` + verdict, bundle.ErrMalformed, "is not an in-toto statement v1"},
		"no type":                  {verdict[1:], bundle.ErrMalformed, "is not an in-toto statement v1"},
		"no predicate type":        {v1, bundle.ErrMalformed, "is not an in-toto statement v1"},
		"an empty one":             {v1 + `,"predicateType":""`, bundle.ErrMalformed, "is not an in-toto statement v1"},
		"one that protobuf reads":  {v1 + `,"predicate_type":"https://example.org/verdict/v1"`, bundle.ErrMalformed, "is not an in-toto statement v1"},
		"another that only Go has": {v1 + verdict + `,"PredicateType":"https://example.org/other/v1"`, bundle.ErrUntrusted, "decoding json"},
	} {
		verified, err := trust.Verify(of(c.members), digest)
		require.ErrorIs(t, err, c.kind, name)
		assert.ErrorContains(t, err, c.reason, name)
		assert.Nil(t, verified, name)
	}
}

func TestEveryFlippedByteOfPayloadOrSignatureIsRefused(t *testing.T) {
	signer := newSigner(t)
	good := signed(t, signer)
	var b struct {
		Envelope struct {
			Payload    string `json:"payload"`
			Signatures []struct{ Sig string }
		} `json:"dsseEnvelope"`
	}
	require.NoError(t, json.Unmarshal(good, &b))
	for _, field := range []string{b.Envelope.Payload, b.Envelope.Signatures[0].Sig} {
		raw, err := base64.StdEncoding.DecodeString(field)
		require.NoError(t, err)
		for i := range raw {
			flipped := bytes.Clone(raw)
			flipped[i] ^= 1
			data := bytes.Replace(good, []byte(field), []byte(base64.StdEncoding.EncodeToString(flipped)), 1)
			_, err := bundle.TrustKey(signer.Public()).Verify(data, digest)
			require.Error(t, err, "byte %d", i)
		}
	}
}

func TestNewStatementWantsAnObject(t *testing.T) {
	for _, predicate := range []string{"[]", "1", "null", `"text"`, "{", `{} {}`} {
		_, err := bundle.NewStatement(digest, "https://example.org/v1", []byte(predicate), nil)
		assert.ErrorContains(t, err, "predicate is not a JSON object", predicate)
	}
	_, err := bundle.NewStatement("abc", "https://example.org/v1", nil, nil)
	assert.ErrorContains(t, err, "names no algorithm")
}

func TestSamePredicate(t *testing.T) {
	make := func(predicate string) *bundle.Statement {
		s, err := bundle.NewStatement(digest, "https://example.org/v1", []byte(predicate), nil)
		require.NoError(t, err)
		return s
	}
	assert.True(t, make(`{"a":1,"b":{"c":2,"d":3}}`).SamePredicate(make(`{ "b":{"d":3,"c":2}, "a":1 }`)))
	assert.False(t, make(`{"a":9007199254740993}`).SamePredicate(make(`{"a":9007199254740992}`)))
}

func FuzzVerify(f *testing.F) {
	pair, err := key.Generate([]byte("secret"))
	require.NoError(f, err)
	public, err := key.ParsePublic(pair.Public)
	require.NoError(f, err)
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`))
	f.Add([]byte(`{"dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AA=="}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := bundle.TrustKey(public).Verify(data, digest); err == nil {
			t.Fatal("bytes that nobody signed are trusted")
		}
	})
}
