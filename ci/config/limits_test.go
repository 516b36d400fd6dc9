package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/config"
	"slipway/step"
)

func TestAnAppLowersLimits(t *testing.T) {
	app, err := new(config.Config).App("hello", []byte("name: hello\nbuild: {kind: go, package: .}\nport: 80\nlimits: {time: 90s, memory: 512MiB, processes: 10}\n"))
	require.NoError(t, err)
	limits, err := config.Limits{Output: 1 << 10}.Lowered("app.yaml: limits", app.Limits)
	require.NoError(t, err)
	assert.Equal(t, config.Limits{Time: 90 * time.Second, Memory: 512 << 20, Processes: 10, Output: 1 << 10, Disk: config.DefaultLimits.Disk}, limits)
	assert.Equal(t, []string{"time=1m30s", "memory=512MiB", "processes=10", "output=1KiB", "disk=10GiB"}, limits.Flags())
}

func TestAnAppDoesNotRaiseLimits(t *testing.T) {
	for name, app := range map[string]config.Limits{
		"time":      {Time: 21 * time.Minute},
		"memory":    {Memory: 5 << 30},
		"processes": {Processes: 1025},
		"output":    {Output: 64<<20 + 1},
		"disk":      {Disk: 11 << 30},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Limits{}.Lowered("app.yaml: limits", app)
			fault, ok := step.AsFault(err)
			require.True(t, ok)
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Contains(t, fault.Input, "app.yaml: limits."+name)
			assert.Contains(t, fault.Reason, "is more than the platform allows")
			assert.Contains(t, fault.Mend, "build.limits of slipway.yaml")
			// As much as the platform is no more.
			_, err = app.Lowered("app.yaml: limits", app)
			assert.NoError(t, err)
		})
	}
}

func TestOddLimits(t *testing.T) {
	for text, reason := range map[string]string{
		"memory: 4GB":         `"4GB" is not a size`,
		"memory: -1GiB":       `"-1GiB" is not a size`,
		"memory: 1.5GiB":      `"1.5GiB" is not a size`,
		"disk: [1]":           "is not a size",
		"output: GiB":         `"GiB" is not a size`,
		"output: 9999999999G": "is not a size",
		"time: tomorrow":      "tomorrow",
		"speed: 9":            "field speed not found",
	} {
		_, err := new(config.Config).App("hello", []byte("name: hello\nbuild: {kind: go, package: .}\nport: 80\nlimits: {"+text+"}\n"))
		assert.ErrorContains(t, err, reason, text)
	}
	_, err := config.Limits{}.Lowered("limits", config.Limits{Time: -time.Second})
	assert.ErrorContains(t, err, "is less than nothing")
}
