package policy_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/ci/policy"
	"slipway/step"
)

func TestSummaryIsAcceptedOnlyForItsImageAndPolicy(t *testing.T) {
	const reference = "localhost:5000/hello@" + digest
	p := strict()
	v, err := p.Evaluate(clean())
	require.NoError(t, err)
	good := policy.Summarise(reference, *v)
	require.NoError(t, p.Accept("verify", reference, good, now))
	assert.Equal(t, good, policy.Summarise(reference, *v), "the same decision is the same statement")

	for name, tc := range map[string]struct {
		spoil  func(*policy.Summary)
		reason string
	}{
		"another verifier": {func(s *policy.Summary) { s.Verifier.ID = "me" }, `is by "me", not by Slipway's scan`},
		"failed":           {func(s *policy.Summary) { s.VerificationResult = "FAILED" }, `says "FAILED"`},
		"empty result":     {func(s *policy.Summary) { s.VerificationResult = "" }, `says ""`},
		"another image":    {func(s *policy.Summary) { s.ResourceURI = "localhost:5000/x@" + digest }, `is about "localhost:5000/x@` + digest + `"`},
		"another policy":   {func(s *policy.Summary) { s.Policy.Digest = map[string]string{"sha256": "00"} }, "was made under another policy"},
		"no policy":        {func(s *policy.Summary) { s.Policy.Digest = nil }, "was made under another policy"},
	} {
		t.Run(name, func(t *testing.T) {
			s := policy.Summarise(reference, *v)
			tc.spoil(&s)
			f, ok := step.AsFault(p.Accept("verify", reference, s, now))
			require.True(t, ok)
			assert.Equal(t, step.KindPolicy, f.Kind)
			assert.Equal(t, "verify", f.Stage)
			assert.Equal(t, tc.reason, f.Reason)
		})
	}
}

func TestOneAcceptedSummaryIsNeeded(t *testing.T) {
	const reference = "localhost:5000/hello@" + digest
	p := strict()
	v, err := p.Evaluate(clean())
	require.NoError(t, err)
	encode := func(s policy.Summary) json.RawMessage {
		data, err := json.Marshal(s)
		require.NoError(t, err)
		return data
	}
	good := encode(policy.Summarise(reference, *v))
	failed := policy.Summarise(reference, *v)
	failed.VerificationResult = "FAILED"

	require.ErrorContains(t, p.AcceptAny("release", reference, nil, now), "is missing")
	require.ErrorContains(t, p.AcceptAny("release", reference, []json.RawMessage{[]byte("[]")}, now), "can't be read")
	require.ErrorContains(t, p.AcceptAny("release", reference, []json.RawMessage{encode(failed)}, now), `says "FAILED"`)
	require.NoError(t, p.AcceptAny("release", reference, []json.RawMessage{encode(failed), good}, now))
}

func TestAnExceptionMustStillHoldWhenItsVerdictIsUsed(t *testing.T) {
	const reference = "localhost:5000/hello@" + digest
	p, in := strict(), clean()
	p.Exceptions = []policy.Exception{{ID: "CVE-2022-32149", Reason: "not reachable", Owner: "team-a", Expires: "2026-11-24"}}
	in.Findings.Vulnerabilities = []policy.Vulnerability{vulnerability("CVE-2022-32149", policy.High, "0.3.8")}
	v, err := p.Evaluate(in)
	require.NoError(t, err)
	summary := policy.Summarise(reference, *v)
	require.NoError(t, p.Accept("release", reference, summary, now))

	err = p.Accept("release", reference, summary, now.AddDate(0, 0, 1))
	fault, ok := step.AsFault(err)
	require.True(t, ok, "want a fault, got %v", err)
	assert.Equal(t, "release", fault.Stage)
	assert.Equal(t, "expired on 2026-11-24", fault.Reason)
}
