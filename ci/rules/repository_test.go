package rules_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/evidence"
	"slipway/ci/rules"
	"slipway/step/result/sign"
)

func TestARegisteredAppIsBuiltByItsRepository(t *testing.T) {
	const shop = "https://github.com/acme/shop"
	for name, tc := range map[string]struct {
		registered string
		signers    []*sign.Signer
		refused    string
	}{
		"its own":                   {shop, []*sign.Signer{{Repository: shop}}, ""},
		"its own, as a clone's URL": {shop + ".git", []*sign.Signer{{Repository: shop}}, ""},
		"another one":               {shop, []*sign.Signer{{Repository: "https://github.com/mallory/shop"}}, "it was built by https://github.com/mallory/shop, and not by " + shop},
		"one whose name begins so":  {shop, []*sign.Signer{{Repository: shop + "-2"}}, "it was built by " + shop + "-2"},
		"one on another host":       {shop, []*sign.Signer{{Repository: "https://github.com.evil.example/acme/shop"}}, "evil.example"},
		"its own and another one":   {shop, []*sign.Signer{{Repository: "https://github.com/mallory/shop"}, {Repository: shop}}, ""},
		"a key":                     {shop, []*sign.Signer{{KeyHint: "hint"}, nil}, ""},
		"a key and another one":     {shop, []*sign.Signer{{KeyHint: "hint"}, {Repository: "https://github.com/mallory/shop"}}, "mallory"},
		"an app of the platform":    {"", []*sign.Signer{{Repository: "https://github.com/mallory/shop"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := complete(t)
			in.Repository = tc.registered
			var rest []sign.Statement
			for _, s := range in.Statements {
				if s.PredicateType != evidence.ProvenanceType {
					rest = append(rest, s)
				}
			}
			in.Statements = rest
			for _, signer := range tc.signers {
				built := statement(t, evidence.ProvenanceType, build().Provenance())
				built.Signer = signer
				in.Statements = append(in.Statements, built)
			}
			j := rules.Judge(in)
			summary, standing := j.Summary()
			if tc.refused == "" {
				require.NoError(t, j.Refusal("verify"))
				require.True(t, standing)
				in.Statements = append(in.Statements, statement(t, evidence.SummaryType, summary))
				_, ok := rules.Answer(in)
				assert.True(t, ok)
				in.Repository = "https://github.com/acme/other"
				_, ok = rules.Answer(in)
				assert.Equal(t, len(in.Foreign()) == 0, ok, "what stood before is asked again")
				return
			}
			require.ErrorContains(t, j.Refusal("verify"), tc.refused)
			assert.Equal(t, rules.Refuse, j.Outcomes[0].Verdict)
			assert.Equal(t, rules.RequireRepository, j.Outcomes[0].Rule)
			assert.NotEmpty(t, j.Outcomes[0].Mend)
			assert.False(t, standing)
		})
	}
}
