package bundle_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/drill/sigstore/standintest"
	"slipway/sign/step/bundle"
	"slipway/sign/step/key"
	results "slipway/step/result/sign"
)

func about(t *testing.T, digests ...string) *bundle.Statement {
	t.Helper()
	statement, err := bundle.NewStatement(digest, "https://example.org/verdict/v1", []byte(`{"passed":true}`), nil)
	require.NoError(t, err)
	statement.Subject = nil
	for _, d := range digests {
		algorithm, hex, _ := strings.Cut(d, ":")
		statement.Subject = append(statement.Subject, bundle.Subject{Digest: map[string]string{algorithm: hex}})
	}
	return statement
}

// broken is a key that can't sign, or signs something else.
type broken struct {
	*key.Signer
	sign func([]byte) ([]byte, []byte, error)
}

func (b broken) SignData(_ context.Context, data []byte) ([]byte, []byte, error) { return b.sign(data) }

func TestAnEnvelopeAloneIsVerified(t *testing.T) {
	signer, other := newSigner(t), "sha256:"+strings.Repeat("cd", 32)
	for _, subjects := range [][]string{{digest}, {other, digest}, {digest, other}} {
		data, err := bundle.SignEnvelope(t.Context(), signer, about(t, subjects...))
		require.NoError(t, err)
		verified, err := bundle.TrustKey(signer.Public()).VerifyEnvelope(t.Context(), data, digest)
		require.NoError(t, err)
		assert.Equal(t, results.Signer{KeyHint: signer.Public().Hint()}, verified.Signer)
		assert.JSONEq(t, `{"passed":true}`, string(verified.Statement.Predicate))
	}
	making, ok := bundle.SignKey(signer).(bundle.Enveloping)
	require.True(t, ok)
	made, err := making.MakeEnvelope(t.Context(), about(t, digest), digest)
	require.NoError(t, err)
	assert.Equal(t, signer.Public().Hint(), made.Signer.KeyHint)
	_, err = bundle.TrustKey(signer.Public()).VerifyEnvelope(t.Context(), made.Data, digest)
	require.NoError(t, err)

	// What does not verify is not handed on.
	lost := errors.New("the key is gone")
	for name, sign := range map[string]func([]byte) ([]byte, []byte, error){
		"no signature":      func([]byte) ([]byte, []byte, error) { return nil, nil, lost },
		"another's":         func(data []byte) ([]byte, []byte, error) { return newSigner(t).SignData(context.Background(), data) },
		"of something else": func([]byte) ([]byte, []byte, error) { return signer.SignData(context.Background(), []byte("x")) },
	} {
		made, err := bundle.SignKey(broken{signer, sign}).(bundle.Enveloping).MakeEnvelope(t.Context(), about(t, digest), digest)
		require.Error(t, err, name)
		assert.Nil(t, made)
		_, err = bundle.SignEnvelope(t.Context(), broken{signer, func([]byte) ([]byte, []byte, error) { return nil, nil, lost }}, about(t, digest))
		require.ErrorIs(t, err, lost)
	}
	_, err = making.MakeEnvelope(t.Context(), about(t, other), digest)
	require.ErrorContains(t, err, "the statement is about something else")
}

func TestAnEnvelopeThatIsNoneIsRefused(t *testing.T) {
	signer := newSigner(t)
	trust := bundle.TrustKey(signer.Public())
	envelope := func(change func(*bundle.Statement)) []byte {
		statement := about(t, digest)
		change(statement)
		data, err := bundle.SignEnvelope(t.Context(), signer, statement)
		require.NoError(t, err)
		return data
	}
	good := envelope(func(*bundle.Statement) {})
	with := func(name string, value any) []byte {
		var document map[string]any
		require.NoError(t, json.Unmarshal(good, &document))
		document[name] = value
		data, err := json.Marshal(document)
		require.NoError(t, err)
		return data
	}
	for name, c := range map[string]struct {
		data   []byte
		digest string
		err    error
		reason string
	}{
		"no JSON":              {[]byte("{"), digest, bundle.ErrMalformed, "it is no DSSE envelope"},
		"another type":         {with("payloadType", "text/plain"), digest, bundle.ErrMalformed, `its payload type is "text/plain"`},
		"no signature":         {with("signatures", []any{}), digest, bundle.ErrUntrusted, ""},
		"another payload":      {with("payload", base64.StdEncoding.EncodeToString([]byte(`{"_type":"https://in-toto.io/Statement/v1"}`))), digest, bundle.ErrUntrusted, ""},
		"another digest":       {good, "sha256:" + strings.Repeat("cd", 32), bundle.ErrUntrusted, "about something else"},
		"another algorithm":    {good, "sha512:" + strings.Repeat("ab", 32), bundle.ErrUntrusted, "about something else"},
		"no digest":            {good, "sha256:", bundle.ErrUntrusted, "about something else"},
		"no digits":            {good, "sha256:" + strings.Repeat("zz", 32), bundle.ErrUntrusted, "about something else"},
		"nothing":              {envelope(func(s *bundle.Statement) { s.Subject = nil }), digest, bundle.ErrUntrusted, "about something else"},
		"an empty digest":      {envelope(func(s *bundle.Statement) { s.Subject[0].Digest = map[string]string{"sha256": ""} }), "sha256:", bundle.ErrUntrusted, "about something else"},
		"digits that are none": {envelope(func(s *bundle.Statement) { s.Subject[0].Digest = map[string]string{"sha256": "zz"} }), "sha256:zz", bundle.ErrUntrusted, "about something else"},
		"another statement":    {envelope(func(s *bundle.Statement) { s.Type = "https://in-toto.io/Statement/v2" }), digest, bundle.ErrMalformed, "is not an in-toto statement v1"},
		"no predicate type":    {envelope(func(s *bundle.Statement) { s.PredicateType = "" }), digest, bundle.ErrMalformed, "is not an in-toto statement v1"},
	} {
		verified, err := trust.VerifyEnvelope(t.Context(), c.data, c.digest)
		require.ErrorIs(t, err, c.err, name)
		assert.ErrorContains(t, err, c.reason, name)
		assert.Nil(t, verified)
	}
	_, err := bundle.TrustKey(newSigner(t).Public()).VerifyEnvelope(t.Context(), good, digest)
	require.ErrorIs(t, err, bundle.ErrUntrusted)
	s := standintest.New(t)
	for _, nobody := range []*bundle.Trust{nil, {}, identity(t, s.Root(t), bundle.Identity{Subject: who, Issuer: issuer}, evidence)} {
		_, err := nobody.VerifyEnvelope(t.Context(), good, digest)
		require.ErrorIs(t, err, bundle.ErrUntrusted)
		assert.ErrorContains(t, err, "names no identity")
	}
}

