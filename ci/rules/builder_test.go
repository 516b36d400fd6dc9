package rules_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/evidence"
	"slipway/ci/rules"

	"slipway/step/result/sign"
)

// A builder that provenance names counts where the token of whoever signed says so.
func TestARunnerCountsWhereTheSignatureProvesIt(t *testing.T) {
	const tenant = "https://login.microsoftonline.com/00000000-0000-4000-8000-000000000001/v2.0"
	github := &sign.Signer{Issuer: "https://token.actions.githubusercontent.com", Identity: "https://github.com/acme/platform/.github/workflows/deliver.yml@refs/heads/main"}
	connection := &sign.Signer{Issuer: tenant, Identity: "/eid1/c/pub/t/AQ/a/AQ/sc/00000000-0000-4000-8000-0000000000ad/00000000-0000-4000-8000-0000000000dc"}
	older := &sign.Signer{Issuer: "https://vstoken.dev.azure.com/00000000-0000-4000-8000-0000000000ad", Identity: "sc://acme/platform/slipway"}
	person := &sign.Signer{Issuer: tenant, Identity: "dev@acme.example"}
	local, both := []evidence.Runner{evidence.RunnerLocal}, []evidence.Runner{evidence.RunnerLocal, evidence.RunnerGitHub}
	onGitHub, onAzure := []evidence.Runner{evidence.RunnerGitHub}, []evidence.Runner{evidence.RunnerAzure}
	for name, tc := range map[string]struct {
		says    evidence.Runner
		signer  *sign.Signer
		rule    []evidence.Runner
		refused string
	}{
		"GitHub's job":                       {evidence.RunnerGitHub, github, onGitHub, ""},
		"a service connection":               {evidence.RunnerAzure, connection, onAzure, ""},
		"an older service connection":        {evidence.RunnerAzure, older, onAzure, ""},
		"a key":                              {evidence.RunnerGitHub, nil, onGitHub, "github-actions/v1, which no identity proves"},
		"a person of the tenant":             {evidence.RunnerAzure, person, onAzure, "azure-devops/v1, which no identity proves"},
		"another CI system's job":            {evidence.RunnerAzure, github, onAzure, "azure-devops/v1, which no identity proves"},
		"an issuer that begins alike":        {evidence.RunnerGitHub, &sign.Signer{Issuer: github.Issuer + ".evil.example"}, onGitHub, "which no identity proves"},
		"a tenant that is none":              {evidence.RunnerAzure, &sign.Signer{Issuer: "https://evil.example/" + tenant, Identity: connection.Identity}, onAzure, "which no identity proves"},
		"a laptop":                           {evidence.RunnerLocal, nil, local, ""},
		"a laptop where GitHub is asked for": {evidence.RunnerLocal, nil, onGitHub, "it was built by https://slipway.dev/builders/local/v1"},
		"a job that says it is a laptop":     {evidence.RunnerLocal, github, onGitHub, "it was built by https://slipway.dev/builders/local/v1"},
		"a claim where a laptop would do":    {evidence.RunnerGitHub, nil, both, ""},
		"another claim where a laptop would": {evidence.RunnerAzure, nil, both, "azure-devops/v1"},
		"a builder that nobody knows":        {evidence.Runner("jenkins"), github, both, "builders/jenkins/v1, which no identity proves"},
		"any builder":                        {evidence.RunnerGitHub, nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := complete(t)
			in.Rules.Rules[2].Runners = tc.rule
			b := build()
			b.Runner = tc.says
			signed := statement(t, evidence.ProvenanceType, b.Provenance())
			signed.Signer = tc.signer
			for n := range in.Statements {
				if in.Statements[n].PredicateType == evidence.ProvenanceType {
					in.Statements[n] = signed
				}
			}
			j := rules.Judge(in)
			outcome := verdicts(j)[rules.RequireProvenance]
			if tc.refused == "" {
				require.Equal(t, rules.Pass, outcome.Verdict, outcome.Reason)
				assert.Contains(t, outcome.Reason, tc.says.Builder())
				return
			}
			require.Equal(t, rules.Refuse, outcome.Verdict)
			assert.Contains(t, outcome.Reason, tc.refused)
			mend := fmt.Sprintf("build it on one of %v, and sign it there as the job's own identity, by with-identity", tc.rule)
			if slices.Contains(tc.rule, tc.says) {
				mend = "sign it there as the job's own identity, by with-identity"
			}
			assert.Equal(t, mend, outcome.Mend)
		})
	}
}
