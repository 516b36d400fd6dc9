package rules_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"slipway/ci/rules"
)

func TestDegradedSignaturesAreRefusedUnlessATimeIsGiven(t *testing.T) {
	for text, accepts := range map[string]time.Duration{
		"": 0, "refuse": 0, "1m": time.Minute, "24h": 24 * time.Hour, "720h": 720 * time.Hour, "59s": 0, "721h": 0, "-1h": 0, "0": 0, "accept": 0,
	} {
		assert.Equal(t, accepts, rules.Degraded(text).Accepts(), text)
	}
}
