package receipt_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/receipt"
)

func TestAStageIsRounded(t *testing.T) {
	began := time.Date(2026, 11, 28, 23, 59, 59, 999_000_000, time.FixedZone("", 3600))
	assert.Equal(t, receipt.Stage{Name: "build", StartedAt: "2026-11-28T22:59:59Z", Seconds: 61.2}, receipt.Took("build", began, began.Add(61_240*time.Millisecond)))
	assert.Equal(t, 0.0, receipt.Took("build", began, began).Seconds)
}

// TestWhatFollowsAtOnceIsInOrder: starts are whole seconds and lengths are tenths, which
// must not make a stage seem to begin before the one before it has ended.
func TestWhatFollowsAtOnceIsInOrder(t *testing.T) {
	for _, fraction := range []time.Duration{0, 49 * time.Millisecond, 500 * time.Millisecond, 951 * time.Millisecond, 999 * time.Millisecond} {
		d := sample(t)
		d.Stages, d.Live = nil, nil
		at, err := time.Parse(time.RFC3339, d.Decision.DecidedAt)
		require.NoError(t, err)
		at = at.Add(fraction)
		for _, name := range []string{"build", "scan", "publish", "sign", "apply", "verify", "commit"} {
			d.Stages = append(d.Stages, receipt.Took(name, at, at.Add(fraction)))
			at = at.Add(fraction)
		}
		d.Decision.DecidedAt = d.Stages[5].StartedAt
		d.Decision.Until = ""
		assert.NoError(t, d.Validate(), fraction)
	}
}
