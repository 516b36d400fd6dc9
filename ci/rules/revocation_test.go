package rules_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/evidence"
	"slipway/ci/rules"
	"slipway/step"
)

func revocation() rules.Revocation {
	return rules.Revocation{App: "hello", Digest: digest, Reason: "writes tokens into its log", By: "Jane", At: now}
}

func TestARevokedImageIsRefused(t *testing.T) {
	const says = "it was revoked by Jane at 2026-11-24T12:00:00Z: writes tokens into its log"
	other, elsewhere, here := revocation(), revocation(), revocation()
	other.Digest = "sha256:" + strings.Repeat("b", 64)
	elsewhere.Environments, here.Environments = []string{"dev"}, []string{"dev", "production"}
	for name, tc := range map[string]struct {
		revocations []rules.Revocation
		environment string
		reference   string
		refused     bool
	}{
		"none":                          {nil, "production", reference, false},
		"another digest":                {[]rules.Revocation{other}, "production", reference, false},
		"elsewhere":                     {[]rules.Revocation{elsewhere}, "production", reference, false},
		"here":                          {[]rules.Revocation{other, elsewhere, here}, "production", reference, true},
		"everywhere":                    {[]rules.Revocation{revocation()}, "production", reference, true},
		"where no environment is named": {[]rules.Revocation{elsewhere}, "", reference, true},
		"under another name":            {[]rules.Revocation{revocation()}, "production", "localhost:5000/renamed/hello@" + digest, true},
	} {
		in := complete(t)
		in.Reference, in.Environment, in.Revocations = tc.reference, tc.environment, tc.revocations
		outcome, found := verdicts(rules.Judge(in))[rules.RequireUnrevoked]
		assert.Equal(t, tc.refused, found, name)
		if !tc.refused {
			continue
		}
		assert.Equal(t, rules.Outcome{
			Rule: rules.RequireUnrevoked, Verdict: rules.Refuse, Reason: says,
			Mend: "release another image; whoever may change revocations.yaml on the platform's branch can take the entry out",
		}, outcome, name)
		f, ok := step.AsFault(rules.Judge(in).Refusal("verify"))
		require.True(t, ok, name)
		assert.Equal(t, step.KindPolicy, f.Kind)
		assert.Contains(t, f.Reason, "revocation: "+says, name)
		assert.Equal(t, outcome.Mend, f.Mend, "its mend comes first")
	}
}

// What stands beside the image in the registry says nothing about it: neither does a
// decision that was made before, nor is anything decided otherwise where none is.
func TestADecisionDoesNotOutliveARevocation(t *testing.T) {
	in := complete(t)
	judged := rules.Judge(in)
	summary, ok := judged.Summary()
	require.True(t, ok)
	data, err := json.Marshal(summary)
	require.NoError(t, err)
	in.Statements = append(in.Statements, statement(t, evidence.SummaryType, json.RawMessage(data)))
	answer, ok := rules.Answer(in)
	require.True(t, ok, "the control")

	elsewhere := revocation()
	elsewhere.Environments = []string{"dev"}
	in.Revocations = []rules.Revocation{elsewhere}
	_, ok = rules.Answer(in)
	assert.True(t, ok, "revoked elsewhere")
	assert.Equal(t, answer.Decision().Encode(), rules.Judge(in).Decision().Encode())

	in.Revocations = []rules.Revocation{revocation()}
	_, ok = rules.Answer(in)
	assert.False(t, ok)
	_, ok = rules.Judge(in).Summary()
	assert.False(t, ok)
}
