package rules_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/rules"
	"slipway/step"
)

func TestDeliveriesEndAsTheGravestOne(t *testing.T) {
	good := rules.Delivery{App: "hello", Image: "localhost:5000/hello@sha256:ab", Commit: "c0"}
	require.NoError(t, rules.Delivered("dev", nil))
	require.NoError(t, rules.Delivered("dev", []rules.Delivery{good}))

	failed := func(app string, kind step.Kind) rules.Delivery {
		return rules.Delivery{App: app, Refusal: "scan: why", Kind: kind}
	}
	for name, c := range map[string]struct {
		failed []rules.Delivery
		want   step.Kind
	}{
		"by policy":              {[]rules.Delivery{failed("a", step.KindInfrastructure), failed("b", step.KindPolicy), failed("c", step.KindInput)}, step.KindPolicy},
		"by what was given":      {[]rules.Delivery{failed("a", step.KindInput), failed("b", step.KindInfrastructure)}, step.KindInput},
		"by something else":      {[]rules.Delivery{failed("a", step.KindInfrastructure)}, step.KindInfrastructure},
		"by what nobody decided": {[]rules.Delivery{failed("a", "")}, step.KindInfrastructure},
	} {
		f, ok := step.AsFault(rules.Delivered("dev", append([]rules.Delivery{good}, c.failed...)))
		require.True(t, ok, name)
		assert.Equal(t, c.want, f.Kind, name)
		assert.Equal(t, "environment dev", f.Input, name)
		assert.Len(t, f.Details, len(c.failed), name)
		assert.Equal(t, c.failed[0].App+": scan: why", f.Details[0], name)
		assert.Contains(t, f.Reason, " changed apps are not delivered", name)
	}
}
