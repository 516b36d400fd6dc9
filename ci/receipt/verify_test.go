package receipt_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/receipt"
	"slipway/step"
	"slipway/step/result/sign"
)

func TestOpenTakesASignedReceipt(t *testing.T) {
	d, err := receipt.Open(receipt.PredicateType, digest, sampleJSON(t))
	require.NoError(t, err)
	assert.Equal(t, sample(t), d)
	assert.Equal(t, []string{
		"signature: by the key hint", "image: the statement and the receipt are about " + digest,
		"decision: " + d.Decision.Digest + " is the digest of 5 verdicts of 5 statements, " + d.Decision.PolicyDigest,
		"stages: 9 stages in order",
	}, d.Checked(sign.Signer{KeyHint: "hint"}))
	assert.Equal(t, `signature: by the identity "ci\u202e@example.org" of issuer "https://issuer.example.org", seen at 2026-11-26T11:00:00Z`, d.Checked(sign.Signer{
		Identity: "ci\u202e@example.org", Issuer: "https://issuer.example.org",
		Times: []time.Time{time.Date(2026, 11, 26, 13, 0, 0, 0, time.UTC), time.Date(2026, 11, 26, 12, 0, 0, 0, time.FixedZone("", 3600))},
	})[0])
	assert.Equal(t, "evidence: this decision "+d.Decision.Digest, d.Binding())
}

func TestOpenRefuses(t *testing.T) {
	other := "sha256:" + strings.Repeat("0", 64)
	for name, tc := range map[string]struct {
		predicateType, digest string
		change                func(*receipt.Document)
		kind                  step.Kind
		input, reason         string
	}{
		"another predicate type": {"https://slipway.dev/attestations/health/v1", digest, nil, step.KindInput, "predicate type", "is not a receipt's"},
		"no predicate type":      {"", digest, nil, step.KindInput, "predicate type", "is not a receipt's"},
		"another image":          {receipt.PredicateType, other, nil, step.KindPolicy, "image.reference", `is not the image that the statement is about: "` + other},
		"an inconsistent one":    {receipt.PredicateType, digest, func(d *receipt.Document) { d.Stages[4].StartedAt = d.Stages[0].StartedAt }, step.KindInput, "stages[4].startedAt", "is too early"},
		"no decision":            {receipt.PredicateType, digest, func(d *receipt.Document) { unbound(d).Decision = nil }, step.KindPolicy, "decision", "is missing"},
		"no decision's digest":   {receipt.PredicateType, digest, func(d *receipt.Document) { unbound(d) }, step.KindPolicy, "decision.digest", "is missing"},
		"not committed":          {receipt.PredicateType, digest, func(d *receipt.Document) { d.GitOps, d.Live = nil, nil }, step.KindPolicy, "gitops", "is missing"},
		"not healthy":            {receipt.PredicateType, digest, func(d *receipt.Document) { d.Live = nil }, step.KindPolicy, "live", "is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			d := sample(t)
			if tc.change != nil {
				tc.change(d)
			}
			data, err := json.Marshal(d)
			require.NoError(t, err)
			_, err = receipt.Open(tc.predicateType, tc.digest, data)
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, tc.kind, f.Kind)
			assert.Equal(t, "receipt", f.Stage)
			assert.True(t, strings.HasPrefix(f.Input, tc.input), f.Input)
			assert.Contains(t, f.Reason, tc.reason)
			assert.NotEmpty(t, f.Mend)
		})
	}
	_, err := receipt.Open(receipt.PredicateType, digest, []byte(`{"sudo":true}`))
	require.ErrorContains(t, err, `unknown field "sudo"`)
}

// A release that was there already has the commit of an earlier call: its trailer
// may be of another decision, or there may be none.
func TestNoBindingIsClaimedThatIsNotThere(t *testing.T) {
	other := "sha256:" + strings.Repeat("0", 64)
	for trailer, says := range map[string]string{
		sample(t).Decision.Digest: "this decision",
		other:                     "another decision, of the call that made the commit",
		"":                        "the commit names no decision",
	} {
		d := sample(t)
		d.GitOps.Created, d.GitOps.Evidence, d.Stages = false, trailer, nil
		require.NoError(t, d.Validate())
		assert.Equal(t, strings.TrimSpace("evidence: "+says+" "+trailer), d.Binding())
		assert.Contains(t, d.Text(), says)
		assert.Contains(t, open(t, d).text(), says)
	}
	old := unbound(sample(t))
	require.NoError(t, old.Validate(), "receipts from before there was a digest")
	assert.NotContains(t, old.Text(), "names no decision", "nothing is known")
}

func TestStagesMayOverlapByTheirRounding(t *testing.T) {
	d := sample(t)
	// It began at :43.9 and the build ended at :43.94.
	d.Stages[1].Seconds = 40
	require.NoError(t, d.Validate())
	d.Stages[1].Seconds = 40.2
	require.ErrorContains(t, d.Validate(), "scan comes after build")
}
