package rules_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/rules"
	"slipway/step"
)

func TestThePlatformPermitsHosts(t *testing.T) {
	permitted := []string{"a.org:443", "b.org:80"}
	assert.NoError(t, rules.Permit("build", "app.yaml: build.network", permitted, nil))
	assert.NoError(t, rules.Permit("build", "app.yaml: build.network", permitted, []string{"b.org:80", "a.org:443"}))
	for _, host := range []string{"a.org:80", "c.org:443", "x.a.org:443"} {
		err := rules.Permit("test", "app.yaml: test.network", permitted, []string{"a.org:443", host})
		fault, ok := step.AsFault(err)
		require.True(t, ok, host)
		assert.Equal(t, step.KindPolicy, fault.Kind)
		assert.Equal(t, "test", fault.Stage)
		assert.Equal(t, "app.yaml: test.network: "+host, fault.Input)
		assert.Contains(t, fault.Mend, "build.network of slipway.yaml")
	}
	assert.Error(t, rules.Permit("build", "x", nil, []string{"a.org:443"}))
}
