package rules_test

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/evidence"
	"slipway/ci/rules"
)

// decided is a judgement whose decision is written out in the test below.
func decided() rules.Judgement {
	return rules.Judgement{
		Reference: "r/hello@sha256:aa", Environment: "dev", PolicyDigest: "sha256:bb", At: now, Until: now.Add(time.Hour),
		Outcomes: []rules.Outcome{
			{Rule: rules.RequireTests, Verdict: rules.Pass, Reason: "2 tests have passed"},
			{Rule: rules.RequireScan, Verdict: rules.Warn, Reason: "a <reason>", Mend: "mend"},
		},
		Inputs: []evidence.Descriptor{
			{URI: "https://example.org/b?a&b", Digest: map[string]string{"sha256": "02"}},
			{URI: "https://example.org/c", Digest: map[string]string{"sha256": "01"}},
			{URI: "https://example.org/a", Digest: map[string]string{"sha256": "02"}},
		},
	}
}

func TestADecisionHasOneForm(t *testing.T) {
	const form = `{"environment":"dev","image":"r/hello@sha256:aa",` +
		`"outcomes":[{"rule":"tests","verdict":"pass"},{"rule":"scan","verdict":"warn"}],"policy":"sha256:bb",` +
		`"statements":[{"digest":"sha256:01","predicateType":"https://example.org/c"},` +
		`{"digest":"sha256:02","predicateType":"https://example.org/a"},{"digest":"sha256:02","predicateType":"https://example.org/b?a&b"}]}`
	d := decided().Decision()
	assert.Equal(t, form, string(d.Encode()))
	sum := sha256.Sum256([]byte(form))
	assert.Equal(t, "sha256:"+hex.EncodeToString(sum[:]), d.Digest())

	// Decisions from before manifests were judged are the ones above.
	j := decided()
	j.Manifests = "sha256:cc"
	assert.Equal(t, strings.Replace(form, `"outcomes"`, `"manifests":"sha256:cc","outcomes"`, 1), string(j.Decision().Encode()))
	assert.Equal(t, `{"environment":"","image":"","outcomes":[],"policy":"","statements":[]}`, string(rules.Judgement{}.Decision().Encode()))
}

func TestADecisionOfAnotherDigestNamesNone(t *testing.T) {
	j := decided()
	j.Inputs = []evidence.Descriptor{{URI: "x", Digest: map[string]string{"sha512": "aa"}}}
	for _, s := range j.Decision().Statements {
		assert.Empty(t, s.Digest)
	}
	assert.Len(t, j.Decision().Statements, 1)
}

func TestADecisionIsTheSameUntilSomethingElseDecides(t *testing.T) {
	want := decided().Decision().Digest()
	for name, change := range map[string]func(*rules.Judgement){
		"decided later":    func(j *rules.Judgement) { j.At, j.Until = j.At.Add(time.Hour), j.Until.Add(time.Hour) },
		"in other words":   func(j *rules.Judgement) { j.Outcomes[0].Reason, j.Outcomes[1].Mend = "two tests", "" },
		"in another order": func(j *rules.Judgement) { slices.Reverse(j.Inputs) },
	} {
		j := decided()
		change(&j)
		assert.Equal(t, want, j.Decision().Digest(), name)
	}
	for name, change := range map[string]func(*rules.Judgement){
		"another image":       func(j *rules.Judgement) { j.Reference = "r/hello@sha256:ab" },
		"another environment": func(j *rules.Judgement) { j.Environment = "production" },
		"another platform":    func(j *rules.Judgement) { j.Platform = &rules.Platform{Commit: strings.Repeat("c", 40)} },
		"a protected branch":  func(j *rules.Judgement) { j.Platform = &rules.Platform{Commit: "c", Branch: "r#main"} },
		"other manifests":     func(j *rules.Judgement) { j.Manifests = "sha256:cc" },
		"another policy":      func(j *rules.Judgement) { j.PolicyDigest = "sha256:bc" },
		"another verdict":     func(j *rules.Judgement) { j.Outcomes[1].Verdict = rules.Pass },
		"a rule less":         func(j *rules.Judgement) { j.Outcomes = j.Outcomes[:1] },
		"other rules' order":  func(j *rules.Judgement) { slices.Reverse(j.Outcomes) },
		"a statement less":    func(j *rules.Judgement) { j.Inputs = j.Inputs[1:] },
		"another statement":   func(j *rules.Judgement) { j.Inputs[0].Digest = map[string]string{"sha256": "03"} },
		"another type":        func(j *rules.Judgement) { j.Inputs[0].URI = "https://example.org/d" },
	} {
		j := decided()
		change(&j)
		assert.NotEqual(t, want, j.Decision().Digest(), name)
	}
}

func TestAStoredDecisionIsTheSameDecision(t *testing.T) {
	in := complete(t)
	judged := rules.Judge(in)
	summary, ok := judged.Summary()
	require.True(t, ok)
	in.Statements = append(in.Statements, statement(t, evidence.SummaryType, summary), statement(t, "https://slipway.dev/attestations/admission/v1/dev", evidence.Admission{App: "hello", Environment: "dev"}))
	in.Now = now.Add(time.Minute)
	answer, ok := rules.Answer(in)
	require.True(t, ok)
	assert.Equal(t, judged.Decision().Digest(), answer.Decision().Digest())
	assert.Equal(t, judged.Decision().Digest(), rules.Judge(in).Decision().Digest(), "a summary is no statement that decides")
}