// Of several marks on a digest, on whichever of its subjects, the first to expire counts.
func TestTheEarliestOfSeveralMarksCounts(t *testing.T) {
	soon, late := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	other := "sha256:" + strings.Repeat("cd", 32)
	marked := func(missing string, expires time.Time, d string) bundle.Subject {
		s, err := about(t, d).Degrade(d, results.Degraded{Missing: []string{missing}, Expires: expires})
		require.NoError(t, err)
		return s.Subject[0]
	}
	plain, half := about(t, digest).Subject[0], marked("x", late, digest)
	delete(half.Annotations, "slipway.degraded")
	for name, c := range map[string]struct {
		subjects []bundle.Subject
		want     *results.Degraded
		refused  bool
	}{
		"the first":         {[]bundle.Subject{marked("a", soon, digest), marked("b", late, digest)}, &results.Degraded{Missing: []string{"a"}, Expires: soon}, false},
		"the second":        {[]bundle.Subject{marked("b", late, digest), marked("a", soon, digest)}, &results.Degraded{Missing: []string{"a"}, Expires: soon}, false},
		"behind a plain":    {[]bundle.Subject{plain, marked("a", soon, digest)}, &results.Degraded{Missing: []string{"a"}, Expires: soon}, false},
		"before a plain":    {[]bundle.Subject{marked("a", soon, digest), plain}, &results.Degraded{Missing: []string{"a"}, Expires: soon}, false},
		"of another":        {[]bundle.Subject{plain, marked("a", soon, other)}, nil, false},
		"behind another's":  {[]bundle.Subject{marked("b", soon, other), marked("a", late, digest)}, &results.Degraded{Missing: []string{"a"}, Expires: late}, false},
		"half, behind one":  {[]bundle.Subject{marked("a", soon, digest), half}, nil, true},
		"half, before one":  {[]bundle.Subject{half, marked("a", soon, digest)}, nil, true},
		"half, on a second": {[]bundle.Subject{plain, half}, nil, true},
	} {
		statement := about(t)
		statement.Subject = c.subjects
		mark, err := statement.Degraded(digest)
		if c.refused {
			require.ErrorIs(t, err, bundle.ErrUntrusted, name)
			continue
		}
		require.NoError(t, err, name)
		assert.Equal(t, c.want, mark, name)
	}

	// Each subject of the digest is marked, and no other.
	both, err := about(t, other, digest, digest).Degrade(digest, results.Degraded{Missing: []string{"a", "b"}, Expires: soon})
	require.NoError(t, err)
	require.Len(t, both.Subject, 3)
	assert.Empty(t, both.Subject[0].Annotations)
	for _, subject := range both.Subject[1:] {
		assert.Equal(t, map[string]string{"slipway.degraded": "a b", "slipway.expires": "2026-01-02T03:04:05Z"}, subject.Annotations)
	}
}

func TestIdentitiesAreNamedWholly(t *testing.T) {
	s := standintest.New(t)
	root, err := bundle.ParseRoot(s.Root(t))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		identity bundle.Identity
		reason   string
	}{
		"both issuers":       {bundle.Identity{Subject: who, Issuer: issuer, IssuerPattern: ".*"}, "the identity's issuer is given exactly and as a pattern"},
		"bad issuer pattern": {bundle.Identity{Subject: who, IssuerPattern: "("}, "the pattern of the identity's issuer"},
	} {
		for _, all := range [][]bundle.Identity{{c.identity}, {{Subject: who, Issuer: issuer}, c.identity}} {
			trust, err := bundle.TrustIdentities(all, root, evidence)
			require.ErrorIs(t, err, bundle.ErrTrust, name)
			assert.ErrorContains(t, err, c.reason)
			assert.Nil(t, trust)
		}
	}
	_, err = bundle.TrustIdentities(nil, root, evidence)
	require.ErrorContains(t, err, "there is no identity")
	trust, err := bundle.TrustIdentities([]bundle.Identity{{Subject: "a", Issuer: "b"}, {SubjectPattern: "c.*", IssuerPattern: "d"}}, root, evidence)
	require.NoError(t, err)
	assert.Equal(t, `identity "a" of issuer "b" or identity matching "c.*" of issuer matching "d"`, trust.String())
	assert.Nil(t, trust.Key())
}
